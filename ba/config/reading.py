"""Reading, checking and writing configuration files.

Every mistake ends as one UserError that tells where it stands (file and line, or the `--set`), the full key, what is
wrong, and what would be right. The last comes from `ba.config.schema`; names are looked up in the registry their field
names.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ba.config import schema, source
from ba.config.keys import Config
from ba.config.schema import value_at
from ba.config.yamltext import Key, dotted, parse, write
from ba.errors import UserError
from ba.system.reading import existing_file
from ba.system.words import shown, unknown

Places = dict[Key, str]
Model = TypeVar("Model", bound=BaseModel)

SHORTEST = "data: {path: FILE}"
KINDS = {"rotation_alignment": "ba.studies.rotation_alignment.run"}
"""Problems other than bundle adjustment, by the top-level `kind` of their file, and the module that runs them."""


def load(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a YAML file, after the overrides `a.b=VALUE` (VALUE is YAML).

    `data.path` is relative to the file, or to the working folder where an override sets it; `output.dir` is relative
    to the working folder. Both are absolute in the result. Raises UserError for whatever is wrong.
    """
    data, places = read(path)
    if "kind" in data:
        raise fault(places, ("kind",), f"{shown(data['kind'])} is for `ba run`; here a bundle adjustment is expected")
    return overridden(data, places, source.folder_of(path), overrides)


