"""Laws of the report: all numbers are in it, nothing outside it is needed, and no input can break out of its place."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ba.show.page import round_ticks
from ba.show.report import COUNTS, FACTS, cost_chart, residual_chart, write_report
from ba.solve.result import Iteration
from tests.support.pages import Page

SUMMARY = {
    "status": "converged", "message": "relative change of cost below ftol", "initial_cost": 4185659.5182497,
    "final_cost": 18033.9034788, "initial_rms_px": 9.99971, "final_rms_px": 0.656373, "initial_median_px": 4.42181,
    "final_median_px": 0.312377, "iterations": 7, "solve_seconds": 0.8125, "total_seconds": 5.25, "num_images": 16,
    "num_cameras": 15, "num_points": 22106, "num_observations": 83718, "rotation": "so3_left", "solver": "scipy",
    "gauge": "free", "loss": "huber", "versions": {"numpy": "2.4.6"}, "data_path": "data/scene.txt",
    "data_sha256": "ab12", "seed": 41, "behind_camera_start": 31, "behind_camera_end": 2,
}  # fmt: skip
SHOWN = [
    "4,185,660", "18,033.9", "9.99971", "0.656373", "4.42181", "0.312377", "0.8125", "5.25", "22,106", "83,718",
    "so3_left", "huber", "numpy 2.4.6", "scene.txt", "ab12", "41", "31", "converged", "cam_from_world", "gauge is free",
]  # fmt: skip
ITERATIONS = [Iteration(i, 1e6 * 10.0**-i, 9.0 * i, 0.5, 1e3, i + 1, 0.25 * i) for i in range(4)]


def page_of(folder: Path, summary: dict, **changes) -> tuple[Page, str]:
    arguments = {
        "iterations": ITERATIONS,
        "residuals": np.random.default_rng(0).normal(size=(500, 2)),
        "picture": None,
        "config_text": "rotation: so3_left\n",
    } | changes
    write_report(folder / "report.html", summary, **arguments)
    html = (folder / "report.html").read_text()
    return Page(html), html


@pytest.fixture
def picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1600, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "view.png")
    return tmp_path / "view.png"


@pytest.mark.parametrize("shown", SHOWN)
def test_key_numbers_and_names_are_on_the_page(tmp_path, shown):
    page, _ = page_of(tmp_path, SUMMARY)
    assert shown in page.text


def test_every_iteration_is_a_row(tmp_path):
    page, _ = page_of(tmp_path, SUMMARY)
    for iteration in ITERATIONS:
        assert f"{iteration.cost:.9g}" in page.text.split("\n")


def test_nothing_outside_the_page_is_referenced(tmp_path, picture):
    page, html = page_of(tmp_path, SUMMARY, picture=picture)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    links = [value for name, value in page.attributes if name in {"src", "href", "srcset", "xlink:href", "data"}]
    assert len(links) == 1
    assert links[0].startswith("data:image/")
    assert not re.search(r"https?:|url\(|@import", html)


def test_a_page_with_the_worst_picture_stays_below_a_megabyte(tmp_path, picture):
    page_of(tmp_path, SUMMARY, picture=picture)
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_picture_that_is_absent_is_left_out(tmp_path):
    page, _ = page_of(tmp_path, SUMMARY, picture=tmp_path / "absent.png")
    assert "img" not in page.tags


@pytest.mark.parametrize("key", sorted(SUMMARY))
def test_any_key_may_be_missing(tmp_path, key):
    page_of(tmp_path, {name: value for name, value in SUMMARY.items() if name != key})


def test_an_empty_run_has_a_page(tmp_path):
    page, _ = page_of(tmp_path, {}, iterations=[], residuals=np.zeros((0, 2)), config_text="")
    assert "No cost to draw." in page.text
    assert "No residuals to draw." in page.text


SHOWN_AS_TEXT = [
    *(key for _, key in FACTS),
    *(key for _, *keys in COUNTS for key in keys),
    *(f"{when}_{what}" for when in ("initial", "final") for what in ("cost", "rms_px", "median_px")),
]


@pytest.mark.parametrize("key", SHOWN_AS_TEXT)
def test_input_is_text_and_never_markup(tmp_path, key):
    hostile = "</td><script>alert(1)</script>&amp;"
    page, html = page_of(tmp_path, SUMMARY | {key: hostile, "message": hostile}, config_text=hostile)
    assert "script" not in page.tags
    assert "<script" not in html
    assert hostile in page.text


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_any_costs_give_a_chart_with_finite_coordinates(costs):
    iterations = [Iteration(i, cost, 0.0, 0.0, 0.0, 1, 0.0) for i, cost in enumerate(costs)]
    assert_finite(cost_chart(iterations))


@given(st.lists(st.floats().map(abs), max_size=30))
def test_any_residuals_give_a_chart_with_finite_coordinates(norms):
    assert_finite(residual_chart(np.array(norms, float)))


def assert_finite(html: str) -> None:
    page = Page(html)
    for name, value in page.attributes:
        if name in {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "points"}:
            for number in value.replace(",", " ").split():
                assert np.isfinite(float(number)), (name, value)


def test_a_smaller_cost_is_drawn_lower():
    heights = [float(value) for name, value in Page(cost_chart(ITERATIONS)).attributes if name == "cy"]
    assert len(heights) == len(ITERATIONS)
    assert np.all(np.diff(heights) > 0.0)


def test_bars_count_every_residual():
    norms = np.abs(np.random.default_rng(1).normal(size=2000))
    titles = re.findall(r"px: ([\d,]+)</title>", residual_chart(norms))
    assert sum(int(title.replace(",", "")) for title in titles) == len(norms)


def test_mismatches_stand_in_a_bar_of_their_own_and_are_counted():
    rng = np.random.default_rng(1)
    norms = np.concatenate([np.hypot(*rng.normal(size=(2, 1900))), rng.uniform(50.0, 1300.0, 100)])
    html = residual_chart(norms)
    page = Page(html)
    end = min(np.quantile(norms, 0.999), 2.0 * np.median(norms) * np.sqrt(np.log(100.0) / np.log(2.0)))
    assert end < 10.0
    titles = re.findall(r"<title>(.*?)</title>", html)
    assert titles[-1] == f"more than {end:.3g} px: {int((norms > end).sum())}"
    edges, counts = zip(*(title.split(" px: ") for title in titles[:-1]), strict=True)
    assert sum(int(count.replace(",", "")) for count in counts) == int((norms <= end).sum())
    assert float(edges[-1].split(" to ")[1]) <= end * 1.01
    assert f"{int((norms > end).sum())} of 2,000" in page.text
    assert f"Median {np.median(norms):.6g} px, largest {norms.max():,.6g} px." in page.text


def test_bars_do_not_overlap_and_the_last_stands_over_its_label():
    html = residual_chart(
        np.concatenate([np.hypot(*np.random.default_rng(0).normal(size=(2, 5000))), np.full(9, 99.0)])
    )
    sides = [
        (float(x), float(x) + float(width))
        for x, width in re.findall(r'<rect[^>]* x="([^"]+)"[^>]* width="([^"]+)"', html)
    ]
    assert len(sides) > 30
    for (_, right), (left, _) in pairwise(sides):
        assert right <= left
    labels = [(float(x), text) for x, text in re.findall(r'<text x="([\d.]+)" y="272"[^>]*>([^<]*)<', html)]
    assert labels[-1][1] == "more"
    assert sides[-1][0] < labels[-1][0] < sides[-1][1]


@pytest.mark.parametrize("end", [1e-12, 3e-5, 0.7, 1.0, 2.96, 5.0, 99.9, 1e6, 9e149])
def test_ticks_are_round_and_few(end):
    ticks = round_ticks(end)
    assert ticks[0] == 0.0
    assert 3 <= len(ticks) <= 9
    assert end * (1.0 - 0.5) < ticks[-1] <= end * (1.0 + 1e-9)
    assert f"{ticks[1]:.0e}"[0] in "125"
    assert np.allclose(np.diff(ticks), float(f"{ticks[1]:.0e}"))
