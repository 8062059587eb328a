"""BAL files: what is written is read bit for bit, and what the real files hold is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from ba import io
from ba.errors import UserError
from ba.io import bal
from ba.model.camera import CAMERAS
from ba.model.problem import Problem, make_problem
from ba.model.rotation import so3
from ba.system.files import COMPRESSORS, write_bytes
from ba.system.reading import read_text
from tests import ROOT

DATASETS = ROOT / "datasets"
SUFFIXES = [".txt", *(f".txt{suffix}" for suffix in COMPRESSORS)]
NUMERIC_FIELDS = [
    "rotations", "translations", "camera_of_image", "intrinsics", "points", "image_of_obs", "point_of_obs", "pixels",
]  # fmt: skip

# name: (images, points, observations), 0.5 * sum of squared reprojection errors in px^2 (Ceres and others agree)
KNOWN = {
    "dubrovnik-3-7-pre.txt": ((3, 7, 19), 2764.22),
    "dubrovnik-16-22106-pre.txt.xz": ((16, 22106, 83718), 4185659.5182497227),
    "ladybug-49-7776-pre.txt.xz": ((49, 7776, 31843), 850912.4606808396),
}

number = st.floats(-1e6, 1e6)
angle = st.floats(-10.0, 10.0) | st.sampled_from([0.0, -0.0, 1e-9, np.pi, 2.0 * np.pi])


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Small problems as a file would give them, with axis-angles far beyond pi too."""
    images, points, observations = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 8))
    axis_angle = draw(arrays(float, (images, 3), elements=angle))
    focal = draw(arrays(float, (images, 1), elements=st.floats(1e-3, 1e5)))
    return make_problem(
        rotations=so3.exp(axis_angle) * bal.FLIP[:, None],
        translations=draw(arrays(float, (images, 3), elements=number)),
        camera_models=("bal",) * images,
        intrinsics=np.hstack([focal, draw(arrays(float, (images, 2), elements=number))]),
        points=draw(arrays(float, (points, 3), elements=number)),
        image_of_obs=draw(arrays(np.int32, observations, elements=st.integers(0, images - 1))),
        point_of_obs=draw(arrays(np.int32, observations, elements=st.integers(0, points - 1))),
        pixels=draw(arrays(float, (observations, 2), elements=number)),
        source={"format": "bal", "axis_angle": axis_angle},
    )


def assert_same_numbers(one: Problem, other: Problem) -> None:
    for name in NUMERIC_FIELDS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(one.source["axis_angle"], other.source["axis_angle"])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bal")


@given(problem=problems(), suffix=st.sampled_from(SUFFIXES))
def test_what_is_written_is_read_bit_for_bit(problem: Problem, suffix: str, scratch: Path) -> None:
    io.save(problem, scratch / f"scene{suffix}")
    assert_same_numbers(io.load(scratch / f"scene{suffix}"), problem)


@given(problem=problems())
def test_rotations_survive_without_the_files_own_vectors(problem: Problem, scratch: Path) -> None:
    io.save(replace(problem, source={}), scratch / "scene.txt")
    assert np.allclose(io.load(scratch / "scene.txt").rotations, problem.rotations, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", KNOWN)
def test_a_real_file_is_written_with_the_numbers_it_had(name: str, tmp_path: Path) -> None:
    problem = io.load(DATASETS / name)
    io.save(problem, tmp_path / "copy.txt")
    assert_same_numbers(io.load(tmp_path / "copy.txt"), problem)
    original, copy = (np.array(read_text(path).split(), float) for path in (DATASETS / name, tmp_path / "copy.txt"))
    assert np.array_equal(original, copy)


@pytest.mark.parametrize("name", KNOWN)
def test_a_real_file_has_its_known_size_and_cost(name: str) -> None:
    problem = io.load(DATASETS / name)
    sizes, cost = KNOWN[name]
    assert (problem.num_images, problem.num_points, problem.num_observations) == sizes
    assert reprojection_cost(problem) == pytest.approx(cost, rel=2e-6 if cost < 1e4 else 1e-12)


def reprojection_cost(problem: Problem) -> float:
    image = problem.image_of_obs
    in_cam = np.einsum("nij,nj->ni", problem.rotations[image], problem.points[problem.point_of_obs])
    uv, domain = np.empty_like(problem.pixels), np.empty(len(image), np.uint8)
    CAMERAS["bal"].project(
        problem.intrinsics, problem.camera_of_image[image], in_cam + problem.translations[image],
        uv, np.empty((0, 2, 3)), np.empty((0, 2, 3)), domain,
    )  # fmt: skip
    return float(0.5 * np.sum((uv - problem.pixels) ** 2))


def test_the_axes_are_turned_to_ours() -> None:
    problem = io.load(DATASETS / "dubrovnik-3-7-pre.txt")
    axis_angle = [-1.6943983532198115e-02, 1.1171804676513932e-02, 2.4643508831711991e-03]
    expected = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_rotvec(axis_angle).as_matrix()
    assert np.allclose(problem.rotations[0], expected, rtol=0.0, atol=1e-15)
    assert np.array_equal(problem.translations[0], [7.3030995682610689e-01, 2.6490818471043420e-01, 1.7127892627337182])
    assert np.array_equal(problem.intrinsics[0], [1430.0319432711681, -7.5572758535864072e-08, 3.2377569465570913e-14])
    assert np.array_equal(problem.points[0], [-1.2055995050700867e01, 1.2838775976205760e01, -4.1099369264082803e01])
    assert np.array_equal(problem.pixels[0], [-385.99, -387.12])
    assert (problem.image_of_obs[1], problem.point_of_obs[1]) == (1, 0)


@given(problem=problems(), data=st.data())
def test_only_rotations_that_changed_get_new_vectors(problem: Problem, data: st.DataObject, scratch: Path) -> None:
    changed = data.draw(st.integers(0, problem.num_images - 1))
    rotations = problem.rotations.copy()
    rotations[changed] = rotations[changed] @ so3.exp(np.array([[0.1, 0.2, 0.3]]))[0]
    io.save(replace(problem, rotations=rotations), scratch / "moved.txt")
    again = io.load(scratch / "moved.txt")
    others = np.arange(problem.num_images) != changed
    assert np.array_equal(again.source["axis_angle"][others], problem.source["axis_angle"][others])
    assert np.allclose(again.rotations, rotations, rtol=0.0, atol=1e-12)


@given(problem=problems(), data=st.data())
def test_the_layout_of_lines_is_free(problem: Problem, data: st.DataObject, scratch: Path) -> None:
    io.save(problem, scratch / "lines.txt")
    words = (scratch / "lines.txt").read_text().split()
    gaps = data.draw(st.lists(st.sampled_from([" ", "\n", "\t", "\r\n", " \n\n  "]), min_size=1, max_size=5))
    text = "".join(gaps[i % len(gaps)] + word for i, word in enumerate(words))
    (scratch / "free.txt").write_text(text + data.draw(st.sampled_from(["", "\n"])), newline="")
    assert_same_numbers(io.load(scratch / "free.txt"), problem)


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), digits=st.integers(0, 20))
def test_numbers_are_read_to_the_nearest_double(numbers: list[float], digits: int) -> None:
    words = [*map(repr, numbers), *(f"{number:.{digits}e}" for number in numbers)]
    expected = np.array([float(word) for word in words])
    if np.isfinite(expected).all():
        assert np.array_equal(bal._numbers(Path("numbers"), " ".join(words)), expected)


