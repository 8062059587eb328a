"""An array is what numpy wrote, whatever its order and type; a header is never believed."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba.errors import UserError
from ba.io import npy, npz
from tests.support.bad_files import NPZ_HEADER
from tests.support.bad_files import npy as made
from tests.support.scenes import sample_problem


def bytes_of(array: Any, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


ARRAYS: dict[str, Any] = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(24, dtype="i2").reshape(2, 3, 4)),
    "the other order of bytes": np.arange(6, dtype=">f4"),
    "text": np.array(["a", "ümlaut", "\U0001f600"]),
    "text in the other order": np.array(["a", "ümlaut"]).astype(">U6"),
    "truth values": np.array([[True], [False]]),
    "nothing": np.zeros((0, 3)),
    "a single number": np.array(7.5),
    "bytes": np.arange(5, dtype=np.uint8),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read(name: str, version: tuple[int, int]) -> None:
    found = npy.parse("here", bytes_of(ARRAYS[name], version))
    assert np.array_equal(found, ARRAYS[name])
    assert found.shape == ARRAYS[name].shape
    assert found.dtype == ARRAYS[name].dtype.newbyteorder("=")
    assert found.flags.c_contiguous
    assert found.flags.owndata


def test_what_other_programs_write_is_read() -> None:
    header = '{"shape":(2,3,3,),"fortran_order":True,"descr":"<f8"}'
    assert npy.parse("here", made(header, bytes(144))).shape == (2, 3, 3)


WRONG = {
    "text": (NPZ_HEADER.replace("<f8", "<U2"), b"\xff" * 144, "a text holds what is no character"),
    "half a character": (NPZ_HEADER.replace("<f8", "<U2"), b"\x00\xd8\0\0" * 36, "a text holds what is no character"),
    "truth": (NPZ_HEADER.replace("<f8", "|b1"), b"\x02" * 18, "a truth value is neither 0 nor 1"),
    "empty text": (NPZ_HEADER.replace("<f8", "<U0"), b"", "elements of type '<U0' found"),
    "dates": (NPZ_HEADER.replace("<f8", "<M8[ns]"), bytes(144), r"elements of type '<M8\[ns\]' found"),
    "too short": (NPZ_HEADER, bytes(143), "has 144 bytes; 143 are there"),
    "too long": (NPZ_HEADER, bytes(145), "has 144 bytes; 145 are there"),
    "nothing of immense width": (
        NPZ_HEADER.replace("(2, 3, 3)", "(0, 99999999999999999999)"),
        b"",
        "Maximum allowed dimension",
    ),
    "nothing of immense size": (NPZ_HEADER.replace("(2, 3, 3)", "(0, 99999, 99999, 99999, 99999)"), b"", "is too big"),
    "many dimensions": (
        NPZ_HEADER.replace("(2, 3, 3)", "(" + "1, " * 80 + ")"),
        bytes(8),
        "supported dimension",
    ),
    "negative": (NPZ_HEADER.replace("(2,", "(-2,"), bytes(144), "has -144 bytes; 144 are there"),
    "an entry missing": (
        NPZ_HEADER.replace("'fortran_order': False, ", ""),
        bytes(144),
        "the correct keys",
    ),
    "an entry more": (NPZ_HEADER.replace("{", "{'x': True, "), bytes(144), "the correct keys"),
    "null bytes": ("\0" * 50, b"", "as numpy.save writes it; Cannot parse header"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_header_or_value_is_one_message(name: str) -> None:
    header, body, said = WRONG[name]
    with pytest.raises(UserError, match=f"^here: .*{said}"):
        npy.parse("here", made(header, body))


def repacked(path: Path, **changed: Any) -> Path:
    """The sample's file, its members passed through `changed["write"]`."""
    npz.write(sample_problem(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", changed.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, content in (members | changed.get("more", {})).items():
            archive.writestr(name, content)
    return path


def test_a_compressed_archive_is_read_and_other_compressions_are_named(tmp_path: Path) -> None:
    path = repacked(tmp_path / "a.npz", compression=zipfile.ZIP_DEFLATED)
    assert npz.read(path).num_images == 4
    path = repacked(tmp_path / "a.npz", compression=zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match=r"a.npz: rotations: encrypted, or compressed as numpy does not"):
        npz.read(path)


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = repacked(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag of the first member, in the archive's directory
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a.npz: rotations: encrypted"):
        npz.read(path)


def test_an_array_twice_is_named(tmp_path: Path) -> None:
    path = repacked(tmp_path / "a.npz", more={"pointz.npy": b""})
    path.write_bytes(path.read_bytes().replace(b"pointz.npy", b"points.npy"))
    with pytest.raises(UserError, match=r"a.npz: points: the archive has this array twice"):
        npz.read(path)


def test_members_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    zeros = made(NPZ_HEADER.replace("(2, 3, 3)", "(9000000,)"), bytes(72_000_000))
    path = repacked(tmp_path / "a.npz", compression=zipfile.ZIP_DEFLATED, more={"rotations.npy": zeros})
    with pytest.raises(UserError, match=r"a.npz: its arrays would be over 100 times as large as the file"):
        npz.read(path)
