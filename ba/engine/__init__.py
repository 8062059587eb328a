"""How loops run: compiled kernels and their cache, vector instructions, threads."""
