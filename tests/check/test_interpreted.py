"""Compiled kernels and the same kernels as plain Python, which checks every index, come to the same end."""

import json
import os
import subprocess
import sys

import pytest

from ba.check import warm

CASES = dict(warm.cases())
COSTS_AS_JSON = (
    "import json\nfrom ba.check import warm\nprint(json.dumps({n: warm.final_cost(c) for n, c in warm.cases()}))"
)


@pytest.fixture(scope="module")
def interpreted() -> dict[str, float]:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, "-c", COSTS_AS_JSON], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    costs: dict[str, float] = json.loads(run.stdout)
    return costs


@pytest.mark.parametrize("case", CASES)
def test_compiled_kernels_agree_with_interpreted_ones(case: str, interpreted: dict[str, float]) -> None:
    assert warm.final_cost(CASES[case]) == pytest.approx(interpreted[case], rel=1e-6)
