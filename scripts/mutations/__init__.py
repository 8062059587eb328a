"""What scripts/mutants.py is made of: the lists of mutations, the copies of the tree, and their workers."""
