"""What the kernels' benchmark makes of times that are made up."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ba.errors import UserError
from scripts.benchmarks import kernel_suite, kernels
from scripts.benchmarks.kernels import TOLERANCE, Timing, faults, gathered, remarks, table

BASELINE = {("elimination", 1): 4.0, ("elimination", 2): 2.0, ("product", 1): 0.5}


def made_up(kernel: str, seconds: list[float], calibration: list[float], calls: int = 1) -> dict[str, Any]:
    info = {"kernel": kernel, "threads": 1, "calls": calls, "calibration": calibration, "calibration_threads": 1}
    return {"extra_info": info, "stats": {"data": seconds}}


def results_of(ratios: dict[kernels.Key, float], calibration: float = 2e-3) -> dict[kernels.Key, Timing]:
    return {key: Timing(calibration * ratio, calibration, key[1]) for key, ratio in ratios.items()}


@pytest.mark.parametrize("key", BASELINE)
def test_a_rise_over_the_tolerance_is_named_and_no_other(key: kernels.Key) -> None:
    (fault,) = faults(BASELINE | {key: BASELINE[key] * (1.01 + TOLERANCE)}, BASELINE)
    assert fault.startswith(f"{kernels.named(key)}: +16.0%")


@pytest.mark.parametrize("factor", [0.1, 1.0, 0.99 + TOLERANCE])
def test_equal_faster_or_a_little_slower_is_fine(factor: float) -> None:
    assert faults({key: factor * ratio for key, ratio in BASELINE.items()}, BASELINE) == []


@pytest.mark.parametrize("key", BASELINE)
def test_a_kernel_of_the_baseline_that_was_not_timed_is_named(key: kernels.Key) -> None:
    (fault,) = faults({other: ratio for other, ratio in BASELINE.items() if other != key}, BASELINE)
    assert fault.startswith(f"{kernels.named(key)}: is in the baseline, but was not timed")


def test_a_kernel_that_the_baseline_lacks_is_no_fault_and_shown_without_a_change() -> None:
    ratios = BASELINE | {("new", 1): 1.0}
    assert faults(ratios, BASELINE) == []
    assert table(results_of(ratios), BASELINE).splitlines()[-1].split()[-1] == "none"


def test_table_has_times_ratios_changes_and_the_speed_up_of_threads() -> None:
    _, one, two, _ = table(results_of(BASELINE | {("elimination", 2): 2.5}), BASELINE).splitlines()
    assert one.split() == ["elimination", "1", "8.000", "4.0000", "4.0000", "+0.0%"]
    assert two.split() == ["elimination", "2", "5.000", "1.60x", "2.5000", "2.0000", "+25.0%"]


def test_a_ratio_is_of_the_least_times_of_all_processes() -> None:
    processes = [
        made_up("product", [4.0, 6.0], [3.0, 2.5], calls=2),
        made_up("product", [10.0], [0.5, 0.5], calls=2),
        made_up("product", [9.0], [1.0], calls=2),
    ]
    timing = gathered(processes)["product", 1]
    assert (timing.seconds, timing.calibration, timing.ratio) == (2.0, 0.5, 4.0)


def test_a_tenth_of_the_rounds_may_be_faster_than_what_counts() -> None:
    assert kernels.tenth_percentile([0.1] * 2 + [1.0] * 18) == 1.0
    assert kernels.tenth_percentile([5.0]) == 5.0


def test_a_machine_twice_as_slow_has_the_same_ratios() -> None:
    fast, slow = (gathered([made_up("product", [3.0 * s, 4.0 * s], [2.0 * s])])["product", 1] for s in (1.0, 2.0))
    assert slow.ratio == fast.ratio


@pytest.mark.parametrize(("calibration", "idle"), [(1.1e-3, True), (1.9e-3, False)])
def test_threads_without_a_core_are_told_by_the_calibration(calibration: float, idle: bool) -> None:
    said = remarks(results_of({("product", 1): 1.0}) | results_of({("product", 2): 1.0}, calibration))
    assert any("no idle core" in line for line in said) != idle


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    kernels.write(tmp_path / "baseline.json", BASELINE, "a machine")
    assert kernels.read(tmp_path / "baseline.json") == (BASELINE, "a machine")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"machine": "", "ratios": {"product": {"1": NaN}}}', '{"ratios": {"a": {"1": 0}}}'],
)
def test_a_file_that_is_no_baseline_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"baseline\.json: is no baseline"):
        kernels.read(path)


def test_the_committed_baseline_has_every_kernel_on_every_number_of_threads() -> None:
    ratios, _ = kernels.read(kernels.BASELINE)
    assert set(product(kernel_suite.KERNELS, kernel_suite.THREADS)) <= set(ratios)


@pytest.mark.parametrize(("slowed", "code"), [(1.0, 0), (1.2, 1)])
def test_the_exit_code_tells_of_a_regression(
    slowed: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    kernels.write(path, BASELINE, "a machine")
    measured = results_of(BASELINE | {("product", 1): slowed * BASELINE["product", 1]})
    monkeypatch.setattr(kernels, "timed", lambda _: measured)
    assert kernels.main(["--baseline", str(path)]) == code
    assert ("product on 1 thread: +20.0%" in capsys.readouterr().out) == bool(code)


def test_an_update_makes_what_was_measured_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "baseline.json"
    monkeypatch.setattr(kernels, "timed", lambda _: results_of(BASELINE))
    assert kernels.main(["--baseline", str(path), "--update"]) == 0
    assert kernels.main(["--baseline", str(path)]) == 0
    assert "numba" in json.loads(path.read_text())["machine"]


@pytest.mark.parametrize("name", dict(kernel_suite.CASES))
def test_every_kernel_can_be_chosen(name: str) -> None:
    assert kernels.parse(["--only", name]).only == [name]


@pytest.mark.parametrize("wrong", [["--only", "eliminatoin"], ["--only", "product", "--update"]])
def test_a_wrong_argument_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        kernels.parse(wrong)
    assert ended.value.code == 2


def test_a_missing_baseline_is_told_before_anything_is_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kernels.main(["--baseline", str(tmp_path / "no.json")]) == 2
    assert "no.json: no such file" in capsys.readouterr().err
