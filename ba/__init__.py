"""Bundle adjustment: refine poses, intrinsics and points from what photographs show.

    problem = ba.load("scene.txt")
    solution = ba.solve(problem)
    result = ba.run("config.yaml", ["solver.max_iterations=20"])
    findings = ba.compare("comparison.yaml")

Names are imported when first used: `import ba` costs nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ba.errors import CheckError, SolverError, SystemRefusal, UserError

if TYPE_CHECKING:
    from ba.check import check as check
    from ba.comparison import compare as compare
    from ba.config import Camera as Camera
    from ba.config import Config as Config
    from ba.config import Data as Data
    from ba.config import Fix as Fix
    from ba.config import Loss as Loss
    from ba.config import Noise as Noise
    from ba.config import Output as Output
    from ba.config import Scene as Scene
    from ba.config import Solver as Solver
    from ba.derivatives import jacobian as jacobian
    from ba.hessian import hessian_product as hessian_product
    from ba.io import load as load
    from ba.io import save as save
    from ba.io.synthetic import generate as generate
    from ba.noise import perturb as perturb
    from ba.optimum import Optimum as Optimum
    from ba.optimum import make_optimum as make_optimum
    from ba.optimum import refine as refine
    from ba.pipeline import Result as Result
    from ba.problem import Free as Free
    from ba.problem import Problem as Problem
    from ba.problem import make_problem as make_problem
    from ba.request import run as run
    from ba.result import Iteration as Iteration
    from ba.result import Solution as Solution
    from ba.result import Status as Status
    from ba.select import select as select
    from ba.sensitivity import Sensitivity as Sensitivity
    from ba.sensitivity import to_fixed as to_fixed
    from ba.sensitivity import to_observations as to_observations
    from ba.solver import solve as solve

__version__ = "0.1.0"

_HOMES = {
    name: f"ba.{module}"
    for module, names in {
        "check": "check",
        "comparison": "compare",
        "config": "Camera Config Data Fix Loss Noise Output Scene Solver",
        "derivatives": "jacobian",
        "hessian": "hessian_product",
        "io": "load save",
        "io.synthetic": "generate",
        "noise": "perturb",
        "optimum": "Optimum make_optimum refine",
        "pipeline": "Result",
        "problem": "Free Problem make_problem",
        "request": "run",
        "result": "Iteration Solution Status",
        "select": "select",
        "sensitivity": "Sensitivity to_fixed to_observations",
        "solver": "solve",
    }.items()
    for name in names.split()
}
"""Where each public name is at home."""

__all__ = ["CheckError", "SolverError", "SystemRefusal", "UserError", "__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ba' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """A package whose public names stay what they are when a module of the same name (`ba.check`) is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
