"""Sequences without obstacles: a ring around a planet, a straight street, a cloud of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ba.io.scenes.layout import Index, Layout, Random, Surface, along, blend, chain, house_colors, look, unit

if TYPE_CHECKING:
    from ba.io.options import Scene


def ring(rng: Random, scene: Scene) -> Layout:
    """Cameras on a ring look inward at a small planet; too few for a full one stand 20 degrees apart."""
    n = scene.images
    step = min(2.0 * np.pi / n, np.radians(20.0))
    azimuth = step * np.arange(n)
    radius, height = rng.uniform(3.0, 3.4, n), 0.5 * np.sin(3.0 * azimuth) + rng.uniform(-0.2, 0.2, n)
    centers = np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height])
    waves, phases = rng.normal(0.0, 3.0, (8, 3)), rng.uniform(0.0, 2.0 * np.pi, 8)

    def planet(rng: Random, home: Index) -> Surface:
        up = unit(rng.standard_normal((len(home), 3)))
        up *= np.where(np.sum(up * centers[home], axis=1) < 0.0, -1.0, 1.0)[:, None]
        relief = np.sin(up @ waves.T + phases).sum(axis=1) / 4.0
        points = (1.0 + 0.08 * np.clip(relief, 0.0, 1.0))[:, None] * up
        sea_and_land = [(20, 40, 110), (60, 140, 200), (70, 140, 60), (150, 120, 80), (250, 250, 250)]
        return Surface(points, up, blend(rng, (relief + 1.0) / 2.0, sea_and_land))

    closed = n >= 18
    rotations = look(rng.normal(0.0, 0.03, (n, 3)) - centers)
    further = along(scene, round(np.radians(100.0) / step), closed)
    return Layout(rotations, centers, chain(n, closed), planet, further)


def street(rng: Random, scene: Scene) -> Layout:
    """Cameras drive along x, 1.5 m apart and looking ahead, between two rows of houses 6 m to either side."""
    n, spacing, side = scene.images, 1.5, 6.0
    centers = np.column_stack([spacing * np.arange(n), np.zeros(n), np.full(n, 1.8)]) + rng.normal(0.0, 0.1, (n, 3))

    def facade(rng: Random, home: Index) -> Surface:
        left = np.where(rng.random(len(home)) < 0.5, 1.0, -1.0)
        x = centers[home, 0] + rng.uniform(10.0, 30.0, len(home))
        z = rng.uniform(0.0, 9.0, len(home))
        normals = np.column_stack([np.zeros_like(x), -left, np.zeros_like(x)])
        colors = house_colors(rng, x, z, (left > 0.0).astype(float))
        return Surface(np.column_stack([x, side * left, z]), normals, colors)

    ahead = np.array([1.0, 0.0, 0.05]) + rng.normal(0.0, 0.03, (n, 3))
    further = along(scene, round(15.0 / spacing), False)
    return Layout(look(ahead), centers, chain(n, False), facade, further)


def cloud(rng: Random, scene: Scene) -> Layout:
    """Cameras all around, rolled at random, look at a ball of points; any image may see any point."""
    n = scene.images
    centers = unit(rng.standard_normal((n, 3))) * rng.uniform(3.0, 4.0, (n, 1))

    def ball(rng: Random, home: Index) -> Surface:
        points = unit(rng.standard_normal((len(home), 3))) * np.cbrt(rng.random((len(home), 1)))
        return Surface(points, np.zeros_like(points), (127.5 * (points + 1.0)).astype(np.uint8))

    rotations = look(rng.normal(0.0, 0.05, (n, 3)) - centers, rng.standard_normal((n, 3)))
    return Layout(rotations, centers, chain(n, True), ball, along(scene, n, True))