@given(text=st.text(st.sampled_from("0123456789.e+- \n\t"), max_size=12))
@settings(max_examples=500)
def test_words_are_numbers_exactly_where_python_says_so(text: str) -> None:
    try:
        expected = [float(word) for word in text.split()]
    except ValueError:
        expected = [np.nan]
    if np.isfinite(expected).all():
        assert bal._numbers(Path("numbers"), text).tolist() == expected
    else:
        with pytest.raises(UserError, match="numbers, line "):
            bal._numbers(Path("numbers"), text)


def not_for_bal(problem: Problem) -> dict[str, Problem]:
    """What BAL cannot hold, by the words that the refusal must use."""
    images = problem.num_images
    return {
        "camera model pinhole": replace(problem, camera_models=("pinhole",) * images, intrinsics=np.ones((images, 5))),
        "shared": replace(
            problem,
            camera_of_image=np.zeros(images, np.int32),
            camera_models=("bal",),
            intrinsics=problem.intrinsics[:1],
        ),
        "covariances": replace(problem, covariances=np.tile(np.eye(2), (problem.num_observations, 1, 1))),
        "not rotations": replace(problem, rotations=1.1 * problem.rotations),
        "without images": replace(
            problem,
            image_of_obs=problem.image_of_obs[:0],
            point_of_obs=problem.point_of_obs[:0],
            pixels=problem.pixels[:0],
        ),
    }


def test_what_the_format_cannot_hold_is_refused_with_a_way_out(tmp_path: Path) -> None:
    for reason, problem in not_for_bal(io.load(DATASETS / "dubrovnik-3-7-pre.txt")).items():
        with pytest.raises(UserError, match=f"copy.txt: BAL cannot hold .*{reason}.*; write a .npz file"):
            io.save(problem, tmp_path / "copy.txt")
    assert list(tmp_path.iterdir()) == []


def test_cameras_may_stand_in_another_order_than_images(tmp_path: Path) -> None:
    problem = io.load(DATASETS / "dubrovnik-3-7-pre.txt")
    order = np.array([2, 0, 1], np.int32)
    io.save(
        replace(problem, camera_of_image=order, intrinsics=problem.intrinsics[np.argsort(order)]), tmp_path / "a.txt"
    )
    assert_same_numbers(io.load(tmp_path / "a.txt"), problem)


def test_a_point_seen_twice_by_an_image_is_kept(tmp_path: Path) -> None:
    problem = io.load(DATASETS / "dubrovnik-3-7-pre.txt")
    fields = {name: np.concatenate([getattr(problem, name)] * 2) for name in ("image_of_obs", "point_of_obs", "pixels")}
    io.save(replace(problem, **fields), tmp_path / "twice.txt")
    assert io.load(tmp_path / "twice.txt").num_observations == 2 * problem.num_observations


def test_the_name_tells_the_format() -> None:
    assert {io.guess_format(f"folder.npz/scene{suffix}") for suffix in SUFFIXES} == {"bal"}


def test_archives_are_read_as_they_are(tmp_path: Path) -> None:
    text = read_text(DATASETS / "dubrovnik-3-7-pre.txt")
    for suffix in SUFFIXES:
        write_bytes(tmp_path / f"scene{suffix}", text.encode())
        assert_same_numbers(io.load(tmp_path / f"scene{suffix}"), io.load(DATASETS / "dubrovnik-3-7-pre.txt"))
