"""The Schur factor is the Cholesky factor of the damped normal equations, points first."""

import numpy as np
import pytest
from scenes import random_problem
from test_derivatives import CAMERA_SETS, MASKS

from ba.normal import CLIP, Tracks, factorize
from ba.residual import Linearization, Residuals
from ba.rotation import ROTATIONS
from ba.variables import make_variables

DAMPING = 1e-3


def linearized(cameras: str, mask: str, rotation: str = "so3_left") -> tuple[Linearization, Tracks]:
    problem = random_problem(np.random.default_rng(2), CAMERA_SETS[cameras])
    problem = problem.with_free(MASKS[mask](problem.free))
    variables = make_variables(problem, ROTATIONS[rotation])
    return Residuals(problem).linearize(variables, variables.start), Tracks.of(problem)


def damped(linearization: Linearization) -> np.ndarray:
    J, m = linearization.csr().toarray(), linearization.layout.num_reduced
    H = J.T @ J
    diagonal = np.diag(H)
    for part in (slice(None, m), slice(m, None)):
        floor = CLIP * diagonal[part].max(initial=0.0)
        H[np.diag_indices_from(H)[0][part], np.diag_indices_from(H)[1][part]] += DAMPING * np.maximum(
            diagonal[part], floor
        )
    return H


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERA_SETS)
def test_both_solves_undo_the_normal_equations(cameras: str, mask: str) -> None:
    linearization, tracks = linearized(cameras, mask)
    H, factor = damped(linearization), factorize(linearization, tracks, DAMPING)
    n = len(H)
    inverse_transposed = np.stack([factor.solve_transposed(e) for e in np.eye(n)], axis=1)
    assert np.allclose(inverse_transposed.T @ H @ inverse_transposed, np.eye(n), atol=1e-7)

    J = linearization.csr().toarray()
    times = np.stack([factor.times(e) for e in np.eye(n)], axis=1)
    transposed_times = np.stack([factor.transposed_times(e) for e in np.eye(len(J))], axis=1)
    assert np.allclose(times, J @ inverse_transposed, atol=1e-10)
    assert np.allclose(transposed_times, times.T, atol=1e-10)


def test_threads_do_not_change_the_factor() -> None:
    linearization, tracks = linearized("mixed", "everything")
    alone, together = (factorize(linearization, tracks, DAMPING, threads) for threads in (1, 3))
    assert np.allclose(alone.reduced, together.reduced, rtol=1e-12, atol=1e-12 * np.abs(alone.reduced).max())
    assert np.array_equal(together.reduced, factorize(linearization, tracks, DAMPING, 3).reduced)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_gauge_freedom_leaves_the_factor_positive(rotation: str) -> None:
    linearization, tracks = linearized("own", "everything", rotation)
    factor = factorize(linearization, tracks, 1e-9)
    assert np.isfinite(factor.reduced).all()
    assert (np.diag(factor.reduced) > 0.0).all()
