"""report.html: every cell of its tables, the lines of its head and the sentences that hold a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.oracle import charts, robust
from tests.oracle.case import Case
from tests.oracle.iterations import ITERATION
from tests.oracle.known import Known, known
from tests.oracle.markup import Element, Page, rows
from tests.oracle.printed import Printed, matched
from tests.oracle.summary import SUMMARY


@cache
def page_of(case: Case) -> Page:
    return Page((case.last.path / "report.html").read_text())


RESULT: dict[str, tuple[str, str]] = {
    "RMS reprojection error, px": ("initial_rms_px", "final_rms_px"),
    "median reprojection error, px": ("initial_median_px", "final_median_px"),
}
INLIERS = {
    "RMS of inliers ({share}), px": ("initial_inlier_rms_px", "final_inlier_rms_px"),
    "median of inliers ({share}), px": ("initial_inlier_median_px", "final_inlier_median_px"),
}
WHITENED = {"RMS of whitened errors, sigmas": ("initial_whitened_rms_sigmas", "final_whitened_rms_sigmas")}
WEIGHTED = {"RMS weighted by the loss, {unit}": ("initial_weighted_rms_{unit}", "final_weighted_rms_{unit}")}
COUNTS = {
    "observations behind their camera": ("behind_camera_start", "behind_camera_end"),
    "observations where the distortion is not one-to-one": ("outside_field_start", "outside_field_end"),
}
TRUTH = {
    "median rotation error, degrees": "rotation_error_median_deg",
    "largest rotation error, degrees": "rotation_error_max_deg",
    "RMS position error, world units": "position_error_rms_world_units",
    "median point error, world units": "point_error_median_world_units",
    "RMS point error, world units": "point_error_rms_world_units",
}
"""Rows of the tables `Result`: the keys of the summary of their two columns."""

SETTINGS = {
    "rotation": "rotation", "solver": "solver", "gauge": "gauge", "iterations": "iterations",
    "solve, s": "solve_seconds", "whole run, s": "total_seconds", "seed": "seed", "data": "data_path",
    "data, SHA-256": "data_sha256",
}  # fmt: skip
"""Rows of `Settings and versions`, but for the loss and the versions."""

HEAD = {
    "iterations": "iterations", "s in the solver": "solve_seconds", "s in all": "total_seconds",
    "images": "num_images", "cameras": "num_cameras", "points": "num_points", "observations": "num_observations",
}  # fmt: skip
"""What stands behind each number in the head, in the plural."""

COLUMNS: dict[str, tuple[str, int | None]] = {
    "iteration": ("iteration", None), "cost": ("cost", 9), "change": ("cost_change", 4), "step": ("step_norm", 4),
    "gradient": ("gradient_norm", 4), "evaluations": ("evaluations", None), "seconds": ("seconds", None),
}  # fmt: skip
"""Columns of the table `Iterations`: the field of a line, and its significant digits."""


def of_summary(case: Case, key: str) -> Known:
    """As the oracle computes it; a time as the summary has it, for it is measured once."""
    return Known(case.last.summary[key]) if key.endswith("_seconds") else known(SUMMARY[key](case))


def cell(place: str, text: str, value: Known) -> Printed:
    """Six significant digits of what is no integer; `none` where nothing is given."""
    value = Known("none") if value.value is None else value
    return Printed(place, text, value, digits=6 if isinstance(value.value, float) else None)


def head(page: Page, case: Case) -> Iterator[Printed]:
    header = next(page.root.all("header"))
    status, *lines = (paragraph.words for paragraph in header.all("p"))
    yield Printed("head, status", status.partition(":")[0], of_summary(case, "status"))
    if robust.are_told(case):
        inside, everything = of_summary(case, "final_inlier_rms_px"), of_summary(case, "final_rms_px")
        yield from matched("head, inliers", lines.pop(0), [(_share(case), 3), (inside, 6), (everything, 6)])
    for part in ", ".join(lines).split(", "):
        number, _, name = part.partition(" ")
        plural = name + "s" * (number == "1" and not name.startswith("s "))
        yield cell(f"head, {name}", number, of_summary(case, HEAD[plural]))


def _share(case: Case) -> Known:
    """Inliers, per cent, of which one decimal is printed."""
    return Known(100 * int(robust.inliers(case).sum()) / len(case.loaded.image))


def rows_of_result(case: Case) -> dict[str, tuple[str, str]]:
    """The rows that this case has."""
    loss, unit = case.config["loss"]["name"], robust.unit(case)
    cost = f"cost under {loss}" if loss != "linear" else "cost"
    found = {f"{cost}, {unit}²": ("initial_cost", "final_cost"), **RESULT}
    if robust.are_told(case):
        share = f"{_share(case).value:.1f} %"
        found |= {label.format(share=share): keys for label, keys in INLIERS.items()}
    found |= WHITENED if unit == "sigmas" else {}
    if loss != "linear":
        found |= {label.format(unit=unit): tuple(k.format(unit=unit) for k in keys) for label, keys in WEIGHTED.items()}
    return found | {label: keys for label, keys in COUNTS.items() if any(of_summary(case, key).value for key in keys)}


def result(page: Page, case: Case) -> Iterator[Printed]:
    expected = [rows_of_result(case)]
    if case.truth is not None:
        expected.append({label: (f"truth.start.{key}", f"truth.end.{key}") for label, key in TRUTH.items()})
    for table, wanted in zip(page.sections["Result"].all("table"), expected, strict=True):
        (_, *ends), *lines = rows(table)
        assert ends == ["start", "end"]
        assert [line[0] for line in lines] == list(wanted)
        for label, *texts in lines:
            for text, key, end in zip(texts, wanted[label], ends, strict=True):
                yield cell(f"Result, {label}, {end}", text, of_summary(case, key))


def settings(page: Page, case: Case) -> Iterator[Printed]:
    for label, text in rows(next(page.sections["Settings and versions"].all("table"))):
        yield cell(f"Settings, {label}", text, _setting(case, label))


def _setting(case: Case, label: str) -> Known:
    if label == "versions":
        names = ("python", "ba", "numpy", "scipy", "numba")
        return known(", ".join(f"{name} {SUMMARY[f'versions.{name}'](case)}" for name in names))
    if label == "loss":
        name, scale = case.config["loss"]["name"], case.config["loss"]["scale"]
        return known(name if name == "linear" else f"{name}, with its bend at {scale:g} {robust.unit(case)}")
    return of_summary(case, SETTINGS[label])


def iterations(page: Page, case: Case) -> Iterator[Printed]:
    heads, *lines = rows(next(page.sections["Iterations"].all("table")))
    assert len(lines) == len(case.states)
    for step, texts in enumerate(lines):
        for name, text in zip(heads, texts, strict=True):
            quantity, digits = COLUMNS[name]
            place = f"Iterations, {name}, step {step}"
            if quantity == "seconds":
                yield Printed(place, text, Known(case.last.iterations[step]["seconds"]), decimals=3)
            else:
                yield Printed(place, text, known(ITERATION[quantity](case, step)), digits)


def sentences(page: Page, case: Case) -> Iterator[Printed]:
    """Every paragraph below the head, for a number may stand in any."""
    for section in page.sections.values():
        for paragraph in section.all("p"):
            yield from matched(f"sentence {paragraph.words[:30]!r}", paragraph.words, _numbers(paragraph, case))


def _numbers(paragraph: Element, case: Case) -> list[tuple[Any, int | None]]:
    if paragraph.words.startswith("Cost is "):
        return [(0.5, 6)]
    if paragraph.words.startswith("Inliers are "):
        return [
            (of_summary(case, "num_inliers"), None), (_share(case), 3), (robust.limit(case), 3),
            (robust.MEDIANS, 3), (99, None),
        ]  # fmt: skip
    return []


PARTS: dict[str, Callable[[Page, Case], Iterator[Printed]]] = {
    "head": head,
    "table Result": result,
    "chart Cost": charts.cost_chart,
    "chart Residuals at the end": charts.histogram,
    "caption of the residuals": charts.caption,
    "table Iterations": iterations,
    "table Settings and versions": settings,
    "sentences": sentences,
}

NOT_COMPUTED = {
    "Picture": "a picture",
    "Configuration": "config.yaml word for word, which is what the oracle reads",
}
"""Sections without numbers of their own."""
