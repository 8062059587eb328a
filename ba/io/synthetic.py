"""Generated scenes with known ground truth.

Every point belongs to a pair of images that both see it, and is seen by those of its further candidates in whose
picture it falls, which it faces, and from which nothing hides it. It is drawn again until two of its rays meet at
MIN_ANGLE or more. The pairs link all images, so a scene is always connected. Points are drawn a piece at a time: beyond
the problem itself, memory does not grow with it.
Pictures have WIDTH x HEIGHT px; the origin is the picture's corner for models with a principal point, which stands in
the middle, and the middle itself for models without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ba.errors import UserError
from ba.io.scenes import LAYOUTS, Layout, Surface
from ba.io.scenes.layout import Index, Random, longest_track, unit
from ba.model.camera import CAMERAS, INSIDE, CameraModel
from ba.model.problem import Bool, Float, Int, Problem, make_problem

if TYPE_CHECKING:
    from ba.io.options import Scene

WIDTH, HEIGHT = 1600, 1200
FOCAL = 1200.0
MIN_COSINE = 0.1
"""A surface seen at a flatter angle than this one's arc cosine is not matched."""
MIN_ANGLE = np.radians(1.0)
MAX_ATTEMPTS = 200
PIECE = 300_000
"""Observations that are drawn at once, at most."""
POINTS_OF_A_POSE = 4
"""So many points in a picture determine its pose."""
SAMPLE = 30_000
"""Points that tell how many observations one has, at most."""


@dataclass(frozen=True)
class Views:
    """Everything that projects: the layout's poses, one camera model, and the camera of each image."""

    layout: Layout
    model: CameraModel
    intrinsics: Float
    camera_of_image: Index


class Tracks(NamedTuple):
    """Points, and their observations sorted by point and image: image (n_obs,), point (n_obs,), pixels (n_obs, 2)."""

    surface: Surface
    image: Int
    point: Int
    pixels: Float


def generate(scene: Scene) -> Problem:
    """The problem whose parameters are the truth and whose pixels are its projections, plus noise and outliers.

    Points have 2 to `observations_per_point` observations, sorted by point and image. The noise changes neither the
    scene nor which image sees which point. Raises UserError, by key, for sizes that no connected and determined scene
    can have. The schema has refused matrices that are no covariances, and singular ones where they are weights.
    """
    if scene.camera not in CAMERAS:
        raise UserError(f"data.scene.camera: no model is called {scene.camera!r}; right are {', '.join(CAMERAS)}")
    geometry, sample, visibility, noise, outliers = np.random.default_rng(scene.seed).spawn(5)
    views = _views(geometry, scene, LAYOUTS[scene.kind](geometry, scene))
    tracks = _draw(visibility, scene, views, _pairs_of_points(views.layout, _num_points(sample, scene, views)))
    return make_problem(
        rotations=views.layout.rotations,
        translations=-np.einsum("nij,nj->ni", views.layout.rotations, views.layout.centers),
        camera_models=(scene.camera,) * len(views.intrinsics),
        intrinsics=views.intrinsics,
        camera_of_image=views.camera_of_image.astype(np.int32),
        points=tracks.surface.points,
        image_of_obs=tracks.image,
        point_of_obs=tracks.point,
        pixels=_measured(noise, outliers, scene, views.model, tracks.pixels),
        covariances=np.tile(scene.covariance_px2, (len(tracks.pixels), 1, 1)) if scene.use_covariance else None,
        colors=tracks.surface.colors,
        image_names=tuple(f"image{i:06d}" for i in range(scene.images)),
        source={"format": "synthetic"},
    )


