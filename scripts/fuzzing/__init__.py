"""The parts of `scripts/fuzz`: mutations of sound files, the readers that get them, and the process they are read in."""
