"""Machines with so much memory left, and what a run that does not fit is told."""

from pathlib import Path

import pytest

from ba.analyse import memory
from ba.errors import UserError
from ba.io.options import Data, Scene
from ba.model.problem import Problem
from ba.options import Config
from ba.prepare.conditioning import condition
from ba.solve.options import Solver


def machine(root: Path, available_kb: int = 1 << 40) -> Path:
    """A root whose machine has so much memory left."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: {1 << 40} kB\nMemFree: 7 kB\nMemAvailable: {available_kb} kB\n")
    return root


def refusal(problem: Problem, config: Config, root: Path) -> str:
    with pytest.raises(UserError) as raised:
        memory.check(problem, config, root)
    return str(raised.value)


def config(**solver: object) -> Config:
    return Config(data=Data(scene=Scene(kind="street", images=60, points=20_000)), solver=Solver(**solver))


def growth(problem: Problem, way: str) -> int:
    parts = memory.forecast(memory.measured(condition(problem).problem, 3), Solver(**memory.WAYS[way]))
    return memory.KERNELS + sum(size for name, size in parts.items() if name not in memory.STANDING)
