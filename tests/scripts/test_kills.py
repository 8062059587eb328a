"""scripts/kills at a small size: a few signals over the phases leave the old or the new result whole."""

from pathlib import Path

import pytest

from scripts import kills


@pytest.mark.slow
def test_a_few_signals_leave_a_whole_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(["--kill", "3", "--term", "2", "--interrupt", "2", "--parallel", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["all", "7"]


@pytest.mark.parametrize("name", sorted(kills.WHOLE))
def test_a_result_that_is_not_whole_is_found_out(name: str, tmp_path: Path) -> None:
    lane = kills.Lane.__new__(kills.Lane)
    lane.result = tmp_path
    for product in kills.WHOLE - {name}:
        (tmp_path / product).write_text('{"notes": []}')
    left, faults = lane.found(0, 1)
    assert left == "broken"
    assert len(faults) == 1
