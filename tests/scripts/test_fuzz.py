"""Every reader meets wrong files in a process of its own, and what may not happen is noticed where it happens."""

import sys
from pathlib import Path

import pytest

from ba.errors import UserError
from ba.io import FORMATS, READERS
from ba.studies.rotation_alignment import data
from ba.system.files import COMPRESSORS
from scripts import fuzz
from scripts.fuzzing import child, readers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")


def test_every_reader_of_the_registries_is_there() -> None:
    known = readers.readers()
    files = [name for name in READERS if not FORMATS[name].files]
    assert {f"{name}{packing}" for name in files for packing in ("", *COMPRESSORS)} < known.keys()
    assert {f"{name}.{file}" for name in READERS for file in FORMATS[name].files} <= known.keys()
    assert {f"points{suffix}" for suffix in data.READERS} < known.keys()


@pytest.mark.parametrize("name", readers.readers())
def test_a_sound_file_is_accepted_and_wrong_ones_are_answered(name: str, tmp_path: Path) -> None:
    reader = readers.readers()[name]
    for index, seed in enumerate(reader.seeds):
        path = tmp_path / f"seed{index}{reader.suffix}"
        path.write_bytes(readers.PACKERS[reader.packing](seed) if reader.packing else seed)
        assert child.judged(reader.read, path) == ("", True)
    for index in range(60):
        path.write_bytes(child.content_of(reader, name, 5, index))
        fault, _ = child.judged(reader.read, path)
        assert not fault, index


def test_an_input_is_the_same_whenever_it_is_made() -> None:
    for name, reader in readers.readers().items():
        assert child.content_of(reader, name, 3, 7) == child.content_of(readers.readers()[name], name, 3, 7)


BROKEN = """
import os, warnings
from scripts.fuzzing import child, readers
from ba.errors import UserError

def read(path):
    content = path.read_bytes()
    match len(content) % 8:
        case 0: os.abort()
        case 1: raise KeyError(path)
        case 2: bytearray(2 << 30)
        case 3: raise UserError("somewhere something is wrong")
        case 4: raise UserError(f"{path}: one\\ntwo")
        case 5: warnings.warn("overflow")
        case 6: return None
    raise UserError(f"{path}: wrong")

class Sized(readers.Reader):
    def wrong(self, random):
        return bytes(random.randrange(8))

child.readers = lambda: {"points.csv": Sized(read, ".csv", [b"1234567"])}
child.main()
"""


@pytest.mark.slow
def test_a_broken_reader_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "broken.py"
    script.write_text(BROKEN)
    monkeypatch.setattr(fuzz, "CHILD", [sys.executable, str(script)])
    outcome = fuzz.fuzz("points.csv", 0, 0, 60)
    said = " ".join(text for _, text in outcome.faults)
    for kind in (
        "ended with -6",
        "KeyError",
        "MemoryError",
        "says 'somewhere",
        "one\\ntwo",
        "UserWarning",
        "nothing",
    ):
        assert kind in said
    assert outcome.inputs >= len(outcome.faults)
    fuzz.keep(outcome, 0, tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == len({index for index, _ in outcome.faults})


def test_the_table_tells_what_became_of_the_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = fuzz.main(["--inputs=40", "--reader=points.ply", "--reader=bal.xz", f"--keep={tmp_path / 'kept'}"])
    assert code == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [row[1].strip() for row in rows] == ["points.ply", "bal.xz"]
    for row in rows:
        inputs, accepted, refused, wrong = (int(cell) for cell in row[2:6])
        assert (inputs, accepted + refused, wrong) == (40, 40, 0)
    assert not (tmp_path / "kept").exists()


def test_a_message_that_does_not_name_the_file_is_a_fault() -> None:
    def read(path: Path) -> None:
        raise UserError("wrong")

    assert child.judged(read, Path("x")) == ("says 'wrong'", False)
