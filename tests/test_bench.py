"""The benchmark's arithmetic, on runs that are made up."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    for name in ("contenders", "bench"):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["bench"]


def made_up(scale: float, initial: float = 100.0) -> list[dict[str, object]]:
    curve = [[0.0, initial], [1.0 * scale, 2.0], [2.0 * scale, 1.00005], [4.0 * scale, 1.0]]
    return [{"curve": curve, "seconds": 5.0 * scale, "build_seconds": 0.5, "peak_mb": 10.0, "initial_cost": initial}]


def test_arrival_is_the_first_time_at_the_cost(bench: ModuleType) -> None:
    curve = made_up(1.0)[0]["curve"]
    assert bench.arrival(curve, 2.0) == 1.0
    assert bench.arrival(curve, 1.5) == 2.0
    assert bench.arrival(curve, 0.5) == float("inf")


def test_table_has_ratios_to_the_first_and_marks_other_problems(bench: ModuleType) -> None:
    text = bench.table({"ours": made_up(1.0), "slow": made_up(3.0), "other": made_up(1.0, 90.0)}, 1.0)
    _, ours, slow, other = text.splitlines()
    assert ours.split()[1:7] == ["2.000", "1.0x", "4.000", "1.0x", "4.000", "1.0x"]
    assert slow.split()[1:7] == ["6.000", "3.0x", "12.000", "3.0x", "12.000", "3.0x"]
    assert "another problem" not in slow
    assert "another problem: starts at 90" in other
