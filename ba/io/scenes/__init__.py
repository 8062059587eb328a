"""Arrangements of cameras and surfaces for generated scenes.

To add a kind: write one function from a random generator and the Scene to a `Layout`, add one line to `LAYOUTS`, and
the name to `kind` of `ba.config.keys.Scene`. Tests walk the registry. The worlds are right-handed, in metres, with z
up.
"""

from collections.abc import Callable

from ba.config.keys import Scene
from ba.io.scenes import collection, simple, town
from ba.io.scenes.layout import Layout, Random, Surface

LAYOUTS: dict[str, Callable[[Random, Scene], Layout]] = {
    "ring": simple.ring,
    "street": simple.street,
    "cloud": simple.cloud,
    "street_loop": town.street_loop,
    "city": town.city,
    "internet": collection.internet,
}

__all__ = ["LAYOUTS", "Layout", "Surface"]
