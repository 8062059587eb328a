"""A second program that computes anew every number which a run of `ba` leaves. It imports nothing of `ba`.

It is written from the conventions in the README, the papers and the textbooks, in plain numpy and with no regard to
speed, so that a mistake in one of the two programs shows as a difference between them.

reading      BAL, .npz and PLY files, and run folders         rotating   rotation vectors and what steps add to
starting     what may move, noise, the solver's own frame     projecting pixels, their derivatives, their rounding
costs        losses, costs, gradients, lengths of steps       truth      alignment with the ground truth
known        an answer with the rounding it may carry         case       the runs of one problem, one step apart
markup       HTML and SVG as a tree                           printed    numbers in text, by their digits

summary, robust, iterations, files, page, charts, checks, comparison, alignment: what `ba` writes or prints. Each holds
a table from the name of a number to the function that computes it, and a table of what cannot be computed, with the
reason.
"""
