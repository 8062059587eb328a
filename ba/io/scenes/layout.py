"""What an arrangement of cameras and surfaces is made of, and the tools that the kinds share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ba.model.problem import Bool, Float

if TYPE_CHECKING:
    from ba.io.options import Scene

Index = NDArray[np.int64]
Random = np.random.Generator
Candidates = tuple[Index, Index]

HOUSES = [(190, 90, 70), (220, 190, 140), (150, 150, 155), (235, 225, 210), (170, 120, 90)]
UP = np.array([0.0, 0.0, 1.0])


class Surface(NamedTuple):
    """Points (n, 3), their normals (n, 3), zero where a point is seen from all sides, and colors (n, 3) uint8."""

    points: NDArray[Any]
    normals: NDArray[Any]
    colors: NDArray[Any]

    def rows(self, index: Index) -> Surface:
        return Surface(*(part[index] for part in self))


@dataclass(frozen=True)
class Layout:
    """Poses, the pairs of images that link them, and the surface in front of them.

    rotations (n, 3, 3) and centers (n, 3): poses in sequence, cam_from_world and in the world.
    pairs (n_pairs, 2): each point belongs to a pair, which both see it; together the pairs link all images.
    surface(rng, pair (m,)): one point a pair, roughly in its view; it is drawn again until both images see it.
    further(rng, pair (m,)): candidates to see the points too, as row (k,) in 0 .. m-1 and image (k,), at most
    `observations_per_point` - 2 a row; an image named twice counts once.
    weights (n_pairs,): shares of the points, beyond the few that each pair has anyway; None: the same for all.
    hidden(centers (k, 3), points (k, 3)): whether something stands between, (k,); None: nothing ever does.
    """

    rotations: Float
    centers: Float
    pairs: Index
    surface: Callable[[Random, Index], Surface]
    further: Callable[[Random, Index], Candidates]
    weights: Float | None = None
    hidden: Callable[[Float, Float], Bool] | None = None


def chain(images: int, closed: bool) -> Index:
    """(n_pairs, 2) each image and the one after it; the first follows the last where the sequence is closed."""
    home = np.arange(images if closed else images - 1)
    return np.column_stack([home, (home + 1) % images])


def longest_track(scene: Scene) -> int:
    return min(scene.observations_per_point, scene.images)


def along(scene: Scene, stretch: int, closed: bool) -> Callable[[Random, Index], Candidates]:
    """Candidates from a stretch of the chain around a pair, one of each of equal parts: spread like a real track."""
    wanted = longest_track(scene) - 2
    stretch = min(max(stretch, wanted), scene.images - 2)
    bounds = np.arange(wanted + 1) * stretch // max(wanted, 1)

    def further(rng: Random, pair: Index) -> Candidates:
        place = bounds[:-1] + np.int64(rng.random((len(pair), wanted)) * np.diff(bounds))
        start = pair - stretch // 2
        if not closed:
            start = np.clip(start, 0, scene.images - 2 - stretch)
        image = start[:, None] + place
        image += 2 * (image >= pair[:, None])
        return np.repeat(np.arange(len(pair)), wanted), (image % scene.images).ravel()

    return further


def unit(vectors: Float) -> Float:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def look(ahead: Float, up: Float = UP) -> Float:
    """(n, 3, 3) cam_from_world rotations whose z axis is `ahead` (n, 3) and whose y axis points away from `up`."""
    forward = unit(ahead)
    right = unit(np.cross(forward, up))
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def blend(rng: Random, value: Float, palette: list[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Colors of `value` in [0, 1] along a palette, grained so that neighbours differ."""
    stops = np.linspace(0.0, 1.0, len(palette))
    smooth = np.stack([np.interp(value, stops, channel) for channel in np.array(palette).T], axis=1)
    return np.clip(smooth + rng.normal(0.0, 12.0, (len(value), 1)), 0.0, 255.0).astype(np.uint8)


def house_colors(rng: Random, along: Float, height: Float, row: Float) -> NDArray[np.uint8]:
    """Colors of facades: a house every 12 m, a window every 3 m. `row` tells rows of houses apart."""
    colors = blend(rng, ((2 * (along // 12.0) + row) * 0.618) % 1.0, HOUSES)
    colors[(np.abs(along % 3.0 - 1.5) < 0.6) & (np.abs(height % 3.0 - 1.5) < 0.7)] = (35, 50, 75)
    return colors