def _views(rng: Random, scene: Scene, layout: Layout) -> Views:
    model = CAMERAS[scene.camera]
    n_cameras = 1 if scene.shared_camera else scene.images
    intrinsics = np.stack([model.sample(rng) for _ in range(n_cameras)])
    intrinsics[:, list(model.focal)] = FOCAL * rng.uniform(0.97, 1.03, (n_cameras, 1))
    intrinsics[:, list(model.principal_point)] = np.tile([WIDTH / 2, HEIGHT / 2], len(model.principal_point) // 2)
    return Views(layout, model, intrinsics, np.minimum(np.arange(scene.images), n_cameras - 1))


# --- how many points, and where ---------------------------------------------------------------------------------------


def _num_points(rng: Random, scene: Scene, views: Views) -> int:
    """The number of points asked for, or that which gives the observations asked for, by the mean of a sample."""
    key, points = "points", scene.points
    if scene.observations is not None:
        guess = _pairs_of_points(views.layout, max(scene.observations // 4, len(views.layout.pairs)))
        # The sample is of runs of points: how many points a pair has may matter for how many images see them.
        sample = _draw(rng, scene, views, guess[np.arange(len(guess)) // 100 % -(-len(guess) // SAMPLE) == 0])
        key, points = "observations", round(scene.observations * len(sample.surface.points) / len(sample.pixels))
    per_point = longest_track(scene)
    # Twice as many equations as observations; six unknowns a pose and three a point, less the seven of the gauge.
    needed = max(scene.images, len(views.layout.pairs), -(-(6 * scene.images - 7) // (2 * per_point - 3)))
    if points < needed:
        raise UserError(
            f"data.scene.{key}: {points} points, each seen by at most {per_point} images, cannot link and "
            f"determine {scene.images} images; {needed} or more points are right"
        )
    return points


def _pairs_of_points(layout: Layout, points: int) -> Index:
    """The pair that each point belongs to, ascending. Each pair gets enough points for a pose where they suffice; the
    rest are shared out by weight, evenly along the sequence."""
    pairs = len(layout.pairs)
    least = np.repeat(np.arange(pairs), min(POINTS_OF_A_POSE, points // pairs))
    weights = np.ones(pairs) if layout.weights is None else layout.weights
    share, rest = np.cumsum(weights) / weights.sum(), points - len(least)
    others = np.minimum(np.searchsorted(share, (np.arange(rest) + 0.5) / max(rest, 1)), pairs - 1)
    return np.sort(np.concatenate([least, others]))


# --- visibility ------------------------------------------------------------------------------------------------------


def _draw(rng: Random, scene: Scene, views: Views, pairs: Index) -> Tracks:
    """One point for each of `pairs` (n,), piece by piece."""
    size = max(1, PIECE // longest_track(scene))
    pieces = [_piece(rng, scene, views, pairs[start : start + size]) for start in range(0, len(pairs), size)]
    surface = Surface(*map(np.concatenate, zip(*(piece.surface for piece in pieces), strict=True)))
    point = np.concatenate([piece.point + np.int32(i * size) for i, piece in enumerate(pieces)])
    image, pixels = np.concatenate([p.image for p in pieces]), np.concatenate([p.pixels for p in pieces])
    return Tracks(surface, image, point, pixels)


def _piece(rng: Random, scene: Scene, views: Views, pairs: Index) -> Tracks:
    """Draw points until each is good; those that are not are drawn again, together with their candidates."""
    surface = views.layout.surface(rng, pairs)
    missing, drawn = np.arange(len(pairs)), []
    for _ in range(MAX_ATTEMPTS):
        good, row, image, pixels = _tracks(rng, views, pairs[missing], surface.rows(missing))
        drawn.append((missing[row], image, pixels))
        missing = missing[~good]
        if len(missing) == 0:
            point, image, pixels = (np.concatenate(part) for part in zip(*drawn, strict=True))
            order = np.lexsort((image, point))
            return Tracks(surface, image[order].astype(np.int32), point[order].astype(np.int32), pixels[order])
        for part, again in zip(surface, views.layout.surface(rng, pairs[missing]), strict=True):
            part[missing] = again
    raise UserError(
        f"data.scene.camera: {len(missing)} points found no place that two {scene.camera} images of kind {scene.kind} "
        "see from different sides; a wider field of view, fewer images or more observations_per_point are right"
    )


def _tracks(rng: Random, views: Views, pairs: Index, surface: Surface) -> tuple[Bool, Index, Index, Float]:
    """Which of the points (m,) are good, and of those the rows, the images and the pixels of all observations."""
    m, n_images = len(pairs), len(views.layout.centers)
    ends = views.layout.pairs[pairs]
    visible = [_project(views, end, surface)[1] for end in ends.T]
    good = visible[0] & visible[1]
    seen = np.flatnonzero(good)
    row, image = views.layout.further(rng, pairs[seen])
    rows, images = np.concatenate([seen, seen, seen[row]]), np.concatenate([*ends[seen].T, image])
    keys = np.sort(rows * n_images + images)
    rows, images = np.divmod(keys[np.diff(keys, prepend=-1) > 0], n_images)
    pixels, sees = _project(views, images, surface.rows(rows))
    rows, images, pixels = rows[sees], images[sees], pixels[sees]
    points, centers = surface.points[rows], views.layout.centers
    cosine = np.sum(unit(points - centers[ends[rows, 0]]) * unit(points - centers[images]), axis=1)
    good &= np.bincount(rows, cosine < np.cos(MIN_ANGLE), m) > 0
    kept = good[rows]
    return good, rows[kept], images[kept], pixels[kept]


def _project(views: Views, image: Index, surface: Surface) -> tuple[Float, Bool]:
    """Pixels (n, 2) of points in images, and whether each is seen there."""
    n, k = len(image), views.intrinsics.shape[1]
    centers = views.layout.centers[image]
    ray = surface.points - centers
    point_in_cam = np.einsum("nij,nj->ni", views.layout.rotations[image], ray)
    pixels, domain = np.empty((n, 2)), np.empty(n, np.uint8)
    no_point, no_params = np.empty((0, 2, 3)), np.empty((0, 2, k))
    views.model.project(
        views.intrinsics, views.camera_of_image[image], point_in_cam, pixels, no_point, no_params, domain
    )
    flatness = -np.sum(surface.normals * ray, axis=1) / np.linalg.norm(ray, axis=1)
    facing = flatness >= MIN_COSINE * np.linalg.norm(surface.normals, axis=1)
    low, high = _picture(views.model)
    inside = ((pixels >= low) & (pixels <= high)).all(axis=1)
    visible = facing & inside & (domain == INSIDE) & (point_in_cam[:, 2] > 0.0)
    if views.layout.hidden is not None:
        visible &= ~views.layout.hidden(centers, surface.points)
    return pixels, visible


def _picture(model: CameraModel) -> tuple[Float, Float]:
    size = np.array([WIDTH, HEIGHT], float)
    return (np.zeros(2), size) if model.principal_point else (-size / 2, size / 2)


# --- noise -----------------------------------------------------------------------------------------------------------


def _measured(noise: Random, outliers: Random, scene: Scene, model: CameraModel, pixels: Float) -> Float:
    """Pixels with the scene's noise added, and the scene's share of outliers moved to random places in the picture."""
    values, vectors = np.linalg.eigh(scene.covariance_px2)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))  # unlike Cholesky's it exists for a singular covariance
    measured: Float = noise.standard_normal(pixels.shape) @ root.T
    measured += pixels + np.array(scene.mean_px)
    moved = outliers.permutation(len(pixels))[: round(scene.outliers * len(pixels))]
    measured[moved] = outliers.uniform(*_picture(model), (len(moved), 2))
    return measured
