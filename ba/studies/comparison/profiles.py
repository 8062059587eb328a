"""Statistics of a comparison: when runs arrive, how that spreads over seeds, and performance profiles.

A run arrives at share s when its cost is at most best * (1 + s), where best is the lowest cost that any run which may
be ranked reached from the same dataset and seed. A run that never arrives takes infinitely long: medians are over all
seeds, so failures count, and a label does not look faster because its hard seeds failed.

A performance profile says for each ratio tau in which share of the problems a label needs at most tau times what the
best label needs: Dolan and More, "Benchmarking optimization software with performance profiles", Mathematical
Programming 91, 2002. Its value at 1 is how often the label wins, its height at the right how often it arrives.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ba.model.rotation.so3 import OFF_SO3
from ba.studies.comparison.outcome import Outcome

SHARES = tuple(10.0**-k for k in range(1, 7))
"""The shares above the best cost that tables give: 1e-1 to 1e-6."""
FAILED = 1e-4
"""A run that never comes within this share of the best cost has failed: another minimum, or stuck."""

Item = TypeVar("Item")
Key = TypeVar("Key")
Problem = tuple[str, int]
Measure = Callable[[Outcome, float, float], float]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Spread:
    """How long the runs of one dataset and label take over the seeds; inf where runs do not arrive.

    median, low, high: of all runs, low the smallest and high the largest
    failures: runs that may be ranked and do not arrive; unranked: runs that may not be ranked; of: all runs
    """

    median: float
    low: float
    high: float
    failures: int
    of: int
    unranked: int = 0


@dataclass(frozen=True)
class Course:
    """How runs of one dataset and label go on, medians over the seeds after each step: steps, seconds, gaps (n,).

    A gap is cost / best - 1, negative below the best. A run that has ended stays where it ended.
    """

    steps: NDArray[np.int64]
    seconds: NDArray[np.float64]
    gaps: NDArray[np.float64]


def problem(outcome: Outcome) -> Problem:
    """What an outcome is compared within: the runs of the same dataset from the same start."""
    return outcome.dataset, outcome.seed


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by what `key` makes of them, in the order in which each key comes first."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def objections(outcome: Outcome) -> tuple[str, ...]:
    """Why a run may not be ranked beside the others: its flags, or that it did not end with rotations."""
    return outcome.flags or (("ended off SO(3)",) if outcome.distance_from_so3 > OFF_SO3 else ())


def ranked(outcome: Outcome) -> bool:
    return not objections(outcome)


def best_cost(outcomes: Iterable[Outcome]) -> dict[Problem, float]:
    """The lowest final cost of a ranked run, for each dataset and seed; NaN where no run may be ranked."""
    return {
        key: float(np.fmin.reduce([o.final_cost for o in group if ranked(o)], initial=math.nan))
        for key, group in grouped(outcomes, problem).items()
    }


def steps_to(outcome: Outcome, best: float, share: float) -> float:
    """Accepted steps until the cost is at most best * (1 + share); inf where it never is."""
    return next((float(step) for step, cost in enumerate(outcome.cost) if cost <= best * (1.0 + share)), math.inf)


def seconds_to(outcome: Outcome, best: float, share: float) -> float:
    """Seconds of the solve until the cost is at most best * (1 + share); inf where it never is."""
    step = steps_to(outcome, best, share)
    return outcome.seconds[int(step)] if math.isfinite(step) else math.inf


def _measured(outcome: Outcome, best: Mapping[Problem, float], measure: Measure, share: float) -> float:
    return measure(outcome, best[problem(outcome)], share) if ranked(outcome) else math.inf


MEASURES: dict[str, Measure] = {"steps": steps_to, "seconds": seconds_to}


def spreads(outcomes: Sequence[Outcome], measure: Measure, share: float) -> dict[tuple[str, str], Spread]:
    """The spread over seeds of a measure (`steps_to` or `seconds_to`), for each (dataset, label) in order.

    A run that may not be ranked counts as one that does not arrive in the median, and apart from the failures.
    """
    best = best_cost(outcomes)
    groups = grouped(outcomes, lambda outcome: (outcome.dataset, outcome.label))
    return {key: _spread(group, [_measured(o, best, measure, share) for o in group]) for key, group in groups.items()}


def _spread(group: Sequence[Outcome], values: Sequence[float]) -> Spread:
    unranked = sum(not ranked(outcome) for outcome in group)
    lost = sum(map(math.isinf, values))
    return Spread(float(np.median(values)), min(values), max(values), lost - unranked, len(group), unranked)


def profile(outcomes: Sequence[Outcome], measure: Measure, share: float) -> dict[str, Curve]:
    """The performance profile of each label: ratios to the best label, ascending, and the fraction of problems there.

    A problem is a dataset and a seed. Both arrays hold one entry for each problem on which the label arrives. Problems
    that no label solves keep their weight; problems that are solved at their start are left out, because no label can
    win there.
    """
    best = best_cost(outcomes)
    measured = {(problem(o), o.label): _measured(o, best, measure, share) for o in outcomes}
    least = {key: min(value for (at, _), value in measured.items() if at == key) for key in best}
    told = {key: value for key, value in least.items() if value > 0.0}
    return {label: _curve(measured, told, label) for label in dict.fromkeys(o.label for o in outcomes)}


def _curve(measured: Mapping[tuple[Problem, str], float], least: Mapping[Problem, float], label: str) -> Curve:
    needed = [(measured.get((key, label), math.inf), value) for key, value in least.items()]
    ratios = np.sort([value / lowest for value, lowest in needed if math.isfinite(value)])
    return ratios.astype(np.float64), np.arange(1, len(ratios) + 1) / max(len(least), 1)


def course(group: Sequence[Outcome], best: Mapping[Problem, float]) -> Course:
    """Medians over runs of one dataset and label; the course ends with the median number of steps."""
    end = int(np.median([outcome.steps for outcome in group]))
    at = [np.minimum(np.arange(end + 1), outcome.steps) for outcome in group]
    gaps = [np.array(o.cost)[i] / best[problem(o)] - 1.0 for o, i in zip(group, at, strict=True)]
    seconds = [np.array(o.seconds)[i] for o, i in zip(group, at, strict=True)]
    finite = np.nan_to_num(gaps, nan=np.inf, posinf=np.inf)
    return Course(np.arange(end + 1), np.median(seconds, axis=0), np.median(finite, axis=0))
