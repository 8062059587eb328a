"""The tables of a comparison that come after the charts: who failed and why, and every number behind the rest."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ba.show.page import soft, span, table
from ba.studies.comparison import profiles
from ba.studies.comparison.charts import Ink, named, short
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import FAILED, MEASURES, SHARES, grouped, objections, problem
from ba.studies.rotation_alignment.stress import StressRow

NEVER = "–"


def seconds(value: float) -> str:
    return NEVER if not math.isfinite(value) else f"{value:#.3g}" if value < 1e3 else f"{value:,.0f}"


def number(value: float) -> str:
    return NEVER if not math.isfinite(value) else f"{value:.3g}"


TEXTS: dict[str, Callable[[float], str]] = {"steps": number, "seconds": seconds}


def statuses(outcomes: Iterable[Outcome]) -> str:
    """How runs ended, as in `3 converged, 1 max_iterations`."""
    ends = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{count} {status}" for status, count in ends.most_common())


def failures(outcomes: Sequence[Outcome], ink: Mapping[str, Ink]) -> str:
    """Runs that may not be ranked or never came within FAILED of the best cost, by label and reason."""
    best = profiles.best_cost(outcomes)
    lost = [o for o in outcomes if objections(o) or math.isinf(profiles.steps_to(o, best[problem(o)], FAILED))]
    if not lost:
        return f"<p>Every run came within {short(FAILED)} of the best cost of its dataset and seed.</p>"
    lost.sort(key=lambda outcome: ink[outcome.label].number)
    groups = grouped(lost, lambda o: (o.label, "; ".join(objections(o)) or f"{o.status}: {o.message}"))
    rows = []
    for (label, why), group in groups.items():
        gaps = [o.cost[-1] / best[problem(o)] - 1.0 for o in group if o.cost and best[problem(o)] > 0.0]
        gap = number(float(np.median(gaps))) if gaps else NEVER
        seeds = grouped(group, lambda outcome: outcome.dataset)
        where = "; ".join(f"{name} ({', '.join(str(o.seed) for o in runs)})" for name, runs in seeds.items())
        rows.append([named(label, ink[label]), gap, span("prose", where), span("prose", why)])
    median = "median of cost\xa0/\xa0best\xa0\u2212\xa01"
    return table(["", median, span("prose", "dataset (seeds)"), span("prose", "how it ended")], rows)


def stress_tables(rows: Sequence[StressRow], ink: Mapping[str, Ink]) -> str:
    """A table of parameterization by scene, then the reasons of those that did not always arrive."""
    scenes = list(dict.fromkeys(row.stress for row in rows))
    cells = {(row.parameterization, row.stress): _stress_cell(row) for row in rows}
    matrix = [
        [named(name, ink[name]) if name in ink else name, *(cells.get((name, scene), "") for scene in scenes)]
        for name in dict.fromkeys(row.parameterization for row in rows)
    ]
    lost = grouped((row for row in rows if row.reached < row.of), lambda row: (row.stress, row.why))
    who = [", ".join(f"{row.parameterization} {row.of - row.reached}" for row in group) for group in lost.values()]
    reasons = [[scene, span("prose", w), span("prose", why)] for (scene, why), w in zip(lost, who, strict=True)]
    head = ["start", span("prose", "failures"), span("prose", "reason")]
    return (
        soft("Starts that reach the optimum, of all; in brackets the median steps of those.")
        + table(["", *scenes], matrix)
        + (f"<h3>Why</h3>{table(head, reasons)}" if reasons else "")
    )


def _stress_cell(row: StressRow) -> str:
    text = f"{row.reached} of {row.of}" + (f" ({row.median_steps:g})" if math.isfinite(row.median_steps) else "")
    return span("bad", text) if row.reached < row.of else text


def dataset_section(outcomes: Sequence[Outcome], ink: Mapping[str, Ink]) -> str:
    """Where the runs of one dataset end, and when they arrive at each share."""
    return _ends(grouped(outcomes, lambda outcome: outcome.label), ink) + "".join(
        f"<details><summary>{name.capitalize()} to each share of the best cost</summary>"
        f"{_arrivals(outcomes, name, ink)}</details>"
        for name in MEASURES
    )


def _arrivals(outcomes: Sequence[Outcome], name: str, ink: Mapping[str, Ink]) -> str:
    columns = [profiles.spreads(outcomes, MEASURES[name], share) for share in SHARES]
    text = TEXTS[name]
    rows = [[named(key[1], ink[key[1]]), *(_spread(column[key], text) for column in columns)] for key in columns[0]]
    return table(["median (least to most)", *map(short, SHARES)], rows)


def _spread(spread: profiles.Spread, text: Callable[[float], str]) -> str:
    if math.isinf(spread.low):
        return "not ranked" if spread.unranked else NEVER
    high = "∞" if math.isinf(spread.high) else text(spread.high)
    return f"{text(spread.median)} ({text(spread.low)} to {high})"


ENDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "final cost": ("final_cost", "{:.9g}".format),
    "steps": ("steps", number),
    "condition": ("condition", number),
    "distance from SO(3)": ("distance_from_so3", number),
    "difference": ("difference", number),
    "from the truth": ("truth_error", number),
    "free numbers": ("free_numbers", "{:,.6g}".format),
    "gauge freedom": ("free_directions", number),
}
"""Columns of the table of ends, medians over seeds; those that no run has a finite number for are left out."""


def _ends(groups: Mapping[str, Sequence[Outcome]], ink: Mapping[str, Ink]) -> str:
    columns: dict[str, list[str]] = {"where runs end, medians": [named(label, ink[label]) for label in groups]}
    for heading, (name, text) in ENDS.items():
        finite = [[end for o in group if math.isfinite(end := getattr(o, name))] for group in groups.values()]
        if any(finite):
            columns[heading] = [text(float(np.median(ends))) if ends else NEVER for ends in finite]
    columns["ended"] = [statuses(group) for group in groups.values()]
    return table(list(columns), list(zip(*columns.values(), strict=True)))
