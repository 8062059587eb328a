"""Generated scenes with known ground truth, and the native lossless `.npz` file.

A scene is a sequence of images and a surface. Every point is drawn where a home image looks; it is seen by the home,
by the image after it, and by further images spread over a stretch around it, wherever it faces them, lies in front of
them and falls inside their picture. The pairs (home, home + 1) link all images, so a scene is always connected.
The world is right-handed with z up. Pictures have WIDTH x HEIGHT px; the origin is the picture's corner for models
with a principal point, which stands in the middle, and the middle itself for models without.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.camera import CAMERAS, INSIDE, CameraModel
from ba.config import Scene
from ba.errors import UserError
from ba.files import read_bytes, write_bytes
from ba.problem import Float, Free, Problem, make_problem

Index = NDArray[np.int64]
Random = np.random.Generator

WIDTH, HEIGHT = 1600, 1200
FOCAL = 1200.0
MIN_COSINE = 0.1
"""A surface seen at a flatter angle than this one's arc cosine is not matched."""
MAX_ATTEMPTS = 200


@dataclass(frozen=True)
class Surface:
    """Points (n, 3), their normals (n, 3), zero where a point is seen from all sides, and colors (n, 3) uint8."""

    points: Float
    normals: Float
    colors: NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """Poses in sequence, and the surface in front of them.

    stretch: how many further images around a home may see its points; closed: the last image precedes the first;
    surface(rng, home (n,)) draws one point in the view of each home image.
    """

    rotations: Float
    centers: Float
    stretch: int
    closed: bool
    surface: Callable[[Random, Index], Surface]


@dataclass(frozen=True)
class Views:
    """Everything that projects: poses, one camera model, and the camera of each image."""

    model: CameraModel
    rotations: Float
    centers: Float
    intrinsics: Float
    camera_of_image: Index


def generate(scene: Scene) -> Problem:
    """The problem whose parameters are the truth and whose pixels are its projections, plus noise and outliers.

    Points have 2 to `observations_per_point` observations, sorted by point and image. The noise changes neither the
    scene nor which image sees which point. Raises UserError, by key, for sizes that no connected and determined scene
    can have; the schema has refused covariances that are none, or singular where they are to weight.
    """
    _check(scene)
    geometry, visibility, noise, outliers = np.random.default_rng(scene.seed).spawn(4)
    layout = LAYOUTS[scene.kind](geometry, scene)
    views = _views(geometry, scene, layout)
    home, surface = _seen_twice(geometry, scene, layout, views)
    image, point, exact = _observe(visibility, scene, layout, views, home, surface)
    covariance = np.array(scene.covariance_px2)
    pixels = exact + np.array(scene.mean_px) + noise.standard_normal(exact.shape) @ _square_root(covariance).T
    return make_problem(
        rotations=views.rotations,
        translations=-np.einsum("nij,nj->ni", views.rotations, views.centers),
        camera_models=(scene.camera,) * len(views.intrinsics),
        intrinsics=views.intrinsics,
        camera_of_image=views.camera_of_image.astype(np.int32),
        points=surface.points,
        image_of_obs=image.astype(np.int32),
        point_of_obs=point.astype(np.int32),
        pixels=_with_outliers(outliers, pixels, scene.outliers, views.model),
        covariances=np.tile(covariance, (len(pixels), 1, 1)) if scene.use_covariance else None,
        colors=surface.colors,
        image_names=tuple(f"image{i:06d}" for i in range(scene.images)),
        source={"format": "synthetic"},
    )


