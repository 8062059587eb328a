"""The tests, in folders as those of `ba`; what several of them need stands in `tests.support`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
