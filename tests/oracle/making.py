"""Scenes made from scratch, for what no file at hand has: coordinates of a statistics, unruly observations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.oracle.projecting import in_camera, pixels
from tests.oracle.reading import Scene, determined, everything

SURVEY = np.array([5.0e5, 5.0e6, 120.0])
"""Easting, northing and height in m, as in UTM."""


def ring(
    seed: int, models: tuple[str, ...], images: int = 6, points: int = 40, size: float = 1.0, origin: Any = (0, 0, 0)
) -> Scene:
    """Cameras on a circle of ten sizes look at a cloud of points of that size about the origin; half a pixel of noise.

    Image i has camera i modulo the number of models. Every image sees most of the points.
    """
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * np.arange(images) / images
    arms = np.stack([np.cos(angles), np.sin(angles), 0.3 * np.sin(3 * angles)], axis=1)
    forward = -arms / np.linalg.norm(arms, axis=1, keepdims=True)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    R = np.stack([right, np.cross(forward, right), forward], axis=1)
    centers = 10 * size * arms + np.asarray(origin)
    intrinsics = {"bal": [1000, -0.05, 0.02, 0, 0], "pinhole": [1000, 990, 640, 480, 0.5]}
    image, point = (index.ravel() for index in np.mgrid[:images, :points])
    seen = (rng.random(len(image)) < 0.8) | (image < 2)
    widest = 5 if "pinhole" in models else 3
    scene = Scene(
        R=R,
        t=-np.einsum("nij,nj->ni", R, centers),
        camera_of_image=np.arange(images) % len(models),
        models=models,
        intrinsics=np.array([intrinsics[model][:widest] for model in models], float),
        points=rng.normal(scale=size, size=(points, 3)) + np.asarray(origin),
        image=image[seen],
        point=point[seen],
        pixels=np.zeros((seen.sum(), 2)),
        free=everything(images, np.zeros((len(models), widest), bool), points),
    )
    return observed(with_masks(scene), rng)


def with_masks(scene: Scene) -> Scene:
    """Everything free that observations determine; the padding of a shorter camera model is no number."""
    sizes = np.array([3 if model == "bal" else 5 for model in scene.models])
    intrinsics = np.arange(scene.intrinsics.shape[1]) < sizes[:, None]
    scene = replace(scene, free=everything(len(scene.R), intrinsics, len(scene.points)))
    return replace(scene, free=determined(scene))


def observed(scene: Scene, rng: np.random.Generator, sigma: float = 0.5) -> Scene:
    """The scene with the pixels at which its points are seen, and Gaussian noise."""
    exact = pixels(scene, in_camera(scene), scene.intrinsics[scene.camera])
    return replace(scene, pixels=exact + sigma * rng.normal(size=exact.shape))


def unruly() -> Scene:
    """Points behind cameras and beyond the field of the distortion, one seen once, one twice by one image, an image
    that sees nothing.

    With k1 = -0.3 the distorted radius stops to grow at r = 1.05; points 0 to 5 are moved out to r of 1.2 and more of
    image 0, points 10 to 17 near its limit, and points 6 to 9 behind image 1. Point 38 is seen twice, but by one image.
    """
    scene = ring(7, ("bal",) * 7, images=7)
    intrinsics = scene.intrinsics.copy()
    intrinsics[:] = 1000, 0.0, 0.0
    intrinsics[0] = 600, -0.3, 0.0
    points = scene.points.copy()
    for k in range(6):
        seen = np.array([1.2 + 0.05 * k, 0.1 * k, 1.0]) * 6
        points[k] = scene.centers[0] + scene.R[0].T @ seen
    for k in range(10, 18):
        points[k] = scene.centers[0] + scene.R[0].T @ (np.array([0.3, 0.85 + 0.01 * k, 1.0]) * 9)
    for k in range(6, 10):
        points[k] = scene.centers[1] - (1.0 + 0.7 * k) * scene.R[1, 2] + 0.5 * scene.R[1, 0]
    kept = (scene.image != 6) & ~((scene.point >= 38) & (scene.image > 0))
    twice = np.flatnonzero(kept & np.isin(scene.point, [17, 38]) & (scene.image == 0))
    rows = np.concatenate([np.flatnonzero(kept), twice])
    scene = replace(
        scene,
        intrinsics=intrinsics,
        points=points,
        image=scene.image[rows],
        point=scene.point[rows],
        names=tuple(f"img_{i}.jpg" for i in range(7)),
    )
    seen = in_camera(scene)
    wide = np.hypot(seen[:, 0], seen[:, 1]) > 4 * np.abs(seen[:, 2])
    scene = replace(scene, image=scene.image[~wide], point=scene.point[~wide])
    rng = np.random.default_rng(8)
    scene = with_masks(observed(scene, rng))
    # The start is off, so that steps move points across the limits that are counted.
    return replace(scene, points=scene.points + rng.normal(scale=0.3, size=scene.points.shape))


def off_so3() -> Scene:
    """An image of matrices that are no rotation, which may be held fixed: image 2's is a tenth too large."""
    scene = ring(3, ("pinhole",))
    R = scene.R.copy()
    R[2] *= 1.1
    return replace(scene, R=R)


def with_covariances(scene: Scene, seed: int) -> Scene:
    """Each observation with a covariance of its own, px^2, of any direction and up to ten times as long as wide."""
    rng = np.random.default_rng(seed)
    angle, long, wide = rng.uniform(0, np.pi, len(scene.image)), rng.uniform(1, 10, len(scene.image)), 0.25
    turn = np.stack([np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1)
    spread = np.zeros((len(angle), 2, 2))
    spread[:, 0, 0], spread[:, 1, 1] = long * wide, wide
    S = turn @ spread @ np.swapaxes(turn, 1, 2)
    return replace(scene, covariances=0.5 * (S + np.swapaxes(S, 1, 2)))


def one_sees_nothing() -> Scene:
    """A ring whose last image sees nothing, so that neither its pose nor its camera is determined."""
    scene = ring(17, ("bal",) * 6)
    rows = scene.image != 5
    return replace(scene, image=scene.image[rows], point=scene.point[rows], pixels=scene.pixels[rows])


def two_pieces() -> Scene:
    """Two rings without a point in common, the second of four images."""
    first, second = ring(21, ("pinhole",), points=20), ring(22, ("bal",), images=4, points=15)

    def joined(name: str, shift: int = 0) -> Any:
        return np.concatenate([getattr(first, name), getattr(second, name) + shift])

    wide = np.zeros((1, first.intrinsics.shape[1]))
    wide[0, :3] = second.intrinsics[0]
    return with_masks(
        replace(
            first,
            **{name: joined(name) for name in ("R", "t", "points", "pixels")},
            camera_of_image=joined("camera_of_image", 1),
            image=joined("image", len(first.R)),
            point=joined("point", len(first.points)),
            models=first.models + second.models,
            intrinsics=np.vstack([first.intrinsics, wide]),
        )
    )