def _check(scene: Scene) -> None:
    if scene.camera not in CAMERAS:
        raise UserError(f"data.scene.camera: no model is called {scene.camera!r}; right are {', '.join(CAMERAS)}")
    per_point = min(scene.observations_per_point, scene.images)
    # Twice as many equations as observations; six unknowns a pose and three a point, less the seven of the gauge.
    needed = max(scene.images, -(-(6 * scene.images - 7) // (2 * per_point - 3)))
    if scene.points < needed:
        raise UserError(
            f"data.scene.points: {scene.points} points, each seen by at most {per_point} images, cannot link and "
            f"determine {scene.images} images; {needed} or more points are right"
        )


# --- layouts ---------------------------------------------------------------------------------------------------------


def _ring(rng: Random, scene: Scene) -> Layout:
    """Cameras on a ring look inward at a small planet; too few for a full one stand 20 degrees apart."""
    n = scene.images
    step = min(2.0 * np.pi / n, np.radians(20.0))
    azimuth = step * np.arange(n)
    radius, height = rng.uniform(3.0, 3.4, n), 0.5 * np.sin(3.0 * azimuth) + rng.uniform(-0.2, 0.2, n)
    centers = np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height])
    waves, phases = rng.normal(0.0, 3.0, (8, 3)), rng.uniform(0.0, 2.0 * np.pi, 8)

    def planet(rng: Random, home: Index) -> Surface:
        up = _unit(rng.standard_normal((len(home), 3)))
        up *= np.where(np.sum(up * centers[home], axis=1) < 0.0, -1.0, 1.0)[:, None]
        relief = np.sin(up @ waves.T + phases).sum(axis=1) / 4.0
        points = (1.0 + 0.08 * np.clip(relief, 0.0, 1.0))[:, None] * up
        sea_and_land = [(20, 40, 110), (60, 140, 200), (70, 140, 60), (150, 120, 80), (250, 250, 250)]
        return Surface(points, up, _blend(rng, (relief + 1.0) / 2.0, sea_and_land))

    rotations = _look(rng.normal(0.0, 0.03, (n, 3)) - centers, np.tile([0.0, 0.0, 1.0], (n, 1)))
    return Layout(rotations, centers, round(np.radians(100.0) / step), n >= 18, planet)


