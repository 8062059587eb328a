"""What terminal and page show of a run says at once how good the fit is, in the run's own numbers and units."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ba import pipeline
from ba.options import Config
from ba.show.progress import print_summary
from ba.show.rows import fit_rows, truth_rows
from tests import ROOT

CUT = {"path": ROOT / "datasets" / "dubrovnik-3-7-pre.txt"}
SCENE = {"kind": "ring", "images": 6, "points": 60, "observations_per_point": 5, "seed": 4}
MISMATCHED = {"scene": SCENE | {"outliers": 0.05, "covariance_px2": ((0.5, 0.2), (0.2, 0.3)), "use_covariance": True}}
CLEAN = {"scene": SCENE | {"covariance_px2": ((1.0, 0.0), (0.0, 1.0))}}
ROBUST = {"name": "cauchy", "scale": 2.0}
PLAIN = ["cost, px²", "RMS reprojection error, px", "median reprojection error, px"]


class Cells(HTMLParser):
    """The rows of a page's tables, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        self._inside = tag in ("td", "th")
        if self._inside:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module", params=["mismatched", "clean", "cut"])
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Any]:
    """Which run, its summary, what the terminal shows and what its page shows."""
    data, loss = {"mismatched": (MISMATCHED, ROBUST), "clean": (CLEAN, {}), "cut": (CUT, ROBUST)}[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    config = {"data": data, "loss": loss, "noise": {"points": 0.01}, "output": {"picture": False}}
    pipeline.run(Config.model_validate(config | {"solver": {"max_iterations": 30}}), folder)
    summary = json.loads((folder / "summary.json").read_text())
    stream = io.StringIO()
    print_summary(summary, folder, (), stream)
    return request.param, summary, (stream.getvalue(), Cells((folder / "report.html").read_text()))


def expected(name: str, summary: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Labels and numbers of a run, by keys of summary.json."""
    share = f"{100 * summary['num_inliers'] / summary['num_observations']:.1f} %"
    keys = {"RMS reprojection error, px": "rms_px", "median reprojection error, px": "median_px"}
    if name == "clean":
        keys["cost, px²"] = "cost"
    else:
        unit = "sigmas" if name == "mismatched" else "px"
        keys[f"cost under cauchy, {unit}²"] = "cost"
        keys[f"RMS of inliers ({share}), px"] = "inlier_rms_px"
        keys[f"median of inliers ({share}), px"] = "inlier_median_px"
        keys[f"RMS weighted by the loss, {unit}"] = f"weighted_rms_{unit}"
    if name == "mismatched":
        keys["RMS of whitened errors, sigmas"] = "whitened_rms_sigmas"
    rows = {label: (summary[f"initial_{key}"], summary[f"final_{key}"]) for label, key in keys.items()}
    if name == "cut":
        return rows
    truth = {
        "median rotation error, degrees": "rotation_error_median_deg",
        "largest rotation error, degrees": "rotation_error_max_deg",
        "RMS position error, world units": "position_error_rms_world_units",
        "median point error, world units": "point_error_median_world_units",
        "RMS point error, world units": "point_error_rms_world_units",
    }
    start, end = summary["truth"]["start"], summary["truth"]["end"]
    return rows | {label: (start[key], end[key]) for label, key in truth.items()}


def test_the_terminal_shows_each_number_under_its_label(shown: tuple[str, dict[str, Any], Any]) -> None:
    name, summary, (terminal, _) = shown
    found = {
        match[1]: (float(match[2]), float(match[3]))
        for match in re.finditer(r"^  (\S.*?\S) {2,}(\S+) {2,}(\S+)$", terminal, re.MULTILINE)
    }
    rows = expected(name, summary)
    assert set(found) == set(rows)
    for label, numbers in rows.items():
        assert found[label] == pytest.approx(numbers, rel=1e-3)


def test_the_page_shows_each_number_under_its_label(shown: tuple[str, dict[str, Any], Any]) -> None:
    name, summary, (_, page) = shown
    found = {row[0]: row[1:] for row in page.rows if len(row) == 3}
    for label, numbers in expected(name, summary).items():
        assert [float(cell.replace(",", "")) for cell in found[label]] == pytest.approx(numbers, rel=1e-5)


def test_the_terminal_fits_into_80_columns(shown: tuple[str, dict[str, Any], Any]) -> None:
    _, _, (terminal, _) = shown
    assert max(len(line) for line in terminal.splitlines() if "written to" not in line) <= 80


def test_truth_is_said_to_be_aligned(shown: tuple[str, dict[str, Any], Any]) -> None:
    name, _, (terminal, page) = shown
    for text in (terminal, page.text):
        assert ("after alignment (Sim(3))" in text) == (name != "cut")


def test_the_page_says_what_cost_and_inliers_are(shown: tuple[str, dict[str, Any], Any]) -> None:
    name, summary, (_, page) = shown
    assert ("the loss of the squared error" in page.text) == (name != "clean")
    assert ("errors in sigmas" in page.text) == (name == "mismatched")
    assert ("Inliers are the" in page.text) == (name != "clean")
    assert ("cauchy, with its bend at 2 " + summary["residual_unit"] in page.text) == (name != "clean")
    cost = "cost, px²" if name == "clean" else f"cost under cauchy, {summary['residual_unit']}²"
    assert f"{cost} (log)" in page.text, "the axis of the chart"
    if name == "mismatched":
        assert f"off by at most {summary['inlier_limit_sigmas']:.3g} sigmas" in page.text


def test_mismatches_are_told_under_a_plain_loss_too() -> None:
    summary = {
        "initial_cost": 1.0, "final_cost": 1.0, "initial_rms_px": 9.0, "final_rms_px": 8.0, "num_observations": 200,
        "initial_median_px": 3.0, "final_median_px": 0.5, "num_inliers": 190, "residual_unit": "px",
        "initial_inlier_rms_px": 2.0, "final_inlier_rms_px": 0.6, "initial_inlier_median_px": 2.0,
        "final_inlier_median_px": 0.4, "loss": "linear", "inlier_limit_px": 1.3,
    }  # fmt: skip
    assert [row.label for row in fit_rows(summary)] == [
        *PLAIN, "RMS of inliers (95.0 %), px", "median of inliers (95.0 %), px",
    ]  # fmt: skip
    assert [row.label for row in fit_rows(summary | {"final_rms_px": 0.65})] == PLAIN
    assert truth_rows(summary) == []


def test_one_iteration_is_one(tmp_path: Path) -> None:
    config = {"data": CUT, "output": {"picture": False}, "solver": {"max_iterations": 1}}
    result = pipeline.run(Config.model_validate(config), tmp_path)
    stream = io.StringIO()
    print_summary(result.summary, tmp_path, (), stream)
    for text in (stream.getvalue(), Cells((tmp_path / "report.html").read_text()).text):
        assert "1 iteration," in text
