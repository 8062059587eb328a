"""Stanford polygon files for looking at a result: points in their colours, camera centres in green, as vertices.

Binary little-endian, double coordinates (world frame and units; float would lose geographic ones), 8-bit colours. The
points come first, in order, then the camera centres; a comment in the header says how many of each.
"""

from pathlib import Path

import numpy as np

from ba.files import write_bytes
from ba.problem import Problem

CAMERA_COLOR = (0, 255, 0)
POINT_COLOR = (160, 160, 160)
VERTEX = np.dtype([("position", "<f8", 3), ("color", "u1", 3)])
HEADER = """\
ply
format binary_little_endian 1.0
comment {points} points, then {images} camera centres
element vertex {vertices}
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
    vertices = np.empty(points + images, VERTEX)
    vertices["position"][:points] = problem.points
    vertices["position"][points:] = problem.centers
    vertices["color"][:points] = POINT_COLOR if problem.colors is None else problem.colors
    vertices["color"][points:] = CAMERA_COLOR
    header = HEADER.format(points=points, images=images, vertices=len(vertices))
    write_bytes(path, header.encode("ascii") + vertices.tobytes())
