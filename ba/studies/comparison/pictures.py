"""The charts of a comparison as PNG files, for papers and slides, with the inks of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ba.studies.comparison.charts import (
    COLOURS,
    GAP_CEILING,
    GAP_FLOOR,
    UNRANKED,
    Ink,
    along,
    drawable,
    farthest,
    inks,
    limits,
    ratio_ticks,
    round_numbers,
    short,
    stairs,
    visible,
)
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import MEASURES, Course, best_cost, course, profile
from ba.system.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (9.0, 5.2)
DPI = 150
PROFILE_SHARE = 1e-6


def write(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cost-steps-DATASET.png and cost-seconds-DATASET.png for each dataset, and profiles.png, into folder.

    Raises UserError where `folder` cannot be written.
    """
    drawn = inks(outcomes)
    for dataset in dict.fromkeys(outcome.dataset for outcome in outcomes):
        here = [outcome for outcome in outcomes if outcome.dataset == dataset]
        for across in ("steps", "seconds"):
            _save(_gaps(here, drawn, across), folder / f"cost-{across}-{file_name(dataset)}.png")
    _save(_profiles(outcomes, drawn), folder / "profiles.png")


def file_name(dataset: str) -> str:
    """The dataset's name with what a file name may not hold replaced."""
    return re.sub(r"[^\w.-]+", "-", dataset)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI)


def _figure(columns: int) -> tuple[Figure, list[Axes]]:
    """A figure that no global state of pyplot knows, so that nothing has to be closed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIZE[0] + 3.5 * (columns - 1), SIZE[1]), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _style(ink: Ink) -> dict[str, Any]:
    return {"color": COLOURS[ink.colour][0], "linestyle": (0, ink.dash) if ink.dash else "-"}


def _gaps(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink], across: str) -> Figure:
    figure, (axes,) = _figure(1)
    best, groups = best_cost(outcomes), drawable(outcomes)
    for label, group in groups.items():
        style = _style(drawn[label])
        for single in ([outcome] for outcome in group):
            _draw(axes, course(single, best), across, style | {"linestyle": "-", "linewidth": 0.5, "alpha": 0.25})
        _draw(axes, course(group, best), across, style | {"linewidth": 1.4, "label": label})
    singles = [course([outcome], best) for group in groups.values() for outcome in group]
    if singles:
        _scale(axes, singles, across)
    axes.set(xlabel=across, ylabel="cost / best - 1", title=f"{outcomes[0].dataset}: medians over seeds")
    if any(drawn[label].dash == UNRANKED for label in groups):
        figure.supxlabel("dashed: not ranked", fontsize=8, color="gray", ha="left", x=0.01)
    _finish(figure, axes)
    return figure


def _draw(axes: Axes, median: Course, across: str, style: dict[str, Any]) -> None:
    shown = visible(median)
    axes.plot(along(shown, across), shown.gaps, **style)


def _scale(axes: Axes, singles: Sequence[Course], across: str) -> None:
    """Both axes logarithmic, steps as steps + 1, with ticks at round numbers."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    low, high = limits(singles, across)
    axes.set_xlim(low, high)
    axes.set_yscale("log")
    axes.set_ylim(GAP_FLOOR / 1.5, min(axes.get_ylim()[1], GAP_CEILING))
    if across == "steps":
        axes.set_xscale("function", functions=(np.log1p, np.expm1))
        ticks = [0.0, *round_numbers(1.0, high)]
    else:
        axes.set_xscale("log")
        ticks = round_numbers(low, high)
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _finish(figure: Figure, axes: Axes) -> None:
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=9, handlelength=3.0, frameon=False)


def _profiles(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink]) -> Figure:
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure, places = _figure(2)
    for axes, (name, measure) in zip(places, MEASURES.items(), strict=True):
        curves = {label: curve for label, curve in profile(outcomes, measure, PROFILE_SHARE).items() if len(curve[0])}
        end = farthest(curves)
        for label, curve in curves.items():
            axes.plot(*stairs(curve, end), linewidth=1.4, label=label, **_style(drawn[label]))
        axes.set_xscale("log", base=2)
        axes.set_xticks(ratio_ticks(end))
        axes.set(xlim=(1.0, end), ylim=(-0.02, 1.02), xlabel=f"{name} over the least", ylabel="share of problems")
        axes.set_title(f"{name} to {short(PROFILE_SHARE)} of the best cost")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(alpha=0.3)
    _finish(figure, places[0])
    return figure
