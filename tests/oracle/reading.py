"""Files, read and written anew: Bundle Adjustment in the Large, the native .npz, PLY, and run folders."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.oracle.rotating import exp, log

OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
BAL_AXES = np.array([1.0, -1.0, -1.0])
"""BAL looks down -z with y up; here cameras look down z with y down."""
WIDTHS = {"bal": 3, "pinhole": 5}


@dataclass(frozen=True, eq=False)
class Free:
    """What may move, as masks: rotations (n,), translations (n, 3), intrinsics (cameras, w), points (m,)."""

    rotations: Any
    translations: Any
    intrinsics: Any
    points: Any


@dataclass(frozen=True, eq=False)
class Scene:
    """Poses R, t (x_cam = R x + t), intrinsics, points, and observations with px and covariances (px^2) or None.

    from_far: where the scene was read in another frame, how large its numbers were there; see `reach`.
    """

    R: Any
    t: Any
    camera_of_image: Any
    models: tuple[str, ...]
    intrinsics: Any
    points: Any
    image: Any
    point: Any
    pixels: Any
    free: Free
    covariances: Any = None
    names: tuple[str, ...] = ()
    path: Path | None = None
    from_far: tuple[Any, Any] | None = None

    @property
    def reach(self) -> tuple[Any, Any]:
        """(n,) and (m,) how large the numbers of translations and points were, in this frame's unit, when read."""
        if self.from_far is not None:
            return self.from_far
        return np.linalg.norm(self.t, axis=1), np.linalg.norm(self.points, axis=1)

    @property
    def camera(self) -> Any:
        """(n_obs,) the camera of each observation."""
        return self.camera_of_image[self.image]

    @property
    def centers(self) -> Any:
        """(n, 3) -R^T t."""
        return -np.stack([R.T @ t for R, t in zip(self.R, self.t, strict=True)])

    def image_name(self, image: int) -> str:
        return f"image {image}" + (f" ({self.names[image]})" if self.names else "")


def read_scene(path: Path) -> Scene:
    return read_npz(path) if path.suffix == ".npz" else read_bal(path)


def read_bal(path: Path) -> Scene:
    """A BAL file: `cameras points observations`, then `camera point x y` lines, then 9 numbers a camera, 3 a point."""
    with OPENERS.get(path.suffix, open)(path, "rt") as file:
        numbers = np.array(file.read().split(), float)
    n, m, n_obs = (int(count) for count in numbers[:3])
    observations = numbers[3 : 3 + 4 * n_obs].reshape(-1, 4)
    cameras = numbers[3 + 4 * n_obs : 3 + 4 * n_obs + 9 * n].reshape(-1, 9)
    scene = Scene(
        R=BAL_AXES[:, None] * exp(cameras[:, :3]),
        t=BAL_AXES * cameras[:, 3:6],
        camera_of_image=np.arange(n),
        models=("bal",) * n,
        intrinsics=cameras[:, 6:],
        points=numbers[3 + 4 * n_obs + 9 * n :].reshape(m, 3),
        image=observations[:, 0].astype(int),
        point=observations[:, 1].astype(int),
        pixels=observations[:, 2:] * BAL_AXES[:2],
        free=everything(n, np.ones((n, 3), bool), m),
        path=path,
    )
    return replace(scene, free=determined(scene))


def write_bal(scene: Scene, path: Path) -> None:
    """A scene whose images have a BAL camera each, in the digits that give every number back."""
    lines = [f"{len(scene.R)} {len(scene.points)} {len(scene.image)}"]
    for image, point, (u, v) in zip(scene.image, scene.point, (BAL_AXES[:2] * scene.pixels).tolist(), strict=True):
        lines.append(f"{image} {point} {u!r} {v!r}")
    cameras = np.hstack([log(BAL_AXES[:, None] * scene.R), BAL_AXES * scene.t, scene.intrinsics])
    lines += [repr(number) for number in [*cameras.ravel().tolist(), *scene.points.ravel().tolist()]]
    path.write_text("\n".join(lines) + "\n")


def everything(images: int, intrinsics: Any, points: int) -> Free:
    return Free(np.ones(images, bool), np.ones((images, 3), bool), intrinsics, np.ones(points, bool))


def determined(scene: Scene) -> Free:
    """Free is what observations determine: poses and cameras of images that see something, points seen by two."""
    sees = np.isin(np.arange(len(scene.R)), scene.image)
    used = np.isin(np.arange(len(scene.models)), scene.camera)
    return Free(
        rotations=sees,
        translations=np.tile(sees[:, None], 3),
        intrinsics=scene.free.intrinsics & used[:, None],
        points=images_of_points(scene) >= 2,
    )


def images_of_points(scene: Scene) -> Any:
    """(m,) how many different images see each point."""
    pairs = set(zip(scene.point.tolist(), scene.image.tolist(), strict=True))
    return np.bincount([point for point, _ in sorted(pairs)], minlength=len(scene.points))


NPZ = {
    "rotations": "R", "translations": "t", "camera_of_image": "camera_of_image", "intrinsics": "intrinsics",
    "points": "points", "image_of_obs": "image", "point_of_obs": "point", "pixels": "pixels",
}  # fmt: skip
MASKS = ("rotations", "translations", "intrinsics", "points")


def read_npz(path: Path) -> Scene:
    with np.load(path, allow_pickle=False) as file:
        return Scene(
            **{ours: file[theirs] for theirs, ours in NPZ.items()},
            models=tuple(file["camera_models"].tolist()),
            names=tuple(file["image_names"].tolist()),
            covariances=file.get("covariances"),
            free=Free(**{name: file[f"free_{name}"] for name in MASKS}),
            path=path,
        )


def write_npz(scene: Scene, path: Path) -> None:
    """Indices as int32, everything else as float64 and bool, as the native format has them."""
    arrays = {theirs: np.asarray(getattr(scene, ours)) for theirs, ours in NPZ.items()}
    arrays = {name: array.astype(np.int32 if array.dtype.kind == "i" else float) for name, array in arrays.items()}
    masks = {f"free_{name}": getattr(scene.free, name) for name in MASKS}
    covariances = {} if scene.covariances is None else {"covariances": scene.covariances}
    words = {"camera_models": np.array(scene.models, str), "image_names": np.array(scene.names, str)}
    np.savez(path, allow_pickle=False, **arrays, **masks, **covariances, **words)


def read_ply(path: Path) -> tuple[list[str], Any]:
    """The header's lines, and the first three numbers of each vertex (n, 3) of doubles and bytes, little-endian."""
    content = path.read_bytes()
    head, _, body = content.partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    kinds = {"double": "<f8", "uchar": "u1"}
    columns = [line.split() for line in lines if line.startswith("property ")]
    vertices = np.frombuffer(body, np.dtype([(name, kinds[kind]) for _, kind, name in columns]))
    return lines, np.stack([vertices[axis] for axis in "xyz"], axis=1)


@dataclass(frozen=True, eq=False)
class Folder:
    """What a run left. iterations: a dictionary a line."""

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    iterations: list[dict[str, Any]]

    @property
    def solution(self) -> Path:
        return next(path for path in sorted(self.path.glob("solution.*")) if path.suffix != ".ply")


def read_folder(path: Path) -> Folder:
    return Folder(
        path=path,
        config=yaml.safe_load((path / "config.yaml").read_text()),
        summary=json.loads((path / "summary.json").read_text()),
        iterations=[json.loads(line) for line in (path / "iterations.jsonl").read_text().splitlines()],
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
