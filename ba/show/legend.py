"""The strip below a picture: a caption on the left, the colour scale of the errors on the right.

Texts are laid out by their measured boxes: the caption takes the largest letters with which it fits beside the scale,
in at most three lines, so that no number is too long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ba.show.scene import error_colors

SIZE = (1600, 1000)
"""Of the whole picture, px."""
STRIP = 84
"""Height of the legend below the scene, px."""

INK = (38, 38, 44)
LINE = (222, 222, 226)
MARGIN = 32
GAP = 40
"""Least room between the caption and the scale, px."""
SCALE_WIDTH, SCALE_HEIGHT = 420, 20
SCALE_LEFT, SCALE_TOP = SIZE[0] - SCALE_WIDTH - 48, SIZE[1] - STRIP + 16
SCALE_MIDDLE = SCALE_TOP + SCALE_HEIGHT / 2
MOST_LINES = 3
SMALLEST, LARGEST = 8, 24
"""Height of the caption's letters, px."""
SCALE_TITLE = "median error of a point, px"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Text:
    """A line of text at a place (x, y) that `anchor` describes as Pillow does, with letters of `height` px."""

    text: str
    place: tuple[float, float]
    anchor: str
    height: int

    @property
    def box(self) -> Box:
        """left, top, right, bottom px"""
        left, top, right, bottom = _font(self.height).getbbox(self.text, anchor=self.anchor)
        x, y = self.place
        return x + left, y + top, x + right, y + bottom


def with_legend(scene: Image.Image, limit: float, caption: Sequence[str]) -> Image.Image:
    """The scene above the strip. caption: its parts, which are kept whole where possible; limit: of the scale, px."""
    picture = Image.new("RGB", SIZE, "white")
    picture.paste(scene.convert("RGB"), (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.line((0, SIZE[1] - STRIP, SIZE[0], SIZE[1] - STRIP), LINE, 1)
    colors = error_colors(np.linspace(0.0, limit, SCALE_WIDTH), limit)
    picture.paste(Image.fromarray(np.repeat(colors[None], SCALE_HEIGHT, axis=0)), (SCALE_LEFT, SCALE_TOP))
    for text in layout(limit, caption):
        draw.text(text.place, text.text, INK, _font(text.height), anchor=text.anchor)
    return picture


def layout(limit: float, caption: Sequence[str]) -> list[Text]:
    """All texts of the strip."""
    title = Text(SCALE_TITLE, (SCALE_LEFT - 20, SCALE_MIDDLE), "rm", 22)
    return [*_caption(caption, title.box[0] - GAP - MARGIN), title, *_numbers(limit)]


def short(value: float) -> str:
    """Two digits, without an exponent for what pixels can be."""
    return f"{value:.0f}" if 10.0 <= value < 1e5 else f"{value:.2g}"


def _caption(parts: Sequence[str], room: float) -> list[Text]:
    """The parts, joined by semicolons, no wider than `room` px and no higher than the strip."""
    pieces = [part + ";" for part in parts[:-1]] + list(parts[-1:])
    words = " ".join(pieces).split()
    laid_out = ((h, _lines(pieces, room, h) or _lines(words, room, h)) for h in range(LARGEST, SMALLEST - 1, -1))
    height, lines = next((height, lines) for height, lines in laid_out if lines)
    step = 1.3 * height
    top = SCALE_MIDDLE if len(lines) == 1 else SIZE[1] - STRIP / 2 - (len(lines) - 1) / 2 * step
    return [Text(line, (MARGIN, top + i * step), "lm", height) for i, line in enumerate(lines)]


def _lines(pieces: Sequence[str], room: float, height: int) -> list[str]:
    """The pieces in lines no wider than `room`, or no lines if that takes too many or a piece is wider."""
    font, lines = _font(height), [""]
    for piece in pieces:
        longer = f"{lines[-1]} {piece}".lstrip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(piece)
    fits = len(lines) <= MOST_LINES and all(font.getlength(line) <= room for line in lines)
    return lines if fits and 1.3 * height * len(lines) <= STRIP - 8 else []


def _numbers(limit: float) -> list[Text]:
    """0, the middle and the end of the scale; the end is not centred where it would leave the picture."""
    y = SCALE_TOP + SCALE_HEIGHT + 6
    texts = short(0.0), short(limit / 2.0), short(limit) + "+"
    first, middle, last = (Text(t, (SCALE_LEFT + i * SCALE_WIDTH / 2, y), "mt", 20) for i, t in enumerate(texts))
    return [first, middle, last if last.box[2] <= SIZE[0] else Text(last.text, (SIZE[0] - 4, y), "rt", 20)]


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)
