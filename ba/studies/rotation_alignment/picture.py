"""Both sets in one open3d scene, before on the left and after on the right, seen along the axis of the turn.

Lines join the points that belong together, so what is left of them on the right is the residual.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ba.errors import UserError
from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array
from ba.show.legend import INK, SIZE, STRIP
from ba.show.view import MEND_OPEN3D, draw_job, open_window
from ba.studies.rotation_alignment.problem import PointSets
from ba.system.files import replacing

TARGET, TURNED, JOIN = (24, 60, 120), (214, 120, 20), (150, 150, 158)
FIELD_OF_VIEW = 30.0
MOST_POINTS = 20_000
COLUMNS = ("points", "point_colors", "segments", "segment_colors")


def write(sets: PointSets, start: Array, end: Array, png: Path) -> str | None:
    """Draw p1, and p2 turned by start and by end (3, 3). Returns None, or why there is no picture."""
    if importlib.util.find_spec("open3d") is None:
        return f"no picture: open3d is not installed; install it with: {MEND_OPEN3D}"
    if png.suffix.lower() != ".png":
        raise UserError(f"{png}: a picture is a PNG file; a name that ends in .png is right")
    with tempfile.TemporaryFile() as drawn:
        failure = draw_job(job(sets, start, end), drawn)
        if failure is None:
            with replacing(png) as temporary:
                _with_legend(drawn).save(temporary)
    return failure


def show(sets: PointSets, start: Array, end: Array) -> None:
    """Open a window with both states as toggles; returns when it is closed. Raises UserError like `open_window`."""
    drawn = job(sets, start, end)
    open_window("ba: p1 (blue) and R p2 (orange), before and after", drawn, _entries(drawn))


def _entries(drawn: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from ba.show.render import line_set, point_cloud

    states = zip(*(np.split(drawn[name], 2) for name in COLUMNS), strict=True)
    for group, (points, colors, segments, segment_colors) in zip(("before", "after"), states, strict=True):
        for kind, geometry in (
            ("points", point_cloud(points, colors)),
            ("joining lines", line_set(segments, segment_colors)),
        ):
            yield {"name": f"{group}: {kind}", "geometry": geometry, "group": group, "is_visible": True}


def job(sets: PointSets, start: Array, end: Array) -> dict[str, Any]:
    """What `ba.show.render` draws, in axes (right, up, towards the eye) whose last is the axis of the turn."""
    kept = slice(None, None, len(sets.p2) // MOST_POINTS + 1)
    axes = _axes(so3.log(end @ start.T))
    p1, before, after = (points[kept] @ axes.T for points in (sets.p1, sets.p2 @ start.T, sets.p2 @ end.T))
    everything = np.concatenate([p1, before])
    middle = 0.5 * (everything.min(axis=0) + everything.max(axis=0))
    radius = float(np.linalg.norm((everything - middle)[:, :2], axis=1).max()) or 1.0
    aside = np.array([1.1 * radius, 0.0, 0.0])
    pairs = ((-aside, p1), (-aside, before), (aside, p1), (aside, after))
    halves = [points - middle + shift for shift, points in pairs]
    segments = np.concatenate([np.stack(halves[:2], axis=1), np.stack(halves[2:], axis=1)])
    depth = float(np.abs(everything - middle)[:, 2].max())
    distance = depth + 2.2 * radius / (np.tan(np.radians(FIELD_OF_VIEW / 2.0)) * SIZE[0] / (SIZE[1] - STRIP))
    colors = np.repeat(np.array([TARGET, TURNED, TARGET, TURNED], np.uint8), len(p1), axis=0)
    return {
        "points": np.concatenate(halves),
        "point_colors": colors,
        "segments": segments,
        "segment_colors": np.broadcast_to(np.array(JOIN, np.uint8), (len(segments), 3)),
        "eye": np.array([0.0, 0.0, distance]),
        "target": np.zeros(3),
        "up": np.array([0.0, 1.0, 0.0]),
        "clip": (0.01 * distance, 1.1 * (distance + depth)),
        "size": (SIZE[0], SIZE[1] - STRIP),
        "field_of_view": FIELD_OF_VIEW,
        "point_size": 9.0 if len(p1) <= 1000 else 3.0,
        "line_width": 2.0 if len(p1) <= 1000 else 1.0,
    }


def _axes(turn: Array) -> Array:
    """(3, 3) rows right, up, towards the eye; the last along `turn`, or z where there is none."""
    towards = turn / np.linalg.norm(turn) if np.linalg.norm(turn) > 1e-9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(np.eye(3)[np.abs(towards).argmin()], towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards])


def _with_legend(drawn: IO[bytes]) -> Image.Image:
    picture = Image.new("RGB", SIZE, "white")
    with Image.open(drawn) as scene:
        picture.paste(scene.convert("RGB"), (0, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(26)
    for share, title in ((0.25, "before"), (0.75, "after")):
        draw.text((share * SIZE[0], 40), title, INK, font, anchor="mm")
    top, middle = SIZE[1] - STRIP, SIZE[1] - STRIP // 2
    draw.line((0, top, SIZE[0], top), (222, 222, 226), 1)
    draw.line((SIZE[0] // 2, 20, SIZE[0] // 2, top - 20), (222, 222, 226), 1)
    for left, color, text in ((40, TARGET, "p1"), (160, TURNED, "R p2")):
        draw.ellipse((left, middle - 9, left + 18, middle + 9), color)
        draw.text((left + 30, middle), text, INK, font, anchor="lm")
    draw.text((SIZE[0] - 40, middle), "seen along the axis of the turn", INK, font, anchor="rm")
    return picture
