"""The contract of a camera model, and the depth guard that every `project` shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.engine.jit import kernel

INSIDE, BEHIND, OUTSIDE = 0, 1, 2
"""Domain codes: as it should be; at or behind the camera's plane; beyond the field where distortion is one-to-one."""

MIN_DEPTH = 1e-12


@dataclass(frozen=True)
class CameraModel:
    """A camera model with k parameters.

    project(params, camera, point_in_cam, uv, d_point, d_params, domain) fills, for observations i = 0 .. n-1 with
    parameters params[camera[i]] of (n_cameras, >= k) and point_in_cam (n, 3):
        uv (n, 2) px,  d_point (n, 2, 3) px per world unit,  d_params (n, 2, >= k),  domain (n,) uint8.
    Zero-length d_point means that no derivative is wanted. The dtype is free: with complex arrays the same code gives
    complex-step derivatives. Results are finite for every finite input.
    Invariants: every index of `parameters` stands in exactly one of `focal`, `principal_point`, `distortion`, `skew`;
    `sample(rng)` gives plausible parameters (k,), px for focal lengths.
    """

    name: str
    parameters: tuple[str, ...]
    focal: tuple[int, ...]
    principal_point: tuple[int, ...]
    distortion: tuple[int, ...]
    skew: tuple[int, ...]
    project: Callable[..., None]
    sample: Callable[[np.random.Generator], NDArray[np.float64]]


@kernel
def safe_depth(z: Any) -> Any:
    """z, or +-MIN_DEPTH where z is so small that x / z would overflow; the sign of z is kept."""
    if abs(z.real) >= MIN_DEPTH:
        return z
    if z.real < 0.0:
        return z * 0.0 - MIN_DEPTH
    return z * 0.0 + MIN_DEPTH
