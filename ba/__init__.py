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
    from ba.analyse.derivatives import jacobian
    from ba.analyse.hessian import hessian_product
    from ba.analyse.optimum import Optimum, make_optimum, refine
    from ba.analyse.sensitivity import Sensitivity, to_fixed, to_observations
    from ba.check import check
    from ba.io import load, save
    from ba.io.options import Data, Scene
    from ba.io.synthetic import generate
    from ba.model.options import Loss
    from ba.model.problem import Free, Problem, make_problem
    from ba.options import Config
    from ba.pipeline import Result
    from ba.prepare.noise import perturb
    from ba.prepare.options import Camera, Fix, Noise
    from ba.prepare.select import select
    from ba.show.options import Output
    from ba.solve import solve
    from ba.solve.options import Solver
    from ba.solve.result import Iteration, Solution, Status
    from ba.studies.comparison import compare
    from ba.studies.request import run

__version__ = "0.1.0"

_HOMES = {
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
}
"""The public names that each module has, which are imported when they are first used."""

__all__ = [
    "Camera", "CheckError", "Config", "Data", "Fix", "Free", "Iteration", "Loss", "Noise", "Optimum", "Output",
    "Problem", "Result", "Scene", "Sensitivity", "Solution", "Solver", "SolverError", "Status", "SystemRefusal",
    "UserError", "__version__", "check", "compare", "generate", "hessian_product", "jacobian", "load",
    "make_optimum", "make_problem", "perturb", "refine", "run", "save", "select", "solve", "to_fixed",
    "to_observations",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    module = next((module for module, names in _HOMES.items() if name in names.split()), None)
    if module is None:
        raise AttributeError(f"module 'ba' has no attribute {name!r}; it has {', '.join(__all__)}")
    with uncollected():
        value = globals()[name] = getattr(import_module(f"ba.{module}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """A package whose public names stay what they are when a module of the same name (`ba.check`) is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
