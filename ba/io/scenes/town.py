"""A vehicle with a camera drives through a town, an endless square grid of blocks of houses.

Streets are 2 * HALF_WIDTH wide and run along x and y at every multiple of the period. What a camera sees is found by
casting a ray: it ends at the first wall it meets, so houses hide what is behind them. Images within REACH of each
other may share points whenever they were taken: where a loop closes, and where streets cross.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ba.io.scenes.layout import Candidates, Index, Layout, Random, Surface, chain, house_colors, longest_track, look
from ba.model.problem import Bool, Float

if TYPE_CHECKING:
    from ba.io.options import Scene

SPACING, HALF_WIDTH, HEIGHT = 1.5, 7.0, 9.0
SMALLEST_PERIOD = 60.0
SIGHT = 40.0
"""How far a camera sees, m: less than a block, so that a ray meets at most one wall of each direction."""
REACH = 25.0
NEIGHBOURS = 96
TURN = 8.0
"""Length of the drive over which a corner is rounded, m."""


def street_loop(rng: Random, scene: Scene) -> Layout:
    """Once around a block, and on over the first twentieth of the way, where the loop closes."""
    period = loop_period(scene.images)
    corners = period * np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [1, 1]], float)
    return _drive(rng, scene, corners, period)


def loop_period(images: int) -> float:
    """Side of the block that so many images go around, m."""
    return max(SPACING * images / 1.05 / 4.0, SMALLEST_PERIOD)


def city(rng: Random, scene: Scene) -> Layout:
    """All streets of a square district one after the other: to and fro along x, then to and fro along y."""
    streets = 2
    while 2 * (streets**2 - 1) * SMALLEST_PERIOD < SPACING * scene.images + 2 * TURN:
        streets += 1
    turns = np.arange(2 * streets)
    across, to_and_fro = turns // 2, (streets - 1) * ((turns + 1) // 2 % 2)
    first = np.column_stack([to_and_fro, across])
    last_x, last_y = first[-1]
    back = np.abs(np.array([last_x, last_y]) - np.column_stack([across, to_and_fro]))
    return _drive(rng, scene, SMALLEST_PERIOD * np.concatenate([first, back[1:]]), SMALLEST_PERIOD)


def _drive(rng: Random, scene: Scene, corners: Float, period: float) -> Layout:
    """Along straight lines between corners (k, 2), rounded by the mean over a stretch of the way."""
    n = scene.images
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    window = np.linspace(-TURN / 2, TURN / 2, 9)
    way = TURN / 2 + SPACING * np.arange(n)[:, None] + window
    path = np.stack([np.interp(way, length, corners[:, axis]) for axis in range(2)], axis=-1)
    centers = np.column_stack([path.mean(axis=1), np.full(n, 1.8)]) + rng.normal(0.0, 0.1, (n, 3))
    ahead = np.column_stack([(path[:, -1] - path[:, 0]) / TURN, np.full(n, 0.05)]) + rng.normal(0.0, 0.03, (n, 3))
    heading = np.arctan2(ahead[:, 1], ahead[:, 0])

    def facade(rng: Random, home: Index) -> Surface:
        azimuth = heading[home] + rng.uniform(-0.6, 0.6, len(home))
        direction = np.column_stack([np.cos(azimuth), np.sin(azimuth)])
        distance, wall_of_x = _cast(centers[home, :2], direction, period)
        # Where no wall is in sight the point goes behind the camera, where nobody sees it.
        distance = np.where(distance < SIGHT, distance, -1.0)
        place, height = centers[home, :2] + distance[:, None] * direction, rng.uniform(0.0, HEIGHT, len(home))
        facing = np.column_stack([wall_of_x, ~wall_of_x, np.zeros(len(home), bool)])
        normals = np.where(facing, -np.sign(np.column_stack([direction, height])), 0.0)
        along_wall, depth = (np.where(wall_of_x == flip, place[:, 0], place[:, 1]) for flip in (False, True))
        colors = house_colors(rng, along_wall, height, np.round(depth / 5.0))
        return Surface(np.column_stack([place, height]), normals, colors)

    def hidden(seen_from: Float, points: Float) -> Bool:
        ray = (points - seen_from)[:, :2]
        distance = np.linalg.norm(ray, axis=1)
        free, _ = _cast(seen_from[:, :2], ray / distance[:, None], period)
        return np.asarray((distance > SIGHT) | (free < distance - 1e-6))

    further = _nearby(centers, longest_track(scene) - 2)
    return Layout(look(ahead), centers, chain(n, False), facade, further, hidden=hidden)


def _cast(start: Float, direction: Float, period: float) -> tuple[Float, Bool]:
    """Distance (n,) m along a ray (n, 2) from a street to its first wall, and whether that wall stands across x.

    Infinite where neither the next wall of x nor that of y is one; others are beyond SIGHT.
    """
    distance = np.empty_like(start)
    for axis in range(2):
        sign = np.where(direction[:, axis] < 0.0, -1.0, 1.0)
        place = sign * start[:, axis]
        wall = (np.floor((place - HALF_WIDTH) / period) + 1.0) * period + HALF_WIDTH
        gap = (wall - place) / np.maximum(np.abs(direction[:, axis]), 1e-12)
        other = start[:, 1 - axis] + gap * direction[:, 1 - axis]
        in_street = np.abs(other - period * np.round(other / period)) < HALF_WIDTH
        distance[:, axis] = np.where(in_street, np.inf, gap)
    return distance.min(axis=1), distance[:, 0] < distance[:, 1]


def _nearby(centers: Float, wanted: int) -> Callable[[Random, Index], Candidates]:
    """Candidates from all images around a pair, one of each of equal parts of their order by distance."""
    from scipy.spatial import cKDTree  # slow to import

    nearest = min(NEIGHBOURS, len(centers))
    _, near = cKDTree(centers).query(centers, k=nearest, distance_upper_bound=REACH)
    near = near.astype(np.int32)
    count = (near < len(centers)).sum(axis=1)

    def further(rng: Random, pair: Index) -> Candidates:
        place = (np.arange(wanted) + rng.random((len(pair), wanted))) * (count[pair] / max(wanted, 1))[:, None]
        image = near[pair[:, None], place.astype(np.int64)]
        return np.repeat(np.arange(len(pair)), wanted), image.ravel().astype(np.int64)

    return further
