"""Arrangements of cameras and surfaces for generated scenes.

To add a kind: write one function from a random generator and the Scene to a `Layout`, add one line to `LAYOUTS`, and
the name to `kind` of `ba.io.options.Scene`. Tests walk the registry. The worlds are right-handed, in metres, with z
up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ba.io.scenes import collection, simple, town
from ba.io.scenes.layout import Layout, Random, Surface

if TYPE_CHECKING:
    from ba.io.options import Scene

LAYOUTS: dict[str, Callable[[Random, Scene], Layout]] = {
    "ring": simple.ring,
    "street": simple.street,
    "cloud": simple.cloud,
    "street_loop": town.street_loop,
    "city": town.city,
    "internet": collection.internet,
}

__all__ = ["LAYOUTS", "Layout", "Surface"]
