"""How far a reconstruction is from the truth after the similarity that brings it there.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991. The similarity is
found from camera centres and points together by least trimmed squares: what lies more than REMOTE median distances from
the median takes no part; then twenty times the better half by the last similarity decides the next; and at last all
that lies within OUTLYING median errors decides.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tests.oracle.known import Known
from tests.oracle.reading import Scene
from tests.oracle.rotating import angle

REMOTE, OUTLYING, ROUNDS = 10.0, 3.0, 20

Similarity = tuple[float, Any, Any]


def similarity(source: Any, target: Any) -> Similarity:
    """s, Q, v that minimize sum |s Q source + v - target|^2."""
    x, y = source - source.mean(0), target - target.mean(0)
    U, D, Vt = np.linalg.svd(y.T @ x)
    signs = np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))])
    Q = U @ signs @ Vt
    scale = np.trace(np.diag(D) @ signs) / (x**2).sum()
    return scale, Q, target.mean(0) - scale * Q @ source.mean(0)


def moved(points: Any, by: Similarity) -> Any:
    scale, Q, v = by
    return scale * points @ Q.T + v


def apart(source: Any, target: Any) -> Any:
    return np.linalg.norm(source - target, axis=1)


def near(points: Any) -> Any:
    distance = apart(points, np.median(points, axis=0))
    return distance <= REMOTE * np.median(distance)


def trimmed(source: Any, target: Any) -> Similarity:
    kept = near(source) & near(target)
    source, target = source[kept], target[kept]
    found = similarity(source, target)
    for _ in range(ROUNDS):
        errors = apart(moved(source, found), target)
        half = errors <= np.median(errors)
        found = similarity(source[half], target[half])
    errors = apart(moved(source, found), target)
    fitting = errors <= OUTLYING * np.median(errors)
    return similarity(source[fitting], target[fitting])


@cache
def errors(scene: Scene, truth: Scene) -> dict[str, Known]:
    """By the names of the summary; angles of s Q: an aligned image has the rotation R Q^T."""
    by = trimmed(np.vstack([scene.centers, scene.points]), np.vstack([truth.centers, truth.points]))
    degrees = np.rad2deg(angle(scene.R @ by[1].T, truth.R))
    centers, points = apart(moved(scene.centers, by), truth.centers), apart(moved(scene.points, by), truth.points)
    size = float(np.abs(truth.points).max() + np.abs(truth.centers).max())
    slack = {"deg": 1e-12, "world_units": 1e-13 * size, "scale": 1e-13}
    values = {
        "rotation_error_median_deg": np.median(degrees),
        "rotation_error_max_deg": degrees.max(),
        "position_error_rms_world_units": np.sqrt((centers**2).mean()),
        "point_error_median_world_units": np.median(points),
        "point_error_rms_world_units": np.sqrt((points**2).mean()),
        "scale": by[0],
    }
    return {
        name: Known(float(value), next(moved for unit, moved in slack.items() if name.endswith(unit)))
        for name, value in values.items()
    }


def relative_distance(points: Any, reference: Any) -> float:
    """Root mean square distance after alignment of what has not run off, over the reference's extent."""
    kept = near(points) & near(reference)
    source, target = points[kept], reference[kept]
    distance = apart(moved(source, similarity(source, target)), target)
    return float(np.sqrt((distance**2).mean() / (apart(target, target.mean(0)) ** 2).mean()))
