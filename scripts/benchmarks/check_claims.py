"""Do README and docstrings say what was measured? A line for each sentence that does not.

    scripts/bench claims [--update]

The figures are those of scripts/benchmarks/results, as scripts/benchmarks/quoted.py reads them. --update puts them into
the text. Names the files of results that do not come from a run of their benchmark. Ends with 1 where anything is left
to mend.
"""

import argparse

from scripts.benchmarks.claims import ROOT, faults, rewritten
from scripts.benchmarks.provenance import RESULTS, provisional
from scripts.benchmarks.quoted import claims


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench claims", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="put the measured figures into the text")
    if parser.parse_args(arguments).update:
        for path, content in rewritten(claims()):
            path.write_text(content)
            print(f"written: {path.relative_to(ROOT)}")
    found = [*faults(claims()), *(f"{RESULTS.name}/{name}.json: {why}" for name, why in provisional())]
    for fault in found:
        print(fault)
    return int(bool(found))
