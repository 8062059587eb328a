"""Every reader of the program with sound files to start from. Registries are walked: a new format joins by itself."""

import bz2
import io
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import ba.io
import ba.studies.comparison.config
import ba.studies.rotation_alignment.config
import ba.studies.rotation_alignment.data
from ba.errors import UserError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.options import load
from ba.studies import request
from ba.system.files import COMPRESSORS
from scripts import ROOT
from scripts.fuzzing.mutations import mutant, rezipped

POINTS = np.array([[0.5, -1.0, 2.0], [3.25, 1e-3, -4.0], [1e5, 0.0, 7.0], [2.0, 2.0, 2.0]])


QUICK_XZ = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 12}]
PACKERS = COMPRESSORS | {
    ".bz2": partial(bz2.compress, compresslevel=1),
    ".xz": partial(lzma.compress, filters=QUICK_XZ),
}
"""The program's own, but for two that take longer than reading what they give."""


@dataclass(frozen=True)
class Reader:
    """read(path) raises UserError or gives something that `sound` accepts; seeds are whole files.

    suffix: of the file; packing: the compression that stands around the seeds, if any.
    """

    read: Callable[[Path], Any]
    suffix: str
    seeds: Sequence[bytes]
    packing: str = ""

    def wrong(self, random: Random) -> bytes:
        """A file that may be wrong: half of the time changed below the compression or the archive's checksums."""
        inside = random.random() < 0.7
        if inside and self.seeds[0].startswith(b"PK"):
            content = rezipped(random.choice(self.seeds), random)
        elif inside or not self.packing:
            content = mutant(self.seeds, random)
        else:
            content = random.choice(self.seeds)
        if self.packing:
            content = PACKERS[self.packing](content)
        return content if inside else mutant([content], random)


def readers() -> dict[str, Reader]:
    """By name."""
    return problem_readers() | point_readers() | configuration_readers()


def problem_readers() -> dict[str, Reader]:
    found = {}
    for name, read in ba.io.READERS.items():
        if ba.io.FORMATS[name].files:
            found |= readers_of_folder(name)
            continue
        suffix = ba.io.FORMATS[name].suffixes[0]
        seeds = [saved(problem, name, suffix) for problem in problems()]
        for packing in ("", *COMPRESSORS):
            found[f"{name}{packing}"] = Reader(read, suffix + packing, seeds, packing)
    return found


def readers_of_folder(format: str) -> dict[str, Reader]:
    """One for each file of a format that is a folder; the others are sound."""
    with TemporaryDirectory() as place:
        folder = Path(place, "seed")
        ba.io.save(problems()[0], folder, format)
        sound = {file: (folder / file).read_bytes() for file in ba.io.FORMATS[format].files}
    read = ba.io.READERS[format]
    return {
        f"{format}.{file}": Reader(partial(read_among, read, sound, file), Path(file).suffix, [content])
        for file, content in sound.items()
    }


def read_among(read: Callable[[Path], Any], sound: dict[str, bytes], file: str, path: Path) -> Any:
    """What the reader of a folder makes of `path` in the place of one of its files."""
    with TemporaryDirectory(dir=path.parent) as place:
        for name, content in (sound | {file: path.read_bytes()}).items():
            Path(place, name).write_bytes(content)
        try:
            return read(Path(place))
        except UserError as error:
            raise UserError(str(error).replace(str(Path(place, file)), str(path)).replace(place, str(path))) from error


def problems() -> list[Problem]:
    """Small ones of BAL's cameras, which every format can hold."""
    path = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
    return [ba.io.load(path), generate(Scene(images=3, points=8, camera="bal"))]


def saved(problem: Problem, format: str, suffix: str) -> bytes:
    if format not in ba.io.WRITERS:
        raise LookupError(f"the format {format} has no writer: give scripts/fuzzing/readers.py a sound file of it")
    with TemporaryDirectory() as folder:
        path = Path(folder, f"seed{suffix}")
        ba.io.save(problem, path, format)
        return path.read_bytes()


def point_readers() -> dict[str, Reader]:
    read = ba.studies.rotation_alignment.data.read_points
    return {
        f"points{suffix}": Reader(read, suffix, POINT_FILES[suffix]())
        for suffix in ba.studies.rotation_alignment.data.READERS
    }


def npy_files() -> list[bytes]:
    kinds: list[Any] = [POINTS, POINTS.astype(">f4"), np.asfortranarray(POINTS), POINTS.astype(np.int16)]
    files = []
    for array in kinds:
        file = io.BytesIO()
        np.save(file, array)
        files.append(file.getvalue())
    return files


def csv_files() -> list[bytes]:
    rows = "\n".join(",".join(map(repr, row)) for row in POINTS.tolist())
    return [f"x,y,z\n{rows}\n".encode(), f"# a comment\r\n\r\n{rows} # more".encode()]


