"""What a comparison runs: starts, and runs from them.

Only what is minimized alike may be ranked: rotations and solvers are ways to the same minimum, so runs that differ in
those are compared. Every other varied key (loss, gauge, camera, fix, noise) changes the cost, what is free, or the
start: each of its values makes a group of its own, named after it.

A start is loaded and perturbed once for each group and seed, and every run of the group gets that very state.
"""

import hashlib
import itertools
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from ba import io
from ba.options import Config
from ba.show.summary import versions
from ba.studies.comparison.config import Source, run_config
from ba.studies.comparison.program import PACKAGE, sources
from ba.system import reading

RANKED = ("rotation", "solver")
"""Keys whose values are ways to the same minimum."""


@dataclass(frozen=True)
class Start:
    """A group and a seed; `config` is of any of its runs, `key` tells it from every other start."""

    group: str
    seed: int
    config: Config
    key: str


@dataclass(frozen=True)
class Run:
    """One run: from where, by what settings (varied key: value in words). `key` tells it from every other run."""

    start: Start
    label: str
    settings: dict[str, str]
    config: Config
    key: str


def make_runs(source: Source) -> list[Run]:
    """All runs, those of a start one after the other. Raises UserError for settings that make no run."""
    comparison = source.comparison
    splitting = _combinations({axis: values for axis, values in comparison.vary.items() if not is_ranked(axis)})
    ranked = _combinations({axis: values for axis, values in comparison.vary.items() if is_ranked(axis)})
    combinations = itertools.product(comparison.datasets, splitting, comparison.seeds, ranked)
    return [_run(source, dataset, group | varied, seed) for dataset, group, seed, varied in combinations]


def _combinations(axes: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def is_ranked(axis: str) -> bool:
    return axis.split(".")[0] in RANKED


def _run(source: Source, dataset: str, varied: dict[str, Any], seed: int) -> Run:
    config = run_config(source, dataset, varied, seed)
    settings = {axis: in_words(value) for axis, value in varied.items()}
    group = [dataset, *(f"{axis} {value}" for axis, value in settings.items() if not is_ranked(axis))]
    label = ", ".join(value for axis, value in settings.items() if is_ranked(axis)) or config.rotation
    start = Start(", ".join(group), seed, config, _start_key(config))
    key = digest([start.key, config.model_dump(mode="json", include={"rotation", "loss", "solver"})])
    return Run(start, label, settings, config, key)


def in_words(value: Any) -> str:
    """A value of a configuration, short: `huber`, `dense`, `rotation_deg 0.1, points 0.02`."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(inner)}" for key, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value)


def _start_key(config: Config) -> str:
    parts = config.model_dump(mode="json", include={"data", "camera", "fix", "gauge", "noise", "seed"})
    path = config.data.path
    return digest([parts, _program(), None if path is None else _file(path, config.data.format)])


def digest(content: Any) -> str:
    """A short digest of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


@cache
def _program() -> str:
    """Digest of what decides how a run ends, so that a kept run is not taken for one of another program."""
    return digest([versions(), {path.relative_to(PACKAGE).as_posix(): reading.sha256(path) for path in sources()}])


_file = cache(io.digest)
