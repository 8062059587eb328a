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
from ba.system.garbage import uncollected

if TYPE_CHECKING:
    from ba.analyse.derivatives import jacobian as jacobian
    from ba.analyse.hessian import hessian_product as hessian_product
    from ba.analyse.optimum import Optimum as Optimum
    from ba.analyse.optimum import make_optimum as make_optimum
    from ba.analyse.optimum import refine as refine
    from ba.analyse.sensitivity import Sensitivity as Sensitivity
    from ba.analyse.sensitivity import to_fixed as to_fixed
    from ba.analyse.sensitivity import to_observations as to_observations
    from ba.check import check as check
    from ba.io import load as load
    from ba.io import save as save
    from ba.io.options import Data as Data
    from ba.io.options import Scene as Scene
    from ba.io.synthetic import generate as generate
    from ba.model.options import Loss as Loss
    from ba.model.problem import Free as Free
    from ba.model.problem import Problem as Problem
    from ba.model.problem import make_problem as make_problem
    from ba.options import Config as Config
    from ba.pipeline import Result as Result
    from ba.prepare.noise import perturb as perturb
    from ba.prepare.options import Camera as Camera
    from ba.prepare.options import Fix as Fix
    from ba.prepare.options import Noise as Noise
    from ba.prepare.select import select as select
    from ba.show.options import Output as Output
    from ba.solve import solve as solve
    from ba.solve.options import Solver as Solver
    from ba.solve.result import Iteration as Iteration
    from ba.solve.result import Solution as Solution
    from ba.solve.result import Status as Status
    from ba.studies.comparison import compare as compare
    from ba.studies.request import run as run

__version__ = "0.1.0"

_HOMES = {
    name: f"ba.{module}"
    for module, names in {
        "analyse.derivatives": "jacobian",
        "analyse.hessian": "hessian_product",
        "analyse.optimum": "Optimum make_optimum refine",
        "analyse.sensitivity": "Sensitivity to_fixed to_observations",
        "check": "check",
        "io": "load save",
        "io.options": "Data Scene",
        "io.synthetic": "generate",
        "model.options": "Loss",
        "model.problem": "Free Problem make_problem",
        "options": "Config",
        "pipeline": "Result",
        "prepare.noise": "perturb",
        "prepare.options": "Camera Fix Noise",
        "prepare.select": "select",
        "show.options": "Output",
        "solve": "solve",
        "solve.options": "Solver",
        "solve.result": "Iteration Solution Status",
        "studies.comparison": "compare",
        "studies.request": "run",
    }.items()
    for name in names.split()
}
"""Where each public name is at home."""

__all__ = ["CheckError", "SolverError", "SystemRefusal", "UserError", "__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ba' has no attribute {name!r}; it has {', '.join(__all__)}")
    with uncollected():
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
