"""The contract of a camera model, and what all models share: the loop over observations, depth guard, domain codes.

A model supplies three functions of one observation, each a `ba.engine.jit.formula`. params is a tuple of the camera's
k numbers, in the order of `parameters`; x, y, z is the point in the camera's frame, world units, z by `safe_depth`:

    pixel(params, x, y, z) -> u, v [px]
    inside(params, x, y, z) -> bool     whether the distortion is one-to-one there, for a point in front
    derivatives(params, x, y, z, d_point (2, 3), d_params (2, >= k)) fills d(u, v) / d(x, y, z) and d(u, v) / d(params)

They take complex numbers, for complex-step derivatives and Hessian products. `pixel`, which calls no other function,
also takes arrays of other libraries, params k of (n,) and x, y, z (n,): automatic differentiation runs this formula.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
from numba.extending import overload

from ba.engine.jit import kernel
from ba.engine.simd import lanes
from ba.model.arrays import Float

INSIDE, BEHIND, OUTSIDE = 0, 1, 2
"""Domain codes: as it should be; at or behind the camera's plane; beyond the field where distortion is one-to-one."""

MIN_DEPTH = 1e-12


@dataclass(frozen=True)
class CameraModel:
    """A camera model with k parameters. `pixel`, `inside`, `derivatives`: see the module's docstring.

    project(params, camera, point_in_cam, uv, d_point, d_params, domain) fills, for observations i = 0 .. n-1 with
    parameters params[camera[i]] of (n_cameras, >= k) and point_in_cam (n, 3):
        uv (n, 2) px,  d_point (n, 2, 3) px per world unit,  d_params (n, 2, >= k),  domain (n,) uint8.
    Zero-length d_point means that no derivative is wanted. The dtype is free. Finite input gives finite results.
    Invariants: every index of `parameters` stands in exactly one of `focal`, `principal_point`, `distortion`, `skew`;
    `sample(rng)` gives plausible parameters (k,), px for focal lengths.
    """

    name: str
    parameters: tuple[str, ...]
    focal: tuple[int, ...]
    principal_point: tuple[int, ...]
    distortion: tuple[int, ...]
    skew: tuple[int, ...]
    pixel: Callable[..., Any]
    inside: Callable[..., Any]
    derivatives: Callable[..., None]
    sample: Callable[[np.random.Generator], Float]
    project: Callable[..., None] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", _own_loop(self))


def _own_loop(model: CameraModel) -> Callable[..., None]:
    """`_project` for one model, as a kernel.

    numba keeps a compiled kernel only if it finds the functions that it calls by global names; with functions as
    arguments or in a closure, each process would compile anew. So each model has a copy of the loop with globals of its
    own. File and name of the copy are those of the model: by them numba finds again what it has compiled.
    """
    functions = {"pixel": model.pixel, "inside": model.inside, "derivatives": model.derivatives}
    code = _project.__code__.replace(co_filename=model.pixel.__code__.co_filename)
    loop = FunctionType(code, globals() | functions | {"PARAMETERS": lanes(len(model.parameters))})
    loop.__name__ = loop.__qualname__ = f"project_{model.name}"
    return kernel(loop)


# What a model's copy of the loop has its own of.
pixel: Any = None
inside: Any = None
derivatives: Any = None
PARAMETERS: Any = ()


def _project(params: Any, camera: Any, point_in_cam: Any, uv: Any, d_point: Any, d_params: Any, domain: Any) -> None:
    for i in range(len(uv)):
        own, z = row(params, camera[i], PARAMETERS), safe_depth(point_in_cam[i, 2])
        x, y = point_in_cam[i, 0], point_in_cam[i, 1]
        uv[i, 0], uv[i, 1] = pixel(own, x, y, z)
        in_front = INSIDE if inside(own, x, y, z) else OUTSIDE
        domain[i] = BEHIND if point_in_cam[i, 2].real <= 0.0 else in_front
        if len(d_point) > 0:
            derivatives(own, x, y, z, d_point[i], d_params[i])


def row(params: Any, camera: Any, width: Any) -> Any:
    """The first len(width) parameters of a camera as a tuple.

    Its numbers stay in registers. A view of the row costs twice the time: numba counts it as a reference, and its
    numbers are read again after each store (6.3 and 2.8 ns an observation of BAL's camera).
    """
    return tuple(params[camera, : len(width)])


@overload(row, {"forceinline": True}, strict=False)  # type: ignore[untyped-decorator]
def _compiled_row(params: Any, camera: Any, width: Any) -> Any:
    last = len(width) - 1
    if last == 0:
        return lambda params, camera, width: (params[camera, 0],)
    return lambda params, camera, width: (*row(params, camera, width[:-1]), params[camera, last])


@kernel
def safe_depth(z: Any) -> Any:
    """z, or +-MIN_DEPTH where z is so small that x / z would overflow; the sign of z is kept."""
    if abs(z.real) >= MIN_DEPTH:
        return z
    if z.real < 0.0:
        return z * 0.0 - MIN_DEPTH
    return z * 0.0 + MIN_DEPTH
