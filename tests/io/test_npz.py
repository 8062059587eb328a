"""The native format keeps every bit, and names what is wrong with a file."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ba.errors import UserError
from ba.io import npz
from ba.model.camera import CAMERAS
from tests.support.scenes import assert_same_bits, sample_problem


@pytest.mark.parametrize("suffix", [".npz", ".npz.gz"])
def test_a_file_gives_back_every_bit(tmp_path: Path, suffix):
    bare = replace(sample_problem(use_covariance=False), colors=None, image_names=())
    for problem in (sample_problem(), bare):
        path = tmp_path / f"scene{suffix}"
        npz.write(problem, path)
        assert_same_bits(problem, npz.read(path))
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_problem_of_mixed_cameras_survives_the_file(tmp_path: Path):
    problem = sample_problem()
    models = tuple(list(CAMERAS)[i % len(CAMERAS)] for i in range(problem.num_cameras))
    width = max(len(CAMERAS[name].parameters) for name in models)
    intrinsics = np.arange(1.0, 1.0 + len(models) * width).reshape(len(models), width)
    free = replace(problem.free, intrinsics=intrinsics > 3.0)
    mixed = replace(problem, camera_models=models, intrinsics=intrinsics, free=free)
    npz.write(mixed, tmp_path / "mixed.npz")
    assert_same_bits(mixed, npz.read(tmp_path / "mixed.npz"))


def rewritten(path: Path, **changed: object) -> Path:
    """The sample's file with some arrays replaced, or left out where None."""
    npz.write(sample_problem(), path)
    with np.load(path) as file:
        arrays = dict(file) | changed
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize("name", npz.ARRAYS)
def test_a_missing_array_is_named(tmp_path: Path, name):
    path = rewritten(tmp_path / "scene.npz", **{name: None})
    with pytest.raises(UserError, match=f"scene.npz: {name}: the array is missing"):
        npz.read(path)


@pytest.mark.parametrize("name", [*npz.ARRAYS, *npz.OPTIONAL_ARRAYS])
@pytest.mark.parametrize(
    "array", [np.array([1j, 2j]), np.array([None, "pickled"], dtype=object)], ids=["complex", "object"]
)
def test_an_array_of_a_wrong_type_is_named(tmp_path: Path, name, array):
    path = rewritten(tmp_path / "scene.npz", **{name: array})
    with pytest.raises(UserError, match=f"scene.npz: {name}: "):
        npz.read(path)


@pytest.mark.parametrize("name", [*npz.ARRAYS, *npz.OPTIONAL_ARRAYS])
def test_an_array_of_a_wrong_shape_is_refused(tmp_path: Path, name):
    kind = (npz.ARRAYS | npz.OPTIONAL_ARRAYS)[name]
    wrong = np.array(["pinhole"] * 7) if kind == "U" else np.zeros((7, 7), kind)
    with pytest.raises(UserError, match=r"scene\.npz: .*shape"):
        npz.read(rewritten(tmp_path / "scene.npz", **{name: wrong}))


def test_an_unknown_camera_model_is_named(tmp_path: Path):
    path = rewritten(tmp_path / "scene.npz", camera_models=np.array(["lens"] * 4))
    with pytest.raises(UserError, match="'lens' is unknown; right are"):
        npz.read(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_reported_or_harmless(tmp_path: Path, data):
    problem = sample_problem()
    path = tmp_path / "damaged.npz"
    npz.write(problem, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        survivor = npz.read(path)
    except UserError as error:
        survivor, message = problem, str(error)
    else:
        message = str(path)
    assert_same_bits(problem, survivor)
    assert str(path) in message


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", np.arange(3).tobytes()])
def test_what_is_no_archive_is_refused(tmp_path: Path, content):
    path = tmp_path / "scene.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"scene\.npz"):
        npz.read(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "scene.npz"
    npz.write(sample_problem(), path)
    before = path.read_bytes()
    unpicklable = replace(sample_problem(), colors=np.array([lambda: None]))
    with pytest.raises(ValueError, match="pickle"):
        npz.write(unpicklable, path)
    assert path.read_bytes() == before
    assert zipfile.is_zipfile(io.BytesIO(before))
