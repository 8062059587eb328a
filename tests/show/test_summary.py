"""What summary.json says of a run is worked out anew from its input, its configuration and the files that it left."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba import io, pipeline
from ba.model.problem import Problem, make_problem, unconstrained
from ba.options import Config
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from tests.support import textbook
from tests.support.scenes import random_problem


def troubled(covariances: bool) -> Problem:
    """Four images of 30 points: some are fixed behind an image, some where its distortion folds, some go there."""
    seed = 8
    problem = random_problem(np.random.default_rng(seed), ("bal",) * 4, n_points=30)
    points, (c, R) = problem.points.copy(), (problem.centers, problem.rotations)
    points[0], points[1] = c[0] - 2.0 * R[0, 2], c[0] - 3.0 * R[0, 2] + 0.3
    points[2] = c[1] + R[1].T @ [3.0, 1.0, 1.0]
    points[3], points[4] = c[2] + R[2].T @ [2.0, 2.0, 1.0], c[2] + R[2].T @ [-2.0, 2.0, 1.0]
    intrinsics = problem.intrinsics.copy()
    intrinsics[:, 1:] = -0.3, 0.0
    masks = {name: np.array(mask) for name, mask in vars(problem.free).items()}
    masks["points"][:5] = masks["intrinsics"][:] = False
    problem = replace(problem, points=points, intrinsics=intrinsics, free=replace(problem.free, **masks))
    problem = replace(problem, pixels=textbook.pixels(problem) + 0.5)
    if covariances:
        sigmas = np.random.default_rng(1).uniform(0.5, 20.0, (problem.num_observations, 2))
        S = sigmas[:, :, None] * sigmas[:, None, :] * np.array([[1.0, 0.8], [0.8, 1.0]])
        problem = replace(problem, covariances=S)
    return perturb(problem, Noise(rotation_deg=2.0, points=3.0, position=0.1), seed)


CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "plain": (False, {"seed": 3}),
    "robust": (False, {"loss": {"name": "huber", "scale": 2.5}, "seed": 7}),
    "weighted": (True, {"loss": {"name": "cauchy", "scale": 0.7}}),
    "off SO(3)": (False, {"rotation": "matrix9", "fix": {"poses": [0]}}),
}


@pytest.fixture(scope="module", params=CASES)
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Problem, Problem, Path]:
    covariances, settings = CASES[request.param]
    folder = tmp_path_factory.mktemp("run")
    start = troubled(covariances)
    io.save(start, folder / "scene.npz")
    config = Config.model_validate(
        {
            "data": {"path": folder / "scene.npz"},
            "solver": {"backend": "schur", "max_iterations": 30, "threads": 1},
            "output": {"picture": False, "report": False},
            **settings,
        }
    )
    if config.fix.poses != "none":
        masks = {name: np.array(mask) for name, mask in vars(start.free).items()}
        masks["rotations"][0] = masks["translations"][0] = False
        start = start.with_free(replace(start.free, **masks))
    pipeline.run(config, folder / "out")
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert summary["loss"] == config.loss.name
    return summary, start, io.load(folder / "out" / "solution.npz"), folder


def loss_of(summary: dict[str, Any]) -> tuple[str, float]:
    return summary["loss"], summary["loss_scale"]


def counts(problem: Problem) -> tuple[int, int]:
    """Observations behind their camera, and where 1 + 3 k1 s + 5 k2 s^2 is not positive."""
    x, y, z = textbook.in_camera(problem).T
    s = (x**2 + y**2) / z**2
    k1, k2 = problem.intrinsics[problem.camera_of_image[problem.image_of_obs]].T[1:3]
    behind = z <= 0.0
    return int(behind.sum()), int((~behind & (1.0 + 3.0 * k1 * s + 5.0 * k2 * s**2 <= 0.0)).sum())


def test_costs_and_errors_are_those_of_the_start_and_of_the_solution(ran: Any) -> None:
    summary, start, end, _ = ran
    for which, problem in (("initial", start), ("final", end)):
        problem = replace(problem, covariances=start.covariances, pixels=start.pixels)
        norms = np.linalg.norm(textbook.pixels(problem) - start.pixels, axis=1)
        assert summary[f"{which}_cost"] == pytest.approx(textbook.cost(problem, *loss_of(summary)), rel=1e-8)
        assert summary[f"{which}_rms_px"] == pytest.approx(np.sqrt(np.mean(norms**2)), rel=1e-8)
        assert summary[f"{which}_median_px"] == pytest.approx(np.median(norms), rel=1e-8)
    assert summary["final_cost"] < summary["initial_cost"]


def test_behind_and_outside_are_counted_at_both_ends(ran: Any) -> None:
    summary, start, end, _ = ran
    found = [[summary[f"{what}_{when}"] for what in ("behind_camera", "outside_field")] for when in ("start", "end")]
    assert found == [list(counts(start)), list(counts(end))]
    assert found[0][0] != found[1][0] != found[1][1] != found[0][1], "the four tell each other apart"


def test_weighted_and_whitened_errors_and_those_of_inliers(ran: Any) -> None:
    summary, start, end, _ = ran
    name, scale = loss_of(summary)
    unit = "px" if start.covariances is None else "sigmas"
    assert summary["residual_unit"] == unit
    at_end = np.sqrt(textbook.squares(replace(end, covariances=start.covariances, pixels=start.pixels)))
    # A Rayleigh distribution leaves one per cent beyond sqrt(log2(100)) medians.
    inliers = at_end <= np.sqrt(np.log2(100.0)) * np.median(at_end)
    assert 0 < summary["num_inliers"] == inliers.sum() < len(inliers)
    assert summary[f"inlier_limit_{unit}"] == pytest.approx(at_end[inliers].max(), rel=1e-8)
    for which, problem in (("initial", start), ("final", end)):
        problem = replace(problem, covariances=start.covariances, pixels=start.pixels)
        s, norms = textbook.squares(problem), np.linalg.norm(textbook.pixels(problem) - start.pixels, axis=1)
        h = 1e-6 * np.maximum(s, scale**2)
        slope = scale**2 * (textbook.RHO[name]((s + h) / scale**2) - textbook.RHO[name]((s - h) / scale**2)) / (2.0 * h)
        assert summary[f"{which}_weighted_rms_{unit}"] == pytest.approx(np.sqrt(slope @ s / slope.sum()), rel=1e-4)
        if unit == "sigmas":
            assert summary[f"{which}_whitened_rms_sigmas"] == pytest.approx(np.sqrt(np.mean(s)), rel=1e-8)
        assert summary[f"{which}_inlier_rms_px"] == pytest.approx(np.sqrt(np.mean(norms[inliers] ** 2)), rel=1e-8)
        assert summary[f"{which}_inlier_median_px"] == pytest.approx(np.median(norms[inliers]), rel=1e-8)


def test_the_distance_from_so3_is_the_largest_of_the_free_images(ran: Any) -> None:
    summary, start, end, _ = ran
    R = end.rotations[start.free.rotations]
    distances = np.linalg.norm(R.transpose(0, 2, 1) @ R - np.eye(3), axis=(1, 2))
    assert summary["distance_from_so3"] == pytest.approx(distances.max(), rel=1e-9, abs=1e-14)
    assert (summary["distance_from_so3"] > 1e-3) is (summary["rotation"] == "matrix9")


def test_sizes_effort_settings_and_provenance(ran: Any) -> None:
    summary, start, _, folder = ran
    config = (folder / "out" / "config.yaml").read_text()
    lines = [json.loads(line) for line in (folder / "out" / "iterations.jsonl").read_text().splitlines()]
    assert (summary["num_images"], summary["num_cameras"], summary["num_points"]) == (4, 4, 30)
    assert summary["num_observations"] == len(start.pixels) == 120
    assert summary["iterations"] == len(lines) - 1 == lines[-1]["iteration"]
    assert summary["evaluations"] == lines[-1]["evaluations"] >= summary["iterations"]
    assert (summary["initial_cost"], summary["final_cost"]) == (lines[0]["cost"], lines[-1]["cost"])
    k = 9 if summary["rotation"] == "matrix9" else 3
    free = start.free
    numbers = k * free.rotations.sum() + free.translations.sum() + free.intrinsics.sum() + 3 * free.points.sum()
    assert summary["free_numbers"] == numbers
    assert summary["data_sha256"] == hashlib.sha256((folder / "scene.npz").read_bytes()).hexdigest()
    assert f"seed: {summary['seed']}\n" in config
    assert summary["points_seen_fewer_than_twice"] == summary["images_that_see_nothing"] == 0
    assert 0.0 < summary["solve_seconds"] < summary["total_seconds"]


def test_a_generated_scene_is_known_by_its_pixels(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "data": {"scene": {"images": 4, "points": 20, "shared_camera": True}},
            "output": {"picture": False, "report": False},
        }
    )
    pipeline.run(config, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    truth = io.load(tmp_path / "out" / "truth.npz")
    assert summary["data_sha256"] == hashlib.sha256(truth.pixels.tobytes()).hexdigest()
    assert [summary[f"num_{what}"] for what in ("images", "cameras", "points")] == [4, 1, 20]
    assert summary["num_observations"] == len(truth.pixels)


def test_what_cannot_be_determined_is_counted_and_held() -> None:
    """Five points: seen by three, by two, twice by one, by one, by none; image 3 sees one of them, image 4 nothing."""
    image, point = np.array([0, 1, 2, 0, 1, 2, 2, 3]), np.array([0, 0, 0, 1, 1, 2, 2, 3])
    problem = make_problem(
        rotations=np.tile(np.eye(3), (5, 1, 1)),
        translations=np.zeros((5, 3)),
        camera_models=("bal",) * 5,
        intrinsics=np.tile([500.0, 0.0, 0.0], (5, 1)),
        points=np.ones((5, 3)),
        image_of_obs=image,
        point_of_obs=point,
        pixels=np.zeros((8, 2)),
    )
    assert unconstrained(problem) == {"points_seen_fewer_than_twice": 3, "images_that_see_nothing": 1}
    assert problem.free.points.tolist() == [True, True, False, False, False]
    assert problem.free.rotations.tolist() == [True, True, True, True, False]
    assert problem.free.translations.tolist() == [[True] * 3] * 4 + [[False] * 3]
    assert problem.free.intrinsics.tolist() == [[True] * 3] * 4 + [[False] * 3]


def test_a_camera_centre_is_where_the_origin_of_the_camera_is() -> None:
    problem = random_problem(np.random.default_rng(0))
    for R, t, center in zip(problem.rotations, problem.translations, problem.centers, strict=True):
        assert R @ center + t == pytest.approx(np.zeros(3), abs=1e-12)
