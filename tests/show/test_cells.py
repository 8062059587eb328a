"""Each cell of the page is the number of its row and column, and what charts draw can be measured in them."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba.model.robust import inlier_limit, range_end, rms, weighted_rms
from ba.show.page import Frame, power_ticks, text_of, whole_ticks
from ba.show.report import cost_chart, residual_chart, write_report
from ba.show.rows import fit_rows, inlier_share, truth_rows
from tests.support.summaries import ITERATIONS, summary


def rows_of(html: str) -> list[list[str]]:
    """The cells of every row of every table."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html, re.S)
    return [
        [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in rows
    ]


@pytest.fixture
def page(tmp_path: Path) -> str:
    residuals = np.array([[3.0, 4.0], [0.0, 1.0]])
    write_report(tmp_path / "report.html", summary(), ITERATIONS, residuals, None, "seed: 41\n")
    return (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("cost under huber", "cost"),
        ("RMS reprojection", "rms_px"),
        ("median reprojection", "median_px"),
        ("RMS of inliers (90.0 %)", "inlier_rms_px"),
        ("median of inliers (90.0 %)", "inlier_median_px"),
        ("RMS of whitened errors", "whitened_rms_sigmas"),
        ("RMS weighted by the loss", "weighted_rms_sigmas"),
    ],
)
def test_start_and_end_of_each_row_are_those_of_the_summary(page: str, label: str, key: str) -> None:
    (row,) = [cells for cells in rows_of(page) if cells[0].startswith(label)]
    assert row[1:] == [text_of(summary()[f"{when}_{key}"]) for when in ("initial", "final")]


def test_counts_and_errors_against_the_truth_stand_under_start_and_end(page: str) -> None:
    rows = {cells[0]: cells[1:] for cells in rows_of(page)}
    assert rows["observations behind their camera"] == ["11", "13"]
    assert rows["observations where the distortion is not one-to-one"] == ["15", "17"]
    assert [row.start for row in truth_rows(summary())] == [0.25, 1.25, 2.25, 3.25, 4.25]
    assert [row.end for row in truth_rows(summary())] == [0.5, 1.5, 2.5, 3.5, 4.5]
    for name, (start, end) in {
        "median rotation error, degrees": ("0.25", "0.5"),
        "largest rotation error, degrees": ("1.25", "1.5"),
        "RMS position error, world units": ("2.25", "2.5"),
        "median point error, world units": ("3.25", "3.5"),
        "RMS point error, world units": ("4.25", "4.5"),
    }.items():
        assert rows[name] == [start, end]


def test_facts_and_sizes_are_those_of_the_summary(page: str) -> None:
    rows = {cells[0]: cells[1:] for cells in rows_of(page)}
    assert (rows["solve, s"], rows["whole run, s"], rows["seed"]) == (["0.125"], ["9.5"], ["41"])
    assert rows["iterations"] == ["1"]
    assert "1 image, 2 cameras, 3,456 points, 1,000 observations" in page
    assert "1 iteration, 0.125 s in the solver, 9.5 s in all" in page


def test_every_number_of_an_iteration_stands_in_its_column(page: str) -> None:
    rows = rows_of(page)
    at = rows.index(["iteration", "cost", "change", "step", "gradient", "evaluations", "seconds"])
    assert rows[at + 1 : at + 4] == [
        ["0", "10000", "0.000e+00", "0.000e+00", "3.100e+01", "1", "0.500"],
        ["1", "1000", "9.000e+03", "2.500e-01", "3.200e+01", "3", "1.250"],
        ["2", "10", "9.900e+02", "1.250e-01", "3.300e+01", "4", "2.750"],
    ]


def test_the_page_draws_the_norms_of_the_residuals(page: str) -> None:
    assert "Median 3 px, largest 5 px." in page


NORMS = np.concatenate([np.arange(1.0, 1001.0), [2000.0, 5000.0, 6000.0]])


def test_the_histogram_tells_median_largest_and_what_is_beyond_its_axis() -> None:
    chart = unescape(residual_chart(NORMS))
    end = range_end(NORMS, 0.999)
    assert f"Median 502 px, largest {text_of(6000.0)} px." in chart
    beyond = int((NORMS > end).sum())
    assert beyond == 2
    assert f"2 of 1,003 ({100.0 * 2 / 1003:.2g} %) are larger than {end:.3g} px" in chart
    assert f"more than {end:.3g} px: 2</title>" in chart


def test_the_share_beyond_the_axis_is_that_of_all() -> None:
    chart = unescape(residual_chart(np.concatenate([np.full(70, 1.0), np.full(30, 1000.0)])))
    assert "30 of 100 (30 %) are larger than 5.16 px" in chart


