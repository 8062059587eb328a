"""Between loading and solving: what is free, noise on the start, and a frame and order fit for solving."""
