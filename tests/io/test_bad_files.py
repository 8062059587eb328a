"""A wrong file gives one message that names the file, the line where there is one, and the reason."""

from pathlib import Path

import numpy as np
import pytest

from ba import io
from ba.errors import UserError
from tests.support.bad_files import BAD_FILES, GOOD, BadFile


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_wrong_file_is_named_with_line_and_reason(bad: BadFile, tmp_path: Path) -> None:
    path = bad.write(tmp_path)
    with pytest.raises(UserError) as caught:
        io.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert bad.expected in message
    assert "\n" not in message


def test_names_in_the_table_are_distinct() -> None:
    names = [bad.name for bad in BAD_FILES]
    assert len(set(names)) == len(names)


def test_the_file_that_the_table_spoils_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "scene.txt"
    path.write_bytes(GOOD)
    problem = io.load(path)
    assert (problem.num_images, problem.num_points, problem.num_observations) == (2, 2, 3)
    assert np.array_equal(problem.pixels[1], [-38.44, -492.12])


@pytest.mark.parametrize("format", io.READERS)
def test_every_reader_refuses_what_is_not_its_format(format: str, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(UserError, match="noise"):
        io.load(path, format)


BOTH_WAYS = sorted(io.READERS.keys() & io.WRITERS.keys())


@pytest.mark.parametrize("format", [name for name in BOTH_WAYS if not io.FORMATS[name].files])
@pytest.mark.parametrize("length", [0.0, 0.3, 0.7, 0.95])
def test_every_reader_refuses_a_file_cut_short(format: str, length: float, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    scene = tmp_path / "scene.txt"
    scene.write_bytes(GOOD)
    io.save(io.load(scene), whole, format)
    assert io.load(whole, format).num_observations == 3
    content = whole.read_bytes()
    cut.write_bytes(content[: int(length * len(content))])
    with pytest.raises(UserError, match="cut"):
        io.load(cut, format)


@pytest.mark.parametrize(("format", "file"), [(name, file) for name in BOTH_WAYS for file in io.FORMATS[name].files])
def test_every_reader_refuses_a_folder_that_lacks_a_file_or_has_an_empty_one(
    format: str, file: str, tmp_path: Path
) -> None:
    scene, whole = tmp_path / "scene.txt", tmp_path / "whole"
    scene.write_bytes(GOOD)
    io.save(io.load(scene), whole, format)
    assert io.load(whole).num_observations == 3
    (whole / file).write_bytes(b"")
    with pytest.raises(UserError, match=file):
        io.load(whole, format)
    (whole / file).unlink()
    with pytest.raises(UserError, match=file):
        io.load(whole, format)


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "scene.txt"
    path.write_bytes(GOOD)
    with pytest.raises(UserError, match=r"scene.txt: the format 'bla' cannot be read; .*data.format.*bal"):
        io.load(path, "bla")
    with pytest.raises(UserError, match=r"other.txt: the format 'bla' cannot be written; .*bal.*ply"):
        io.save(io.load(path), tmp_path / "other.txt", "bla")