def _street(rng: Random, scene: Scene) -> Layout:
    """Cameras drive along x, 1.5 m apart and looking ahead, between two rows of houses 6 m to either side."""
    n, spacing, side = scene.images, 1.5, 6.0
    centers = np.column_stack([spacing * np.arange(n), np.zeros(n), np.full(n, 1.8)]) + rng.normal(0.0, 0.1, (n, 3))

    def facade(rng: Random, home: Index) -> Surface:
        left = np.where(rng.random(len(home)) < 0.5, 1.0, -1.0)
        x = centers[home, 0] + rng.uniform(10.0, 40.0, len(home))
        z = rng.uniform(0.0, 9.0, len(home))
        walls = [(190, 90, 70), (220, 190, 140), (150, 150, 155), (235, 225, 210), (170, 120, 90)]
        colors = _blend(rng, ((2 * (x // 12.0) + (left > 0.0)) * 0.618) % 1.0, walls)
        window = (np.abs(x % 3.0 - 1.5) < 0.6) & (np.abs(z % 3.0 - 1.5) < 0.7)
        colors[window] = (35, 50, 75)
        normals = np.column_stack([np.zeros_like(x), -left, np.zeros_like(x)])
        return Surface(np.column_stack([x, side * left, z]), normals, colors)

    ahead = np.array([1.0, 0.0, 0.05]) + rng.normal(0.0, 0.03, (n, 3))
    return Layout(_look(ahead, np.tile([0.0, 0.0, 1.0], (n, 1))), centers, round(15.0 / spacing), False, facade)


def _cloud(rng: Random, scene: Scene) -> Layout:
    """Cameras all around, rolled at random, look at a ball of points; any image may see any point."""
    n = scene.images
    centers = _unit(rng.standard_normal((n, 3))) * rng.uniform(3.0, 4.0, (n, 1))

    def ball(rng: Random, home: Index) -> Surface:
        points = _unit(rng.standard_normal((len(home), 3))) * np.cbrt(rng.random((len(home), 1)))
        return Surface(points, np.zeros_like(points), (127.5 * (points + 1.0)).astype(np.uint8))

    rotations = _look(rng.normal(0.0, 0.05, (n, 3)) - centers, rng.standard_normal((n, 3)))
    return Layout(rotations, centers, n, True, ball)


LAYOUTS: dict[str, Callable[[Random, Scene], Layout]] = {"ring": _ring, "street": _street, "cloud": _cloud}


def _unit(vectors: Float) -> Float:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _look(ahead: Float, up: Float) -> Float:
    """(n, 3, 3) cam_from_world rotations whose z axis is `ahead` and whose y axis points away from `up`."""
    forward = _unit(ahead)
    right = _unit(np.cross(forward, up))
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def _blend(rng: Random, value: Float, palette: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Colors of `value` in [0, 1] along a palette, grained so that neighbours differ."""
    stops = np.linspace(0.0, 1.0, len(palette))
    smooth = np.stack([np.interp(value, stops, channel) for channel in np.array(palette).T], axis=1)
    return np.clip(smooth + rng.normal(0.0, 12.0, (len(value), 1)), 0.0, 255.0).astype(np.uint8)


# --- visibility ------------------------------------------------------------------------------------------------------


def _views(rng: Random, scene: Scene, layout: Layout) -> Views:
    model = CAMERAS[scene.camera]
    n_cameras = 1 if scene.shared_camera else scene.images
    intrinsics = np.stack([model.sample(rng) for _ in range(n_cameras)])
    intrinsics[:, list(model.focal)] = FOCAL * rng.uniform(0.97, 1.03, (n_cameras, 1))
    intrinsics[:, list(model.principal_point)] = np.tile([WIDTH / 2, HEIGHT / 2], len(model.principal_point) // 2)
    camera_of_image = np.minimum(np.arange(scene.images), n_cameras - 1)
    return Views(model, layout.rotations, layout.centers, intrinsics, camera_of_image)


def _seen_twice(rng: Random, scene: Scene, layout: Layout, views: Views) -> tuple[Index, Surface]:
    """Home images, evenly spread, and for each a point that the home and the image after it see."""
    pairs = scene.images if layout.closed else scene.images - 1
    home = np.arange(scene.points) * pairs // scene.points
    surface = layout.surface(rng, home)
    missing = np.arange(scene.points)
    for _ in range(MAX_ATTEMPTS):
        tried = Surface(surface.points[missing], surface.normals[missing], surface.colors[missing])
        first, second = home[missing], (home[missing] + 1) % scene.images
        missing = missing[~(_project(views, first, tried)[1] & _project(views, second, tried)[1])]
        if len(missing) == 0:
            return home, surface
        again = layout.surface(rng, home[missing])
        for part in fields(Surface):
            getattr(surface, part.name)[missing] = getattr(again, part.name)
    raise UserError(
        f"data.scene.camera: {len(missing)} points found no place that two {scene.camera} images of a {scene.kind} "
        "see; a camera model with a wider field of view is right"
    )


def _observe(
    rng: Random, scene: Scene, layout: Layout, views: Views, home: Index, surface: Surface
) -> tuple[Index, Index, Float]:
    """Image (n_obs,), point (n_obs,) and exact pixels (n_obs, 2)."""
    wanted = min(scene.observations_per_point, scene.images) - 2
    stretch = min(max(layout.stretch, wanted), scene.images - 2)
    # One image of each of `wanted` equal parts of the stretch: distinct, and spread like a real track.
    bounds = np.arange(wanted + 1) * stretch // max(wanted, 1)
    place = bounds[:-1] + np.int64(rng.random((scene.points, wanted)) * np.diff(bounds))
    start = home - stretch // 2
    if not layout.closed:
        start = np.clip(start, 0, scene.images - 2 - stretch)
    further = start[:, None] + place
    further += 2 * (further >= home[:, None])
    image = np.sort(np.column_stack([home, home + 1, further]) % scene.images, axis=1).ravel()
    point = np.repeat(np.arange(scene.points), 2 + wanted)
    seen = Surface(surface.points[point], surface.normals[point], surface.colors[point])
    pixels, visible = _project(views, image, seen)
    return image[visible], point[visible], pixels[visible]


def _project(views: Views, image: Index, surface: Surface) -> tuple[Float, NDArray[np.bool_]]:
    """Pixels (n, 2) of points in images, and whether each is seen there."""
    n, k = len(image), views.intrinsics.shape[1]
    ray = surface.points - views.centers[image]
    point_in_cam = np.einsum("nij,nj->ni", views.rotations[image], ray)
    pixels, domain = np.empty((n, 2)), np.empty(n, np.uint8)
    no_point, no_params = np.empty((0, 2, 3)), np.empty((0, 2, k))
    views.model.project(
        views.intrinsics, views.camera_of_image[image], point_in_cam, pixels, no_point, no_params, domain
    )
    flatness = -np.sum(surface.normals * ray, axis=1) / np.linalg.norm(ray, axis=1)
    facing = flatness >= MIN_COSINE * np.linalg.norm(surface.normals, axis=1)
    low, high = _picture(views.model)
    inside = ((pixels >= low) & (pixels <= high)).all(axis=1)
    return pixels, facing & inside & (domain == INSIDE) & (point_in_cam[:, 2] > 0.0)


def _picture(model: CameraModel) -> tuple[Float, Float]:
    size = np.array([WIDTH, HEIGHT], float)
    return (np.zeros(2), size) if model.principal_point else (-size / 2, size / 2)


def _square_root(covariance: Float) -> Float:
    """L with L L^T = covariance; unlike Cholesky's it exists for a singular one."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None)))


def _with_outliers(rng: Random, pixels: Float, share: float, model: CameraModel) -> Float:
    moved = rng.permutation(len(pixels))[: round(share * len(pixels))]
    low, high = _picture(model)
    pixels[moved] = rng.uniform(low, high, (len(moved), 2))
    return pixels


# --- file ------------------------------------------------------------------------------------------------------------

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
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays, **free)
    write_bytes(path, buffer.getvalue())


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
