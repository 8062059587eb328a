"""Photographs from the internet: many of a few landmarks, which stand in a row, and few that show two of them.

Heavy tails: landmarks are visited by rank^-1.5, images see points in proportion to a popularity with a Pareto tail,
and the number of images of a point follows the power law length^-2.5, truncated at `observations_per_point`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ba.io.scenes.layout import Candidates, Index, Layout, Random, Surface, house_colors, longest_track, look
from ba.model.problem import Bool, Float

if TYPE_CHECKING:
    from ba.io.options import Scene

IMAGES_PER_LANDMARK = 150
DISTANCE, WIDTH, HEIGHT = 40.0, 20.0, 15.0
LINKS = 4
"""Images between two landmarks that see both. One would leave their relative scale open."""
POPULARITY_TAIL, LENGTH_TAIL = 1.2, 2.5
LEAST_SHARE = 0.1
"""Share of the points that is spread evenly, so that the least popular image is determined too."""


def internet(rng: Random, scene: Scene) -> Layout:
    """Tourists before landmarks, in random order, the last LINKS of each landmark but the last far enough for two."""
    n = scene.images
    sizes = _visitors(rng, n)
    ends = np.cumsum(sizes)
    landmark = np.repeat(np.arange(len(sizes)), sizes)
    between = ends[:-1, None] - np.arange(LINKS, 0, -1)
    side = 1.0 - 2.0 * ((np.arange(n) - (ends - sizes)[landmark]) % 2)
    centers, ahead = _tourists(rng, DISTANCE * landmark.astype(float), side)
    row = between.ravel()
    centers[row, 0] = DISTANCE * (landmark[row] + 0.5) + side[row] * rng.uniform(1.5, 8.0, len(row))
    centers[row, 1] = rng.uniform(-60.0, -50.0, len(row))
    ahead[row] = np.array([0.0, 1.0, 0.1]) + rng.normal(0.0, 0.02, (len(row), 3))
    # The last of the links is followed by the next landmark's first visitor already.
    bridges = np.column_stack([between[:, :-1].ravel(), np.repeat(ends[:-1], LINKS - 1)])
    pairs = np.concatenate([np.column_stack([np.arange(n - 1), np.arange(1, n)]), bridges])
    shown = landmark[pairs[:, 1]]
    popularity = np.minimum(1.0 + rng.pareto(POPULARITY_TAIL, n), 100.0)
    mass = np.concatenate([[0.0], np.cumsum(popularity)])
    first, end = np.where(shown > 0, ends[shown] - sizes[shown] - LINKS, 0), ends[shown]
    longest = longest_track(scene)
    power_law = np.arange(2.0, longest + 1.0) ** -LENGTH_TAIL
    cumulative = np.cumsum(power_law) / power_law.sum()  # probabilities of the lengths 2 to `longest`, summed up

    def facade(rng: Random, pair: Index) -> Surface:
        middle = np.where(_firsts(pair), 0.75, 0.0)
        along, height = (size * (0.5 + rng.uniform(middle - 1.0, 1.0 - middle) / 2.0) for size in (WIDTH, HEIGHT))
        relief = np.where(along % 4.0 < 1.0, -1.5, 0.0) + rng.normal(0.0, 0.1, len(pair))
        points = np.column_stack([DISTANCE * shown[pair] + along - WIDTH / 2, relief, height])
        normals = np.tile([0.0, -1.0, 0.0], (len(pair), 1))
        return Surface(points, normals, house_colors(rng, along, height, shown[pair].astype(float)))

    def further(rng: Random, pair: Index) -> Candidates:
        quantile = (rng.permutation(len(pair)) + rng.random(len(pair))) / len(pair)
        wanted = np.searchsorted(cumulative, quantile)
        wanted[_firsts(pair)] = min(1, longest - 2)
        row = np.repeat(np.arange(len(pair)), wanted)
        place = np.arange(len(row)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
        part = (place + rng.random(len(row))) / wanted[row]
        low, high = mass[first[pair]][row], mass[end[pair]][row]
        image = np.searchsorted(mass, low + part * (high - low), side="right") - 1
        # The third image of a track of three is the one after the pair. Each pair's first point is one, in the middle
        # of the facade, where no picture misses it: that chains the scales of all pairs.
        image = np.where(wanted[row] == 1, pairs[pair[row], 1] + 1, image)
        return row, np.minimum(image, n - 1)

    weights = popularity[pairs[:, 0]] / popularity[pairs[:, 0]].mean()
    weights = LEAST_SHARE + (1.0 - LEAST_SHARE) * weights
    return Layout(look(ahead), centers, pairs, facade, further, weights)


def _visitors(rng: Random, images: int) -> Index:
    """How many images each landmark has, with its links, by rank^-1.5 and in random order along the row."""
    landmarks = max(1, images // IMAGES_PER_LANDMARK)
    share = np.arange(1, landmarks + 1) ** -1.5
    least = 3 * LINKS if landmarks > 1 else 0
    sizes = least + ((images - least * landmarks) * share / share.sum()).astype(np.int64)
    sizes[0] += images - sizes.sum()
    return rng.permutation(sizes)


def _tourists(rng: Random, target: Float, side: Float) -> tuple[Float, Float]:
    """Centers and viewing directions (n, 3) before facades in the plane y = 0 around x = target (n,).

    They stand to the left or right by `side` (n,), -1 or 1, so that those of a pair are never in one line with a point.
    """
    n = len(target)
    azimuth, distance = side * rng.uniform(0.05, 0.9, n), rng.uniform(16.0, 32.0, n)
    centers = np.column_stack([target + distance * np.sin(azimuth), -distance * np.cos(azimuth), np.full(n, 1.7)])
    centers += rng.normal(0.0, 0.15, (n, 3))
    aim = np.column_stack([target, np.zeros(n), np.full(n, HEIGHT / 2)]) + rng.normal(0.0, 1.0, (n, 3))
    return centers, aim - centers


def _firsts(pair: Index) -> Bool:
    """The first point of each pair, where pairs ascend."""
    return np.diff(pair, prepend=-1) > 0
