"""The numbers that look past outliers, computed anew from what a run leaves: residuals.npz and the configuration."""

import gc
import json
import statistics
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from ba import pipeline
from ba.model.loss import LOSSES
from ba.model.residual import project
from ba.model.robust import inlier_limit, range_end, weighted_rms
from ba.options import Config
from ba.show.summary import before, summarize
from ba.solve import solve
from tests import ROOT

COVARIANCE = ((0.5, 0.2), (0.2, 0.3))
SCALE = 1.7
WEIGHTS = {
    "linear": lambda s: np.ones_like(s),
    "huber": lambda s: np.where(s <= SCALE**2, 1.0, SCALE / np.sqrt(np.maximum(s, SCALE**2))),
    "soft_l1": lambda s: (1.0 + s / SCALE**2) ** -0.5,
    "cauchy": lambda s: SCALE**2 / (SCALE**2 + s),
    "arctan": lambda s: SCALE**4 / (SCALE**4 + s**2),
}
"""rho' of scipy's losses, c^2 rho(s / c^2), written out."""


def ran(folder: Path, loss: str, covariance: bool, outliers: float = 0.05) -> tuple[dict[str, Any], Any]:
    """summary.json and residuals.npz of a short run of a generated scene with mismatches."""
    scene = {
        "kind": "ring", "images": 6, "points": 60, "observations_per_point": 5, "outliers": outliers, "seed": 4,
        "covariance_px2": COVARIANCE, "use_covariance": covariance,
    }  # fmt: skip
    config = {
        "data": {"scene": scene}, "noise": {"rotation_deg": 0.3, "points": 0.01, "position": 0.01}, "seed": 1,
        "loss": {"name": loss, "scale": SCALE}, "output": {"picture": False}, "solver": {"max_iterations": 15},
    }  # fmt: skip
    pipeline.run(Config.model_validate(config), folder)
    return json.loads((folder / "summary.json").read_text()), np.load(folder / "residuals.npz")


@pytest.mark.parametrize("covariance", [False, True])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_summary_is_what_the_residuals_say(tmp_path: Path, loss: str, covariance: bool) -> None:
    summary, residuals = ran(tmp_path, loss, covariance)
    unit, inverse = ("sigmas", np.linalg.inv(COVARIANCE)) if covariance else ("px", np.eye(2))
    assert summary["residual_unit"] == unit
    squares = {
        when: np.array([r @ inverse @ r for r in residuals[name]])
        for when, name in (("initial", "start"), ("final", "end"))
    }
    median = statistics.median(np.sqrt(squares["final"]))
    inliers = squares["final"] <= median**2 * np.log(100.0) / np.log(2.0)
    assert 0 < inliers.sum() < len(inliers), "both kinds are there"
    assert summary["num_inliers"] == inliers.sum()
    assert_allclose(summary[f"inlier_limit_{unit}"], np.sqrt(squares["final"][inliers].max()), rtol=1e-12)
    for when, name in (("initial", "start"), ("final", "end")):
        weights = WEIGHTS[loss](squares[when])
        weighted = np.sqrt(np.average(squares[when], weights=weights))
        assert_allclose(summary[f"{when}_weighted_rms_{unit}"], weighted, rtol=1e-12)
        inside = np.hypot(*residuals[name][inliers].T)
        assert_allclose(summary[f"{when}_inlier_rms_px"], np.sqrt(np.mean(inside**2)), rtol=1e-12)
        assert_allclose(summary[f"{when}_inlier_median_px"], statistics.median(inside), rtol=1e-12)
        if covariance:
            whitened = np.sqrt(np.mean(squares[when]))
            assert_allclose(summary[f"{when}_whitened_rms_sigmas"], whitened, rtol=1e-12)
        else:
            assert f"{when}_whitened_rms_sigmas" not in summary


def test_mismatches_are_told_apart_from_a_good_fit(tmp_path: Path) -> None:
    summary, _ = ran(tmp_path, "cauchy", True)
    assert summary["final_rms_px"] > 50.0
    assert summary["final_inlier_rms_px"] < 1.0
    assert summary["final_weighted_rms_sigmas"] < 2.0


@given(st.integers(0, 1000), st.floats(0.0, 0.45), st.floats(-6.0, 6.0))
def test_inliers_are_the_good_ones_wherever_the_others_are(seed: int, share: float, log_sigma: float) -> None:
    rng = np.random.default_rng(seed)
    sigma, bad = 10.0**log_sigma, int(share * 2000)
    good = sigma * np.hypot(*rng.normal(size=(2, 2000 - bad)))
    far = sigma * rng.uniform(1e2, 1e9, bad)
    limit = inlier_limit(np.concatenate([good, far, [np.inf, np.nan]]))
    assert 0.97 <= np.mean(good <= limit)
    assert not (far <= limit).any()


def test_one_in_a_hundred_gaussian_errors_is_beyond_the_limit() -> None:
    norms = np.hypot(*np.random.default_rng(0).normal(size=(2, 1_000_000)))
    assert_allclose(np.mean(norms > inlier_limit(norms)), 0.01, atol=5e-4)


@pytest.mark.parametrize("norms", [[], [np.nan], [np.inf, np.inf, 1.0], [0.0, 0.0]])
def test_a_limit_exists_where_inliers_do_not(norms: list[float]) -> None:
    assert inlier_limit(np.array(norms)) in (0.0, 1.0)


def test_residuals_that_overflow_weigh_nothing_to_warn_of() -> None:
    assert not np.isfinite(weighted_rms(np.array([1.0, np.inf]), LOSSES["cauchy"]))
    assert weighted_rms(np.zeros(0), LOSSES["cauchy"]) == 0.0


@given(st.integers(0, 1000), st.floats(0.0, 0.45))
def test_a_range_shows_the_good_ones_however_many_are_off(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    bad = int(share * 2000)
    good = np.hypot(*rng.normal(size=(2, 2000 - bad)))
    end = range_end(np.concatenate([good, rng.uniform(1e3, 1e6, bad)]), 0.999)
    assert np.quantile(good, 0.97) < end < 4.0 * good.max()


def test_a_summary_keeps_no_solution_alive() -> None:
    config = Config.model_validate({"data": {"path": ROOT / "datasets" / "dubrovnik-3-7-pre.txt"}})
    _, start = pipeline.load_start(config)
    solution = solve(start, options=config.solver)
    summarize(config, start, before(config, start), solution, project(solution.problem))
    alive = weakref.ref(solution)
    del solution
    gc.collect()
    assert alive() is None
