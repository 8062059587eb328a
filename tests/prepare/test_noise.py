from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Free, Problem
from ba.model.rotation import so3
from ba.prepare.noise import perturb
from ba.prepare.options import Noise

SIGMAS = {"rotation_deg": 2.0, "position": 0.3, "points": 0.2, "intrinsics": 0.01}
EVERYTHING = Noise(**SIGMAS)
PROBLEM = generate(Scene(kind="cloud", images=300, points=2000))


def rotation_vectors(after: Problem, before: Problem) -> np.ndarray:
    return so3.log(after.rotations @ before.rotations.transpose(0, 2, 1))


def assert_moments(sample: np.ndarray, sigma: float) -> None:
    """Mean 0 and variance sigma^2 of independent components, each within five of its own standard deviations."""
    n = len(sample)
    assert np.abs(sample.mean(axis=0)).max() < 5.0 * sigma / np.sqrt(n)
    covariance = np.cov(sample.T)
    assert np.abs(covariance - sigma**2 * np.eye(len(covariance))).max() < 5.0 * np.sqrt(2.0 / n) * sigma**2


def test_rotation_vectors_have_the_ordered_sigma():
    after = perturb(PROBLEM, Noise(rotation_deg=2.0), 1)
    assert_moments(rotation_vectors(after, PROBLEM), np.radians(2.0))


def test_positions_have_the_ordered_sigma_whatever_the_rotations_do():
    for rotation_deg in (0.0, 5.0):
        after = perturb(PROBLEM, Noise(position=0.3, rotation_deg=rotation_deg), 1)
        assert_moments(after.centers - PROBLEM.centers, 0.3)


def test_points_have_the_ordered_sigma():
    assert_moments(perturb(PROBLEM, Noise(points=0.2), 1).points - PROBLEM.points, 0.2)


def test_intrinsics_have_the_ordered_relative_sigma_and_zeros_stay_zero():
    before = replace(PROBLEM, intrinsics=PROBLEM.intrinsics * [1, 1, 1, 1, 0])
    after = perturb(before, Noise(intrinsics=0.01), 1)
    assert_moments(after.intrinsics[:, :4] / before.intrinsics[:, :4] - 1.0, 0.01)
    assert (after.intrinsics[:, 4] == 0.0).all()


def test_rotation_noise_turns_a_camera_about_its_centre():
    after = perturb(PROBLEM, Noise(rotation_deg=30.0), 1)
    assert np.abs(after.centers - PROBLEM.centers).max() < 1e-14
    assert np.abs(after.translations - PROBLEM.translations).max() > 0.1


def test_rotations_stay_rotations():
    assert so3.orthonormality(perturb(PROBLEM, Noise(rotation_deg=90.0), 1).rotations).max() < 1e-14


def test_no_noise_is_the_same_object():
    assert perturb(PROBLEM, Noise(), 1) is PROBLEM


@pytest.mark.parametrize("name", SIGMAS)
def test_one_quantity_alone_moves_as_it_does_among_others(name):
    alone = perturb(PROBLEM, Noise(**{name: SIGMAS[name]}), 7)
    together = perturb(PROBLEM, EVERYTHING, 7)
    moved = {
        "rotation_deg": lambda problem: problem.rotations,
        "position": lambda problem: problem.centers,
        "points": lambda problem: problem.points,
        "intrinsics": lambda problem: problem.intrinsics,
    }
    for quantity, get in moved.items():
        if quantity == name:
            assert np.abs(get(alone) - get(together)).max() < 1e-14
        else:
            assert np.abs(get(alone) - get(PROBLEM)).max() < 1e-14


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, second, other = (perturb(PROBLEM, EVERYTHING, seed) for seed in (5, 5, 6))
    for name in ("rotations", "translations", "points", "intrinsics"):
        assert (getattr(first, name) == getattr(second, name)).all()
        assert not (getattr(first, name) == getattr(other, name)).any(axis=-1).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_fixed_numbers_keep_their_bits_and_free_ones_draw_the_same(seed, share):
    rng = np.random.default_rng(seed)
    problem = generate(Scene(images=8, points=30))
    masks = {part.name: rng.random(getattr(problem.free, part.name).shape) < share for part in fields(Free)}
    held = perturb(problem.with_free(Free(**masks)), EVERYTHING, seed)
    free = perturb(problem, EVERYTHING, seed)
    for name, mask in masks.items():
        before, after = getattr(problem, name), getattr(held, name)
        assert (before[~mask] == after[~mask]).all()
        if name != "translations":
            assert (after[mask] == getattr(free, name)[mask]).all()


@pytest.mark.parametrize("axis", range(3))
def test_a_partly_fixed_translation_gets_no_position_noise(axis):
    translations = PROBLEM.free.translations.copy()
    translations[:, axis] = False
    held = PROBLEM.with_free(replace(PROBLEM.free, translations=translations))
    assert (perturb(held, Noise(position=1.0), 3).translations == PROBLEM.translations).all()
    turned = perturb(held, Noise(rotation_deg=5.0), 3).translations
    assert (turned[:, axis] == PROBLEM.translations[:, axis]).all()
    assert (np.delete(turned, axis, axis=1) != np.delete(PROBLEM.translations, axis, axis=1)).all()


def test_large_world_coordinates_cost_no_digits_of_the_noise():
    far = np.array([5e5, 5e6, 100.0])
    moved = replace(PROBLEM, translations=PROBLEM.translations - PROBLEM.rotations @ far, points=PROBLEM.points + far)
    after = perturb(moved, Noise(rotation_deg=1.0, position=0.1), 1)
    near = perturb(PROBLEM, Noise(rotation_deg=1.0, position=0.1), 1)
    assert np.abs(after.centers - far - near.centers).max() < 1e-7
