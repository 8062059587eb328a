"""The charts of a comparison as PNG files, for papers and slides, with the inks of the page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ba.studies.comparison import charts
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import MEASURES, grouped, profile
from ba.system.files import replacing

DPI = 150
PROFILE_SHARE = 1e-6
"""The share above the best cost that the profiles are of."""


def write(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cost-steps-DATASET.png and cost-seconds-DATASET.png for each dataset, and profiles.png, into folder.

    Raises UserError where `folder` cannot be written.
    """
    inks = charts.inks(outcomes)
    for dataset, group in grouped(outcomes, lambda outcome: outcome.dataset).items():
        for across in MEASURES:
            file = folder / f"cost-{across}-{file_name(dataset)}.png"
            _save({f"{dataset}: medians over seeds": charts.gaps(group, across)}, inks, file)
    panels = {
        f"{name} to {charts.short(PROFILE_SHARE)} of the best cost": charts.profiles(
            profile(outcomes, measure, PROFILE_SHARE), name
        )
        for name, measure in MEASURES.items()
    }
    _save(panels, inks, folder / "profiles.png")


def file_name(dataset: str) -> str:
    """The dataset's name with what a file name may not hold replaced."""
    return re.sub(r"[^\w.-]+", "-", dataset)


def _save(panels: Mapping[str, charts.Chart], inks: Mapping[str, charts.Ink], path: Path) -> None:
    """Charts by title, side by side, with the legend of the first."""
    from matplotlib.figure import Figure

    # A figure that pyplot does not know, so that nothing has to be closed.
    figure = Figure(figsize=(5.5 + 3.5 * len(panels), 5.2), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, chart) in zip(panes, panels.items(), strict=True):
        for label, line in chart.lines.items():
            ink = inks[label]
            colour = charts.COLOURS[ink.colour][0]
            for seed in chart.seeds.get(label, ()):
                axes.plot(*zip(*seed, strict=True), color=colour, linewidth=0.5, alpha=0.25)
            dashes = (0, ink.dash) if ink.dash else "-"
            axes.plot(*zip(*line, strict=True), color=colour, linestyle=dashes, linewidth=1.4, label=label)
        margin = 0.02 * (chart.y[1] - chart.y[0])
        axes.set(xlim=chart.x, ylim=(chart.y[0] - margin, chart.y[1] + margin), title=title)
        axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
        axes.set_xticks(*zip(*chart.x_ticks, strict=True))
        axes.set_yticks(*zip(*chart.y_ticks, strict=True))
        axes.grid(alpha=0.3)
    if any(inks[label].dash == charts.UNRANKED for chart in panels.values() for label in chart.lines):
        figure.supxlabel("dashed: not ranked", fontsize=8, color="gray", ha="left", x=0.01)
    figure.legend(
        *panes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9, handlelength=3.0, frameon=False
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
