"""What every section of a configuration is made of: a strict model, types of values, and marks of what a value names.

A section is a class of fields, each with its default, range and help; it stands in the room of what it configures
(`ba.solve.options`). Marks say what `ba.config.reading` has to look after once the types are right: a name that stands
in a registry, a file to be read, a folder to be written.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict
from pydantic.fields import FieldInfo

from ba.config.yamltext import Key

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
AnyPath = Annotated[Path, Strict(False)]
Selection = Literal["none", "all"] | list[Annotated[int, Field(ge=0)]]


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

    @classmethod
    def has(cls, key: Sequence[str]) -> bool:
        """Whether each name of a key is a field of the section that the name before it stands for."""
        field = cls.model_fields.get(key[0])
        if field is None or len(key) == 1:
            return field is not None
        inner = field.annotation
        return isinstance(inner, type) and issubclass(inner, Section) and inner.has(key[1:])


def registered(default: Any, registry: str, help: str, *, words: tuple[str, ...] = (), what: str = "") -> Any:
    """A field whose value names an entry of a registry, `module:DICT`; so does each item of a list or key of a mapping.

    words: texts that may stand in place of a name; what: what messages call the name, `help` if not given.
    """
    extra: dict[str, Any] = {"registry": registry, "words": list(words), "what": what or help}
    return Field(default, description=help, json_schema_extra=extra)


def input_file(help: str, *, or_folder: bool = False) -> Any:
    """A field for the path of a file that must exist, relative to the configuration that gives the path; or None."""
    return Field(None, description=help, json_schema_extra={"path": "input", "folder": or_folder})


def output_folder(help: str) -> Any:
    """A field for the path of a folder that is made, relative to the working folder; or None."""
    return Field(None, description=help, json_schema_extra={"path": "output"})


def marks(field: FieldInfo) -> dict[str, Any]:
    """What the functions above have noted on a field."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def refuse(faults: Iterable[tuple[bool, str]]) -> None:
    """Raise ValueError with the first message whose condition holds. A message begins with the full key and a colon."""
    for wrong, message in faults:
        if wrong:
            raise ValueError(message)
