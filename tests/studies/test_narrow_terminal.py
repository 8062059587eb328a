"""Tables on a terminal of 80 columns keep every digit, in lines that are not broken."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ba.studies.comparison import table
from ba.studies.comparison.profiles import SHARES
from ba.studies.comparison.results import Summary
from ba.studies.rotation_alignment import config as configuration
from ba.studies.rotation_alignment import run
from ba.studies.rotation_alignment import table as alignment_table
from tests import ROOT

ROW = Summary(
    dataset="dubrovnik-16", label="modified_rodrigues", steps=(1234.5,) * len(SHARES),
    seconds=(98765.432,) * len(SHARES), failures=5, unranked=0, of=5, free_numbers=66_462, free_directions=123,
    condition=9.87e14, distance_from_so3=1.5e-15, difference=4.5e-13, truth_error=8.5e-3, flags=(),
)  # fmt: skip
CELLS = [
    "modified_rodrigues", "1234.5", "98765.432", "5 of 5", "1.5e-15", "9.9e+14", "66,462", "123", "4.5e-13", "8.5e-03",
]  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    table.print_summary([ROW, replace(ROW, label="so3_left")], [], Path("runs/a"), stream)
    return re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("columns", [80, 100, 150])
def test_a_comparison_shows_every_digit(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lines = printed(monkeypatch, columns)
    assert max(map(len, lines)) <= columns
    assert "…" not in "".join(lines)
    shown = " ".join(line for line in lines if "modified_rodrigues" in line)
    for cell in CELLS:
        assert cell in shown


def test_a_wide_terminal_has_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, tables in ((80, 2), (150, 1)):
        assert sum("so3_left" in line for line in printed(monkeypatch, columns)) == tables


def test_a_rotation_alignment_fits(tmp_path: Path) -> None:
    config = configuration.load(
        ROOT / "configs" / "rotation-alignment.yaml",
        ["rotation=[modified_rodrigues,columns6]", "starts.count=2", "output.picture=false"],
    )
    stream = io.StringIO()
    alignment_table.write(run.run(config, tmp_path), stream)
    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines if "written to" not in line) <= 80
    table_of_starts = lines[next(i for i, line in enumerate(lines) if " starts at each angle " in line) + 1 :]
    head, *rows = [line for line in table_of_starts if "deg" in line or "vector" in line or "norm" in line]
    assert head.split()[2:] == ["30", "deg", "90", "deg", "150", "deg", "170", "deg", "179", "deg"]
    assert len(rows) == 4
    for row in rows:
        assert len(row) == len(head), "the columns end under their headings"
