"""Wrong files made from sound ones: bytes, numbers, words, lines and chunks changed, all drawn from one generator."""

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from itertools import islice
from random import Random

LARGEST = 100_000
"""Bytes; a mutant is cut here, so that repeated chunks do not grow without end."""
NUMBER = re.compile(rb"-?\d+(\.\d*)?([eE][-+]?\d+)?")
WORD = re.compile(rb"[A-Za-z_][\w.]*")
NUMBERS = [
    b"0", b"-1", b"1", b"2", b"5", b"255", b"65536", b"2147483648", b"4294967296", b"9223372036854775807",
    b"18446744073709551616", b"1" + b"0" * 30, b"1" + b"0" * 400, b"1e308", b"1e400", b"-1e-400", b"nan", b"inf",
    b"0x10", b"1_0", b"1,5", b"", b"-", b"0.5", b"--1", b"1e", b".", b"True", b"null",
]  # fmt: skip
WORDS = [
    b"nan", b"null", b"true", b"list", b"object", b"|O", b">f8", b"<U4", b"<c16", b"vertex", b"ascii", b"double", b"[]",
    b"{}", b"'", b'"', b"\xff\xfe", b"\x00", b"\xef\xbb\xbf", b"&a", b"*a", b"!!python/object", b"---", b"\xc2\xa0",
    b"kind", b"\r", b"\n\n", b": ", b"- ", b"# ", b"((((((((", b"[[[[[[[[",
]  # fmt: skip
SIZES = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]


def mutant(seeds: Sequence[bytes], random: Random) -> bytes:
    """One of the seeds with one to four changes."""
    content = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        content = random.choice(CHANGES)(content, random)
        if random.random() < 0.05:
            other = random.choice(seeds)
            content = content[: place(content, random)] + other[place(other, random) :]
    return content[:LARGEST]


def place(content: bytes, random: Random) -> int:
    """Anywhere, and as often near the beginning, where headers are."""
    return random.randint(0, min(len(content), random.choice((16, 64, 256, LARGEST, LARGEST, LARGEST))))


def chunk(content: bytes, random: Random) -> tuple[int, int]:
    start = place(content, random)
    return start, min(len(content), start + random.choice((1, 2, 4, 8, 30, 100, 1000, 10_000)))


def flip_bits(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8)) if content else 0):
        changed[min(place(content, random), len(content) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, random: Random) -> bytes:
    start, end = chunk(content, random)
    return content[:start] + random.randbytes(end - start) + content[end:]


def insert(content: bytes, random: Random) -> bytes:
    start = place(content, random)
    return (
        content[:start]
        + random.choice([*WORDS, *NUMBERS, random.randbytes(random.choice((1, 4, 50)))])
        + content[start:]
    )


def cut_end(content: bytes, random: Random) -> bytes:
    return content[: place(content, random)]


def cut_out(content: bytes, random: Random) -> bytes:
    start, end = chunk(content, random)
    return content[:start] + content[end:]


def repeat(content: bytes, random: Random) -> bytes:
    start, end = chunk(content, random)
    return content[:end] + content[start:end] * random.choice((1, 1, 2, 10, 100, 1000)) + content[end:]


def move(content: bytes, random: Random) -> bytes:
    start, end = chunk(content, random)
    rest, target = content[:start] + content[end:], place(content, random)
    return rest[:target] + content[start:end] + rest[target:]


def resize(content: bytes, random: Random) -> bytes:
    """A count or a length of a binary file."""
    form = random.choice("BHIQ")
    size = struct.pack(random.choice("<>") + form, random.choice(SIZES) % (1 << 8 * struct.calcsize(form)))
    start = place(content, random)
    return content[:start] + size + content[start + len(size) :]


def replace(pattern: re.Pattern[bytes], words: list[bytes]) -> Callable[[bytes, Random], bytes]:
    def change(content: bytes, random: Random) -> bytes:
        found = pattern.search(content, place(content, random)) or pattern.search(content)
        if found is None:
            return content
        other = random.choice(list(islice(pattern.finditer(content), 20)))[0]
        return content[: found.start()] + random.choice([*words, other]) + content[found.end() :]

    return change


def shuffle_lines(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    a, b = random.randrange(len(lines)), random.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"\n".join(lines)


CHANGES: list[Callable[[bytes, Random], bytes]] = [
    flip_bits, overwrite, insert, cut_end, cut_out, repeat, move, resize, shuffle_lines,
    replace(NUMBER, NUMBERS), replace(NUMBER, NUMBERS), replace(WORD, WORDS),
]  # fmt: skip


def rezipped(content: bytes, random: Random) -> bytes:
    """The archive with members that are changed, renamed, doubled or missing, and checksums that are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    changed = random.randrange(len(members))
    name, data = members[changed]
    kind = random.random()
    if kind < 0.8:
        members[changed] = name, mutant([data], random)
    elif kind < 0.87:
        members[changed] = random.choice((name.removesuffix(".npy"), "../" + name, "x", name.upper())), data
    elif kind < 0.94:
        members.append((random.choice(members)[0], data))
    else:
        del members[changed]
    compression = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    whole = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(whole, "w", compression) as archive:  # double names
        for member, data in members:
            archive.writestr(zipfile.ZipInfo(member), data, compression)  # whose date is the same each time
    return whole.getvalue()
