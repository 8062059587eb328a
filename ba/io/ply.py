"""Stanford polygon files for looking at a result: points in their colours, camera centres in green, as vertices.

Binary little-endian, double coordinates (world frame and units; float would lose geographic ones), 8-bit colours. The
points come first, in order, then the camera centres; a comment in the header says how many of each.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ba.files import write_bytes
from ba.problem import Problem

CAMERA_COLOR = (0, 255, 0)
POINT_COLOR = (160, 160, 160)
VERTEX = np.dtype([("position", "<f8", 3), ("color", "u1", 3)])
HEADER = """\
ply
format binary_little_endian 1.0
{comment}element vertex {vertices}
property double x
property double y
property double z
property uchar red
property uchar green
property uchar blue
end_header
"""


def write(problem: Problem, path: Path) -> None:
    """Write points and camera centres; points without colours are grey. Raises UserError like `ba.files`."""
    points, images = problem.num_points, problem.num_images
    colors = np.empty((points + images, 3), np.uint8)
    colors[:points] = POINT_COLOR if problem.colors is None else problem.colors
    colors[points:] = CAMERA_COLOR
    positions = np.concatenate([problem.points, problem.centers])
    write_vertices(path, positions, colors, f"comment {points} points, then {images} camera centres\n")


def write_vertices(path: Path, positions: Any, colors: Any, comment: str = "") -> None:
    """Write positions (n, 3) in colours (n, 3) or (3,), 8 bit; comment: whole lines of the header."""
    vertices = np.empty(len(positions), VERTEX)
    vertices["position"], vertices["color"] = positions, colors
    header = HEADER.format(comment=comment, vertices=len(vertices))
    write_bytes(path, header.encode("ascii") + vertices.tobytes())
