"""What a viewer reads from the PLY file is what the problem holds: points first, then camera centres."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ba import io
from ba.io import ply
from ba.model.problem import Float, Problem
from tests.support.bad_files import GOOD


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    path = tmp_path / "scene.txt"
    path.write_bytes(GOOD)
    return io.load(path)


def read_with_open3d(path: Path) -> tuple[Float, Float]:
    """Positions (n, 3) and colours (n, 3) in 0..255, by a reader that is not ours."""
    import open3d

    cloud = open3d.io.read_point_cloud(str(path))
    return np.asarray(cloud.points), np.asarray(cloud.colors) * 255.0


def test_positions_and_colors_survive(problem: Problem, tmp_path: Path) -> None:
    colors = np.array([[1, 2, 3], [250, 128, 0]], np.uint8)
    far = replace(problem, colors=colors, points=problem.points + np.array([5e5, 5e6, 100.0]))
    io.save(far, tmp_path / "scene.ply")
    positions, seen = read_with_open3d(tmp_path / "scene.ply")
    assert np.array_equal(positions, np.vstack([far.points, far.centers]))
    assert np.allclose(seen, np.vstack([colors, [ply.CAMERA_COLOR] * far.num_images]))


def test_points_without_colors_differ_from_cameras(problem: Problem, tmp_path: Path) -> None:
    io.save(problem, tmp_path / "scene.ply")
    _, colors = read_with_open3d(tmp_path / "scene.ply")
    assert np.allclose(colors, np.vstack([[ply.POINT_COLOR] * 2, [ply.CAMERA_COLOR] * 2]))


def test_the_header_says_where_the_cameras_begin(problem: Problem, tmp_path: Path) -> None:
    io.save(problem, tmp_path / "scene.ply")
    header, body = (tmp_path / "scene.ply").read_bytes().split(b"end_header\n", 1)
    assert b"comment 2 points, then 2 camera centres\n" in header
    assert len(body) == 4 * ply.VERTEX.itemsize
