"""`python -m ba` is `ba`."""

import sys

from ba.system import safepath

safepath.forget_working_folder()

from ba.cli import main  # noqa: E402 (only now do imports not look into the working folder)

if __name__ == "__main__":
    sys.exit(main())
