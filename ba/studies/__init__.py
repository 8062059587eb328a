"""More than one run: comparisons of settings, and rotation alignment."""
