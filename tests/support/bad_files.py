"""Files that are wrong, and what the message about each must say: one table for the tests and for whoever shows it."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GOOD_LINES = (
    "2 2 3",
    "0 0 -385.99 387.12",
    "1 0 -38.44 492.12",
    "0 1 383.88 -15.3",
    "0.01 -0.02 0.03 0.1 0.2 -1.5 1400.5 -1e-7 2e-14",
    "0.02 0.01 -0.03 0.3 0.1 -1.25 1500 -2e-7 1e-14",
    "-0.61 0.57 -1.88",
    "1.7 0.5 -5.25",
)
"""A sound BAL file of two cameras, two points and three observations."""

GOOD = ("\n".join(GOOD_LINES) + "\n").encode()


@dataclass(frozen=True)
class BadFile:
    """`write(folder)` makes the file there and returns its path; `expected` is a part of the message about it."""

    name: str
    write: Callable[[Path], Path]
    expected: str


def content(name: str, file: str, data: bytes, expected: str) -> BadFile:
    def write(folder: Path) -> Path:
        (folder / file).write_bytes(data)
        return folder / file

    return BadFile(name, write, expected)


def edited(name: str, line: int, new: str | None, expected: str) -> BadFile:
    """The good file with one line (from 1) replaced, or left out."""
    lines = [*GOOD_LINES[: line - 1], *([] if new is None else [new]), *GOOD_LINES[line:]]
    return content(name, "scene.txt", "\n".join(lines).encode(), expected)


def no_such_file(folder: Path) -> Path:
    (folder / "dubrovnik.txt").write_bytes(GOOD)
    return folder / "dubrovnic.txt"


def dangling_link(folder: Path) -> Path:
    (folder / "scene.txt").symlink_to(folder / "moved.txt")
    return folder / "scene.txt"


def link_to_itself(folder: Path) -> Path:
    (folder / "scene.txt").symlink_to(folder / "scene.txt")
    return folder / "scene.txt"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "scene.txt")
    return folder / "scene.txt"


def endless(folder: Path) -> Path:
    (folder / "scene.txt").symlink_to("/dev/zero")
    return folder / "scene.txt"


NPZ_HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3, 3), }"


def npy(header: str, body: bytes = b"") -> bytes:
    """A .npy file whose header and numbers need not agree."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + body


def npz(name: str, expected: str, suffix: str = ".npy", **changed: bytes) -> BadFile:
    """A file of ours with some members replaced, under a wrong suffix."""
    sound = io.BytesIO()
    np.save(sound, np.zeros((2, 3)))
    members = {member: sound.getvalue() for member in NPZ_MEMBERS} | changed
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for member, content_of_member in members.items():
            archive.writestr(f"{member}{suffix}", content_of_member)
    return content(name, "scene.npz", whole.getvalue(), expected)


NPZ_MEMBERS = (
    "rotations", "translations", "camera_of_image", "camera_models", "intrinsics", "points", "image_of_obs",
    "point_of_obs", "pixels", "image_names", "free_rotations", "free_translations", "free_intrinsics", "free_points",
)  # fmt: skip

BAD_ARRAYS: list[BadFile] = [
    npz("members of an .npz without .npy", "rotations: the array is missing", suffix=""),
    npz("a header that promises too much", "rotations: an array of float64 and shape (2, 3, 3) has 144 bytes; 8 are",
        rotations=npy(NPZ_HEADER, bytes(8))),
    npz("a header that promises 8 EB", "rotations: an array of float64 and shape (1000000000000, 1000000)",
        rotations=npy(NPZ_HEADER.replace("(2, 3, 3)", "(1000000000000, 1000000)"), bytes(8))),
    npz("a header longer than the file", "rotations: not an array as numpy.save writes it; EOF: reading array",
        rotations=npy(NPZ_HEADER)[:30]),
    npz("a header that is no dictionary", "rotations: not an array as numpy.save writes it; ('EOF",
        rotations=npy("{[")),
    npz("a header that is code", "not an array as numpy.save writes it; malformed node",
        rotations=npy("__import__('os').abort()")),
    npz("a header of brackets", "not an array as numpy.save writes it; ('EOF in multi", rotations=npy("(" * 9000)),
    npz("a header of 20 kB", "numpy.save writes it; Header info length (20001) is large",
        rotations=npy(" " * 20_000)),
    npz("a single value", "rotations: shape () found, an array with a row an entry",
        rotations=npy(NPZ_HEADER.replace("(2, 3, 3)", "()"), bytes(8))),
    npz("Python objects", "rotations: elements of type '|O' found; real numbers, truth values or text are right",
        rotations=npy(NPZ_HEADER.replace("<f8", "|O"), bytes(144))),
    npz("whole numbers for real ones", "rotations: type int64 found, f8 expected",
        rotations=npy(NPZ_HEADER.replace("<f8", ">i8"), bytes(144))),
]  # fmt: skip

