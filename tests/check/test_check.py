"""`ba check` finds what is wrong with data and with derivatives, and says so by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ba.analyse.derivatives
from ba import cli, io
from ba.analyse.derivatives import JACOBIANS, Way, jacobian, ways
from ba.check import Check, check
from ba.check.data import DATA_TESTS, Finding
from ba.check.derivatives import Cost
from ba.check.statistics import DataStatistics
from ba.check.subproblem import Subproblem, cut
from ba.model.camera import CAMERAS
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.options import Config
from ba.prepare.options import Camera as CameraConfig
from ba.prepare.options import Fix
from ba.prepare.select import GAUGES, select
from tests import ROOT
from tests.support.scenes import random_problem

TINY = "data: {scene: {images: 3, points: 12}}\n"
Capture = pytest.CaptureFixture[str]


def good(seed: int = 1, n_points: int = 30) -> Problem:
    return random_problem(np.random.default_rng(seed), tuple(CAMERAS), n_points=n_points)


def side_by_side(first: Problem, second: Problem) -> Problem:
    """Both problems as one, with nothing in common."""

    def joined(name: str, shift: int = 0) -> np.ndarray:
        return np.concatenate([getattr(first, name), getattr(second, name) + shift])

    free = type(first.free)(
        **{n: np.concatenate([getattr(first.free, n), getattr(second.free, n)]) for n in vars(first.free)}
    )
    return replace(
        first,
        rotations=joined("rotations"),
        translations=joined("translations"),
        camera_of_image=joined("camera_of_image", first.num_cameras),
        camera_models=first.camera_models + second.camera_models,
        intrinsics=joined("intrinsics"),
        points=joined("points"),
        image_of_obs=joined("image_of_obs", first.num_images),
        point_of_obs=joined("point_of_obs", first.num_points),
        pixels=joined("pixels"),
        free=free,
    )


def kept(problem: Problem, observations: np.ndarray) -> Problem:
    return problem.take(observations)


def behind(problem: Problem) -> Problem:
    points = problem.points.copy()
    image = problem.image_of_obs[np.argmax(problem.point_of_obs == 5)]
    forward = problem.rotations[image, 2]
    points[5] = problem.centers[image] - 3.0 * forward
    return replace(problem, points=points)


def far_away(problem: Problem) -> Problem:
    points = problem.points.copy()
    points[:10] = problem.centers[0] + 1e6 * (points[:10] - problem.centers[0])
    return replace(problem, points=points)


def twice(problem: Problem) -> Problem:
    return kept(problem, np.append(np.arange(problem.num_observations), 17))


def off_picture(problem: Problem) -> Problem:
    pixels = problem.pixels.copy()
    pixels[40] += 1e6
    return replace(problem, pixels=pixels)


WRONG: dict[str, tuple[str, Callable[[Problem], Problem], str]] = {
    "sizes": ("sizes", lambda p: kept(p, np.arange(0)), "0 observations"),
    "two components": ("connectivity", lambda p: side_by_side(p, good(2, 20)), "4 images with 20 points"),
    "seen once": ("tracks", lambda p: kept(p, np.r_[0:31]), "29 points seen fewer than twice"),
    "few": ("images", lambda p: kept(p, np.r_[0:3, 30:120]), "least 3 (image 0); 1 see fewer than 10"),
    "behind": ("depths", behind, "point 5, at depth -3"),
    "narrow": ("ray angles", far_away, "10 below 1"),
    "duplicate": ("duplicates", twice, "first image 0 point 17"),
    "far out": ("pixels", off_picture, "image 1 point 10; 1 beyond"),
    "no errors": ("errors", lambda p: kept(p, np.arange(0)), "none"),
    "underdetermined": ("free numbers", lambda p: kept(p, np.arange(0, 120, 7)), "too few in"),
    "undetermined": ("determined", lambda p: side_by_side(p, good(2, 20)), "2 components have no point in common"),
}


def finding(problem: Problem, test: str, rotation: str = "so3_left") -> Finding:
    return DATA_TESTS[test](DataStatistics(problem, ROTATIONS[rotation], 1))


@pytest.mark.parametrize("test", DATA_TESTS)
def test_good_data_need_no_look(test: str) -> None:
    assert finding(good(), test).sound


@pytest.mark.parametrize("case", WRONG)
def test_bad_data_are_found_and_named(case: str) -> None:
    test, spoil, said = WRONG[case]
    found = finding(spoil(good()), test)
    assert not found.sound
    assert said in found.text


def test_every_test_of_data_can_fail() -> None:
    assert set(DATA_TESTS) - {test for test, *_ in WRONG.values()} == {"gauge"}


@pytest.mark.parametrize("refine", ["none", "all"])
@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_the_gauge_is_the_defect_of_the_jacobian(rotation: str, gauge: str, refine: str) -> None:
    problem = select(good(4), CameraConfig(refine=refine), Fix(), gauge)
    variables = make_variables(problem, ROTATIONS[rotation])
    J = jacobian(variables, variables.start).toarray()
    values = np.linalg.svd(J / np.linalg.norm(J, axis=0).clip(1e-9), compute_uv=False)
    defect = J.shape[1] - int((values > 1e-9 * values[0]).sum())
    expected = sum(part.gauge for part in DataStatistics(problem, ROTATIONS[rotation], 1).components)
    assert defect == expected


def test_separate_components_have_separate_gauges() -> None:
    statistics = DataStatistics(side_by_side(good(), good(2)), ROTATIONS["quaternion"], 1)
    assert [part.gauge for part in statistics.components] == [11, 11]
    assert (
        sum(part.free for part in statistics.components)
        == make_variables(statistics.problem, statistics.rotation).layout.size
    )


@pytest.mark.parametrize("observations", [1, 10, 50])
def test_a_cut_is_a_connected_piece_with_the_same_residuals(observations: int) -> None:
    problem = side_by_side(good(n_points=10), good(2, 40))
    whole = Subproblem(problem, *(np.arange(n) for n in (problem.num_images, problem.num_cameras, problem.num_points)))
    piece = cut(whole, observations)
    assert observations <= piece.problem.num_observations < observations + 5
    assert len(DataStatistics(piece.problem, ROTATIONS["so3_left"], 1).components) == 1
    pairs = list(zip(problem.image_of_obs, problem.point_of_obs, strict=True))
    variables = make_variables(problem, ROTATIONS["so3_left"])
    all_residuals = Residuals(problem).residual(variables.at(variables.start))[0]
    variables = make_variables(piece.problem, ROTATIONS["so3_left"])
    residuals = Residuals(piece.problem).residual(variables.at(variables.start))[0]
    for image, point, residual in zip(piece.problem.image_of_obs, piece.problem.point_of_obs, residuals, strict=True):
        known = all_residuals[pairs.index((piece.images[image], piece.points[point]))]
        assert residual == pytest.approx(known, abs=1e-9)


def test_growth_is_the_slope_of_the_logarithms() -> None:
    seconds, memory = Cost((1000, 2000, 4000), (1.0, 4.0, 16.0), (5, 10, 20)).powers
    assert (seconds, memory) == pytest.approx((2.0, 1.0))
    for too_few in ((1000, 1000, 1000), (5, 10, 20)):
        assert np.isnan(Cost(too_few, (1.0, 1.0, 1.0), (5, 5, 5)).powers).all()


def test_zeros_inside_the_pattern_are_those_of_the_camera() -> None:
    found = check(
        Config.model_validate({"data": {"scene": {"images": 3, "points": 12, "camera": "pinhole"}}}), states=0
    )
    assert found.derivatives is not None
    assert found.derivatives.inner_zeros == pytest.approx(
        {"position": 1.0 / 6.0, "focal": 0.5, "principal point": 0.5, "skew": 0.5}
    )


@pytest.fixture(scope="module")
def checked() -> Check:
    return check(ROOT / "datasets" / "dubrovnik-3-7-pre.txt")


def test_every_way_stands_in_the_table_and_is_right(checked: Check) -> None:
    assert checked.derivatives is not None
    assert [row.name for row in checked.derivatives.rows] == list(JACOBIANS)
    assert checked.failures == []
    assert checked.derivatives.stray == 0
    assert all(f"{name} " in checked.text for name in [*JACOBIANS, *DATA_TESTS] if name != "analytic")


def test_what_is_written_is_the_text_and_a_picture_of_the_pattern(checked: Check, tmp_path: Path) -> None:
    checked.write(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "check.txt").read_text() == checked.text + "\n"
    with Image.open(tmp_path / "new" / "folder" / "pattern.png") as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
    assert len(colors) > 5


def test_any_configuration_can_be_checked() -> None:
    scene = {"images": 4, "points": 24, "shared_camera": True, "use_covariance": True}
    config = Config.model_validate({"data": {"scene": scene}, "rotation": "matrix9", "gauge": "two_cameras"})
    found = check(config, seed=5, states=2)
    assert found.failures == []
    assert "`matrix9`, at the start, and at 2 random states (seed 5)" in found.text


def test_a_wrong_derivative_ends_with_code_3_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def wrong(*arguments: object) -> object:
        J = ways.analytic(*arguments)  # type: ignore[arg-type]
        J.data[np.argmax(np.abs(J.data))] *= 1.0 + 1e-9
        return J

    monkeypatch.setitem(ba.analyse.derivatives.JACOBIANS, "analytic", Way(wrong, 1e-12))
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert cli.main(["check", str(tmp_path / "tiny.yaml"), "--states", "0"]) == 3
    out, err = capsys.readouterr()
    assert "! complex_step" in out
    assert "ba: error: analytic and vjp_rows differ in " in err
    assert "at most 1e-12 is right" in err


def test_nonsense_is_the_users_mistake(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "scene.out").write_text("x")
    for arguments, said in (
        ([str(tmp_path / "scene.out")], "does not tell the format"),
        ([str(tmp_path)], "folder"),
        ([str(tmp_path / "none.yaml")], "no such file"),
        (["x.txt", "--states", "-1"], "is no whole number >= 0"),
    ):
        assert cli.main(["check", *arguments]) == 2
        assert said in capsys.readouterr().err


def test_data_without_observations_are_told_about(tmp_path: Path, capsys: Capture) -> None:
    io.save(kept(good(), np.arange(0)), tmp_path / "empty.npz")
    assert cli.main(["check", str(tmp_path / "empty.npz"), "--out", str(tmp_path)]) == 0
    assert "0 observations" in capsys.readouterr().out
