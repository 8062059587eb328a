"""What observations leave open is counted as the null space of J, and named by what is wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba import cli, io
from ba.analyse.derivatives import jacobian
from ba.analyse.determination import SOME, determine
from ba.analyse.undetermined import findings, report
from ba.model.camera import CAMERAS
from ba.model.problem import Problem, make_problem
from ba.model.residual import project
from ba.model.rotation import ROTATIONS, so3
from ba.model.variables import make_variables
from ba.pipeline import run
from ba.prepare.options import Camera, Fix
from ba.prepare.select import select

IMAGES, POINTS = 5, 25
AHEAD = np.array([0.0, 0.0, 9.0])
RNG = np.random.default_rng(0)
R, C = so3.exp(0.2 * RNG.normal(size=(IMAGES, 3))), RNG.normal(size=(IMAGES, 3))
X = RNG.normal(size=(POINTS, 3)) + AHEAD
LINE = np.linspace(-2.0, 2.0, POINTS)[:, None] * [1.0, 0.3, 0.2] + AHEAD
PAIRS = [(i, j) for i in range(IMAGES) for j in range(POINTS)]

CASES: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "good": ((R, C, X), ()),
    "one image": ((R[:1], C[:1], X), ("only image 0 sees anything", "25 points are held")),
    "components": (
        (R, C, X, [(i, j) for i, j in PAIRS if (i < 3) == (j < 13)]),
        ("2 components have no point in common", "are images 3, 4 with points 13, 14, 15, 16, 17 and 7 more"),
    ),
    "collinear": ((R, C, LINE), ("images 0, 1, 2, 3, 4: the points are collinear",)),
    "pure rotation": ((R, 0.0 * C, X), ("all 5 images stand at one place (pure rotation)", "points 0, 1, 2, 3, 4 and")),
    "equal cameras": ((np.repeat(R[:1], 5, 0), np.repeat(C[:1], 5, 0), X), ("all 5 images have the same pose",)),
    "parallel rays": (
        (R, C * [[0], [0], [1], [1], [1]], X, [(i, j) for i, j in PAIRS if j > 4 or i < 2]),
        ("points 0, 1, 2, 3, 4: all rays are parallel, so that depth is open: 5 free directions",),
    ),
    "too few points": ((R, C, X, [(i, j) for i, j in PAIRS if i != 2 or j < 2]), ("image 2: too few points",)),
    "too few observations": ((R[:2], C[:2], X[:4]), ("too few observations, 16 residuals",)),
    "one point in common": (
        (R, C, X, [(i, j) for i, j in PAIRS if (i < 3 and j < 13) or (i >= 3 and j >= 12)]),
        ("images 3, 4 share too few points with the others to be held: 4 free directions",),
    ),
    "two points in common": (
        (R, C, X, [(i, j) for i, j in PAIRS if (i < 3 and j < 13) or (i >= 3 and j >= 11)]),
        ("images 3, 4 share too few points with the others to be held: 1 free direction",),
    ),
}


def scene(
    rotations: np.ndarray, centers: np.ndarray, points: np.ndarray, pairs: Any = None, model: str = "bal", n: int = 0
) -> Problem:
    """Every image sees every point, or `pairs` of them, without noise; n cameras, or each image has its own."""
    images = len(rotations)
    pairs = [(i, j) for i in range(images) for j in range(len(points))] if pairs is None else pairs
    image, point = np.array(pairs).T
    rng = np.random.default_rng(5)
    problem = make_problem(
        rotations=rotations,
        translations=-np.einsum("nij,nj->ni", rotations, centers),
        camera_models=(model,) * (n or images),
        camera_of_image=np.arange(images) % (n or images),
        intrinsics=np.array([CAMERAS[model].sample(rng) for _ in range(n or images)]),
        points=points,
        image_of_obs=image,
        point_of_obs=point,
        pixels=np.zeros((len(image), 2)),
        source={"format": "synthetic"},
    )
    return replace(problem, pixels=project(problem).pixels)


def defect(problem: Problem, rotation: str) -> int:
    """The null space of J by its singular values, with rows and columns of length one."""
    variables = make_variables(problem, ROTATIONS[rotation])
    J = jacobian(variables, variables.start).toarray()
    for axis in (1, 0):
        lengths = np.linalg.norm(J, axis=axis, keepdims=True)
        J = J / np.where(lengths > 0.0, lengths, 1.0)
    values = np.linalg.svd(J, compute_uv=False)
    return J.shape[1] - int((values > 1e-10 * values[0]).sum())


@pytest.mark.parametrize("refine", ["none", "all"])
@pytest.mark.parametrize(("model", "cameras"), [("bal", 0), ("pinhole", 1), ("pinhole", 2)])
@pytest.mark.parametrize("case", CASES)
def test_free_directions_are_the_null_space_and_are_named(case: str, model: str, cameras: int, refine: str) -> None:
    arguments, texts = CASES[case]
    n = min(cameras, len(arguments[0]))
    problem = select(scene(*arguments, model=model, n=n), Camera(refine=refine), Fix(), "free")
    found = determine(problem, ROTATIONS["so3_left"])
    assert found.free_directions == defect(problem, "so3_left")
    if len(arguments[0]) > 2 or refine == "none":  # a pair of unknown calibration leaves more than a similarity open
        assert found.expected.total == (0 if case == "one image" else 7)
    named = " | ".join(finding.text for finding in findings(found))
    if (model, refine) == ("bal", "none"):
        assert all(text in named for text in texts), named
        assert bool(texts) == bool(findings(found))
        assert sum(f.directions for f in findings(found)) == found.free_directions - found.expected.total


@pytest.mark.parametrize("gauge", ["free", "two_cameras", "three_points"])
@pytest.mark.parametrize("rotation", ["so3_right", "quaternion", "columns6", "matrix9"])
def test_surplus_numbers_and_held_frames_leave_nothing_undetermined(rotation: str, gauge: str) -> None:
    for model, cameras in (("bal", 0), ("pinhole", 1)):
        problem = select(scene(R, C, X, model=model, n=cameras), Camera(), Fix(), gauge)
        found = determine(problem, ROTATIONS[rotation])
        assert found.free_directions == found.expected.total == defect(problem, rotation)
        assert not findings(found)


def test_some_observations_count_as_all() -> None:
    many = RNG.normal(size=(20 * SOME, 3)) + AHEAD
    good = scene(R, C, many)
    assert determine(good, ROTATIONS["so3_left"]).free_directions == 7
    # A line that one point of many leaves, which SOME of an image's observations miss.
    line = np.linspace(-2.0, 2.0, 20 * SOME)[:, None] * [1.0, 0.3, 0.2] + AHEAD
    bent = line.copy()
    bent[7] += [0.0, 1.0, 0.5]
    for points, directions in ((line, 7 + 2 * IMAGES), (bent, defect(scene(R, C, bent[:60]), "so3_left"))):
        assert determine(scene(R, C, points), ROTATIONS["so3_left"]).free_directions == directions


def test_a_run_tells_in_its_summary_and_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    io.save(scene(*CASES["components"][0]), tmp_path / "apart.npz")
    (tmp_path / "apart.yaml").write_text("data: {path: apart.npz}\noutput: {picture: false}\n")
    summary = run(tmp_path / "apart.yaml", tmp_path / "one").summary
    assert (summary["free_directions"], summary["gauge_directions"]) == (14, 7)
    assert [found["images"] for found in summary["undetermined"]] == [[3, 4]]
    assert summary["undetermined"][0]["num_points"] == 12
    assert cli.main(["run", str(tmp_path / "apart.yaml"), "--out", str(tmp_path / "two")]) == 0
    assert "note: 2 components have no point in common" in capsys.readouterr().out


def test_after_ctrl_c_nobody_waits_for_it() -> None:
    answer = report(scene(R, C, X), "so3_left", 1, computed=False)
    assert set(answer) == set(report(scene(R, C, X), "so3_left", 1, computed=True))
    assert set(answer.values()) == {None}
