"""Which numbers of a problem are free, and which cameras it has, for tests that cross them with much else."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ba.model.camera import CAMERAS
from ba.model.problem import Free
from tests.support.scenes import N_IMAGES


def _masked(**changes: Callable[[np.ndarray], np.ndarray]) -> Callable[[Free], Free]:
    """Free with each named mask replaced, and every other mask cleared."""

    def apply(free: Free) -> Free:
        masks = {name: np.zeros_like(getattr(free, name)) for name in vars(free)}
        return replace(
            free,
            **(masks | {name: change(getattr(free, name)) & getattr(free, name) for name, change in changes.items()}),
        )

    return apply


def _only(*indices: int) -> Callable[[np.ndarray], np.ndarray]:
    def mask(array: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(array)
        kept[list(indices)] = True
        return kept

    return mask


def _column(index: int) -> Callable[[np.ndarray], np.ndarray]:
    def mask(array: np.ndarray) -> np.ndarray:
        kept = np.zeros_like(array)
        kept[:, index] = True
        return kept

    return mask


ALL = np.ones_like
MASKS: dict[str, Callable[[Free], Free]] = {
    "everything": lambda free: free,
    "rotations": _masked(rotations=ALL),
    "translations": _masked(translations=ALL),
    "one_translation_axis": _masked(translations=_column(1), points=ALL),
    "one_pose": _masked(rotations=_only(1), translations=_only(1)),
    "one_intrinsic": _masked(intrinsics=_column(1)),
    "points": _masked(points=ALL),
    "some_points_and_one_camera": _masked(points=_only(0, 3), intrinsics=_only(0), rotations=_only(2)),
}
CAMERA_SETS = {**{name: (name,) for name in CAMERAS}, "mixed": tuple(CAMERAS), "own": (next(iter(CAMERAS)),) * N_IMAGES}
