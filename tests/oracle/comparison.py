"""What `ba compare` leaves: results.csv from runs alike, and summary.csv from results.csv.

A row of results.csv is held to a run of its own, made by `ba run` from the same start with the same settings: its costs
on the way, and what its end is like. Only the seconds are taken from the comparison, from the timing with these costs.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.costs import LOSSES, squares
from tests.oracle.freedom import free_directions, jacobian_blocks
from tests.oracle.known import EPS, Known, known
from tests.oracle.starting import free_numbers
from tests.oracle.summary import distance
from tests.oracle.truth import relative_distance

SHARES = ("1e-01", "1e-02", "1e-03", "1e-04", "1e-05", "1e-06")
FAILED = "1e-04"
OFF_SO3 = 1e-6

Row = dict[str, str]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The folder of a comparison, and a run of its own for each row of results.csv."""

    folder: Path
    cases: Sequence[Case]

    @cached_property
    def rows(self) -> list[Row]:
        return read_csv(self.folder / "results.csv")

    @cached_property
    def costs(self) -> list[list[float]]:
        """Of each run, after each step."""
        return [[line["cost"] for line in case.last.iterations] for case in self.cases]

    @cached_property
    def timings(self) -> list[dict[str, list[float]]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / "timings").glob("*.json"))]

    def seconds(self, row: int) -> list[float]:
        """Of the one timing that has the costs of this run, bit for bit: two rotations' may agree to 1e-12."""
        (timing,) = [one for one in self.timings if one["cost"] == self.costs[row]]
        return timing["seconds"]

    def group(self, row: int) -> list[int]:
        """The rows of the same dataset and seed."""
        return [
            i for i, other in enumerate(self.rows) if all(other[k] == self.rows[row][k] for k in ("dataset", "seed"))
        ]

    def ranked(self, row: int) -> bool:
        return distance(self.cases[row]).value <= OFF_SO3

    def best(self, row: int) -> int:
        """The row of the lowest cost that rotations reached from the same start."""
        return min((i for i in self.group(row) if self.ranked(i)), key=lambda i: self.costs[i][-1])

    def arrival(self, row: int, share: str) -> float:
        """The step after which the cost is within a share of the best, or infinity."""
        limit = self.costs[self.best(row)][-1] * (1 + float(share))
        return next((float(step) for step, cost in enumerate(self.costs[row]) if cost <= limit), math.inf)


def read_csv(path: Path) -> list[Row]:
    with path.open() as file:
        return list(csv.DictReader(file))


# --- a row of results.csv ---------------------------------------------------------------------------------------------


def directions(comparison: Comparison, row: int) -> int:
    """Directions of the free numbers that change no residual at the end."""
    case = comparison.cases[row]
    return free_directions(case.end, case.rotation)


def condition(comparison: Comparison, row: int) -> Known:
    """Of the normal equations with the points eliminated, scaled to unit diagonal, without the free directions."""
    case = comparison.cases[row]
    J_rest, J_points = jacobian_blocks(case.end, case.rotation)
    weights = np.sqrt(LOSSES[case.config["loss"]["name"]][1](squares(case.end) / case.config["loss"]["scale"] ** 2))
    A, B = (J * np.repeat(weights, 2)[:, None] for J in (J_rest, J_points))
    # What the points take up of A goes, by a projection: S = A^T (I - Q Q^T) A with B = Q R.
    Q, _ = np.linalg.qr(B)
    left = A - Q @ (Q.T @ A)
    values = np.linalg.svd(left / np.linalg.norm(left, axis=0), compute_uv=False) ** 2
    kept = values[: len(values) - directions(comparison, row)]
    found = float(kept[0] / kept[-1])
    return Known(found, 256 * EPS * found**2)


def difference(comparison: Comparison, row: int) -> Known:
    if not comparison.ranked(row):
        return Known(math.nan)
    best = comparison.best(row)
    points = [comparison.cases[i].end.points for i in (row, best)]
    return Known(0.0) if best == row else Known(relative_distance(*points), 1e-14)


def truth_error(comparison: Comparison, row: int) -> Known:
    case = comparison.cases[row]
    if case.truth is None:
        return Known(math.nan)
    return Known(relative_distance(case.end.points, case.truth.points), 1e-14)


def flags(comparison: Comparison, row: int) -> str:
    """Off SO(3), and more directions to move in than rotations have, of which the first row of rotations tells."""
    found = []
    if not comparison.ranked(row):
        lower = comparison.costs[row][-1] < comparison.costs[comparison.best(row)][-1]
        found += ["lower cost off SO(3)" if lower else "ended off SO(3)"]
    first = next(i for i in comparison.group(row) if comparison.ranked(i))
    if more := _moves(comparison, row) - _moves(comparison, first):
        found += [f"{abs(more)} {'more' if more > 0 else 'fewer'} directions to move in"]
    return "; ".join(found)


