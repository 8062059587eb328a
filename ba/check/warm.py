"""Compile every numerical kernel before the first run: `python -m ba.check.warm`.

numba compiles a kernel at its first call for the types it is called with, so what compiles the right ones is the code
that real problems take. Each case is a tiny scene and two iterations; the cases walk the registries, one change from
the defaults at a time.
"""

import sys
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

from ba.model.camera import CAMERAS
from ba.model.loss import LOSSES
from ba.model.rotation import ROTATIONS
from ba.options import Config
from ba.pipeline import load_start
from ba.solve import SOLVERS, solve
from ba.solve.reduced import LINEAR_SOLVERS, PRECONDITIONERS

NOTICEABLE_S = 0.3


def cases() -> Iterator[tuple[str, Config]]:
    """What to solve so that every kernel is called, each with a name."""
    for name in CAMERAS:
        yield f"camera {name}", _config(scene={"camera": name})
        # Where several images share one, kernels see the numbers of a pose and of the camera apart.
        shared = {"camera": name, "shared_camera": True}
        yield f"shared camera {name}", _config(shared, {"backend": "schur", "linear": "sparse"})
    yield "shared camera", _config(scene={"shared_camera": True})
    yield "covariances", _config(scene={"use_covariance": True})
    # Of a rotation, kernels see how many numbers are free.
    for name in {rotation.tangent_dim: name for name, rotation in ROTATIONS.items()}.values():
        yield f"rotation {name}", _config(rotation=name)
    for name in LOSSES:
        yield f"loss {name}", _config(loss={"name": name})
    for name in SOLVERS:
        for preconditioner in ("none", "schur"):
            yield f"solver {name} {preconditioner}", _config(solver={"backend": name, "preconditioner": preconditioner})
    # Kernels of a linear solver are compiled for the numbers of a pose with its camera.
    for name, camera in product(LINEAR_SOLVERS, CAMERAS):
        yield f"linear {name}, camera {camera}", _config({"camera": camera}, {"backend": "schur", "linear": name})
    for name in PRECONDITIONERS:
        chosen = {"backend": "schur", "linear": "cg", "cg_preconditioner": name}
        yield f"preconditioner {name}", _config({"camera": "bal"}, chosen)


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


def _config(scene: dict[str, Any] | None = None, solver: dict[str, Any] | None = None, **other: Any) -> Config:
    return Config.model_validate(
        {
            "data": {"scene": {"images": 4, "points": 24, **(scene or {})}},
            "noise": {"points": 0.01},
            "solver": {"max_iterations": 2, **(solver or {})},
            **other,
        }
    )


if __name__ == "__main__":
    main()
