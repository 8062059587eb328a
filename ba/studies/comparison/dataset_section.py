"""The tables of a comparison that come after the charts: who failed and why, and every number behind the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Protocol

import numpy as np

from ba.show.page import Html, table
from ba.studies.comparison.charts import Ink, named, short
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import (
    FAILED,
    MEASURES,
    SHARES,
    Problem,
    Spread,
    best_cost,
    objections,
    problem,
    ranked,
    spreads,
    steps_to,
)

NEVER = "–"


class StressRow(Protocol):
    """What the page reads of a stress scene: `reached` of `of` starts found the optimum, and why the others did not."""

    @property
    def parameterization(self) -> str: ...
    @property
    def stress(self) -> str: ...
    @property
    def reached(self) -> int: ...
    @property
    def of(self) -> int: ...
    @property
    def median_steps(self) -> float: ...
    @property
    def why(self) -> str: ...


def grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return groups


def seconds(value: float) -> str:
    return NEVER if not math.isfinite(value) else f"{value:#.3g}" if value < 1e3 else f"{value:,.0f}"


def number(value: float) -> str:
    return NEVER if not math.isfinite(value) else f"{value:.3g}"


TEXTS: dict[str, Callable[[float], str]] = {"steps": number, "seconds": seconds}


def flags(group: Sequence[Outcome]) -> str:
    return "; ".join(dict.fromkeys(why for outcome in group for why in objections(outcome)))


def failures(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> str:
    best = best_cost(outcomes)
    lost = [o for o in outcomes if not ranked(o) or math.isinf(steps_to(o, best[problem(o)], FAILED))]
    if not lost:
        return f"<p>Every run came within {short(FAILED)} of the best cost of its dataset and seed.</p>"
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in sorted(lost, key=lambda outcome: drawn[outcome.label].number):
        why = "; ".join(objections(outcome)) or f"{outcome.status}: {outcome.message}"
        groups.setdefault((outcome.label, why), []).append(outcome)
    rows = [
        [named(label, drawn[label]), _gap(group, best), prose(_where(group)), prose(why)]
        for (label, why), group in groups.items()
    ]
    head = ["", "median of cost\xa0/\xa0best\xa0\u2212\xa01", prose("dataset (seeds)"), prose("how it ended")]
    return table(head, rows)


def _where(group: Sequence[Outcome]) -> str:
    datasets = grouped(group, lambda outcome: outcome.dataset)
    return "; ".join(f"{name} ({', '.join(str(o.seed) for o in runs)})" for name, runs in datasets.items())


def prose(text: str) -> Html:
    return Html(f'<span class="prose">{escape(text)}</span>')


def _gap(group: Sequence[Outcome], best: Mapping[Problem, float]) -> str:
    gaps = [o.cost[-1] / best[problem(o)] - 1.0 for o in group if o.cost and best[problem(o)] > 0.0]
    return number(float(np.median(gaps))) if gaps else NEVER


def stress_tables(rows: Sequence[StressRow], drawn: Mapping[str, Ink]) -> str:
    """A table of parameterization by scene, then the reasons of those that did not always arrive."""
    scenes = list(dict.fromkeys(row.stress for row in rows))
    cells = {(row.parameterization, row.stress): _stress_cell(row) for row in rows}
    names = list(dict.fromkeys(row.parameterization for row in rows))
    matrix = [[_known(name, drawn), *(cells.get((name, scene), "") for scene in scenes)] for name in names]
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reached < row.of:
            reasons.setdefault((row.stress, row.why), []).append(f"{row.parameterization} {row.of - row.reached}")
    why = [[scene, prose(", ".join(who)), prose(reason)] for (scene, reason), who in reasons.items()]
    return (
        '<p class="soft">Starts that reach the optimum, of all; in brackets the median steps of those.</p>'
        + table(["", *scenes], matrix)
        + (f"<h3>Why</h3>{table(['start', prose('failures'), prose('reason')], why)}" if why else "")
    )


def _stress_cell(row: StressRow) -> str:
    text = f"{row.reached} of {row.of}" + (f" ({row.median_steps:g})" if math.isfinite(row.median_steps) else "")
    return Html(f'<span class="bad">{text}</span>') if row.reached < row.of else text


def _known(label: str, drawn: Mapping[str, Ink]) -> str:
    return named(label, drawn[label]) if label in drawn else label


def dataset_section(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> str:
    groups = grouped(outcomes, lambda outcome: outcome.label)
    arrivals = "".join(
        f"<details><summary>{name.capitalize()} to each share of the best cost</summary>"
        f"{_arrivals(outcomes, name, drawn)}</details>"
        for name in MEASURES
    )
    return _ends(groups, drawn) + arrivals


def _arrivals(outcomes: Sequence[Outcome], name: str, drawn: Mapping[str, Ink]) -> str:
    columns = [spreads(outcomes, MEASURES[name], share) for share in SHARES]
    text = TEXTS[name]
    rows = [[named(key[1], drawn[key[1]]), *(_spread(column[key], text) for column in columns)] for key in columns[0]]
    return table(["median (least to most)", *(short(share) for share in SHARES)], rows)


def _spread(found: Spread, text: Callable[[float], str]) -> str:
    if math.isinf(found.low):
        return "not ranked" if found.unranked else NEVER
    high = "∞" if math.isinf(found.high) else text(found.high)
    return f"{text(found.median)} ({text(found.low)} to {high})"


ENDS: dict[str, Callable[[Outcome], float]] = {
    "final cost": lambda outcome: outcome.cost[-1] if outcome.cost else math.nan,
    "steps": lambda outcome: outcome.steps,
    "condition": lambda outcome: outcome.condition,
    "distance from SO(3)": lambda outcome: outcome.distance_from_so3,
    "difference": lambda outcome: outcome.difference,
    "from the truth": lambda outcome: outcome.truth_error,
    "free numbers": lambda outcome: outcome.free_numbers,
    "gauge freedom": lambda outcome: outcome.free_directions,
}
"""Columns of the table of ends, medians over seeds; those that no run knows are left out."""
TEXTS_OF_ENDS: dict[str, Callable[[float], str]] = {"final cost": "{:.9g}".format, "free numbers": "{:,.6g}".format}


def _ends(groups: Mapping[str, Sequence[Outcome]], drawn: Mapping[str, Ink]) -> str:
    columns: dict[str, list[str]] = {"where runs end, medians": [named(label, drawn[label]) for label in groups]}
    for name, value in ENDS.items():
        known = [[end for end in map(value, group) if math.isfinite(end)] for group in groups.values()]
        if any(known):
            text = TEXTS_OF_ENDS.get(name, number)
            columns[name] = [text(float(np.median(ends))) if ends else NEVER for ends in known]
    columns["ended"] = [
        ", ".join(f"{count} {status}" for status, count in Counter(o.status for o in group).most_common())
        for group in groups.values()
    ]
    return table(list(columns), list(zip(*columns.values(), strict=True)))