def ply_files() -> list[bytes]:
    """Each order of bytes; with faces after the vertices, and with lists and numbers before them."""
    vertices = "element vertex 4\nproperty double x\nproperty float y\nproperty {} z\nproperty uchar red\n"
    before = "element edge 2\nproperty int a\nelement strip 2\nproperty list uchar ushort i\nproperty char b\n"
    faces = "element face 1\nproperty list uchar int vertex_indices\n"
    body = "".join(f"{x} {y} {z} 255\n" for x, y, z in POINTS.tolist())
    files = [
        f"ply\nformat ascii 1.0\ncomment x\n{vertices.format('double')}{faces}end_header\n{body}3 0 1 2\n".encode()
    ]
    files.append(f"ply\r\nformat ascii 1.0\r\n{vertices.format('float')}end_header\r\n{body}".encode())
    for order, name in (("<", "little"), (">", "big")):
        header = f"ply\nformat binary_{name}_endian 1.0\n{before}{vertices.format('short')}{faces}end_header\n"
        row = np.dtype([("x", f"{order}f8"), ("y", f"{order}f4"), ("z", f"{order}i2"), ("red", "u1")])
        table = np.array([(*point, 7) for point in POINTS.tolist()], row)
        lists = np.array([1, 2], f"{order}i4").tobytes() + b"\x02\0\1\0\2\5\0\6" + b"\x03" + bytes(12)
        files.append(header.encode() + lists[:16] + table.tobytes() + lists[16:])
    return files


POINT_FILES: dict[str, Callable[[], list[bytes]]] = {".npy": npy_files, ".csv": csv_files, ".ply": ply_files}


def configuration_readers() -> dict[str, Reader]:
    """`ba run`, `ba compare` and each kind of problem that has configurations of its own."""
    scene = "data: {scene: {images: 4, points: 9}}\n"
    run = [scene + RUN, *(scene + line for line in RUN.splitlines())]
    kinds = {"rotation_alignment": Reader(ba.studies.rotation_alignment.config.load, ".yaml", encoded([ALIGNMENT]))}
    return {
        "run.yaml": Reader(read_run, ".yaml", encoded(run)),
        "compare.yaml": Reader(read_comparison, ".yaml", encoded([COMPARISON])),
        **{f"{kind}.yaml": kinds[kind] for kind in request.KINDS},
    }


def encoded(texts: list[str]) -> list[bytes]:
    return [text.encode() for text in texts]


def read_run(path: Path) -> Any:
    return request.module_of(path) or load(path)


def read_comparison(path: Path) -> Any:
    """The comparison and its first run; the number of runs is the product of what is varied, however small the file."""
    source = ba.studies.comparison.config.load(path)
    varied = {axis: values[0] for axis, values in source.comparison.vary.items()}
    return ba.studies.comparison.config.run_config(source, next(iter(source.comparison.datasets)), varied, 0)


RUN = """\
rotation: quaternion
camera: {refine: [f, k1], bounds: {f: [1, .inf]}}
fix: {poses: [0], points: [1, 2], rotations: [1], translations: [3]}
loss: {name: huber, scale: 2.5}
solver: {backend: schur, max_iterations: 9, ftol: 1.0e-9, linear: null}
noise: {rotation_deg: 0.1, position: 1e-3}
output: {picture: false, report: true}
seed: 3
"""
ALIGNMENT = """\
kind: rotation_alignment
data: {generated: {points: 9, sigma: 0.1, axis_angle: [0.1, 0.2, 0.3], seed: 1}}
rotation: [so3_left, quaternion]
residual: both
start: [0, 0, 0.5]
starts: {count: 2, angles_deg: [30, 170.5], seed: 4}
solver: {backend: scipy, max_iterations: 20}
"""
COMPARISON = """\
base: {solver: {backend: schur}, camera: {refine: none}}
datasets: {ring: {data: {scene: {images: 4, points: 9}}, noise: {rotation_deg: 0.1}}}
vary:
  rotation: [so3_left, quaternion]
  loss.name: [linear, huber]
seeds: [0, 7]
stop: {max_iterations: 5, ftol: 1e-9}
"""


def sound(result: Any) -> str:
    """What is wrong with what a reader accepted, or nothing."""
    if isinstance(result, np.ndarray):
        whole = result.dtype == np.float64 and result.ndim == 2 and result.shape[1] == 3 and np.isfinite(result).all()
        return "" if whole else f"points of type {result.dtype} and shape {result.shape}, or not finite"
    if isinstance(result, Problem):
        arrays = (result.rotations, result.translations, result.points, result.pixels, result.intrinsics)
        indices = ((result.image_of_obs, result.num_images), (result.point_of_obs, result.num_points))
        inside = all(((0 <= index) & (index < bound)).all() for index, bound in indices)
        return (
            "" if inside and all(map(np.all, map(np.isfinite, arrays))) else "numbers that are not finite, or indices"
        )
    return "" if result is not None else "nothing"
