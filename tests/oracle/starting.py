"""What a run starts from: which numbers may move, the noise of the start, and the frame in which the solver works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.oracle.reading import Free, Scene
from tests.oracle.rotating import exp, nearest, off_so3

PARAMETERS = {"bal": ("f", "k1", "k2"), "pinhole": ("fx", "fy", "cx", "cy", "skew")}
NUMBERS = {"matrix9": 9, "columns6": 6, "quaternion": 4}
"""Free numbers of a rotation, where they are not three."""
FAR = 1e3
ENOUGH = 4096


def start_of(scene: Scene, config: dict[str, Any]) -> Scene:
    """The start of a run of this configuration on what it read."""
    if config["rotation"] != "matrix9":
        off = off_so3(scene.R) > 1e-6
        scene = replace(scene, R=np.where(off[:, None, None], nearest(scene.R), scene.R))
    return perturbed(held(scene, config), config["noise"], config["seed"])


def held(scene: Scene, config: dict[str, Any]) -> Scene:
    """What `camera.refine`, `fix` and `gauge` hold, held."""
    fix, free = config["fix"], scene.free

    def loose(key: str, size: int) -> Any:
        if isinstance(fix[key], str):
            return np.full(size, fix[key] == "none")
        return ~np.isin(np.arange(size), fix[key])

    n, m = len(scene.R), len(scene.points)
    poses = loose("poses", n)
    scene = replace(
        scene,
        free=Free(
            rotations=free.rotations & poses & loose("rotations", n),
            translations=free.translations & (poses & loose("translations", n))[:, None],
            intrinsics=free.intrinsics & loose("cameras", len(scene.models))[:, None] & refined(scene, config),
            points=free.points & loose("points", m),
        ),
    )
    return GAUGES[config["gauge"]](scene)


def refined(scene: Scene, config: dict[str, Any]) -> Any:
    refine = config["camera"]["refine"]
    mask = np.zeros(scene.intrinsics.shape, bool)
    for camera, model in enumerate(scene.models):
        for column, name in enumerate(PARAMETERS[model]):
            mask[camera, column] = refine == "all" or (refine != "none" and name in refine)
    return mask


def two_cameras(scene: Scene) -> Scene:
    """The first pose, and that coordinate of the farthest image's translation which a change of scale moves most.

    For scenes in which `fix` holds no pose and every image sees something. Points are scaled about the first centre, so
    a centre c moves by c - c_first, and its translation, -R c, by -R (c - c_first).
    """
    rotations, translations = scene.free.rotations.copy(), scene.free.translations.copy()
    rotations[0] = translations[0] = False
    arms = scene.centers - scene.centers[0]
    second = int(np.linalg.norm(arms, axis=1).argmax())
    translations[second, np.abs(scene.R[second] @ arms[second]).argmax()] = False
    return replace(scene, free=replace(scene.free, rotations=rotations, translations=translations))


def three_points(scene: Scene) -> Scene:
    """A large triangle of points with long tracks that are not remote: see the names below for the rule."""
    tracks = np.bincount(scene.point, minlength=len(scene.points))
    usable = np.flatnonzero(scene.free.points & (tracks >= 2))
    from_middle = np.linalg.norm(scene.points[usable] - np.median(scene.points[usable], axis=0), axis=1)
    good = usable[(tracks[usable] >= np.median(tracks[usable])) & (from_middle <= 3 * np.median(from_middle))]
    X = scene.points[good]
    farthest = X[np.linalg.norm(X - np.median(X, axis=0), axis=1).argmax()]
    opposite = X[np.linalg.norm(X - farthest, axis=1).argmax()]
    areas = np.linalg.norm(np.cross(X - farthest, opposite - farthest), axis=1)
    corners = [int(np.linalg.norm(X - corner, axis=1).argmin()) for corner in (farthest, opposite, X[areas.argmax()])]
    points = scene.free.points.copy()
    points[good[corners]] = False
    return replace(scene, free=replace(scene.free, points=points))


GAUGES = {"free": lambda scene: scene, "two_cameras": two_cameras, "three_points": three_points}


def perturbed(scene: Scene, noise: dict[str, float], seed: int) -> Scene:
    """Rotations turned about their centres, R' = exp(n) R; then centres, points and intrinsics moved, where free.

    Four streams of the seed give, in this order, rotation vectors, moves of centres, moves of points, and shares of
    intrinsics, all of them standard normal. A centre moves where all its translation is free; where part of that is
    held, the free rest follows the rotation.
    """
    if not any(noise.values()):
        return scene
    draws = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)]
    turned = exp(np.deg2rad(noise["rotation_deg"]) * draws[0].standard_normal((len(scene.R), 3))) @ scene.R
    R = np.where(scene.free.rotations[:, None, None], turned, scene.R)
    moves = noise["position"] * draws[1].standard_normal((len(scene.R), 3))
    centers = scene.centers + np.where(scene.free.translations.all(axis=1)[:, None], moves, 0)
    points = scene.points + noise["points"] * draws[2].standard_normal(scene.points.shape)
    intrinsics = scene.intrinsics * (1 + noise["intrinsics"] * draws[3].standard_normal(scene.intrinsics.shape))
    return replace(
        scene,
        R=R,
        t=np.where(scene.free.translations, -np.einsum("nij,nj->ni", R, centers), scene.t),
        points=np.where(scene.free.points[:, None], points, scene.points),
        intrinsics=np.where(scene.free.intrinsics, intrinsics, scene.intrinsics),
    )


def free_numbers(scene: Scene, rotation: str) -> int:
    free = scene.free
    counts = NUMBERS.get(rotation, 3) * free.rotations.sum(), free.translations.sum(), free.intrinsics.sum()
    return int(sum(counts) + 3 * free.points.sum())


def solver_frame(start: Scene) -> tuple[Any, float]:
    """The point that the solver takes for its origin (3,), and its unit of length, as the inverse of a power of two.

    It moves where the points' median is farther from the origin than FAR times their extent, the median of their
    largest coordinate about it; not where a translation is held and its rotation is free, for that translation would
    not stay one number. Of more than ENOUGH points every so-manieth counts.
    """
    some = start.points[:: max(1, len(start.points) // ENOUGH)]
    middle = np.median(some, axis=0)
    extent = np.median(np.abs(some - middle).max(axis=1))
    bound = start.free.rotations & ~start.free.translations.all(axis=1)
    if bound.any() or np.abs(middle).max() <= FAR * extent:
        return np.zeros(3), 1.0
    return middle, float(2.0 ** -np.round(np.log2(extent)))


def in_frame(scene: Scene, frame: tuple[Any, float]) -> Scene:
    """X' = s (X - c) and t' = s (t + R c), so that R X' + t' = s (R X + t)."""
    origin, scale = frame
    return replace(
        scene,
        points=scale * (scene.points - origin),
        t=scale * (scene.t + scene.R @ origin),
        from_far=tuple(scale * size for size in scene.reach),
    )
