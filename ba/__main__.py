"""`python -m ba` is `ba`."""

import sys

from ba.cli import main

if __name__ == "__main__":
    sys.exit(main())
