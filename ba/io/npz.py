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

from ba.errors import UserError
from ba.io import npy
from ba.model.camera import CAMERAS
from ba.model.problem import Free, Problem, make_problem
from ba.system.files import COMPRESSORS, replacing, write_bytes
from ba.system.reading import ALWAYS_UNPACKED, MAX_RATIO, read_bytes

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
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


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
    for name in NAMES:
        if arrays[name].ndim != 1:
            raise UserError(f"{path}: {name}: shape {arrays[name].shape} found, a list of names expected")
    names: dict[str, Any] = {name: tuple(arrays.pop(name).tolist()) for name in NAMES}
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
    content = read_bytes(path)
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGE as error:
        raise UserError(f"{path}: not a whole .npz file ({error}); write it again") from error
    members = archive.infolist()
    names = [member.filename for member in members]
    missing = [name for name in ARRAYS if f"{name}.npy" not in names]
    if missing:
        raise UserError(f"{path}: {missing[0]}: the array is missing; a file written by this program has it")
    types = {name: kind for name, kind in (ARRAYS | OPTIONAL_ARRAYS).items() if f"{name}.npy" in names}
    for name in types:
        if names.count(f"{name}.npy") > 1:
            raise UserError(f"{path}: {name}: the archive has this array twice; write the file again")
    wanted = {member.filename: member for member in members if member.filename.removesuffix(".npy") in types}
    if sum(member.file_size for member in wanted.values()) > max(MAX_RATIO * len(content), ALWAYS_UNPACKED):
        raise UserError(f"{path}: its arrays would be over {MAX_RATIO} times as large as the file; write it again")
    return {name: _array(path, archive, wanted[f"{name}.npy"], kind) for name, kind in types.items()}


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: str) -> NDArray[Any]:
    where = f"{path}: {member.filename.removesuffix('.npy')}"
    if member.flag_bits & ENCRYPTED or member.compress_type not in COMPRESSIONS:
        raise UserError(f"{where}: encrypted, or compressed as numpy does not; numpy.savez writes what is right")
    try:
        content = archive.read(member)  # compares the checksum too
    except DAMAGE as error:
        raise UserError(f"{where}: the array is damaged ({error}); write the file again") from error
    array = npy.parse(where, content)
    if array.dtype.kind != "U" if kind == "U" else array.dtype != np.dtype(kind):
        raise UserError(f"{where}: type {array.dtype} found, {kind} expected")
    if array.ndim == 0:
        raise UserError(f"{where}: a single value found, an array with a row an entry expected")
    return array
