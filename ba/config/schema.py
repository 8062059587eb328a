"""The schema of a configuration as data: its keys, and what each value must be, in words.

Types, ranges and help are written once, beside the fields; messages and `configs/all-keys.yaml` are made from them. A
run without a mistake needs none of this.
"""

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ba.config.section import Section
from ba.config.yamltext import Key, dotted, write

Schema = dict[str, Any]


@cache
def root(model: type[Section]) -> Schema:
    """The JSON schema of a model with its references replaced."""
    schema = model.model_json_schema()
    return dict(_resolved(schema, schema["$defs"]))


def _resolved(node: Any, definitions: Schema) -> Any:
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]] | {name: node[name] for name in node if name != "$ref"}
    return {name: _resolved(item, definitions) for name, item in node.items() if name != "$defs"}


def walk(schema: Schema, key: Key = ()) -> Iterator[tuple[Key, Schema]]:
    """Every key of a section in order, an inner section before its own keys."""
    for name, inner in schema["properties"].items():
        yield (*key, name), inner
        if section := section_of(inner):
            yield from walk(section, (*key, name))


def section_of(schema: Schema) -> Schema | None:
    """The branch of a value's schema that has keys of its own, if one has."""
    return next((branch for branch in _branches(schema) if "properties" in branch), None)


def at(key: Key, model: type[Section]) -> Schema | None:
    """The schema of one key path, None if there is no such key."""
    schemas = [root(model)]
    for part in key:
        branches = [branch for schema in schemas for branch in _branches(schema)]
        schemas = [inner for branch in branches if (inner := _inside(branch, part)) is not None]
    return schemas[0] if schemas else None


def _branches(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", [schema]))


def _inside(schema: Schema, part: str | int) -> Schema | None:
    if not schema:  # in what may be anything, anything may lie
        return schema
    if isinstance(part, int):
        items = schema.get("prefixItems", [])
        return items[part] if part < len(items) else schema.get("items")
    others = schema.get("additionalProperties")
    return schema.get("properties", {}).get(part) or ({} if others is True else others or None)


def value_at(data: Any, key: Key) -> Any:
    """The value of a key path in nested mappings and lists; None where a section on the way is None."""
    for part in key:
        data = None if data is None else data[part]
    return data


def unknown(key: Key, model: type[Section]) -> str:
    """What to say of a key that the schema lacks: where that name stands, or the closest to it in its section or
    anywhere, or all keys of its section."""
    anywhere = [path for path, _ in walk(root(model))]
    siblings = [path for path in anywhere if path[:-1] == key[:-1]]
    for candidates, cutoff in ((anywhere, 1.0), (siblings, 0.5), (anywhere, 0.8)):
        leaves = {str(path[-1]) for path in candidates}
        closest = difflib.get_close_matches(str(key[-1]), sorted(leaves), n=1, cutoff=cutoff)
        names = [dotted(path) for path in candidates if path[-1] in closest]
        if names:
            return f"{dotted(key)}: no such key; did you mean {' or '.join(names)}?"
    if siblings:
        return f"{dotted(key)}: no such key; the keys here are {', '.join(map(dotted, siblings))}"
    return f"{dotted(key)}: no such key; there are no keys below {dotted(key[:-1])}"


def expected(schema: Schema) -> str:
    """What a value must be, in words."""
    if not schema:
        return "a value"
    if "anyOf" in schema:
        return ", or ".join(expected(branch) for branch in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if "properties" in schema:
        return f"a section with keys among {', '.join(schema['properties'])}"
    if "prefixItems" in schema:
        return f"[{', '.join(expected(item) for item in schema['prefixItems'])}]"
    if schema["type"] == "array":
        return f"a list, each {expected(schema['items'])}"
    if schema["type"] == "object":
        if schema["additionalProperties"] is True:
            return "a section"
        return f"names, each with {expected(schema['additionalProperties'])}"
    return _scalar(schema)


def _scalar(schema: Schema) -> str:
    words = {
        "boolean": "true or false",
        "integer": "a whole number",
        "null": "null",
        "number": "a number",
        "string": "a path" if schema.get("format") == "path" else "a name",
    }
    limits = {"exclusiveMinimum": ">", "minimum": ">=", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = {sign: schema[limit] for limit, sign in limits.items() if limit in schema}
    ranges = [f" {sign} {int(bound) if bound == int(bound) else bound}" for sign, bound in bounds.items()]
    return words[schema["type"]] + " and".join(ranges)


def listing(config: Section, others: Mapping[Key, Section]) -> str:
    """A configuration file with every key, its value and its help.

    others: sections in place of which `config` has null, by key; their keys stand in comments.
    """
    values = config.model_dump(mode="json")
    lines = ["# Every key with its default. Only the source, data.path or data.scene, has none."]
    for key, schema in walk(root(type(config))):
        other = others.get(key[:-1])
        value = value_at(values, key) if other is None else other.model_dump(mode="json")[str(key[-1])]
        opens_section = isinstance(value, dict) and value
        indent = "  " * (len(key) - 1) + ("" if other is None else "# ")
        if len(key) == 1:
            lines.append("")
        lines.append(f"{indent}# {_help(schema)}")
        lines.append(indent + (f"{key[-1]}:" if opens_section else write({key[-1]: value}).rstrip()))
    return "\n".join(lines) + "\n"


def _help(schema: Schema) -> str:
    if section_of(schema):
        return str(schema["description"]) + " [null, or a section]" * ("anyOf" in schema)
    return f"{schema['description']} [{expected(schema)}]"
