"""From what runs left behind to outcomes, and to tables of them.

results.csv, results.parquet   a row an outcome, with its arrivals at 1e-1 to 1e-6 of the best cost; the second also has
                               the course of cost and seconds
summary.csv, summary.parquet   a row a dataset and label, over the seeds
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.errors import UserError
from ba.model.rotation.so3 import OFF_SO3
from ba.model.similarity import align, not_remote
from ba.studies.comparison import execute, profiles
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import FAILED, MEASURES, SHARES, best_cost, problem
from ba.studies.comparison.runs import Run
from ba.system import files

Array = NDArray[np.float64]

FIRST = ("dataset", "seed", "label", "settings", "status", "message", "cost", "seconds")
"""The columns that come first in results.parquet."""
SAME = 1e-9
"""Share by which the costs of a run and of its timing may differ: the same sums on other numbers of threads."""


@dataclass(frozen=True)
class Summary:
    """A dataset and label over its seeds: medians, inf for runs that do not arrive, and worst values of rotations.

    steps, seconds: median to each of SHARES; failures: of `of` runs, never within 1e-4 of the best cost
    """

    dataset: str
    label: str
    steps: tuple[float, ...]
    seconds: tuple[float, ...]
    failures: int
    unranked: int
    of: int
    free_numbers: int
    free_directions: int
    condition: float
    distance_from_so3: float
    difference: float
    truth_error: float
    flags: tuple[str, ...]


def outcomes(runs: Sequence[Run], folder: Path) -> list[Outcome]:
    """The outcomes of a plan that was carried out, each compared with the best of its dataset and seed."""
    flagged = _flagged([_outcome(run, folder) for run in runs])
    best = best_cost(flagged)
    pairs = list(zip(flagged, runs, strict=True))
    winners = {problem(o): run for o, run in pairs if profiles.ranked(o) and o.cost[-1] == best[problem(o)]}
    return [
        replace(outcome, difference=_difference(outcome, run, winners.get(problem(outcome)), folder))
        for outcome, run in pairs
    ]


def _difference(outcome: Outcome, run: Run, best: Run | None, folder: Path) -> float:
    if best is None or outcome.distance_from_so3 > OFF_SO3:
        return math.nan
    return 0.0 if run is best else distance(*(execute.read(execute.POINTS, one, folder) for one in (run, best)))


def _outcome(run: Run, folder: Path) -> Outcome:
    ending, timing = (execute.read(kind, run, folder) for kind in (execute.ENDING, execute.TIMING))
    truth_error = math.nan
    if execute.path_of(execute.TRUTH, run.start, folder).exists():
        truth = execute.read(execute.TRUTH, run.start, folder)
        truth_error = distance(execute.read(execute.POINTS, run, folder), truth.points)
    return Outcome(
        dataset=run.start.group,
        seed=run.start.seed,
        label=run.label,
        settings=run.settings,
        cost=tuple(timing["cost"]),
        seconds=tuple(timing["seconds"]),
        difference=math.nan,
        truth_error=truth_error,
        flags=() if _is_same(ending.pop("cost"), timing["cost"]) else ("timed along another course",),
        **ending,
    )


def _is_same(cost: Sequence[float], timed: Sequence[float]) -> bool:
    return len(cost) == len(timed) and np.allclose(cost, timed, rtol=SAME, atol=0.0)


def _flagged(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """With flags where a run minimized over more than rotations."""
    best = best_cost(outcomes)
    rotations = [o for o in reversed(outcomes) if o.distance_from_so3 <= OFF_SO3]
    reference = {problem(o): o.free_numbers - o.free_directions for o in rotations}
    return [replace(o, flags=(*o.flags, *_flags(o, best[problem(o)], reference.get(problem(o))))) for o in outcomes]


def _flags(outcome: Outcome, best: float, reference: int | None) -> list[str]:
    flags = []
    if outcome.distance_from_so3 > OFF_SO3:
        flags.append("lower cost off SO(3)" if outcome.cost[-1] < best else "ended off SO(3)")
    more = 0 if reference is None else outcome.free_numbers - outcome.free_directions - reference
    if more:
        flags.append(f"{abs(more)} {'more' if more > 0 else 'fewer'} directions to move in")
    return flags


def distance(points: Array, reference: Array) -> float:
    """Root mean square distance after Sim(3) alignment over the reference's extent, of points that have not run off.

    NaN where no alignment exists.
    """
    near = not_remote(points) & not_remote(reference)
    source, target = points[near], reference[near]
    try:
        aligned = align(source, target).apply(source)
    except UserError:
        return math.nan
    extent = np.sqrt(np.mean(np.sum((target - target.mean(axis=0)) ** 2, axis=1)))
    return float(np.sqrt(np.mean(np.sum((aligned - target) ** 2, axis=1))) / extent)


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """A row a dataset and label, in order."""
    steps, seconds = ([profiles.spreads(outcomes, measure, share) for share in SHARES] for measure in MEASURES.values())
    at_failure = steps[SHARES.index(FAILED)]
    rows = []
    for (dataset, label), group in profiles.grouped(outcomes, lambda o: (o.dataset, o.label)).items():
        spread = at_failure[dataset, label]
        rows.append(
            Summary(
                dataset=dataset,
                label=label,
                steps=tuple(by[dataset, label].median for by in steps),
                seconds=tuple(by[dataset, label].median for by in seconds),
                failures=spread.failures,
                unranked=spread.unranked,
                of=spread.of,
                free_numbers=group[0].free_numbers,
                free_directions=group[0].free_directions,
                condition=float(np.median([o.condition for o in group])),
                distance_from_so3=max(o.distance_from_so3 for o in group),
                difference=float(np.median([o.difference for o in group])),
                truth_error=float(np.median([o.truth_error for o in group])),
                flags=tuple(dict.fromkeys(flag for o in group for flag in profiles.objections(o))),
            )
        )
    return rows


def write(outcomes: Sequence[Outcome], rows: Sequence[Summary], folder: Path) -> None:
    """The four files of the module's docstring. Raises UserError where they cannot be written."""
    best = best_cost(outcomes)
    _write_table([_row(outcome, best[problem(outcome)]) for outcome in outcomes], folder / "results")
    _write_table([_summary_row(row) for row in rows], folder / "summary")


def _row(outcome: Outcome, best: float) -> dict[str, Any]:
    row = dict.fromkeys(FIRST) | asdict(outcome)
    row |= {"settings": "; ".join(f"{axis}={value}" for axis, value in outcome.settings.items())}
    row |= {"flags": "; ".join(outcome.flags), "steps": outcome.steps}
    row |= {"final_cost": outcome.cost[-1], "best_cost": best}
    for share, (name, measure) in itertools.product(SHARES, MEASURES.items()):
        row[f"{name}_to_{share:.0e}"] = measure(outcome, best, share)
    return row


def _summary_row(row: Summary) -> dict[str, Any]:
    flat = asdict(row) | {"flags": "; ".join(row.flags)}
    for name in MEASURES:
        flat |= {f"{name}_to_{share:.0e}": value for share, value in zip(SHARES, flat.pop(name), strict=True)}
    return flat


def _write_table(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    table = pa.Table.from_pylist(rows)
    with files.replacing(path.with_suffix(".parquet")) as temporary:
        parquet.write_table(table, temporary)
    courses = [field.name for field in table.schema if pa.types.is_list(field.type)]
    with files.replacing(path.with_suffix(".csv")) as temporary:
        csv.write_csv(table.drop_columns(courses), temporary)