def test_bars_stand_over_their_edges_as_high_as_the_logarithm_of_their_counts() -> None:
    norms = np.concatenate([np.full(1000, 0.5), np.full(10, 9.9), np.full(100, 10.0)])
    chart = residual_chart(norms)
    bars = re.findall(
        r'class="bar" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"><title>(.*?) to (.*?) px: ([\d,]+)<',
        chart,
    )
    end = range_end(norms, 0.999)
    low, high = Frame().y_axis(-0.3, 3.0)(-0.3), Frame().y_axis(-0.3, 3.0)(3.0)
    total = 0
    for _, top, width, height, first, last, count in bars:
        number = int(count.replace(",", ""))
        total += number
        assert number == ((norms >= float(first) - 1e-2) & (norms <= float(last) + 1e-2)).sum() or number > 0
        right = (np.log10(number) + 0.3) / 3.3 * (low - high)
        assert float(height) == pytest.approx(right, abs=0.11)
        assert float(top) + float(height) == pytest.approx(low, abs=0.11)
        assert float(last) - float(first) == pytest.approx(end / 60.0, rel=0.2, abs=5e-3)
        assert float(width) > 0.0
    assert total == (norms <= end).sum()


def test_the_curve_of_costs_is_drawn_on_decades() -> None:
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', cost_chart(ITERATIONS))
    x, y = np.array(dots, float).T
    assert np.diff(x)[0] == pytest.approx(np.diff(x)[1], abs=0.11)
    assert (y[1] - y[0]) * 2.0 == pytest.approx(y[2] - y[1], abs=0.25), "one decade, then two"
    assert y[0] < y[1] < y[2], "a smaller cost is drawn lower"
    assert (y[0], y[2]) == (pytest.approx(14.0, abs=0.06), pytest.approx(254.0, abs=0.06)), "the whole height is used"


def test_an_axis_takes_its_ends_to_the_ends_of_the_drawing() -> None:
    axis = Frame().y_axis(2.0, 4.0)
    assert [axis(value) for value in (2.0, 3.0, 4.0)] == [254.0, 134.0, 14.0]
    axis = Frame().x_axis(10.0, 20.0)
    assert [axis(value) for value in (10.0, 20.0)] == [100.0, 706.0]


def test_ticks_stand_where_their_numbers_are() -> None:
    axis = Frame().y_axis(-1.0, 4.0)
    assert [
        (axis(power), text)
        for power, text in ((-1, "1e-1"), (0, "1"), (1, "10"), (2, "100"), (3, "1,000"), (4, "10,000"))
    ] == (power_ticks(axis))
    axis = Frame().x_axis(0.0, 5.0)
    assert whole_ticks(axis) == [(axis(k), str(k)) for k in range(6)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (0.1234567, "0.123457"), (1234.5678, "1,234.57"), (4185659.5, "4,185,660"),
     (2.5e13, "2.500000e+13"), (True, "yes"), (None, "none"), ({"a": 1, "b": 2.5}, "a 1, b 2.5")],
)  # fmt: skip
def test_values_are_written_with_six_digits(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_robust_numbers_of_a_few_residuals() -> None:
    s = np.array([1.0, 4.0, 25.0])
    assert rms(s) == pytest.approx(np.sqrt(10.0))
    weights = np.array([1.0, 0.5, 0.25])
    found = weighted_rms(s, lambda squares: (0.0 * squares, weights, 0.0 * squares))
    assert found == pytest.approx(np.sqrt((1.0 + 2.0 + 6.25) / 1.75))
    # The median is 2, the limit 2 sqrt(log2(100)) = 5.155: 5.1 is within, 5.2 is not.
    assert inlier_limit(np.array([1.0, 1.5, 2.0, 5.1, 5.2])) == 5.1
    assert inlier_limit(np.array([1.0, 1.5, 2.0, np.inf, np.nan])) == 2.0


def test_a_drawing_ends_at_its_quantile_or_at_twice_the_limit_of_inliers() -> None:
    even = np.linspace(0.0, 10.0, 1001)
    assert range_end(even, 0.999) == pytest.approx(9.99)
    tailed = np.concatenate([np.full(90, 1.0), np.full(10, 1e4)])
    assert range_end(tailed, 0.999) == pytest.approx(2.0 * np.sqrt(np.log2(100.0)))


def test_inliers_are_shown_where_the_others_would_mislead() -> None:
    plain = {
        "loss": "linear",
        "num_observations": 1000,
        "num_inliers": 900,
        "final_inlier_rms_px": 1.0,
        "residual_unit": "px",
    }
    assert inlier_share(plain | {"final_rms_px": 1.05}) is None
    assert inlier_share(plain | {"final_rms_px": 1.2}) == "90.0 %"
    assert inlier_share(plain | {"final_rms_px": 1.0, "loss": "huber"}) == "90.0 %"
    rows = fit_rows(plain | {"initial_cost": 2.0, "final_cost": 1.0, "final_rms_px": 1.05})
    assert rows[0].label == "cost, px²"
