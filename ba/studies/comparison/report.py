"""A comparison as one HTML page: what was compared, conclusions and the main table first; then charts, then details.

The page misleads nobody: a label whose runs may not be ranked (left SO(3), other free numbers) has no place in medians
of arrival and profiles, is drawn dashed, and says why. Medians are over all seeds, failures counted as never arriving.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from ba.show.page import Html, document, section, table
from ba.studies.comparison import pictures
from ba.studies.comparison.charts import (
    LONGEST_RATIO,
    STYLE,
    Ink,
    gap_chart,
    highlights,
    inks,
    legend,
    named,
    profile_chart,
    short,
)
from ba.studies.comparison.dataset_section import (
    NEVER,
    TEXTS,
    StressRow,
    dataset_section,
    failures,
    flags,
    grouped,
    stress_tables,
)
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import FAILED, MEASURES, Spread, profile, ranked, spreads, steps_to
from ba.system.files import write_bytes
from ba.system.words import counted

MAIN_SHARES = (1e-4, 1e-6)
PAGE_STYLE = """
@page { size: A4 landscape; margin: 12mm; }
body { max-width: 82rem; } table { font-size: .85rem; } th, td { padding: .22rem .5rem; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:has(.prose), td:has(.prose) { text-align: left; }
td .prose { display: inline-block; white-space: normal; min-width: 11rem; max-width: 44rem; }
.wide th:first-child, .wide td:first-child { position: sticky; left: 0; background: var(--page); }
.groups th { text-align: center; color: var(--ink); } .best { font-weight: 700; } .bad { color: var(--bad); }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: .8rem 1.5rem; }
.two h3 { margin: .3rem 0; } h3 { margin: 1.2rem 0 .3rem; font-size: 1rem; }
details { margin: .6rem 0; padding: .4rem .8rem; }
details .wide th:first-child, details .wide td:first-child { background: var(--card); }
.said { margin: .8rem 0 1.2rem; padding-left: 1.2rem; } .said li { margin: .2rem 0; max-width: 60rem; }
:root { --bad: #b3261e; } @media screen and (prefers-color-scheme: dark) { :root { --bad: #ff8a80; } }
@media (max-width: 600px) { body { padding: 1.2rem .8rem 2rem; } svg text { font-size: 17px; } }
@media print { body { padding: 0; max-width: none; font-size: 11px; } table { font-size: 9px; }
  th, td { padding: .1rem .3rem; } .two { grid-template-columns: 1fr 1fr; } .wide { overflow: visible; }
  details::details-content { content-visibility: visible; display: block; } }
"""


def write(
    outcomes: Sequence[Outcome], conclusions: Sequence[str], stress: Sequence[StressRow], folder: Path, rule: str = ""
) -> None:
    """Write folder/report.html and the pictures (see `ba.studies.comparison.pictures`); rule: a sentence on how runs
    stop.

    Raises UserError where `folder` cannot be written.
    """
    write_bytes(folder / "report.html", page(outcomes, conclusions, stress, rule).encode())
    pictures.write(outcomes, folder)


def page(
    outcomes: Sequence[Outcome], conclusions: Sequence[str], stress: Sequence[StressRow] = (), rule: str = ""
) -> str:
    """The HTML of the page."""
    drawn = inks(outcomes)
    datasets = grouped(outcomes, lambda outcome: outcome.dataset)
    body = "\n".join([
        _head(outcomes, conclusions, rule),
        _main_table(outcomes, drawn),
        *(section(name, _dataset(group, drawn)) for name, group in datasets.items()),
        section("Performance profiles", _profiles(outcomes, drawn)),
        section("Who failed, and who is not ranked", failures(outcomes, drawn)),
        section("Stress: who fails where, and why", stress_tables(stress, drawn)) if stress else "",
        *(section(f"Details: {name}", dataset_section(group, drawn)) for name, group in datasets.items()),
        section("How to read this page", READING),
    ])  # fmt: skip
    return document(_title(outcomes), body, STYLE + PAGE_STYLE + highlights(len(drawn)))


READING = Html(
    "<p>The best cost is the lowest final cost of a ranked run from the same dataset and seed. A run arrives at 1e-4 "
    "when its cost is at most 1.0001 times the best. Medians are over all seeds, and a run that never arrives counts "
    f"as taking for ever: {NEVER} stands where half of the seeds or more never do, ∞ for a slowest seed that does not. "
    "Steps are accepted steps. Seconds are those of the solve alone.</p>"
    "<p>A run has failed when it never comes within 1e-4 of the best. A run is not ranked when what it minimized is "
    "not what the others minimized, such as over matrices that are no rotations. Dashed lines belong to labels with "
    "such runs.</p><p>Distance from SO(3) is the largest |RᵀR − I| of an image. Difference is the root mean square "
    "distance of the points from those of the best run after Sim(3) alignment, over their extent. Condition is that of "
    "the reduced normal equations at the end, scaled to unit diagonal, without the free directions of the gauge.</p>"
    "<p>Performance profiles: E. D. Dolan and J. J. Moré, Benchmarking optimization software with performance "
    "profiles, Mathematical Programming 91, 2002.</p>"
)


def _counted(names: Iterable[object], one: str) -> str:
    return counted(len(set(names)), one)


def _title(outcomes: Sequence[Outcome]) -> str:
    labels = _counted((outcome.label for outcome in outcomes), "setting")
    return f"Comparison: {labels} on {_counted((outcome.dataset for outcome in outcomes), 'dataset')}"


def _head(outcomes: Sequence[Outcome], conclusions: Sequence[str], rule: str) -> str:
    datasets = ", ".join(dict.fromkeys(outcome.dataset for outcome in outcomes))
    seeds = _counted((outcome.seed for outcome in outcomes), "seed")
    runs = counted(len(outcomes), "run")
    ends = ", ".join(f"{count} {status}" for status, count in Counter(o.status for o in outcomes).most_common())
    said = "".join(f"<li>{escape(conclusion)}</li>" for conclusion in conclusions)
    return (
        f"<header><h1>{escape(_title(outcomes))}</h1>"
        f'<p class="soft">{escape(datasets)}; {seeds} of start noise; {runs} ({escape(ends)}). '
        f"For each dataset and seed all start from the same state and stop by the same rule. {escape(rule)}</p>"
        f'</header><ul class="said">{said}</ul>'
    )


def _marked(texts: Sequence[str], values: Sequence[float]) -> list[str]:
    """A column with its least finite value in bold."""
    least = min((value for value in values if math.isfinite(value)), default=math.nan)
    return [Html(f'<b class="best">{escape(t)}</b>') if v == least else t for t, v in zip(texts, values, strict=True)]


def _main_table(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> str:
    """Labels from the quickest to the slowest; for each dataset medians of steps and seconds to the main shares."""
    datasets = list(dict.fromkeys(outcome.dataset for outcome in outcomes))
    medians = {
        (dataset, name, share): {label: found.median for (at, label), found in spread.items() if at == dataset}
        for dataset in datasets
        for name, measure in MEASURES.items()
        for share in MAIN_SHARES
        for spread in [spreads(outcomes, measure, share)]
    }
    labels = sorted(drawn, key=lambda label: _effort(label, medians.values()))
    by_label = grouped(outcomes, lambda outcome: outcome.label)
    spread = spreads(outcomes, steps_to, FAILED)
    columns: list[list[str]] = [
        [named(label, drawn[label]) for label in labels],
        [_failed_of([found for (_, at), found in spread.items() if at == label]) for label in labels],
        [f"{max(o.distance_from_so3 for o in by_label[label]):.0e}" for label in labels],
    ]
    for (_, name, _), column in medians.items():
        values = [column.get(label, math.inf) for label in labels]
        columns.append(_marked([TEXTS[name](value) for value in values], values))
    head = [f"{name} {short(share)}" for _ in datasets for name in MEASURES for share in MAIN_SHARES]
    groups = [("", 3), *((dataset, 2 * len(MAIN_SHARES)) for dataset in datasets)]
    notes = "".join(
        f'<p class="soft">{escape(label)} is not ranked: {escape(why)}.</p>'
        for label in labels
        if (why := flags(by_label[label]))
    )
    return table(["", "failed", "off SO(3)", *head], list(zip(*columns, strict=True)), groups) + notes


def _effort(label: str, columns: Iterable[Mapping[str, float]]) -> tuple[int, float]:
    """Where a label stands in the table: first by how many medians it lacks, then by the product of the others."""
    found = [column.get(label, math.inf) for column in columns]
    known = [math.log(max(value, 1e-9)) for value in found if math.isfinite(value)]
    return len(found) - len(known), sum(known)


def _failed_of(found: Sequence[Spread]) -> str:
    failed, of, unranked = (sum(getattr(s, name) for s in found) for name in ("failures", "of", "unranked"))
    if unranked == of:
        return "not ranked"
    text = f"{failed} of {of}" + (f", {unranked} not ranked" if unranked else "")
    return Html(f'<span class="bad">{text}</span>') if failed else text


def _dataset(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> str:
    charts = "".join(gap_chart(outcomes, drawn, across) for across in MEASURES)
    note = "Medians over seeds; the seeds are thin behind them."
    if any(not ranked(outcome) for outcome in outcomes):
        note += " Dashed, ended by a cross: not ranked; where it falls below the best cost it is no longer drawn."
    here = {label: ink for label, ink in drawn.items() if any(outcome.label == label for outcome in outcomes)}
    return f'{legend(here)}<div class="two">{charts}</div><p class="soft">{note}</p>'


def _profiles(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> str:
    charts = "".join(
        f"<div><h3>{name.capitalize()} to {short(share)} of the best cost</h3>"
        f"{profile_chart(curves, drawn, name)}</div>"
        for name, measure in MEASURES.items()
        for share in MAIN_SHARES
        for curves in [profile(outcomes, measure, share)]
    )
    there = {label: ink for label, ink in drawn.items() if any(o.label == label and ranked(o) for o in outcomes)}
    note = (
        "For each ratio the share of problems (a dataset and a seed) that a label solves with at most that many times "
        "the effort of the best label there. Higher is better: at the left edge it is how often a label wins, at the "
        f"right how often it arrives, within {LONGEST_RATIO:g} times the best. Labels not ranked are left out."
    )
    return f'{legend(there)}<p class="soft">{note}</p><div class="two">{charts}</div>'
