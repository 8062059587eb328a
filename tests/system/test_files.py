"""Nothing half-written is seen, nothing is left behind, and the system's refusals are one message each."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ba.errors import SystemRefusal, UserError
from ba.system import files, reading


def test_a_block_that_ends_well_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scene.txt.xz"
    path.write_text("old")
    with files.replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffixes == path.suffixes
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError, SystemExit])
def test_a_block_that_fails_changes_nothing(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "scene.txt"
    path.write_text("old")

    def write_half() -> None:
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_a_refusal_of_the_system_names_the_file(error: OSError, tmp_path: Path) -> None:
    path = tmp_path / "scene.txt"
    with pytest.raises(SystemRefusal, match=r"scene.txt: cannot be written.*(permission|space)"), files.replacing(path):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scene.txt"
    path.write_text("1")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match=r"scene.txt: cannot be read, permission denied; check"):
        reading.read_bytes(path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    files.write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path, "is a folder"),
        (Path("/dev/null"), "is a device"),
        (tmp_path / "nowhere" / "scene.txt", "nowhere does not exist; create it"),
    ):
        with pytest.raises(UserError, match=reason):
            files.write_bytes(path, b"")
    assert Path("/dev/null").is_char_device()


@given(content=st.binary(min_size=1), suffix=st.sampled_from(["", *files.COMPRESSORS]))
def test_what_is_written_is_read(content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"content{suffix}"
    files.write_bytes(path, content)
    assert reading.read_bytes(path) == content


def test_every_compression_goes_both_ways() -> None:
    assert files.COMPRESSORS.keys() == reading.DECOMPRESSORS.keys()


def test_the_digest_is_of_the_bytes_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert reading.sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_of_a_folder_tells_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "a"
    file.write_bytes(b"1")
    first = reading.sha256(tmp_path)
    assert reading.sha256(tmp_path) == first
    file.write_bytes(b"2")
    second = reading.sha256(tmp_path)
    file.rename(tmp_path / "inner" / "b")
    assert len({first, second, reading.sha256(tmp_path)}) == 3
