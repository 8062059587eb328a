"""A BAL file means what its paper says (P = R X + t, p = -P / P.z, f r(p) p), and so it, .npz and .ply are written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ba import io
from ba.model.problem import Problem
from tests.support import textbook

CAMERAS = np.array(
    [
        [0.3, -0.2, 0.1, 0.5, -0.4, -6.0, 800.0, -0.05, 0.01],
        [-0.1, 0.4, 0.2, -0.3, 0.2, -7.0, 900.0, 0.02, 0.003],
    ]
)
POINTS = np.array([[0.4, -0.3, 0.2], [-0.5, 0.6, 0.1], [0.1, 0.2, -0.7]])


def projected(camera: np.ndarray, X: np.ndarray) -> np.ndarray:
    """The paper's formula, in the file's own axes."""
    P = Rotation.from_rotvec(camera[:3]).apply(X) + camera[3:6]
    p = -P[:2] / P[2]
    n = p @ p
    return camera[6] * (1.0 + camera[7] * n + camera[8] * n**2) * p


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = ["2 3 6"]
    for m, X in enumerate(POINTS):
        for n, camera in enumerate(CAMERAS):
            u, v = projected(camera, X)
            lines.append(f"{n} {m} {float(u)!r} {float(v)!r}")
    lines += [repr(float(number)) for number in [*CAMERAS.ravel(), *POINTS.ravel()]]
    (tmp_path / "problem.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "problem.txt"


def test_what_is_read_projects_where_the_paper_says(file: Path) -> None:
    problem = io.load(file)
    assert np.abs(textbook.pixels(problem) - problem.pixels).max() < 1e-9
    assert (textbook.in_camera(problem)[:, 2] > 0.0).all(), "our axes look along z"
    assert np.array_equal(problem.intrinsics, CAMERAS[:, 6:])
    assert np.array_equal(problem.points, POINTS)


def moved(problem: Problem) -> Problem:
    """Image 1 turned, and everything else a little elsewhere."""
    turn = Rotation.from_rotvec([0.02, -0.01, 0.03]).as_matrix()
    rotations = problem.rotations.copy()
    rotations[1] = turn @ rotations[1]
    return replace(problem, rotations=rotations, translations=problem.translations + 0.1, points=problem.points - 0.2)


def test_what_is_written_has_the_numbers_of_the_paper(file: Path, tmp_path: Path) -> None:
    problem = moved(io.load(file))
    io.save(problem, tmp_path / "out.txt")
    numbers = np.array((tmp_path / "out.txt").read_text().split(), float)
    cameras, points = numbers[3 + 24 : -9].reshape(2, 9), numbers[-9:].reshape(3, 3)
    observed = numbers[3 : 3 + 24].reshape(6, 4)
    F = np.diag([1.0, -1.0, -1.0])
    for n in range(2):
        R = Rotation.from_rotvec(cameras[n, :3]).as_matrix()
        assert np.abs(F @ R - problem.rotations[n]).max() < 1e-12
        assert np.abs(F @ cameras[n, 3:6] - problem.translations[n]).max() < 1e-12
    assert np.array_equal(points, problem.points)
    original = np.array(file.read_text().split(), float)
    assert np.array_equal(observed, original[3 : 3 + 24].reshape(6, 4))
    assert np.array_equal(cameras[0, :3], CAMERAS[0, :3]), "a rotation that has not changed keeps its vector's digits"
    assert np.abs(cameras[1, :3] - CAMERAS[1, :3]).max() > 1e-3


def test_every_array_of_an_npz_comes_back(file: Path, tmp_path: Path) -> None:
    problem = io.load(file)
    free = replace(problem.free, points=np.array([True, False, True]), rotations=np.array([False, True]))
    problem = replace(problem, free=free, covariances=np.tile(np.array([[2.0, 0.5], [0.5, 1.0]]), (6, 1, 1)))
    io.save(problem, tmp_path / "out.npz")
    found = io.load(tmp_path / "out.npz")
    for name in ("rotations", "translations", "intrinsics", "points", "pixels", "covariances", "image_of_obs"):
        assert np.array_equal(getattr(found, name), getattr(problem, name)), name
    for name, mask in vars(free).items():
        assert np.array_equal(getattr(found.free, name), mask), name


def test_a_ply_file_holds_points_in_their_colours_and_then_the_centres(file: Path, tmp_path: Path) -> None:
    problem = replace(io.load(file), colors=np.array([[1, 2, 3], [40, 50, 60], [255, 0, 7]], np.uint8))
    io.save(problem, tmp_path / "out.ply")
    header, _, body = (tmp_path / "out.ply").read_bytes().partition(b"end_header\n")
    assert b"element vertex 5\n" in header
    vertices = np.frombuffer(body, np.dtype([("position", "<f8", 3), ("color", "u1", 3)]))
    assert np.array_equal(vertices["position"][:3], problem.points)
    assert np.abs(vertices["position"][3:] - problem.centers).max() < 1e-15
    assert np.array_equal(vertices["color"][:3], problem.colors)
    assert vertices["color"][3:].tolist() == [[0, 255, 0]] * 2
