"""Reading ends at once for what never ends, and never takes more than a file of its kind can hold."""

import bz2
import gzip
import lzma
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ba.errors import UserError
from ba.system import reading

ZEROS = 1 << 26


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "zeros.txt").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.txt"))
        for name, kind in (("pipe.txt", "a pipe"), ("zeros.txt", "a device"), ("socket.txt", "a socket")):
            with pytest.raises(UserError, match=rf"{name}: is {kind}, a file is expected"):
                reading.read_bytes(tmp_path / name)
            with pytest.raises(UserError, match=rf"{name}: is {kind}"):
                reading.sha256(tmp_path / name)


def test_a_pipe_put_in_the_place_of_a_file_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pipe = tmp_path / "scene.txt", tmp_path / "pipe"
    path.write_text("1")
    os.mkfifo(pipe)
    plain_open = os.open
    monkeypatch.setattr(os, "open", lambda _, *rest: plain_open(pipe, *rest))
    with pytest.raises(UserError, match=r"scene.txt: is a pipe"):
        reading.read_bytes(path)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_terminal_is_no_configuration() -> None:
    main, side = os.openpty()
    try:
        with pytest.raises(UserError, match="is a terminal, a file or a pipe is expected"):
            reading.read_configuration(os.ttyname(side))
        with pytest.raises(UserError, match="is a device, a file is expected"):
            reading.read_bytes(os.ttyname(side))
    finally:
        os.close(main)
        os.close(side)


def test_a_configuration_may_come_through_a_pipe() -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"seed: 1\n")
        os.close(writer)
        assert reading.read_configuration(f"/dev/fd/{reader}") == "seed: 1\n"
    finally:
        os.close(reader)


def test_a_configuration_may_come_from_standard_input() -> None:
    code = "from ba.system import reading; print(reading.read_configuration('/dev/stdin'))"
    run = subprocess.run([sys.executable, "-c", code], input="seed: 1", capture_output=True, text=True, check=True)
    assert run.stdout == "seed: 1\n"


@pytest.mark.parametrize(("path", "said"), [("/dev/zero", "larger than 1 MB"), ("/dev/null", "is empty")])
def test_a_device_is_read_as_far_as_a_configuration_can_go(path: str, said: str) -> None:
    with pytest.raises(UserError, match=f"{path}: {said}"):
        reading.read_configuration(path)


def test_a_pipe_without_a_writer_is_an_empty_configuration(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: is empty"):
        reading.read_configuration(tmp_path / "pipe")


PACKED = {".bz2": bz2.compress(bytes(ZEROS)), ".gz": gzip.compress(bytes(ZEROS)), ".xz": lzma.compress(bytes(ZEROS))}


@pytest.mark.parametrize("suffix", reading.DECOMPRESSORS)
def test_an_archive_made_to_fill_the_memory_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scene.txt{suffix}"
    path.write_bytes(PACKED[suffix])
    with pytest.raises(UserError, match=rf"scene.txt{suffix}: .* unpack to more than .*--decompress --keep scene.txt"):
        reading.read_bytes(path)
    with pytest.raises(UserError, match=r"larger than|unpack to more than 1 MB"):
        reading.read_configuration(path)


@pytest.mark.parametrize("suffix", reading.DECOMPRESSORS)
def test_archives_one_after_the_other_and_padding_are_read(suffix: str, tmp_path: Path) -> None:
    compress = {".bz2": bz2.compress, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    parts = [os.urandom(5000), b"", b"abc" * 700]
    path = tmp_path / f"scene.txt{suffix}"
    path.write_bytes(b"".join(map(compress, parts)) + bytes(8))
    assert reading.read_bytes(path) == b"".join(parts)
    path.write_bytes(compress(parts[0]) + b"more")
    with pytest.raises(UserError, match=f"not a whole {suffix} archive"):
        reading.read_bytes(path)


def test_an_archive_that_asks_for_a_large_dictionary_is_refused(tmp_path: Path) -> None:
    header = bytearray(lzma.compress(b"1", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 12}]))
    assert header[16] == 0  # the byte of the dictionary's size, 2^12; its checksum follows after the padding
    path = tmp_path / "scene.txt.xz"
    block = bytearray(header[12:24])
    block[4] = 36  # 2^30
    block[8:12] = zlib.crc32(bytes(block[:8])).to_bytes(4, "little")
    header[12:24] = block
    path.write_bytes(header)
    with pytest.raises(UserError, match=r"not a whole .xz archive .*[Mm]emory"):
        reading.read_bytes(path)


def test_a_file_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.txt"
    with path.open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(UserError, match=r"scene.txt: 4.4 TB, more than half of this machine's memory"):
        reading.read_bytes(path)


def test_the_mark_of_unicode_at_the_beginning_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbf1,2,3\n")
    assert reading.read_text(path) == "1,2,3\n"


def test_lines_are_those_that_an_editor_counts() -> None:
    text = "a\n\nb\x0bc\u2028d\r\n"
    assert list(reading.lines(text)) == [(1, "a"), (2, ""), (3, "b\x0bc\u2028d\r"), (4, "")]
