"""`ba check`: are the data sound, are the derivatives right, and what will a step take.

data         the tests of the data, one a line
statistics   what they read, computed once
derivatives  the analytic Jacobian against every way of `ba.analyse.derivatives`, with what each costs
subproblem   connected cuts, for what takes too long on the whole problem
picture      the pattern of the Jacobian
report       the words and the table

Memory is forecast by `ba.analyse.memory`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ba.analyse import memory
from ba.check.data import DATA_TESTS, Finding
from ba.check.derivatives import Derivatives, check_derivatives
from ba.check.picture import draw_pattern
from ba.check.report import data_lines, derivative_lines, memory_lines
from ba.check.statistics import DataStatistics
from ba.check.subproblem import Subproblem
from ba.config import reading
from ba.io.options import Data
from ba.model.rotation import ROTATIONS
from ba.options import Config, load
from ba.pipeline import load_start
from ba.prepare.conditioning import condition
from ba.system.files import write_bytes
from ba.system.reading import reported
from ba.system.words import counted

CONFIGURATIONS = (".yaml", ".yml")


@dataclass(frozen=True, eq=False)
class Check:
    """What was found.

    memory: bytes at the peak of a run by way to solve (`ba.analyse.memory.WAYS`); text: all of it in words; failures:
    derivatives that are wrong, each in one line.
    """

    findings: dict[str, Finding]
    memory: dict[str, int]
    derivatives: Derivatives | None
    text: str

    @property
    def failures(self) -> list[str]:
        return self.derivatives.failures if self.derivatives else []

    def write(self, folder: Path) -> None:
        """check.txt, and the pattern of the cut's Jacobian as pattern.png."""
        with reported(folder, "made"):
            folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / "check.txt", f"{self.text}\n".encode())
        if self.derivatives:
            draw_pattern(self.derivatives.pattern, self.derivatives.kinds, folder / "pattern.png")


def check(source: Config | Path | str, seed: int = 0, states: int = 1) -> Check:
    """Check a configuration (a Config or a YAML file) or a data file.

    seed, states: of the random states at which derivatives are compared, beside the start. Raises UserError for what
    the user can mend.
    """
    if isinstance(source, Config):
        config, title = source, "data"
    else:
        path, title = Path(source), f"data: {source}"
        config = load(path) if path.suffix in CONFIGURATIONS else Config(data=Data(path=path))
    reading.check_names(config)
    _, start = load_start(config)
    rotation = ROTATIONS[config.rotation]
    statistics = DataStatistics(start, rotation, config.solver.threads)
    findings = {name: test(statistics) for name, test in DATA_TESTS.items()}
    lines = [title, *data_lines(findings)]
    if not start.num_observations:
        return Check(findings, {}, None, "\n".join(lines))
    conditioned = condition(start)
    sizes = memory.measured(conditioned.problem, rotation.tangent_dim)
    parts, ways = memory.forecast(sizes, config.solver), memory.ways(sizes, config.solver)
    lines += ["", "memory of a run", *memory_lines(parts, ways, memory.chosen(sizes, config.solver))]
    images, cameras = np.arange(start.num_images), np.arange(start.num_cameras)
    subproblem = Subproblem(conditioned.problem, images, cameras, conditioned.points)
    derivatives = check_derivatives(subproblem, rotation, seed, states)
    random = f", and at {counted(states, 'random state')} (seed {seed})" if states else ""
    lines += ["", f"derivatives with `{rotation.name}`, at the start{random}", *derivative_lines(derivatives)]
    return Check(findings, ways, derivatives, "\n".join(lines))


__all__ = ["Check", "check"]
