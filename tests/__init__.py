"""The tests, in folders as those of `ba`; what several of them need stands in `tests.support`."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Read when numpy is loaded, which is after this. The matrices of tests are small: on them several threads of BLAS took
# six times the processor time of one (63 singular value decompositions of 240 x 122 numbers: 25 s and 4 s).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
