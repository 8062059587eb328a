"""Sim(3) alignment, and how far a solution is from the truth.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991: with the
centred points x_i, y_i and sum y_i x_i^T = U D V^T, S = diag(1, 1, det U det V),

    R = U S V^T (eq. 40),   s = tr(D S) / sum |x_i|^2 (eq. 42),   t = mean y - s R mean x (eq. 41).

S keeps R a rotation where the best orthogonal matrix would be a reflection.
"""

from dataclasses import dataclass, replace

import numpy as np

from ba.errors import UserError
from ba.model.arrays import Bool, Float
from ba.model.problem import Problem
from ba.model.robust import rms

TRIM_STEPS = 20
OUTLYING = 3.0
"""Beyond this many median errors a point does not take part in the final alignment (about 2 sigma in 3D)."""
REMOTE = 10.0
"""Beyond this many median distances from the median a point has run away and does not take part at all."""
ROUNDING = 64 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class Similarity:
    """x -> scale * rotation x + translation."""

    scale: float
    rotation: Float
    translation: Float

    def apply(self, points: Float) -> Float:
        """(n, 3) -> (n, 3)"""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def align(source: Float, target: Float) -> Similarity:
    """The similarity that takes source (n, 3) to target (n, 3) with the least sum of squared distances.

    Raises UserError for shapes that disagree, fewer than three points, numbers that are not finite, points on a line
    (the rotation about it is not determined) and points that do not correspond.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise UserError(f"alignment: shapes {source.shape} and {target.shape} found, two of (n, 3) expected")
    if len(source) < 3:
        raise UserError(f"alignment: {len(source)} points found, at least 3 are needed to determine a similarity")
    source_mean, source_size, x = _centered(source, "source")
    target_mean, target_size, y = _centered(target, "target")
    U, D, Vt = np.linalg.svd(y.T @ x)
    S = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    if D[1] <= ROUNDING * D[0] or D @ S <= 0.0:
        raise UserError("alignment: source and target do not correspond; the same points in the same order are right")
    rotation = (U * S) @ Vt
    scale = float(D @ S / np.sum(x * x) * (target_size / source_size))
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)


def _centered(points: Float, name: str) -> tuple[Float, float, Float]:
    """Mean (3,), largest coordinate about it, and the points about the mean in units of that size."""
    _require_finite(points, name)
    mean = points.mean(axis=0)
    centered = points - mean
    size = float(np.abs(centered).max())
    noise = ROUNDING * float(np.abs(points).max())
    if size <= noise:
        raise UserError(f"alignment: all {len(points)} {name} points coincide")
    second = np.linalg.svd(centered / size, compute_uv=False)[1]
    if second <= np.sqrt(len(points)) * (ROUNDING + noise / size):
        raise UserError(f"alignment: all {len(points)} {name} points lie on a line, so the rotation about it is open")
    return mean, size, centered / size


def _require_finite(points: Float, name: str) -> None:
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise UserError(f"alignment: {name} point {row} is {points[row].tolist()}; finite numbers are needed")


def transform(problem: Problem, similarity: Similarity) -> Problem:
    """The whole problem in the other frame, fixed numbers too; projections stay the same.

    With X' = s Q X + v the camera's own frame is scaled by s: R' = R Q^T and t' = s t - R' v.
    """
    rotations = problem.rotations @ similarity.rotation.T
    return replace(
        problem,
        rotations=rotations,
        translations=similarity.scale * problem.translations - rotations @ similarity.translation,
        points=similarity.apply(problem.points),
        terms=tuple(term.transformed(similarity) for term in problem.terms),
    )


def compare_to_truth(problem: Problem, truth: Problem) -> dict[str, float]:
    """Errors of a problem after alignment with its truth; world units are the truth's.

    The alignment takes camera centres and points together: centres alone may lie on a line, points alone may be few.
    Least trimmed squares (Rousseeuw and Van Driessen, 1999) keep points with outlying observations from bending it; the
    errors are of everything. Raises UserError where sizes disagree or no alignment exists.
    """
    for name in ("num_images", "num_points"):
        found, right = getattr(problem, name), getattr(truth, name)
        if found != right:
            raise UserError(f"comparison with the truth: {name} is {found}, {right} in the truth")
    similarity = _robust_alignment(_positions(problem), _positions(truth))
    aligned = transform(problem, similarity)
    degrees = np.degrees(_angles(aligned.rotations, truth.rotations))
    centers = np.linalg.norm(aligned.centers - truth.centers, axis=1)
    points = np.linalg.norm(aligned.points - truth.points, axis=1)
    return {
        "rotation_error_median_deg": float(np.median(degrees)),
        "rotation_error_max_deg": float(degrees.max()),
        "position_error_rms_world_units": rms(centers**2),
        "point_error_median_world_units": float(np.median(points)),
        "point_error_rms_world_units": rms(points**2),
        "scale": similarity.scale,
    }


def _positions(problem: Problem) -> Float:
    return np.concatenate([problem.centers, problem.points])


def _robust_alignment(source: Float, target: Float) -> Similarity:
    """Least squares over the half that fits best, then over everything that fits it."""
    _require_finite(source, "source")
    _require_finite(target, "target")
    near = not_remote(source) & not_remote(target)
    source, target = source[near], target[near]
    similarity = align(source, target)
    for _ in range(TRIM_STEPS):
        errors = np.linalg.norm(similarity.apply(source) - target, axis=1)
        best = errors <= np.median(errors)
        similarity = align(source[best], target[best])
    errors = np.linalg.norm(similarity.apply(source) - target, axis=1)
    fitting = errors <= OUTLYING * np.median(errors)
    return align(source[fitting], target[fitting])


def not_remote(points: Float) -> Bool:
    """(n,) whether a point is within REMOTE median distances from the median."""
    distances = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return np.asarray(distances <= REMOTE * np.median(distances))


def _angles(first: Float, second: Float) -> Float:
    """(n,) radians between rotations, by their chord |R1 - R2|_F = sqrt(8) sin(angle / 2), exact for small angles."""
    chord = np.linalg.norm(first - second, axis=(1, 2))
    return np.asarray(2.0 * np.arcsin(np.minimum(chord / np.sqrt(8.0), 1.0)))
