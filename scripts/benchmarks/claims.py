"""What README and docstrings say was measured, held to the files of `results/`.

A claim is a file, a sentence or row of a table with {names} where figures stand, and what each name is by the results.
The sentence must stand in the file once, however its lines break. `faults` tells where a figure is not what was
measured, `rewritten` puts the measured ones in place.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import ROOT

WIDTH = 120
FIGURE = r"((?:(?!\n\s*\n)[^|])+?)"
"""What may stand for a name: anything within a paragraph and a cell of a table."""


@dataclass(frozen=True)
class Claim:
    """`file` below the repository's root says `text`, with `figures` for its {names}."""

    file: str
    text: str
    figures: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.text)

    @property
    def pattern(self) -> re.Pattern[str]:
        """Any figures in place of the names, any white space where there is some."""
        parts = re.split(r"\{\w+\}", self.text)
        literal = [r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts]
        return re.compile(FIGURE.join(literal))


def found(claim: Claim, content: str) -> re.Match[str] | str:
    """Where the content has the claim's sentence, or why it is not held to anything."""
    matches = list(claim.pattern.finditer(content))
    if len(matches) == 1:
        return matches[0]
    return f"{claim.file}: stands there {len(matches)} times, once is right: {claim.text!r}"


def faults(claims: Sequence[Claim], root: Path = ROOT) -> Iterator[str]:
    """Each sentence that is missing, and each figure that is not what was measured."""
    for claim in claims:
        match = found(claim, (root / claim.file).read_text())
        if isinstance(match, str):
            yield match
            continue
        for name, said in zip(claim.names, match.groups(), strict=True):
            if said.split() != claim.figures[name].split():
                line = match.string.count("\n", 0, match.start()) + 1
                yield f"{claim.file}, line {line}: {name} is {claim.figures[name]!r} by the results, not {said!r}"


def rewritten(claims: Sequence[Claim], root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Each file that says something else than was measured, with the measured figures put in place."""
    for file in dict.fromkeys(claim.file for claim in claims):
        before = content = (root / file).read_text()
        for claim in claims:
            if claim.file == file and not isinstance(match := found(claim, content), str):
                content = _put(claim, match)
        if content != before:
            yield root / file, content


def _put(claim: Claim, match: re.Match[str]) -> str:
    content = match.string
    for number in reversed(range(len(claim.names))):
        said, measured = match.group(number + 1), claim.figures[claim.names[number]]
        if said.split() != measured.split():
            content = content[: match.start(number + 1)] + measured + content[match.end(number + 1) :]
    return _filled(content, match.start()) if claim.file.endswith(".md") else content


def _filled(content: str, at: int) -> str:
    """With the paragraph at that place broken anew where a line of it is too long, unless it is a table or code."""
    first, last = content.rfind("\n\n", 0, at) + 2, content.find("\n\n", at)
    last = len(content) if last < 0 else last
    paragraph = content[first:last]
    if re.match(r"\s*(\||```)", paragraph) or max(map(len, paragraph.splitlines())) <= WIDTH:
        return content
    filled = textwrap.fill(" ".join(paragraph.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
    return content[:first] + filled + content[last:]


def spans(claims: Sequence[Claim], file: str, root: Path = ROOT) -> list[tuple[int, int]]:
    """Where in a file the sentences of its claims stand."""
    content = (root / file).read_text()
    matches = [found(claim, content) for claim in claims if claim.file == file]
    return [match.span() for match in matches if not isinstance(match, str)]
