"""YAML text to plain data with the line of every key, and back.

Built on PyYAML's composed nodes, not on `yaml.load`: nodes carry lines, and a repeated key can be refused. They are
composed in Python of libyaml's events, for deep nesting overflows the stack of the composer that is written in C. Plain
scalars follow the core schema of YAML 1.2 (section 10.3.2): `1e-8` is a number, `no` and `2024-01-31` are text.
Anchors, aliases and tags have no use in a configuration and are refused.
"""

import re
from typing import Any

import yaml
from yaml.composer import Composer, ComposerError

from ba.errors import UserError

Key = tuple[str | int, ...]

MAX_DEPTH = 32
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# 99 digits are more than any range allows, and keep int() below its own limit; longer numbers are read as floats.
INTEGER = re.compile(r"[-+]?[0-9]{1,99}")
PREFIXED = re.compile(r"0o[0-7]{1,99}|0x[0-9a-fA-F]{1,99}")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse(text: str, name: str) -> tuple[Any, dict[Key, int]]:
    """The data of one YAML document, and the line (from 1) of every key path in it; (None, {}) for an empty text.

    `name` is what a message calls the text. Raises UserError with line and column where it is not valid YAML.
    """
    encoded = text.encode(errors="surrogatepass")  # which is no UTF-8, and refused as such below
    lines: dict[Key, int] = {}
    try:
        loader = _Loader(encoded, name)
        node = loader.get_single_node()
        return None if node is None else loader.value(node, (), lines), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark and isinstance(error, ComposerError):
            second = "a second document begins; one document is right, without `---` lines"
            raise UserError(f"{name}, line {mark.line + 1}: {second}") from error
        place = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        right = "check brackets, quotes and the indentation by spaces"
        raise UserError(f"{place}: not valid YAML, {error.problem}; {right}") from error
    except yaml.reader.ReaderError as error:
        line = encoded.count(b"\n", 0, error.position) + 1
        raise UserError(f"{name}, line {line}: not valid YAML, {error.reason}; plain text is right") from error


def plain(text: str) -> Any:
    """What an unquoted scalar stands for."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if PREFIXED.fullmatch(text):
        return int(text, 0)
    if DECIMAL.fullmatch(text):
        return float(text)
    if SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Loader(Composer, yaml.CSafeLoader):
    """Composes nodes of libyaml's events, and refuses on the way what a configuration has no use for."""

    def __init__(self, text: bytes, name: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
        self.name, self.depth = name, 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise self.fault(event, f"the anchor or alias {event.anchor!r} is not supported; write the value out")
        if event.tag:
            raise self.fault(event, f"the tag {event.tag!r} is not supported; write the plain value")
        if self.depth > MAX_DEPTH:
            raise self.fault(event, "nested too deeply; no section lies deeper than two others")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def fault(self, at: Any, message: str) -> UserError:
        return UserError(f"{self.name}, line {_line(at)}: {message}")

    def value(self, node: yaml.Node, key: Key, lines: dict[Key, int]) -> Any:
        """What a node stands for; puts the line of every key in it into `lines`."""
        lines.setdefault(key, _line(node))
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else plain(node.value)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*key, i), lines) for i, item in enumerate(node.value)]
        mapping: dict[str, Any] = {}
        for name, inner in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self.fault(name, "a list, section or alias stands where the name of a key is expected")
            at = (*key, name.value)
            if name.value in mapping:
                raise self.fault(name, f"{dotted(at)}: given twice, first in line {lines[at]}; delete one of the two")
            lines[at] = _line(name)
            mapping[name.value] = self.value(inner, at, lines)
        return mapping


def _line(at: Any) -> int:
    return int(at.start_mark.line) + 1


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
