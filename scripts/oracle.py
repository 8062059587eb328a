"""The oracle's table, quantities by cases: `scripts/oracle` prints how far `ba` is from a second program.

What stands there is the largest relative difference, with what rounding and the digits that are not printed do: 1e-6 of
a page's cell is its sixth digit. `!` follows where it is more than those may do; then the exit code is 1. `-` stands
where a case has no such number.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.oracle.known import AGREEMENT
from tests.oracle.table import QUANTITIES, Difference
from tests.support.oracle_cases import RECIPES, make_case


def main() -> int:
    with TemporaryDirectory() as scratch:
        cases = []
        for number, name in enumerate(RECIPES):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            cases.append(make_case(name, folder))
        found = {name: [list(compare(case)) for case in cases] for name, compare in QUANTITIES.items()}
    for number, case in enumerate(cases, 1):
        print(f"{number:3}  {case.name}, {len(case.states) - 1} steps")
    print(f"\n{'largest relative difference':56}" + "".join(f"{number:>8}" for number in range(1, len(cases) + 1)))
    for name, differences in found.items():
        print(f"{name:56}" + "".join(f"{_cell(some):>8}" for some in differences))
    every = [one for differences in found.values() for some in differences for one in some]
    wrong = [one for one in every if not one.share <= AGREEMENT]
    print(f"\n{len(every):,} numbers, {len(wrong)} that differ by more than rounding, printed digits and {AGREEMENT:g}")
    for one in wrong:
        print(f"{one.place}: {one.said}")
    return int(bool(wrong))


def _cell(differences: list[Difference]) -> str:
    if not differences:
        return "-"
    raw, share = (max(getattr(one, name) for one in differences) for name in ("raw", "share"))
    return ("0" if raw == 0 else f"{raw:.0e}") + ("" if share <= AGREEMENT else "!")


if __name__ == "__main__":
    sys.exit(main())