BAD_FILES: list[BadFile] = [
    *BAD_ARRAYS,
    BadFile("a pipe", pipe, "is a pipe, a file is expected"),
    BadFile("a device that never ends", endless, "is a device, a file is expected"),
    content("an archive of 64 MB", "scene.txt.xz", lzma.compress(bytes(1 << 26)), "that unpack to more than 16.8"),
    content(
        "two archives, the second cut", "scene.txt.gz", gzip.compress(GOOD) * 2 + b"\x1f\x8b", "it ends before its"
    ),
    BadFile("no such file, a similar one", no_such_file, "no such file; did you mean "),
    BadFile("no such folder", lambda folder: folder / "nowhere" / "scene.txt", "nor is there a folder"),
    BadFile("a folder", lambda folder: folder, "is a folder, a file is expected"),
    BadFile("a link that leads nowhere", dangling_link, "no such file; it is a link to "),
    BadFile("a link to itself", link_to_itself, "symbolic links"),
    BadFile("a name too long", lambda folder: folder / ("x" * 300 + ".txt"), "File name too long"),
    content("empty", "scene.txt", b"", "is empty"),
    content("empty archive", "scene.txt.xz", b"", "is empty"),
    content("archive of nothing", "scene.txt.gz", gzip.compress(b""), "is empty"),
    content("only white space", "scene.txt", b" \n\n", "line 1: the file begins with no number; a header of three"),
    content("unknown suffix", "scene.dat", GOOD, "the name does not tell the format; rename it or set data.format"),
    content("no suffix", "scene", GOOD, "set data.format to one of: bal (.txt)"),
    content("a format that is only written", "scene.ply", GOOD, "the format 'ply' cannot be read; set data.format"),
    content("binary", "scene.txt", b"\x89PNG\r\n\x1a\n\x00\x00", "line 1: byte 0x89 is not UTF-8 text"),
    content("Latin-1 in line 3", "scene.txt", GOOD.replace(b"-38.44", b"\xfcber"), "line 3: byte 0xfc is not UTF-8"),
    content("a null byte", "scene.txt", GOOD.replace(b"-38.44", b"\x00"), r"line 3: '\x00' is not a number"),
    content("truncated .xz", "scene.txt.xz", lzma.compress(GOOD)[:-20], "not a whole .xz archive"),
    content("truncated .bz2", "scene.txt.bz2", bz2.compress(GOOD)[:-8], "not a whole .bz2 archive"),
    content("truncated .gz", "scene.txt.gz", gzip.compress(GOOD)[:-8], "not a whole .gz archive"),
    content("text called .xz", "scene.txt.xz", GOOD, "not a whole .xz archive"),
    content("text called .bz2", "scene.txt.bz2", GOOD, "not a whole .bz2 archive"),
    content("text called .gz", "scene.txt.gz", GOOD, "not a whole .gz archive"),
    content("damaged .gz", "scene.txt.gz", gzip.compress(GOOD)[:20] + b"\xff" * 60, "not a whole .gz archive"),
    edited("header of two numbers", 1, "2 2", "line 1: the file begins with 2 2 0; a header of three"),
    edited("header with a negative count", 1, "2 -2 3", "line 1: the file begins with 2 -2 3; a header of three"),
    edited("header with a fraction", 1, "2 2.5 3", "line 1: the file begins with 2 2.5 3; a header of three"),
    edited("no observations", 1, "2 2 0", "line 1: the file begins with 2 2 0; a header of three"),
    content("only half a header", "scene.txt", b"\n2 2\n", "line 2: the file begins with 2 2; a header of three"),
    edited(
        "header that promises too much",
        1,
        "200 200 3",
        "in the cameras, after 2 of 200; missing numbers: 2376 (header: 200",
    ),
    edited("header of absurd size", 1, "2 2 1e15", "line 5: camera index 0.01"),
    edited("header that promises an observation more", 1, "2 2 4", "line 5: camera index 0.01"),
    edited("header that promises a point less", 1, "2 1 3", "line 4: point index 1 of observation 2"),
    edited("header that promises a camera less", 1, "1 2 3", "line 3: camera index 1 of observation 1"),
    edited("last point missing", 8, None, "line 7: the file ends in the points, after 1 of 2; missing numbers: 3"),
    edited(
        "last number missing", 8, "1.7 0.5", "line 8: the file ends in the points, after 1 of 2; missing numbers: 1"
    ),
    content(
        "ends in a camera",
        "scene.txt",
        GOOD[: GOOD.index(b"-1.25")],
        "line 6: the file ends in the cameras, after 1 of 2",
    ),
    content(
        "ends in an observation",
        "scene.txt",
        GOOD[: GOOD.index(b"492")],
        "line 3: the file ends in the observations, after 1 of 3",
    ),
    edited("a number too many", 8, "1.7 0.5 -5.25 7", "line 8: the file should end before here; surplus numbers: 1"),
    edited(
        "a line too many", 8, "1.7 0.5 -5.25\n\n7 8 9", "line 10: the file should end before here; surplus numbers: 3"
    ),
    edited("an observation without v", 2, "0 0 -385.99", "line 3: point index -38.44 of observation 1"),
    edited(
        "camera index too large", 3, "2 0 -38.44 492.12", "line 3: camera index 2 of observation 1; the header asks"
    ),
    edited("camera index negative", 3, "-1 0 -38.44 492.12", "line 3: camera index -1 of observation 1"),
    edited("camera index with a fraction", 3, "0.5 0 -38.44 492.12", "an integer from 0 to 1"),
    edited("point index too large", 4, "0 2 383.88 -15.3", "line 4: point index 2 of observation 2"),
    edited("point index with a fraction", 4, "0 0.5 383.88 -15.3", "line 4: point index 0.5 of observation 2"),
    edited("a word", 3, "1 0 left 492.12", "line 3: 'left' is not a number; a BAL file holds only numbers"),
    edited("decimal comma", 7, "-0,61 0.57 -1.88", "line 7: '-0,61' is not a number"),
    edited("two numbers grown together", 3, "1 0 -38.44-492.12", "line 3: '-38.44-492.12' is not a number"),
    edited("two decimal points", 3, "1 0 -38.44 492.1.2", "line 3: '492.1.2' is not a number"),
    edited("underscore", 6, "0.02 0.01 -0.03 0.3 0.1 -1.25 1_500 0 0", "line 6: '1_500' is not a number"),
    edited("NaN pixel", 3, "1 0 nan 492.12", "line 3: 'nan' is not a finite number"),
    edited("infinite point", 7, "-0.61 inf -1.88", "line 7: 'inf' is not a finite number"),
    edited("overflow", 7, "-0.61 1e400 -1.88", "line 7: '1e400' is not a finite number"),
    edited("focal length zero", 6, "0.02 0.01 -0.03 0.3 0.1 -1.25 0 0 0", "line 6: 0 in the focal length of camera 1"),
    edited(
        "rotation vector of 1e200",
        6,
        "0 1e200 0 0.3 0.1 -1.25 1500 0 0",
        "line 6: 1e+200 in the rotation vector of camera 1",
    ),
]
