"""Backends end at the same cost and, but for the frame, in the same state, whatever writes the rotations."""

from dataclasses import replace

import numpy as np
import pytest

from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS, so3
from ba.model.similarity import Similarity, transform
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from scripts.benchmarks import agree
from scripts.benchmarks.agree import COST, STATE, Agreement, agreement, difference
from tests import ROOT


@pytest.fixture(scope="module")
def start() -> Problem:
    """Noisy observations of a ring, a little off the minimum."""
    scene = generate(Scene(images=8, points=60, observations_per_point=8, camera="bal", seed=4))
    return perturb(scene, Noise(rotation_deg=0.3, position=0.01, points=0.01), 1)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_backends_end_at_the_same_cost_and_in_the_same_state(rotation: str, start: Problem) -> None:
    found = agreement(start, rotation)
    assert found.cost <= COST
    assert (found.state is not None) == ROTATIONS[rotation].stays_rotation
    assert found.state is None or found.state <= STATE


def test_states_differ_by_what_no_frame_explains(start: Problem) -> None:
    turn = so3.exp(np.array([[0.3, -0.2, 0.1]]))[0]
    assert difference(transform(start, Similarity(2.0, turn, np.array([1.0, 2.0, 3.0]))), start) < 1e-12
    for name in ("points", "translations", "intrinsics"):
        values = getattr(start, name).copy()
        values[0, 0] += 1e-3 * np.abs(values).max()
        assert difference(replace(start, **{name: values}), start) > 1e-5


def test_agreement_has_limits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert Agreement({}, 0.5 * COST, 0.5 * STATE).holds
    assert Agreement({}, 0.5 * COST, None).holds
    assert not Agreement({}, 2.0 * COST, None).holds
    assert not Agreement({}, 0.5 * COST, 2.0 * STATE).holds
    monkeypatch.setattr(agree, "agreement", lambda problem, rotation: Agreement({"ours": 1.0}, 0.0, 1.0))
    path = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
    assert agree.main([str(path), "--rotation", "quaternion"]) == 1
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "quaternion",
        "1.000000000",
        "0.0e+00",
        "1.0e+00",
        "apart",
    ]
