"""The native lossless `.npz` file: every array of a problem, bit for bit, one after the other and uncompressed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.camera import CAMERAS
from ba.errors import UserError
from ba.files import COMPRESSORS, read_bytes, replacing, write_bytes
from ba.problem import Free, Problem, make_problem

ARRAYS: dict[str, str] = {
    "rotations": "f8",
    "translations": "f8",
    "camera_of_image": "i4",
    "camera_models": "U",
    "intrinsics": "f8",
    "points": "f8",
    "image_of_obs": "i4",
    "point_of_obs": "i4",
    "pixels": "f8",
    "image_names": "U",
    "free_rotations": "b1",
    "free_translations": "b1",
    "free_intrinsics": "b1",
    "free_points": "b1",
}
"""Every array of the file with its type; `covariances` and `colors` may be missing."""
NAMES = ("camera_models", "image_names")
OPTIONAL_ARRAYS: dict[str, str] = {"covariances": "f8", "colors": "u1"}

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error)
"""What zipfile raises on bytes that are no whole archive (NotImplementedError is a RuntimeError)."""


def write(problem: Problem, path: Path) -> None:
    """Write every array of the problem, bit for bit; `source` belongs to other formats and is left out."""
    free = {f"free_{part.name}": getattr(problem.free, part.name) for part in fields(Free)}
    present = [name for name in ARRAYS if name not in free] + list(OPTIONAL_ARRAYS)
    arrays = {name: getattr(problem, name) for name in present if getattr(problem, name) is not None}
    for name in NAMES:
        arrays[name] = np.array(arrays[name], dtype=np.str_)
    if path.suffix in COMPRESSORS:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays, **free)
        write_bytes(path, buffer.getvalue())
    else:  # straight to the disk: a large scene does not stand in memory twice
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays, **free)


def read(path: Path) -> Problem:
    """Read what `write` wrote. Raises UserError, by file and array, where something is missing, damaged or unfit."""
    arrays = _load(path)
    free = Free(**{part.name: arrays.pop(f"free_{part.name}") for part in fields(Free)})
    names: dict[str, Any] = {name: tuple(str(entry) for entry in arrays.pop(name)) for name in NAMES}
    unknown = sorted(set(names["camera_models"]) - set(CAMERAS))
    if unknown:
        raise UserError(f"{path}: camera_models: {unknown[0]!r} is unknown; right are {', '.join(CAMERAS)}")
    try:
        problem = make_problem(**arrays, **names, source={"format": "synthetic"})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    masks = [part.name for part in fields(Free)]
    shapes = {f"free_{name}": (getattr(free, name).shape, getattr(problem.free, name).shape) for name in masks}
    if problem.colors is not None:
        shapes["colors"] = (problem.colors.shape, problem.points.shape)
    if problem.image_names:
        shapes["image_names"] = ((len(problem.image_names),), (problem.num_images,))
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise UserError(f"{path}: {name}: shape {found} found, {expected} expected")
    return problem.with_free(free)


def _load(path: Path) -> dict[str, Any]:
    """All arrays by name, whole and of the right type."""
    content = io.BytesIO(read_bytes(path))
    try:
        archive = zipfile.ZipFile(content)
        damaged = archive.testzip()
    except DAMAGE as error:
        raise UserError(f"{path}: not a whole .npz file ({error}); write it again") from error
    if damaged:
        raise UserError(f"{path}: {damaged.removesuffix('.npy')}: the array is damaged; write the file again")
    present = {member.removesuffix(".npy") for member in archive.namelist()}
    missing = [name for name in ARRAYS if name not in present]
    if missing:
        raise UserError(f"{path}: {missing[0]}: the array is missing; a file written by this program has it")
    types = {name: kind for name, kind in (ARRAYS | OPTIONAL_ARRAYS).items() if name in present}
    return {name: _array(path, archive, name, kind) for name, kind in types.items()}


def _array(path: Path, archive: zipfile.ZipFile, name: str, kind: str) -> NDArray[Any]:
    try:
        with archive.open(f"{name}.npy") as member:
            array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    except ValueError as error:
        raise UserError(f"{path}: {name}: {error}") from error
    if (array.dtype.kind != "U") if kind == "U" else (array.dtype != np.dtype(kind)):
        raise UserError(f"{path}: {name}: type {array.dtype} found, {kind} expected")
    return array
