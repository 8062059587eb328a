"""What `scripts/bench race` compares: one file a contender. What they share stands in `scripts.benchmarks.contest`.

To add a contender: write one file with `solve(problem, task) -> Outcome` and add one line to `CONTENDERS`. Its module
is imported in its own process only, so that no contender pays for another's packages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """The module that solves, what it is told beside the problem and the task, the packages whose versions count.

    front_only: it has no residual for a point behind its camera.
    """

    module: str
    packages: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False
    front_only: bool = False


CONTENDERS: dict[str, Contender] = {
    "ba-schur": Contender("ours", ("ba", "numba", "numpy", "scipy"), {"backend": "schur"}),
    "ba-scipy": Contender("ours", ("ba", "numba", "numpy", "scipy"), {"backend": "scipy"}),
    "ceres": Contender("ceres", ("pycolmap", "pyceres")),
    "ceres-native": Contender("native", ()),
    "gtsam": Contender("gtsam", ("gtsam",), front_only=True),
    "cookbook": Contender("cookbook", ("numpy", "scipy"), slow=True),
}
NATIVE = "ceres-native"
"""Takes part where `--ceres-binary` names a program."""
CERES_SOLVERS = ("auto", "dense_schur", "sparse_schur", "iterative_schur", "iterative_schur_explicit")
