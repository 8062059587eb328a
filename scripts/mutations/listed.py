"""The lists of mutations, one file an area: AREA.yaml beside this module.

file, tests     of every mutation of the list that has none of its own
mutations       id, old, new, and where they differ or there is a reason: file, tests, accepted
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent

KEYS = {"id", "file", "old", "new", "tests", "accepted"}


@dataclass(frozen=True)
class Mutation:
    """In `file`, `old`, which stands there exactly once, becomes `new`. accepted: why no test can notice."""

    id: str
    area: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    accepted: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the mutation. Raises ValueError where it does not apply."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"the old text stands {found} times in {self.file}, once is right")
        changed = text.replace(self.old, self.new)
        if changed == text:
            raise ValueError("the new text is the old one")
        ast.parse(changed)
        return changed


def load(folder: Path = FOLDER) -> list[Mutation]:
    """Every mutation of the lists. Raises ValueError for an entry that is not well-formed and for an id that is not
    unique."""
    found: list[Mutation] = []
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        for entry in content["mutations"]:
            surplus = set(entry) - KEYS
            if surplus or not {"id", "old", "new"} <= set(entry):
                raise ValueError(f"{path.name}: {entry.get('id', entry)}: {sorted(entry)}; {sorted(KEYS)} are right")
            found.append(
                Mutation(
                    id=entry["id"],
                    area=path.stem,
                    file=entry.get("file", content.get("file", "")),
                    old=entry["old"],
                    new=entry["new"],
                    tests=tuple(entry.get("tests", content.get("tests", ()))),
                    accepted=entry.get("accepted", ""),
                )
            )
    twice = [name for name, count in Counter(mutation.id for mutation in found).items() if count > 1]
    if twice:
        raise ValueError(f"mutations: {twice[0]} is the id of two")
    return found


def chosen(mutations: Sequence[Mutation], only: Sequence[str]) -> list[Mutation]:
    """Those whose id or area is named, or all. Raises ValueError for a name that is neither."""
    for name in only:
        if not any(name in (mutation.id, mutation.area) for mutation in mutations):
            areas = ", ".join(dict.fromkeys(mutation.area for mutation in mutations))
            raise ValueError(f"--only: {name!r} is no id and no area; areas are {areas}")
    return [m for m in mutations if not only or m.id in only or m.area in only]
