"""The problem and its mathematics: state, free numbers, rotations, cameras, residuals and losses."""
