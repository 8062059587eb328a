"""A comparison as one HTML page: what was compared, conclusions and the main table first; then charts, then details.

The page misleads nobody: a label whose runs may not be ranked (left SO(3), other free numbers) has no place in medians
of arrival and profiles, is drawn dashed, and the page says why. Medians are over all seeds, failures counted as never
arriving.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ba.show.page import Html, document, section, soft, span, table
from ba.studies.comparison import charts, dataset_section
from ba.studies.comparison.charts import LONGEST_RATIO, STYLE, Ink, short
from ba.studies.comparison.dataset_section import TEXTS, statuses
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import MEASURES, SHARES, grouped, profile, ranked
from ba.studies.comparison.results import Summary, summaries
from ba.studies.rotation_alignment.stress import StressRow
from ba.system.files import write_bytes
from ba.system.words import counted

MAIN_SHARES = (1e-4, 1e-6)
PAGE_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
READING = Path(__file__).with_name("reading.html").read_text(encoding="utf-8")


def write(
    outcomes: Sequence[Outcome], conclusions: Sequence[str], stress: Sequence[StressRow], folder: Path, rule: str = ""
) -> None:
    """Write folder/report.html and the pictures (see `ba.studies.comparison.charts`); rule: a sentence on how runs
    stop.

    Raises UserError where `folder` cannot be written.
    """
    write_bytes(folder / "report.html", page(outcomes, conclusions, stress, rule).encode())
    charts.write_pictures(outcomes, folder)


def page(
    outcomes: Sequence[Outcome], conclusions: Sequence[str], stress: Sequence[StressRow] = (), rule: str = ""
) -> str:
    """The HTML of the page."""
    ink = charts.inks(outcomes)
    datasets = grouped(outcomes, lambda outcome: outcome.dataset)
    title = f"Comparison: {counted(len(ink), 'setting')} on {counted(len(datasets), 'dataset')}"
    body = "\n".join([
        f"<header><h1>{escape(title)}</h1>{_head(outcomes, rule)}</header>",
        f'<ul class="said">{"".join(f"<li>{escape(sentence)}</li>" for sentence in conclusions)}</ul>',
        _main_table(summaries(outcomes), ink),
        *(section(name, _dataset(group, ink)) for name, group in datasets.items()),
        section("Performance profiles", _profiles(outcomes, ink)),
        section("Who failed, and who is not ranked", dataset_section.failures(outcomes, ink)),
        section("Stress: who fails where, and why", dataset_section.stress_tables(stress, ink)) if stress else "",
        *(section(f"Details: {name}", dataset_section.dataset_section(group, ink)) for name, group in datasets.items()),
        section("How to read this page", READING),
    ])  # fmt: skip
    return document(title, body, STYLE + PAGE_STYLE + charts.highlights(len(ink)))


def _head(outcomes: Sequence[Outcome], rule: str) -> str:
    datasets = ", ".join(dict.fromkeys(outcome.dataset for outcome in outcomes))
    seeds = counted(len({outcome.seed for outcome in outcomes}), "seed")
    return soft(
        f"{datasets}; {seeds} of start noise; {counted(len(outcomes), 'run')} ({statuses(outcomes)}). "
        f"For each dataset and seed all start from the same state and stop by the same rule. {rule}"
    )


def _main_table(rows: Sequence[Summary], ink: Mapping[str, Ink]) -> str:
    """Labels from the quickest to the slowest; for each dataset medians of steps and seconds to the main shares."""
    datasets = grouped(rows, lambda row: row.dataset)
    medians = [
        (name, {row.label: getattr(row, name)[SHARES.index(share)] for row in group})
        for group in datasets.values()
        for name in MEASURES
        for share in MAIN_SHARES
    ]
    unsorted = grouped(rows, lambda row: row.label)
    labels = sorted(unsorted, key=lambda label: _effort([column.get(label, math.inf) for _, column in medians]))
    columns: list[list[str]] = [
        [charts.named(label, ink[label]) for label in labels],
        [_failed_of(unsorted[label]) for label in labels],
        [f"{max(row.distance_from_so3 for row in unsorted[label]):.0e}" for label in labels],
        *(_column(name, [column.get(label, math.inf) for label in labels]) for name, column in medians),
    ]
    head = [f"{name} {short(share)}" for _ in datasets for name in MEASURES for share in MAIN_SHARES]
    groups = [("", 3), *((dataset, 2 * len(MAIN_SHARES)) for dataset in datasets)]
    why = {label: dict.fromkeys(flag for row in unsorted[label] for flag in row.flags) for label in labels}
    notes = "".join(soft(f"{label} is not ranked: {'; '.join(flags)}.") for label, flags in why.items() if flags)
    return table(["", "failed", "off SO(3)", *head], list(zip(*columns, strict=True)), groups) + notes


def _column(name: str, values: Sequence[float]) -> list[str]:
    """Medians of a measure, the least finite ones in bold."""
    least = min(filter(math.isfinite, values), default=math.nan)
    texts = map(TEXTS[name], values)
    return [Html(f'<b class="best">{escape(t)}</b>') if v == least else t for t, v in zip(texts, values, strict=True)]


def _effort(medians: Sequence[float]) -> tuple[int, float]:
    """What labels are sorted by: first how many medians are missing, then the product of the others."""
    finite = [math.log(max(value, 1e-9)) for value in medians if math.isfinite(value)]
    return len(medians) - len(finite), sum(finite)


def _failed_of(rows: Sequence[Summary]) -> str:
    failed, of, unranked = (sum(getattr(row, name) for row in rows) for name in ("failures", "of", "unranked"))
    if unranked == of:
        return "not ranked"
    text = f"{failed} of {of}" + (f", {unranked} not ranked" if unranked else "")
    return span("bad", text) if failed else text


def _dataset(outcomes: Sequence[Outcome], ink: Mapping[str, Ink]) -> str:
    figures = "".join(charts.gap_chart(outcomes, ink, across) for across in MEASURES)
    note = "Medians over seeds; the seeds are thin behind them."
    if not all(map(ranked, outcomes)):
        note += " Dashed, ended by a cross: not ranked; where it falls below the best cost it is no longer drawn."
    return f'{charts.legend(outcomes, ink)}<div class="two">{figures}</div>{soft(note)}'


def _profiles(outcomes: Sequence[Outcome], ink: Mapping[str, Ink]) -> str:
    figures = "".join(
        f"<div><h3>{name.capitalize()} to {short(share)} of the best cost</h3>"
        f"{charts.profile_chart(profile(outcomes, measure, share), ink, name)}</div>"
        for name, measure in MEASURES.items()
        for share in MAIN_SHARES
    )
    note = (
        "For each ratio the share of problems (a dataset and a seed) that a label solves with at most that many times "
        "the effort of the best label there. Higher is better: at the left edge it is how often a label wins, at the "
        f"right how often it arrives, within {LONGEST_RATIO:g} times the best. Labels not ranked are left out."
    )
    return f'{charts.legend(filter(ranked, outcomes), ink)}{soft(note)}<div class="two">{figures}</div>'