def from_python(
    values: Mapping[str, Any], place: str, overrides: Sequence[str] = (), folder: Path | None = None
) -> Config:
    """The configuration of a dictionary, which may hold sections of `ba.config.keys`, paths and numpy's numbers.

    place: what messages begin with; folder: where a relative `data.path` starts, the working folder if not given.
    """
    try:
        data = json.loads(json.dumps(dict(values), default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: {error}; text, numbers, lists and dictionaries are right") from None
    return overridden(data, {(): place}, folder or Path.cwd(), overrides)


def overridden(data: dict[str, Any], places: Places, folder: Path, overrides: Sequence[str]) -> Config:
    """The configuration that the data of a file say after `overrides`; `data.path` as in `load`."""
    keys = {override(data, places, text) for text in overrides}
    return checked(data, places, Path.cwd() if keys & {("data",), ("data", "path")} else folder)


def _plain(value: Any) -> Any:
    """What JSON has for a value that it does not know."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__} found")


def checked(data: dict[str, Any], places: Places, folder: Path) -> Config:
    """The configuration that the data of a file say, `data.path` relative to `folder`.

    places: where each key stands, for the UserError that is raised for whatever is wrong.
    """
    config = validated(Config, data, places)
    for key, message in _name_faults(config):
        raise fault(places, key, message)
    config = _absolute(config, folder)
    _check_data_exists(config, places)
    return config


def validated(model: type[Model], data: dict[str, Any], places: Places) -> Model:
    """The model that the data of a file stand for. Raises UserError where they are no such model."""
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _explained(error, data, places, model) from error


def module_of(path: Path) -> str | None:
    """The module in KINDS that runs a file, None for a bundle adjustment. Raises UserError for an unknown kind."""
    data, places = read(path)
    if "kind" not in data:
        return None
    kind = data["kind"]
    if not isinstance(kind, str):
        right = f"{' or '.join(KINDS)} is right, or no `kind` for a bundle adjustment"
        raise fault(places, ("kind",), f"{shown(kind)} is not known; {right}")
    for _, message in _unless_known(("kind",), kind, list(KINDS), "leave it out for a bundle adjustment"):
        raise fault(places, ("kind",), message)
    return KINDS[kind]


def check_names(config: Config) -> None:
    """Raise UserError where a name is not in its registry, or is no parameter of any camera model."""
    for key, message in _name_faults(config):
        raise UserError(f"{dotted(key)}: {message}")


def dump(config: Config) -> str:
    """The configuration as YAML, every default spelled out and paths absolute; what `load` gave, it gives again."""
    return write(_absolute(config, Path.cwd()).model_dump(mode="json"))


def read(path: Path | str) -> tuple[dict[str, Any], Places]:
    """The data of a file or of standard input (`-`), and the place of every key in it. Raises UserError where it is no
    YAML of keys."""
    path, name = Path(path), source.name_of(path)
    try:
        data, lines = parse(source.text_of(path), name)
        if data is None:
            raise UserError(f"{name}: no key is given; the shortest configuration is `{SHORTEST}`")
        if not isinstance(data, dict):
            raise UserError(f"{name}: {shown(data)} found, lines `key: value` expected, at least `{SHORTEST}`")
    except UserError as error:
        if path.suffix in (".yaml", ".yml") or not path.is_file():
            raise
        hint = f"a .yaml file with only `data: {{path: {path.name}}}` is a complete configuration"
        raise UserError(f"{error}; if this is a data file: {hint}") from error
    return data, {(): name} | {key: f"{name}, line {line}" for key, line in lines.items() if key}


def override(data: dict[str, Any], places: Places, text: str, model: type[BaseModel] = Config) -> Key:
    """Put `a.b=VALUE` into the data of a model's file, with the sections that it needs; returns its key."""
    name, equals, value = text.partition("=")
    place = f"--set {text}"
    names = name.strip().split(".")
    if not equals or not all(names):
        raise UserError(f"{place}: not KEY=VALUE, as in --set solver.max_iterations=20")
    for length in range(1, len(names) + 1):
        if schema.at(tuple(names[:length]), model) is None:
            raise UserError(f"{place}: {schema.unknown(tuple(names[:length]), model)}")
    key: Key = tuple(names)
    put(data, places, key, parse(value, place)[0], place)
    return key


def put(data: dict[str, Any], places: Places, key: Key, value: Any, place: str) -> None:
    """Put a value at a key of a file's data, with the sections that it needs."""
    for part in key[:-1]:
        if not isinstance(data.get(str(part)), dict):
            data[str(part)] = {}
        data = data[str(part)]
    data[str(key[-1])] = value
    for replaced in [known for known in places if known[: len(key)] == key]:
        del places[replaced]
    places[key] = place


def _explained(error: ValidationError, data: Any, places: Places, model: type[BaseModel]) -> UserError:
    """The first of pydantic's errors in our words, with the number of the others."""
    faults = {_key_of(one, data): one for one in reversed(error.errors())}
    # Each branch of a union reports; the branch that got deepest into the value is the one that was meant.
    around = {key[:length] for key in faults for length in range(len(key))}
    deepest = [key for key in faults if key not in around]
    key = deepest[-1]
    worst = faults[key]
    others = f" (and {len(deepest) - 1} more)" if len(deepest) > 1 else ""
    if worst["type"] == "value_error":
        message = str(worst["ctx"]["error"])
        return UserError(f"{place_of(places, tuple(message.split(':')[0].split('.')))}: {message}{others}")
    if worst["type"] == "extra_forbidden":
        return UserError(f"{place_of(places, key)}: {schema.unknown(key, model)}{others}")
    absent = isinstance(inside := value_at(data, key[:-1]), dict) and key[-1] not in inside
    found = "missing" if absent else f"{shown(value_at(data, key))} found"
    right = schema.at(key, model) or schema.root(model)
    help_text = f" ({right['description']})" if "description" in right else ""
    return fault(places, key, f"{found}, {schema.expected(right)} expected{help_text}{others}")


def _key_of(fault: Any, data: Any) -> Key:
    """pydantic's location without the names it gives to the branches of a union."""
    key: Key = ()
    for part in fault["loc"]:
        here = range(len(data)) if isinstance(data, list) and isinstance(part, int) else data
        if isinstance(here, dict | range) and part in here:
            key, data = (*key, part), data[part]
        elif fault["type"] == "missing" and isinstance(data, dict):
            key = (*key, part)
    return key


def fault(places: Places, key: Key, message: str) -> UserError:
    """What to raise for a key, with its place."""
    return UserError(f"{place_of(places, key)}: {dotted(key)}: {message}")


def place_of(places: Places, key: Key) -> str:
    """File and line, or the override, of a key or of the nearest section around it."""
    while key not in places:
        key = key[:-1]
    return places[key]


def _name_faults(config: Config) -> Iterator[tuple[Key, str]]:
    """Keys whose value is a name that does not exist, with what to say of it."""
    values = config.model_dump()
    for key, field in schema.walk(schema.root()):
        name = value_at(values, key)
        if "registry" in field and name is not None:
            yield from _unless_known(key, name, list(_registry(field["registry"])), field["description"])
    parameters = sorted({name for model in _registry("ba.model.camera:CAMERAS").values() for name in model.parameters})
    refined = [] if isinstance(config.camera.refine, str) else config.camera.refine
    for i, name in enumerate(refined):
        yield from _unless_known(("camera", "refine", i), name, parameters, "parameter of a camera model")
    for name in config.camera.bounds:
        yield from _unless_known(("camera", "bounds", name), name, parameters, "parameter of a camera model")


def _registry(reference: str) -> dict[str, Any]:
    module, _, name = reference.partition(":")
    return dict(getattr(import_module(module), name))


def _unless_known(key: Key, name: str, names: list[str], what: str) -> Iterator[tuple[Key, str]]:
    if message := unknown(name, names, what):
        yield key, message


def _absolute(config: Config, data_folder: Path) -> Config:
    data = config.data.model_copy(update={"path": _joined(data_folder, config.data.path)})
    output = config.output.model_copy(update={"dir": _joined(Path.cwd(), config.output.dir)})
    return config.model_copy(update={"data": data, "output": output})


def _joined(folder: Path, path: Path | None) -> Path | None:
    if path is None:
        return None
    with suppress(RuntimeError):  # no such user, so the name is meant as it is
        path = path.expanduser()
    path = folder / path
    # The folder is resolved and the name kept: the target of a link may have another suffix.
    return path.parent.resolve() / path.name


def _check_data_exists(config: Config, places: Places) -> None:
    if config.data.path is None or os.path.isdir(config.data.path):
        return
    try:
        existing_file(config.data.path)
    except UserError as error:
        raise fault(places, ("data", "path"), str(error)) from error
