"""Bundle adjustment: refine poses, intrinsics and points from what photographs show.

    problem = ba.load("scene.txt")
    solution = ba.solve(problem)
    result = ba.run("config.yaml")
    findings = ba.compare("comparison.yaml")

Names are imported when first used: `import ba` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ba.errors import SolverError, UserError

if TYPE_CHECKING:
    from ba.comparison import compare
    from ba.config import Config
    from ba.derivatives import jacobian
    from ba.io import load
    from ba.pipeline import run
    from ba.problem import Problem
    from ba.result import Solution
    from ba.solver import solve

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Problem",
    "Solution",
    "SolverError",
    "UserError",
    "__version__",
    "compare",
    "jacobian",
    "load",
    "run",
    "solve",
]

_HOMES = {
    "Config": "ba.config",
    "Problem": "ba.problem",
    "Solution": "ba.result",
    "compare": "ba.comparison",
    "jacobian": "ba.derivatives",
    "load": "ba.io",
    "run": "ba.pipeline",
    "solve": "ba.solver",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ba' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
