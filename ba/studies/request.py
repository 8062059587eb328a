"""What a user asks to run, whichever way: a YAML file, standard input, a data file, a dictionary or a Config."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ba import io, pipeline
from ba.config import reading, source
from ba.config.source import fault
from ba.errors import UserError
from ba.options import Config, load
from ba.solve.result import Observer, ignore
from ba.system.words import shown, unknown

PLACE = "ba.run"

KINDS = {"rotation_alignment": "ba.studies.rotation_alignment.run"}
"""Problems other than bundle adjustment, by the top-level `kind` of their file, and the module that runs them."""

Request = Config | Mapping[str, Any] | Path | str


def run(
    config: Request,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    observer: Observer = ignore,
    overwrite: bool = False,
) -> Any:
    """Carry out a configuration and write its run folder; returns a `ba.Result`.

    config: a YAML file, `-` for standard input, a data file, which is a configuration with only `data.path`, the keys
    as a dictionary, or a `ba.Config`; overrides: as `--set` takes them, `["solver.max_iterations=5"]`; out: the run
    folder, instead of `output.dir`; observer: called with each accepted step, may return True to stop there; overwrite:
    an earlier run in the folder may be replaced.

    Raises UserError for what the user can mend, before anything is written; SolverError where the solver failed, and
    SystemRefusal where the system would not write something, after writing what there is.
    """
    overrides, folder = _checked(overrides), None if out is None else Path(out)
    if isinstance(config, str | Path) and (module := module_of(config)):
        room = import_module(module)
        return room.run(room.configuration.load(config, overrides), folder, overwrite)
    return pipeline.run(configuration(config, overrides), folder, observer, overwrite)


def configuration(config: Request, overrides: Sequence[str] = ()) -> Config:
    """The configuration that is asked for. Raises UserError in the words of the command line."""
    if isinstance(config, str | Path):
        if not io.is_data(config):
            return load(config, overrides)
        return reading.from_python(Config, {"data": {"path": str(config)}}, str(config), overrides)
    if isinstance(config, Config):
        values = config.model_dump(mode="json", exclude_unset=True)
        return reading.from_python(Config, values, PLACE, overrides) if overrides else config
    if isinstance(config, Mapping):
        return reading.from_python(Config, config, PLACE, overrides)
    raise UserError(f"{PLACE}: {shown(config)} found, the path of a file, a dictionary or a ba.Config expected")


def module_of(path: Path | str) -> str | None:
    """The module in KINDS that runs a file, None for a bundle adjustment. Raises UserError for an unknown kind."""
    if io.is_data(path):
        return None
    data, locations = source.read(path)
    if "kind" not in data:
        return None
    kind = data["kind"]
    if not isinstance(kind, str):
        right = f"{' or '.join(KINDS)} is right, or no `kind` for a bundle adjustment"
        raise fault(locations, ("kind",), f"{shown(kind)} is not known; {right}")
    if message := unknown(kind, KINDS, "leave it out for a bundle adjustment"):
        raise fault(locations, ("kind",), message)
    return KINDS[kind]


def _checked(overrides: Any) -> list[str]:
    if isinstance(overrides, str | Path):
        raise UserError(
            f"{PLACE}: overrides: {shown(str(overrides))} found, a list expected, as in "
            '["solver.max_iterations=5"]; out=DIR names the run folder'
        )
    for text in overrides:
        if not isinstance(text, str):
            raise UserError(f"{PLACE}: overrides: {shown(text)} found, KEY=VALUE as text expected")
    return list(overrides)
