"""The benchmark of hard starts: its noise, its arithmetic on ends that are made up, and the cost that Ceres gets."""

from pathlib import Path

import numpy as np
import pytest

from ba import io
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from scripts.benchmarks import starts
from scripts.benchmarks.contest import behind, cost
from scripts.benchmarks.starts import End, counted, extent, reached, table, verdict
from tests.support.scenes import random_problem


def ends(*costs: float, why: str = "") -> list[End]:
    return [End(seed, 100.0, cost, 5, 0.5, why) for seed, cost in enumerate(costs)]


def test_extent_is_a_length_that_a_far_outlier_does_not_change() -> None:
    positions = np.random.default_rng(0).normal(size=(201, 3))
    shifted = np.concatenate([3.0 * positions + 7.0, [[1e9, 0.0, 0.0]]])
    assert extent(shifted) == pytest.approx(3.0 * extent(positions), rel=0.05)


def test_noise_of_positions_and_points_is_a_share_of_the_extent_of_their_own_kind() -> None:
    problem = random_problem(np.random.default_rng(0))
    noise = starts.noise(problem, starts.parse(["--position", "50", "--points", "100"]))
    assert noise.rotation_deg == 5.0
    assert noise.position == pytest.approx(0.5 * extent(problem.centers))
    assert noise.points == pytest.approx(extent(problem.points))


def test_the_file_of_a_start_holds_it_bit_for_bit(tmp_path: Path) -> None:
    problem = random_problem(np.random.default_rng(0))
    start = perturb(problem, starts.noise(problem, starts.parse([])), 3)
    io.save(start, tmp_path / "start.npz")
    again = io.load(tmp_path / "start.npz")
    for name in ("rotations", "translations", "points", "intrinsics", "pixels"):
        assert np.array_equal(getattr(again, name), getattr(start, name))


def test_a_start_is_reached_within_a_share_of_the_lowest_cost_and_without_a_fault() -> None:
    assert reached(ends(1.0, 1.00005, 1.001), 1.0) == 2
    assert reached(ends(1.0, why="another problem"), 1.0) == 0


def test_table_has_a_line_a_seed_and_counts_and_reasons_for_each_contender() -> None:
    said = table({"ours": ends(1.0, 2.0), "peer": ends(3.0, 1.0, why="not done")}, 1.0).splitlines()
    assert said[2].split() == ["0", "100", "1.00000", "0.0e+00", "5", "0.5", "3.00000", "2.0e+00", "5", "0.5"]
    assert said[4].startswith("ours: 1 of 2 tuned seeds within 0.0001")
    assert said[5].startswith("peer: 0 of 2 tuned seeds within 0.0001")
    assert said[6] == "peer: seed 0: failed: not done"


def test_seeds_that_were_tuned_on_are_counted_apart_from_new_ones() -> None:
    group = [End(seed, 100.0, cost, 5, 0.5) for seed, cost in ((0, 1.0), (19, 2.0), (20, 1.0), (21, 1.0))]
    assert counted(group, 1.0) == {"tuned": (1, 2), "new": (2, 2)}
    assert counted(group[2:], 1.0) == {"new": (2, 2)}


def test_verdict_is_good_only_where_the_first_reaches_as_many_and_nobody_failed() -> None:
    assert verdict({"ours": ends(1.0, 2.0), "peer": ends(2.0, 1.0)}, 1.0) == 0
    assert verdict({"ours": ends(1.0, 2.0), "peer": ends(1.0, 1.0)}, 1.0) == 1
    assert verdict({"ours": ends(1.0), "peer": ends(1.0, why="not done")}, 1.0) == 1


@pytest.mark.parametrize("wrong", [["no.txt"], ["--seeds", "0"], ["--points", "-1"], ["--peer", "ba-schur"]])
def test_a_wrong_argument_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        starts.parse(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(3))
def test_ceres_is_given_our_cost_on_both_sides_of_every_camera(seed: int) -> None:
    pytest.importorskip("pyceres")
    from scripts.benchmarks.contenders import ceres

    problem = random_problem(np.random.default_rng(seed), models=("bal",) * 4)
    reconstruction, images, points = ceres._reconstruction(problem)
    adjuster, posed = ceres._posed(problem, reconstruction, images, points, both_sides=True)
    elsewhere = perturb(problem, Noise(points=10.0), seed)
    for point, name in points.items():
        reconstruction.points3D[name].xyz[:] = elsewhere.points[point]
    assert behind(elsewhere).any()
    assert 0.5 * np.sum(np.square(posed.evaluate_residuals())) == pytest.approx(cost(elsewhere), rel=1e-9)
    del posed, adjuster
