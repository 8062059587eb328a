"""The YAML schema of a comparison, and its reading.

    base       what every run has: any keys of a run's configuration but data, seed and output
    datasets   a name each, with data and whatever else belongs to it, such as noise in its own world units
    vary       keys of a run, dotted, each with the values to compare; all combinations are run
    seeds      seeds of the start noise
    stop       the one rule by which all of them stop

A run's configuration is base, then its dataset, then the varied keys, and is checked as any other, so that a mistake is
told with the line in which it stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ba.config import reading, schema
from ba.config.section import DOTTED, NonNegative, Section, Seed
from ba.config.source import Locations, fault, location_of, name_of, read
from ba.config.yamltext import Key
from ba.errors import UserError
from ba.io import is_data
from ba.options import Config


class Stop(Section):
    """There is no xtol and no gtol: what they mean depends on the numbers in which rotations are written."""

    max_iterations: int = Field(100, ge=1, description="accepted steps at most")
    ftol: NonNegative = Field(1e-12, description="stop when a step lowers the cost by less than this share")


class Comparison(Section):
    EXAMPLE: ClassVar[str] = "seeds=[0,1]"

    base: dict[str, Any] = Field(default_factory=dict, description="what every run has")
    datasets: dict[str, dict[str, Any]] = Field(min_length=1, description="by name: data, and other keys of a run")
    vary: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        min_length=1, description="by key of a run: the values to compare", json_schema_extra=DOTTED
    )
    seeds: list[Seed] = Field([0], min_length=1, description="seeds of the start noise")
    stop: Stop = Field(default_factory=Stop, description="the rule by which every run stops")


@dataclass(frozen=True)
class Source:
    """A comparison, and where each of its keys stands."""

    comparison: Comparison
    locations: Locations
    name: str


SAME_RULE = "all runs stop by the same rule, "
NOT_ITS_OWN = {
    "data": "datasets.NAME.data is right",
    "seed": "seeds is right",
    "output": "--out names the folder of a comparison",
    **{f"solver.{name}": f"{SAME_RULE}stop.max_iterations" for name in ("max_iterations", "max_seconds")},
    **{f"solver.{name}": f"{SAME_RULE}stop.ftol" for name in ("ftol", "xtol", "gtol")},
}
"""Keys of a run that a comparison sets itself, and what to say of them."""


def load(path: Path | str, overrides: Sequence[str] = ()) -> Source:
    """The comparison in a YAML file, after the overrides `a.b=VALUE`. Raises UserError for whatever is wrong."""
    path = Path(path)
    if is_data(path):
        raise UserError(
            f"{path}: is a data file, a comparison is expected, a YAML file as configs/compare-rotations.yaml, with "
            f"`datasets: {{NAME: {{data: {{path: {path.name}}}}}}}`; `ba run {path}` solves the data once"
        )
    data, locations = read(path)
    for text in overrides:
        reading.override(Comparison, data, locations, text)
    comparison = reading.validated(Comparison, data, locations)
    source = Source(comparison, locations, Path(name_of(path)).stem.replace(" ", "-"))
    _check_keys(source)
    return source


def run_config(source: Source, dataset: str, varied: dict[str, Any], seed: int) -> Config:
    """The configuration of one run, checked. `varied`: the value of each varied key."""
    comparison = source.comparison
    data: dict[str, Any] = {}
    locations: Locations = {(): source.locations[()]}
    for values, prefix in ((comparison.base, ("base",)), (comparison.datasets[dataset], ("datasets", dataset))):
        data, n = merged(data, values), len(prefix)
        locations |= {key[n:]: place for key, place in source.locations.items() if key[:n] == prefix}
    for axis, value in varied.items():
        data = merged(data, nested(axis, value))
        locations[tuple(axis.split("."))] = location_of(source.locations, ("vary", axis))
    stop = comparison.stop.model_dump() | {"xtol": 0.0, "gtol": 0.0}
    data = merged(data, {"seed": seed, "solver": stop, "output": {"picture": False, "report": False}})
    return reading.checked(Config, data, locations)


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Sections joined key by key; where both have a value, the second's."""
    sections = {key for key in first if isinstance(first[key], dict) and isinstance(second.get(key), dict)}
    return first | second | {key: merged(first[key], second[key]) for key in sections}


def nested(axis: str, value: Any) -> dict[str, Any]:
    """`a.b` and a value as {a: {b: value}}."""
    for part in reversed(axis.split(".")):
        value = {part: value}
    return dict(value)


def _check_keys(source: Source) -> None:
    """Raise UserError for varied keys that do not exist, values given twice, and what a comparison sets itself."""
    comparison = source.comparison
    for axis, values in comparison.vary.items():
        key: Key = tuple(axis.split("."))
        if schema.at(key, Config) is None:
            raise fault(source.locations, ("vary", axis), schema.unknown(key, Config))
        for i, value in enumerate(values):
            if value in values[:i]:
                raise fault(source.locations, ("vary", axis, i), f"{value} is given twice; delete one of the two")
            _refuse(source, ("vary", axis, i), nested(axis, value))
    _refuse(source, ("base",), comparison.base)
    for name, section in comparison.datasets.items():
        _refuse(source, ("datasets", name), {key: value for key, value in section.items() if key != "data"})


def _refuse(source: Source, section: Key, values: dict[str, Any]) -> None:
    """Raise UserError where a section sets what a comparison sets itself."""
    for own, right in NOT_ITS_OWN.items():
        parent, _, name = own.rpartition(".")
        siblings = values.get(parent) if parent else values
        if isinstance(siblings, dict) and name in siblings:
            key = section if section[0] == "vary" else (*section, *own.split("."))
            raise fault(source.locations, key, f"{own} is not to be set here; {right}")
