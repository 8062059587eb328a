"""Words that people read: counts with their nouns, names that are not known, and text that a terminal can show."""

import difflib
import json
from collections.abc import Iterable

UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def counted(number: int, noun: str) -> str:
    """`1 iteration`, `22,106 points`. noun: in the singular, its plural made by an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def in_bytes(size: int) -> str:
    """A number of bytes in three digits and a unit: `4.96 GB`."""
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} B"


def printable(text: object, keep: str = "") -> str:
    """The text with every character that is not to be seen written as an escape, such as \\x1b or \\n, but for `keep`.

    Names of files, datasets and images come from elsewhere: a control character in one moves the cursor, colours the
    screen or rewrites the lines above. What cannot be encoded, as in names that are no UTF-8, is escaped too.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in str(text)
    )


def shown(value: object) -> str:
    """A value as a message quotes it, on one line and short."""
    try:
        text = "a section" if isinstance(value, dict) and value else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # nothing that a file could hold: it comes from Python
        text = f"a value of type {type(value).__name__}"
    return printable(text if len(text) <= 60 else f"{text[:57]}...")


def unknown(name: object, names: Iterable[str], what: str) -> str | None:
    """What to say of a name that is not among `names`, with the closest that is; None where it is there."""
    names = list(names)
    if name in names:
        return None
    closest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    guess = f"did you mean {closest[0]}? " if closest else ""
    return f"{shown(name)} is not known ({what}); {guess}There are: {', '.join(names)}"
