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
from ba.model.problem import Free, Problem, Rigs, make_problem
from ba.system.files import COMPRESSORS, replacing, write_bytes
from ba.system.reading import ALWAYS_UNPACKED, MAX_RATIO, read_bytes

MASKS = tuple(part.name for part in fields(Free))
NAMES = ("camera_models", "image_names")
ARRAYS: dict[str, str] = {
    **dict.fromkeys(("rotations", "translations", "intrinsics", "points", "pixels"), "f8"),
    **dict.fromkeys(("camera_of_image", "image_of_obs", "point_of_obs"), "i4"),
    **dict.fromkeys(NAMES, "U"),
    **dict.fromkeys((f"free_{mask}" for mask in MASKS), "b1"),
}
"""Every array that the file must have, with its type."""
RIGS = tuple(f"rigs_{part.name}" for part in fields(Rigs) if part.name != "num_frames")
"""The arrays of a problem with rigs; the number of frames is the length of one of them."""
OPTIONAL_ARRAYS: dict[str, str] = {
    "covariances": "f8",
    "colors": "u1",
    "camera_names": "U",
    "camera_sizes": "i4",
    **dict.fromkeys(("image_ids", "camera_ids", "point_ids"), "i8"),
    "keypoint_of_obs": "i4",
    **dict.fromkeys(RIGS, "i4"),
}
"""What the file has where the problem has it."""
TYPES = ARRAYS | OPTIONAL_ARRAYS

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error)
"""What zipfile raises on bytes that are no whole archive (NotImplementedError is a RuntimeError)."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


def write(problem: Problem, path: Path) -> None:
    """Write every array of the problem, bit for bit; `source` belongs to other formats and is left out."""
    arrays = {name: value for name in TYPES if (value := getattr(problem, name, None)) is not None}
    arrays |= {name: np.array(arrays[name], dtype=np.str_) for name in NAMES}
    if len(names := arrays.pop("camera_names")):
        arrays["camera_names"] = np.array(names, dtype=np.str_)
    if problem.rigs is not None:
        arrays |= {name: getattr(problem.rigs, name.removeprefix("rigs_")) for name in RIGS}
    arrays |= {name: np.asarray(arrays[name], TYPES[name]) for name in arrays if TYPES[name] in ("i4", "i8")}
    arrays |= {f"free_{mask}": getattr(problem.free, mask) for mask in MASKS}
    if path.suffix in COMPRESSORS:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_bytes(path, buffer.getvalue())
    else:  # straight to the disk: a large scene does not stand in memory twice
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)


def read(path: Path) -> Problem:
    """Read what `write` wrote. Raises UserError, by file and array, where something is missing, damaged or unfit."""
    arrays = _load(path)
    free = Free(**{mask: arrays.pop(f"free_{mask}") for mask in MASKS})
    for name in (*NAMES, "camera_names"):
        if name in arrays:
            arrays[name] = tuple(arrays[name].tolist())
    arrays["rigs"] = _rigs(path, {name: arrays.pop(name) for name in RIGS if name in arrays})
    unknown = sorted(set(arrays["camera_models"]) - set(CAMERAS))
    if unknown:
        raise UserError(f"{path}: camera_models: {unknown[0]!r} is unknown; right are {', '.join(CAMERAS)}")
    try:
        problem = make_problem(**arrays, source={"format": "synthetic"})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    shapes = {f"free_{mask}": (getattr(free, mask).shape, getattr(problem.free, mask).shape) for mask in MASKS}
    if problem.colors is not None:
        shapes["colors"] = (problem.colors.shape, problem.points.shape)
    if problem.image_names:
        shapes["image_names"] = ((len(problem.image_names),), (problem.num_images,))
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise UserError(f"{path}: {name}: shape {found} found, {expected} expected")
    return problem.with_free(free)


def _rigs(path: Path, arrays: dict[str, Any]) -> Rigs | None:
    """The rigs of a file that has any."""
    missing = [name for name in RIGS if name not in arrays]
    if len(missing) == len(RIGS):
        return None
    for name, array in arrays.items():
        if array.ndim != 1:
            raise UserError(f"{path}: {name}: shape {array.shape} found, one number a row expected")
    if missing:
        raise UserError(f"{path}: {missing[0]}: the array is missing; a file with rigs has it")
    of = {name.removeprefix("rigs_"): array for name, array in arrays.items()}
    return Rigs(num_frames=len(of["rig_of_frame"]), **of)


def _load(path: Path) -> dict[str, Any]:
    """All arrays by name, whole and of the right type."""
    content = read_bytes(path)
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGE as error:
        raise UserError(f"{path}: not a whole .npz file ({error}); write it again") from error
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name, suffix = member.filename[:-4], member.filename[-4:]
        if suffix == ".npy" and name in TYPES:
            if name in members:
                raise UserError(f"{path}: {name}: the archive has this array twice; write the file again")
            members[name] = member
    for name in ARRAYS:
        if name not in members:
            raise UserError(f"{path}: {name}: the array is missing; a file written by this program has it")
    if sum(member.file_size for member in members.values()) > max(MAX_RATIO * len(content), ALWAYS_UNPACKED):
        raise UserError(f"{path}: its arrays would be over {MAX_RATIO} times as large as the file; write it again")
    return {name: _array(f"{path}: {name}", archive, member, TYPES[name]) for name, member in members.items()}


def _array(where: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: str) -> NDArray[Any]:
    if member.flag_bits & ENCRYPTED or member.compress_type not in COMPRESSIONS:
        raise UserError(f"{where}: encrypted, or compressed as numpy does not; numpy.savez writes what is right")
    try:
        content = archive.read(member)  # compares the checksum too
    except DAMAGE as error:
        raise UserError(f"{where}: the array is damaged ({error}); write the file again") from error
    array = npy.parse(where, content)
    if array.dtype.kind != "U" if kind == "U" else array.dtype != np.dtype(kind):
        raise UserError(f"{where}: type {array.dtype} found, {kind} expected")
    if array.ndim == 0 or (kind == "U" and array.ndim != 1):
        right = "a list of names" if kind == "U" else "an array with a row an entry"
        raise UserError(f"{where}: shape {array.shape} found, {right} expected")
    return array
