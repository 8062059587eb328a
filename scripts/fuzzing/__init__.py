"""The parts of `scripts/fuzz`: how sound files are changed, who reads them, and the process that does."""
