"""Values of `pipeline` in words for the terminal."""