def _moves(comparison: Comparison, row: int) -> int:
    case = comparison.cases[row]
    return free_numbers(case.start, case.rotation) - directions(comparison, row)


def _seconds_to(share: str) -> Callable[[Comparison, int], float]:
    def seconds_to(comparison: Comparison, row: int) -> float:
        step = comparison.arrival(row, share)
        return math.inf if math.isinf(step) else comparison.seconds(row)[int(step)]

    return seconds_to


RESULTS: dict[str, Callable[[Comparison, int], Any]] = {
    "label": lambda comparison, row: comparison.cases[row].rotation,
    "seed": lambda comparison, row: comparison.cases[row].config["seed"],
    "settings": lambda comparison, row: f"rotation={comparison.cases[row].rotation}",
    "status": lambda comparison, row: comparison.cases[row].last.summary["status"],
    "steps": lambda comparison, row: len(comparison.costs[row]) - 1,
    "final_cost": lambda comparison, row: comparison.costs[row][-1],
    "best_cost": lambda comparison, row: comparison.costs[comparison.best(row)][-1],
    "free_numbers": lambda comparison, row: free_numbers(comparison.cases[row].start, comparison.cases[row].rotation),
    "free_directions": directions,
    "condition": condition,
    "distance_from_so3": lambda comparison, row: distance(comparison.cases[row]),
    "difference": difference,
    "truth_error": truth_error,
    "flags": flags,
    **{f"steps_to_{s}": lambda comparison, row, s=s: comparison.arrival(row, s) for s in SHARES},
    **{f"seconds_to_{s}": _seconds_to(s) for s in SHARES},
}

RESULTS_NOT_COMPUTED = {
    "dataset": "the name of a group, which the rows are read by",
    "message": "words, not a number",
}


# --- summary.csv from results.csv -------------------------------------------------------------------------------------


def is_ranked(row: Row) -> bool:
    return not row["flags"] and float(row["distance_from_so3"]) <= OFF_SO3


def numbers(rows: Sequence[Row], column: str) -> list[float]:
    return [float(row[column]) for row in rows]


def middle(values: Sequence[float]) -> float:
    """The middle one, or halfway between the middle two; NaN where one is."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return math.nan if any(map(math.isnan, values)) else low if low == high else 0.5 * (low + high)


def arrivals(rows: Sequence[Row], column: str) -> float:
    """The median, in which a run that may not be ranked never arrives."""
    return middle([float(row[column]) if is_ranked(row) else math.inf for row in rows])


def _joined(rows: Sequence[Row]) -> str:
    return "; ".join(dict.fromkeys(flag for row in rows for flag in row["flags"].split("; ") if flag))


SUMMARY: dict[str, Callable[[Sequence[Row]], Any]] = {
    "dataset": lambda rows: rows[0]["dataset"],
    "label": lambda rows: rows[0]["label"],
    "failures": lambda rows: sum(is_ranked(row) and math.isinf(float(row[f"steps_to_{FAILED}"])) for row in rows),
    "unranked": lambda rows: sum(not is_ranked(row) for row in rows),
    "of": len,
    "free_numbers": lambda rows: int(rows[0]["free_numbers"]),
    "free_directions": lambda rows: int(rows[0]["free_directions"]),
    "condition": lambda rows: middle(numbers(rows, "condition")),
    "distance_from_so3": lambda rows: max(numbers(rows, "distance_from_so3")),
    "difference": lambda rows: middle(numbers(rows, "difference")),
    "truth_error": lambda rows: middle(numbers(rows, "truth_error")),
    "flags": _joined,
    **{
        f"{of}_to_{s}": lambda rows, of=of, s=s: arrivals(rows, f"{of}_to_{s}")
        for of in ("steps", "seconds")
        for s in SHARES
    },
}


def groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["dataset"], row["label"]), []).append(row)
    return found


def compared(text: str, value: Any) -> float:
    """Relative difference of a cell of a CSV file, all of whose digits count."""
    right = known(value)
    if isinstance(right.value, str):
        return right.difference(text)
    return Known(float(right.value), right.slack).difference(float(text))


def of_results(comparison: Comparison, column: str) -> Iterator[tuple[str, str, Any]]:
    for i, row in enumerate(comparison.rows):
        yield f"{column} of {row['label']}, seed {row['seed']}", row[column], RESULTS[column](comparison, i)


def of_summary(
    summary: Sequence[Mapping[str, str]], rows: Sequence[Row], column: str
) -> Iterator[tuple[str, str, Any]]:
    for line, (key, group) in zip(summary, groups(rows).items(), strict=True):
        yield f"{column} of {key}", line[column], SUMMARY[column](group)
