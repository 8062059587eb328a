"""Compile every numerical kernel before the first run: `python -m ba.check.warm`.

numba compiles a kernel at its first call for the types it is called with, so what compiles the right ones is the code
that real problems take. Each case is a tiny scene and two iterations; the cases walk the registries, one change from
the defaults at a time.
"""

import sys
import time
from collections.abc import Iterator
from itertools import product

from ba.config import reading
from ba.model.camera import CAMERAS
from ba.model.loss import LOSSES
from ba.model.rotation import ROTATIONS
from ba.options import Config
from ba.pipeline import load_start
from ba.solve import SOLVERS, solve
from ba.solve.reduced import LINEAR_SOLVERS, PRECONDITIONERS

NOTICEABLE_S = 0.3


BASE = {
    "data": {"scene": {"images": 4, "points": 24}},
    "noise": {"points": 0.01},
    "solver": {"max_iterations": 2},
}


def cases() -> Iterator[tuple[str, Config]]:
    """What to solve so that every kernel is called, each with a name."""
    for name, overrides in _overrides():
        yield name, reading.from_python(Config, BASE, name, overrides.split())


def _overrides() -> Iterator[tuple[str, str]]:
    """The name of each case, and how its configuration differs from BASE."""
    for name in CAMERAS:
        yield f"camera {name}", f"data.scene.camera={name}"
        # Where several images share one, kernels see the numbers of a pose and of the camera apart.
        shared = f"data.scene.camera={name} data.scene.shared_camera=true"
        yield f"shared camera {name}", f"{shared} solver.backend=schur solver.linear=sparse"
    yield "shared camera", "data.scene.shared_camera=true"
    yield "covariances", "data.scene.use_covariance=true"
    # Of a rotation, kernels see how many numbers are free.
    for name in {rotation.tangent_dim: name for name, rotation in ROTATIONS.items()}.values():
        yield f"rotation {name}", f"rotation={name}"
    for name in LOSSES:
        yield f"loss {name}", f"loss.name={name}"
    for name, preconditioner in product(SOLVERS, ("none", "schur")):
        yield f"solver {name} {preconditioner}", f"solver.backend={name} solver.preconditioner={preconditioner}"
    # Kernels of a linear solver are compiled for the numbers of a pose with its camera.
    for name, camera in product(LINEAR_SOLVERS, CAMERAS):
        linear = f"solver.backend=schur solver.linear={name}"
        yield f"linear {name}, camera {camera}", f"data.scene.camera={camera} {linear}"
    for name in PRECONDITIONERS:
        chosen = f"solver.linear=cg solver.cg_preconditioner={name}"
        yield f"preconditioner {name}", f"data.scene.camera=bal solver.backend=schur {chosen}"


def final_cost(config: Config) -> float:
    """The cost after two iterations, 0.5 * sum rho, in px^2 (or sigmas^2)."""
    _, start = load_start(config)
    return solve(start, rotation=config.rotation, loss=config.loss, options=config.solver).final_cost


def main() -> None:
    """Solve every case, and tell of those that took a while because something was compiled."""
    for name, config in cases():
        start = time.perf_counter()
        final_cost(config)
        seconds = time.perf_counter() - start
        if seconds > NOTICEABLE_S:
            print(f"  {name}: {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
