"""Point sets from files, or generated with a known rotation."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ba.errors import UserError
from ba.io import npy
from ba.io.ply import read_vertices
from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array
from ba.studies.rotation_alignment.config import Generated, Sets
from ba.studies.rotation_alignment.problem import PointSets
from ba.system.reading import existing_file, lines, number, read_bytes, read_text


def load_sets(data: Sets) -> PointSets:
    """The two sets of a configuration. Raises UserError for files that are no such sets."""
    if data.generated is not None:
        return generate(data.generated)
    if data.p1 is None or data.p2 is None:
        raise UserError("data.p1: missing; the paths of two point sets are right, or data.generated")
    p1, p2 = read_points(data.p1), read_points(data.p2)
    if len(p1) != len(p2):
        raise UserError(
            f"{data.p2}: {len(p2)} points, but {data.p1} has {len(p1)}; row i of one belongs to row i of the other"
        )
    return PointSets(p1, p2)


def generate(options: Generated) -> PointSets:
    """p2 from N(0, 1), then the noise of p1, drawn from one generator."""
    random = np.random.default_rng(options.seed)
    R = so3.exp(np.array(options.axis_angle))
    p2 = random.normal(size=(options.points, 3))
    return PointSets(p2 @ R.T + options.sigma * random.normal(size=p2.shape), p2, R)


def read_points(path: Path) -> Array:
    """(n, 3) float64, n >= 2, all finite. Raises UserError that names the file and what is wrong in it."""
    existing_file(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: a point set is a file that ends in {', '.join(READERS)}")
    points = reader(path)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
        raise UserError(f"{path}: an array of shape {points.shape} found, (n, 3) with n >= 2 expected")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise UserError(f"{path}: point {row + 1} is {points[row].tolist()}; coordinates are finite numbers")
    return points


def _read_npy(path: Path) -> Array:
    points = npy.parse(str(path), read_bytes(path))
    if points.dtype.kind not in "fiu":
        raise UserError(f"{path}: no array of real numbers found, (n, 3) real numbers expected")
    with np.errstate(invalid="ignore"):  # of a NaN, which is named later
        return points.astype(np.float64)


def _read_csv(path: Path) -> Array:
    """Three numbers a line, separated by commas; a first line of names, empty lines and lines with # are left out."""
    coordinates = array("d")
    for line, text in lines(read_text(path)):
        words = text.partition("#")[0].strip().split(",")
        if words == [""] or (line == 1 and not any(map(_is_number, words))):
            continue
        if len(words) != 3 or not all(map(_is_number, words)):
            raise UserError(f"{path}, line {line}: {text.strip()[:60]!r} found, three numbers x,y,z expected")
        coordinates.extend(map(number, words))
    return np.array(coordinates).reshape(-1, 3)


def _is_number(word: str) -> bool:
    try:
        number(word)
    except ValueError:
        return False
    return True


READERS: dict[str, Callable[[Path], Array]] = {".npy": _read_npy, ".csv": _read_csv, ".ply": read_vertices}
