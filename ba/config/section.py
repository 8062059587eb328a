"""What every section of a configuration is made of: a strict model, types of values, and marks of what a value names.

A section is a class of fields, each with its default, range and help; it stands beside what it configures
(`ba.solve.options`). Marks in a field's metadata say what `ba.config.reading` checks once the types are right: that a
name stands in a registry, that a file to be read exists, where relative paths start.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from ba.config.yamltext import Key

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
AnyPath = Annotated[Path, Strict(False)]
Selection = Literal["none", "all"] | list[Annotated[int, Field(ge=0)]]

DOTTED: JsonDict = {"keys": "dotted"}
"""`json_schema_extra` of a field that is a mapping whose keys are dotted themselves: an override's rest is one key."""


class Section(BaseModel):
    """Unknown keys and wrong types are errors, and nothing changes after it is made."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    EXAMPLE: ClassVar[str] = "KEY=VALUE"
    """An override that a whole configuration of this kind takes, for messages."""

    def fields(self, key: Key = ()) -> Iterator[tuple[Key, FieldInfo, Any]]:
        """Every key that is no section, with its field and its value; those of inner sections too."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                yield from value.fields((*key, name))
            else:
                yield (*key, name), field, value


@dataclass(frozen=True)
class Registered:
    """The value is a name in `registry`, and so is each item of a list and each key of a mapping.

    what: what messages call the name; words: texts that may stand in place of a name.
    """

    registry: Collection[str]
    what: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class PathMark:
    """The value is a path: of a file that must exist if `is_input`, of a folder that is made otherwise.

    or_folder: the input may also be a folder.
    """

    is_input: bool
    or_folder: bool = False


def registered(
    default: Any, registry: Collection[str], help: str, *, words: tuple[str, ...] = (), what: str = ""
) -> Any:
    """A field whose value names entries of a registry, as `Registered` says; `what` is `help` if not given."""
    return _marked(Field(default, description=help), Registered(registry, what or help, words))


def input_file(help: str, *, or_folder: bool = False) -> Any:
    """A field for the path of an existing file, relative to the configuration that gives the path; or None."""
    return _marked(Field(None, description=help), PathMark(is_input=True, or_folder=or_folder))


def output_folder(help: str) -> Any:
    """A field for the path of a folder that is made, relative to the working folder; or None."""
    return _marked(Field(None, description=help), PathMark(is_input=False))


def _marked(field: Any, mark: object) -> Any:
    field.metadata.append(mark)
    return field
