"""Reading, checking and writing configuration files of any kind: a run's, a comparison's, a rotation alignment's.

A kind is a model, a `Section` of sections; nothing here knows which. Every mistake ends as one UserError that tells
where it stands (file and line, or the `--set`), the full key, what is wrong, and what would be right. The last comes
from `ba.config.schema`; names are looked up in the registry that their field names.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ba.config import schema
from ba.config.schema import value_at
from ba.config.section import DOTTED, PathMark, Registered, Section
from ba.config.source import Location, Locations, fault, location_of, read
from ba.config.yamltext import Key, dotted, parse, write
from ba.errors import UserError
from ba.system.reading import existing_file
from ba.system.words import shown, unknown

Model = TypeVar("Model", bound=Section)


def load(model: type[Model], path: Path | str, overrides: Sequence[str] = ()) -> Model:
    """The configuration in a YAML file, after the overrides `a.b=VALUE` (VALUE is YAML).

    Input files are relative to the file, or to the working folder where an override names them; output folders are
    relative to the working folder. All are absolute in the result. Raises UserError for whatever is wrong.
    """
    data, locations = read(path)
    if "kind" in data and "kind" not in model.model_fields:
        message = f"{shown(data['kind'])} is for `ba run`; here a bundle adjustment is expected"
        raise fault(locations, ("kind",), message)
    return checked(model, data, locations, overrides)


def from_python(model: type[Model], values: Mapping[str, Any], place: str, overrides: Sequence[str] = ()) -> Model:
    """The configuration of a dictionary, which may hold sections, paths and numpy's numbers; otherwise as `load`.

    place: what messages begin with. Relative paths start at the working folder.
    """
    try:
        data = json.loads(json.dumps(dict(values), default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{place}: {error}; text, numbers, lists and dictionaries are right") from None
    return checked(model, data, {(): Location(place, Path.cwd())}, overrides)


def _plain(value: Any) -> Any:
    """What JSON has for a value that it does not know."""
    if isinstance(value, Section):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__} found")


def checked(model: type[Model], data: dict[str, Any], locations: Locations, overrides: Sequence[str] = ()) -> Model:
    """The configuration that the data of a file say, after the overrides.

    locations: where each key stands, for the UserError that is raised for whatever is wrong.
    """
    for text in overrides:
        override(model, data, locations, text)
    config = validated(model, data, locations)
    for key, message in _name_faults(config):
        raise fault(locations, key, message)
    config = _absolute(config, locations)
    for key, field, path in config.fields():
        for mark in field.metadata:
            is_input = isinstance(mark, PathMark) and mark.is_input and path is not None
            if is_input and not (mark.or_folder and os.path.isdir(path)):
                try:
                    existing_file(path)
                except UserError as error:
                    raise fault(locations, key, str(error)) from error
    return config


def validated(model: type[Model], data: dict[str, Any], locations: Locations) -> Model:
    """The model that the data of a file stand for. Raises UserError where they are no such model."""
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise _explained(error, data, locations, model) from error


def check_names(config: Section) -> None:
    """Raise UserError where a name is not in its registry."""
    for key, message in _name_faults(config):
        raise UserError(f"{dotted(key)}: {message}")


def dump(config: Section) -> str:
    """The configuration as YAML, every default spelled out and paths absolute; what `load` gave, it gives again."""
    return write(_absolute(config, {(): Location("", Path.cwd())}).model_dump(mode="json"))


def override(model: type[Section], data: dict[str, Any], locations: Locations, text: str) -> None:
    """Put `a.b=VALUE` into the data of a model's file, with the sections that it needs; `validated` refuses others."""
    name, equals, value = text.partition("=")
    place = f"--set {text}"
    names = name.strip().split(".")
    if not equals or not all(names):
        raise UserError(f"{place}: not KEY=VALUE, as in --set {model.EXAMPLE}")
    field = model.model_fields.get(names[0])
    keys_are_dotted = field is not None and field.json_schema_extra == DOTTED
    key = (names[0], ".".join(names[1:])) if keys_are_dotted and names[1:] else tuple(names)
    for depth, part in enumerate(key[:-1], 1):
        if not isinstance(data.get(part), dict):
            data[part] = {}
            locations[key[:depth]] = Location(place, Path.cwd())
        data = data[part]
    data[key[-1]] = parse(value, place)[0]
    for replaced in [other for other in locations if other[: len(key)] == key]:
        del locations[replaced]
    locations[key] = Location(place, Path.cwd())


def _explained(error: ValidationError, data: Any, locations: Locations, model: type[Section]) -> UserError:
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
        return UserError(f"{location_of(locations, tuple(message.split(':')[0].split('.'))).name}: {message}{others}")
    if worst["type"] == "extra_forbidden":
        return UserError(f"{location_of(locations, key).name}: {schema.unknown(key, model)}{others}")
    absent = isinstance(inside := value_at(data, key[:-1]), dict) and key[-1] not in inside
    found = "missing" if absent else f"{shown(value_at(data, key))} found"
    right = schema.at(key, model) or schema.root(model)
    help_text = f" ({right['description']})" if "description" in right else ""
    return fault(locations, key, f"{found}, {schema.expected(right)} expected{help_text}{others}")


def _key_of(fault: Any, data: Any) -> Key:
    """pydantic's location of a fault, without the names that it gives to the branches of a union."""
    key: Key = ()
    for part in fault["loc"]:
        keys = range(len(data)) if isinstance(data, list) and isinstance(part, int) else data
        if isinstance(keys, dict | range) and part in keys:
            key, data = (*key, part), data[part]
        elif fault["type"] == "missing" and isinstance(data, dict):
            key = (*key, part)
    return key


def _name_faults(config: Section) -> Iterator[tuple[Key, str]]:
    """Keys whose value is a name that does not exist, with what to say of it."""
    for key, field, value in config.fields():
        for mark in field.metadata:
            if isinstance(mark, Registered) and value is not None and value not in mark.words:
                for inner, name in _names_in(value).items():
                    if message := unknown(name, mark.registry, mark.what):
                        yield (*key, *inner), message


def _names_in(value: Any) -> dict[Key, str]:
    """Each name in a value, by its key below that of the value: a name, a list of names, or a mapping by name."""
    if isinstance(value, str):
        return {(): value}
    keys = range(len(value)) if isinstance(value, list) else value
    return {(key,): name for key, name in zip(keys, value, strict=True)}


def _absolute(config: Model, locations: Locations, key: Key = ()) -> Model:
    """The same with absolute paths: of input relative to where each stands, of output to the working folder."""
    update: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Section):
            update[name] = _absolute(value, locations, (*key, name))
        for mark in field.metadata if value is not None else ():
            if isinstance(mark, PathMark):
                folder = location_of(locations, (*key, name)).folder if mark.is_input else Path.cwd()
                with suppress(RuntimeError):  # no such user, so the name is meant as it is
                    value = value.expanduser()
                path = folder / value
                # The folder is resolved and the name kept: the target of a link may have another suffix.
                update[name] = path.parent.resolve() / path.name
    return config.model_copy(update=update)
