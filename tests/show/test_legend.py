"""The strip below a picture: no text runs into another, into the scale, or out of the strip, however long it is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ba.show import legend

BEFORE = "before: grey points, orange frusta"
CAPTIONS = {
    "short": ["20 images, 1,000 points"],
    "two states": ["20 images, 1,000 points", BEFORE],
    "large": ["13,682 images, 4,456,117 points (123,456 too far away to draw)"],
    "large, two states": ["13,682 images, 4,456,117 points (123,456 too far away to draw)", BEFORE],
    "huge": ["999,999,999 images, 999,999,999,999 points (999,999,999,999 too far away to draw)", BEFORE],
}
LIMITS = [1e-9, 0.012, 1.0, 3.75, 160.0, 99_999.0, 1.2e5, 1e300]


def boxes(limit: float, caption: list[str]) -> list[legend.Box]:
    left, top = legend.SCALE_LEFT, legend.SCALE_TOP
    scale = (left, top, left + legend.SCALE_WIDTH, top + legend.SCALE_HEIGHT)
    return [scale, *(text.box for text in legend.layout(limit, caption))]


def overlap(one: legend.Box, other: legend.Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def assert_apart(limit: float, caption: list[str]) -> None:
    found = boxes(limit, caption)
    for box in found:
        assert box[0] >= 0
        assert box[1] > legend.SIZE[1] - legend.STRIP
        assert box[2] <= legend.SIZE[0]
        assert box[3] <= legend.SIZE[1]
    for one, other in combinations(found, 2):
        assert not overlap(one, other), (one, other)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("caption", CAPTIONS)
def test_nothing_overlaps(caption: str, limit: float) -> None:
    assert_apart(limit, CAPTIONS[caption])


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.floats(1e-300, 1e300))
@settings(deadline=None, max_examples=50)
def test_nothing_overlaps_whatever_the_numbers(images: int, points: int, hidden: int, limit: float) -> None:
    assert_apart(limit, [f"{images:,} images, {points:,} points ({hidden:,} too far away to draw)", BEFORE])


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_whole_caption_is_there(caption: str) -> None:
    texts = legend.layout(1.0, CAPTIONS[caption])
    assert "; ".join(CAPTIONS[caption]) == " ".join(text.text for text in texts if text.anchor == "lm")


def test_what_fits_keeps_its_size_and_stands_beside_the_scale() -> None:
    caption, title, *_ = legend.layout(1.0, CAPTIONS["two states"])
    assert caption.height == legend.LARGEST
    assert caption.place[1] == title.place[1]


def test_what_is_long_breaks_between_its_parts_first() -> None:
    first, second, *_ = legend.layout(1.0, CAPTIONS["large, two states"])
    assert second.text == BEFORE
    assert first.height >= 18


@pytest.mark.parametrize("caption", CAPTIONS)
def test_what_is_drawn_stays_within_the_measured_boxes(caption: str) -> None:
    picture = legend.with_legend(Image.new("RGB", (1600, 916), "white"), 1.0, CAPTIONS[caption])
    assert picture.size == legend.SIZE
    pixels = np.array(picture)
    pixels[: legend.SIZE[1] - legend.STRIP + 1] = 255
    for left, top, right, bottom in boxes(1.0, CAPTIONS[caption]):
        inside = pixels[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        assert (inside < 250).any()
        inside[:] = 255
    assert (pixels == 255).all()
