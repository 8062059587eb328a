"""Three sentences on a comparison, composed from its numbers: who is quickest, who fails, and whether ends agree.

Nothing is said that the table does not bear out: what is named is looked up, and each sentence has a form for every
case.
"""

import math
from collections.abc import Sequence

from ba.model.rotation.so3 import OFF_SO3
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import SHARES, grouped
from ba.studies.comparison.results import Summary
from ba.system.words import counted

TARGET = 1e-6
AT_TARGET = SHARES.index(TARGET)
CLOSE = 1.2
"""Ratio of times that tells little: the same steps, timed on another day, differ by as much."""


def conclude(outcomes: Sequence[Outcome], rows: Sequence[Summary]) -> tuple[str, str, str]:
    """On speed, on failures, and on where runs ended."""
    return _speed(rows), _failures(rows), _ends(outcomes, rows)


def _speed(rows: Sequence[Summary]) -> str:
    datasets = grouped(rows, lambda row: row.dataset)
    races = "; ".join(f"on {dataset} {_race(group)}" for dataset, group in datasets.items())
    return f"To {TARGET:.0e} of the lowest cost, medians over seeds: {races}."


def _race(rows: Sequence[Summary]) -> str:
    arrived = [row for row in rows if math.isfinite(row.seconds[AT_TARGET])]
    arrived.sort(key=lambda row: row.seconds[AT_TARGET])
    if not arrived:
        return f"none of {len(rows)} arrives"
    first, last, others = arrived[0], arrived[-1], len(arrived) - 1
    text = f"{first.label} is quickest with {_took(first)}"
    if not others:
        return f"{text}, and alone to arrive" if len(rows) > 1 else text
    least = first.seconds[AT_TARGET]
    close = sum(row.seconds[AT_TARGET] <= CLOSE * least for row in arrived) - 1
    return (
        f"{text}, {close} of the {others} others that arrive take at most {CLOSE:g} times as long, and {last.label} "
        f"takes {last.seconds[AT_TARGET] / least:.2g} times as long with {_took(last)}"
    )


def _took(row: Summary) -> str:
    steps = row.steps[AT_TARGET]
    return f"{steps:g} step{'s' * (steps != 1)} in {row.seconds[AT_TARGET]:.3g} s"


def _failures(rows: Sequence[Summary]) -> str:
    runs = sum(row.of - row.unranked for row in rows)
    failed = sorted((row for row in rows if row.failures), key=lambda row: -row.failures)
    if not runs:
        return "No run may be ranked."
    ranked, best = f"{counted(runs, 'run')} that may be ranked", "the lowest cost of their dataset and seed"
    if not failed:
        return f"All {ranked} came within 1e-4 of {best}."
    named = "; ".join(f"{row.label} on {row.dataset} ({row.failures} of {row.of})" for row in failed[:5])
    others = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    total = sum(row.failures for row in failed)
    return f"{total} of {ranked} never came within 1e-4 of {best}: {named}{others}."


def _ends(outcomes: Sequence[Outcome], rows: Sequence[Summary]) -> str:
    agree = "No ends can be compared after alignment"
    compared = [row for row in rows if math.isfinite(row.difference) and not row.failures]
    if compared:
        worst = max(compared, key=lambda row: row.difference)
        agree = (
            f"After alignment the points of those without failures differ from the best run's by at most "
            f"{worst.difference:.1e} of their extent, by the median over seeds ({worst.label} on {worst.dataset})"
        )
    left = [outcome for outcome in outcomes if outcome.distance_from_so3 > OFF_SO3]
    if not left:
        return f"{agree}, and all {counted(len(outcomes), 'run')} end within {OFF_SO3:.0e} of SO(3)."
    names = " and ".join(dict.fromkeys(outcome.label for outcome in left))
    distance = max(outcome.distance_from_so3 for outcome in left)
    lower = sum("lower cost off SO(3)" in outcome.flags for outcome in left)
    return (
        f"{agree}; {names} left SO(3), by |RᵀR − I| up to {distance:.2g}, so its costs, lower in {lower} of "
        f"{counted(len(left), 'run')}, are no gain and not ranked."
    )
