"""Plain static networks: layers built from blocks, and the files they travel in."""
