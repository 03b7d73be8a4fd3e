"""Model files of anybody, read as the kernels that a runtime executes."""
