"""YAML text to plain data with the line of every key, and back.

Built on libyaml's events, not on `yaml.load`: events carry lines, a repeated key can be refused, and deep nesting
cannot overflow the C stack. Plain scalars follow the core schema of YAML 1.2 (section 10.3.2): `1e-8` is a number,
`no` and `2024-01-31` are text. Anchors, aliases and tags have no use in a configuration and are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ba.errors import UserError

Key = tuple[str | int, ...]

MAX_DEPTH = 32
NULL = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
BASES = {"0o": 8, "0x": 16}
# 99 digits are more than any range allows, and keep int() below its own limit; longer numbers are read as floats.
INTEGER = re.compile(r"[-+]?[0-9]{1,99}")
PREFIXED = re.compile(r"0o[0-7]{1,99}|0x[0-9a-fA-F]{1,99}")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse(text: str, name: str) -> tuple[Any, dict[Key, int]]:
    """The data of one YAML document, and the line (from 1) of every key path in it; (None, {}) for an empty text.

    `name` is what a message calls the text. Raises UserError with line and column where it is not valid YAML.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name}: not UTF-8 text; save it as UTF-8") from error
    reader = _Reader(name, yaml.parse(encoded, Loader=yaml.CSafeLoader))
    try:
        return reader.document(), reader.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(
            f"{name}{where}: not valid YAML, {error.problem}; check brackets, quotes and the indentation by spaces"
        ) from error
    except yaml.reader.ReaderError as error:
        line = encoded.count(b"\n", 0, error.position) + 1
        raise UserError(f"{name}, line {line}: not valid YAML, {error.reason}; plain text is right") from error


def plain(text: str) -> Any:
    """What an unquoted scalar stands for."""
    if text in NULL:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if PREFIXED.fullmatch(text):
        return int(text[2:], BASES[text[:2]])
    if DECIMAL.fullmatch(text):
        return float(text)
    if SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


@dataclass(frozen=True)
class _Reader:
    name: str
    events: Iterator[Any]
    lines: dict[Key, int] = field(default_factory=dict)

    def document(self) -> Any:
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        data = self._value(next(self.events), ())
        next(self.events)
        extra = next(self.events)
        if not isinstance(extra, yaml.StreamEndEvent):
            raise self._fault(extra, "a second document begins; one document is right, without `---` lines")
        return data

    def _value(self, event: Any, key: Key) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise self._fault(event, f"the anchor or alias {event.anchor!r} is not supported; write the value out")
        if event.tag:
            raise self._fault(event, f"the tag {event.tag!r} is not supported; write the plain value")
        if len(key) > MAX_DEPTH:
            raise self._fault(event, "nested too deeply; no section lies deeper than two others")
        self.lines.setdefault(key, line_of(event))
        if isinstance(event, yaml.ScalarEvent):
            return plain(event.value) if event.implicit[0] else event.value
        return self._sequence(key) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(key)

    def _sequence(self, key: Key) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*key, len(items))))
        return items

    def _mapping(self, key: Key) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._fault(event, "a list, section or alias stands where the name of a key is expected")
            inner = (*key, event.value)
            if event.value in mapping:
                raise self._fault(
                    event, f"{dotted(inner)}: given twice, first in line {self.lines[inner]}; delete one of the two"
                )
            self.lines[inner] = line_of(event)
            mapping[event.value] = self._value(next(self.events), inner)
        return mapping

    def _fault(self, event: Any, message: str) -> UserError:
        return UserError(f"{self.name}, line {line_of(event)}: {message}")


def line_of(event: Any) -> int:
    return int(event.start_mark.line) + 1


def dotted(key: Key) -> str:
    """The key path as messages and `--set` write it: `fix.poses[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")


class _Dumper(yaml.SafeDumper):
    """Lists in one line; text that is not plain, or would not be read as text, in quotes."""

    def _list(self, items: list[Any]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)

    def _text(self, text: str) -> yaml.Node:
        style = None if isinstance(plain(text), str) and text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(list, _Dumper._list)
_Dumper.add_representer(str, _Dumper._text)


def write(data: Any) -> str:
    """Text that `parse` reads back as equal data: None, booleans, numbers, text, lists and mappings with text keys."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
