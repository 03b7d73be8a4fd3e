"""Model files that runtimes take, made from blocks and network files and cached by content."""
