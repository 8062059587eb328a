"""Compare settings fairly: the same starts, the same stopping rule, one table and one report.

outcome  what one run brings back, and what a comparison is
"""
