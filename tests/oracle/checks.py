"""The lines of `ba check` on the data: every number in each of them.

A line ends with the worst offender by name; the oracle looks for the same one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.costs import median, rms
from tests.oracle.freedom import expected_directions, free_directions
from tests.oracle.known import Known
from tests.oracle.printed import Printed, matched
from tests.oracle.projecting import behind, in_camera, norms, outside, rounding
from tests.oracle.reading import Free, Scene, images_of_points
from tests.oracle.starting import NUMBERS, free_numbers

CLASSES = ((1, 1, []), (2, 2, []), (3, 3, []), (4, 9, [4, 9]), (10, 99, [10, 99]), (100, 10**9, [100]))
"""Track lengths that are counted together, and the numbers that name each class; a single length names itself."""
NARROW, VERY_NARROW = 2, 1
FEW, OF_PICTURES, BEYOND = 10, 0.95, 3
FRAME = 7

Expected = list[tuple[Any, int | None]]


@dataclass(frozen=True, eq=False)
class DataStatistics:
    """The start of a run, and the parameterization."""

    scene: Scene
    rotation: str

    def where(self, observation: int) -> Expected:
        """An observation by its image and point."""
        return [(int(self.scene.image[observation]), None), (int(self.scene.point[observation]), None)]

    @cached_property
    def pieces(self) -> list[tuple[Any, Any]]:
        """Masks of the images and points of each connected part that is observed, that with most observations first."""
        scene = self.scene
        left = set(scene.image.tolist())
        found = []
        while left:
            images, points = np.zeros(len(scene.R), bool), np.zeros(len(scene.points), bool)
            images[min(left)] = True
            before = -1
            while before < images.sum() + points.sum():
                before = images.sum() + points.sum()
                points[scene.point[images[scene.image]]] = True
                images[scene.image[points[scene.point]]] = True
            left -= set(np.flatnonzero(images).tolist())
            found.append((images, points))
        return sorted(found, key=lambda piece: -int(piece[0][scene.image].sum()))


@cache
def survey_of(case: Case) -> DataStatistics:
    return DataStatistics(case.start, case.rotation)


def sizes(statistics: DataStatistics) -> Expected:
    scene = statistics.scene
    return [(len(of), None) for of in (scene.R, scene.models, scene.points, scene.image)]


def connectivity(statistics: DataStatistics) -> Expected:
    if len(statistics.pieces) == 1:
        return []
    numbers = [len(statistics.pieces)]
    for images, points in statistics.pieces[:4]:
        numbers += [images.sum(), points.sum()]
    numbers += [len(statistics.pieces) - 4] if len(statistics.pieces) > 4 else []
    return [(int(number), None) for number in (*numbers, np.flatnonzero(statistics.pieces[-1][0])[0])]


def tracks(statistics: DataStatistics) -> Expected:
    """Of a point the number of images that see it, though one may see it twice."""
    lengths = images_of_points(statistics.scene)
    few = lengths < 2
    numbers: list[Any] = []
    for low, high, name in CLASSES:
        inside = int(((lengths >= low) & (lengths <= high)).sum())
        numbers += [inside, *(name or [low])] if inside else []
    numbers += [float(np.median(lengths)), int(lengths.max()), int(lengths.argmax())]
    numbers += [int(few.sum()), int(np.flatnonzero(few)[0])] if few.any() else []
    return [(number, 6 if isinstance(number, float) else None) for number in numbers]


def images(statistics: DataStatistics) -> Expected:
    seen = np.bincount(statistics.scene.image, minlength=len(statistics.scene.R))
    few = int((seen < FEW).sum())
    found: Expected = [(float(np.median(seen)), 6), (int(seen.min()), None), (int(seen.argmin()), None)]
    return [*found, *([(few, None), (FEW, None)] if few else [])]


def depths(statistics: DataStatistics) -> Expected:
    scene, found = statistics.scene, []
    if behind(scene).any():
        z = in_camera(scene)[:, 2]
        depth = Known(float(z.min()), 1e-15 * sum(reach.max() for reach in scene.reach))
        found += [(int(behind(scene).sum()), None), *statistics.where(int(z.argmin())), (depth, 3)]
    if outside(scene).any():
        found += [(int(outside(scene).sum()), None), *statistics.where(int(outside(scene).argmax()))]
    return found


def ray_angles(statistics: DataStatistics) -> Expected:
    """Degrees between two rays of a point: from the first to the farthest, thrice, and the last way counts."""
    scene, centers = statistics.scene, statistics.scene.centers
    widest = np.full(len(scene.points), np.nan)
    for point in np.flatnonzero(images_of_points(scene) >= 2):
        rays = scene.points[point] - centers[scene.image[scene.point == point]]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        apart = np.linalg.norm(rays[:, None] - rays, axis=2)
        at = int(apart[int(apart[0].argmax())].argmax())
        widest[point] = 2 * np.rad2deg(np.arcsin(min(apart[at].max() / 2, 1)))
    known = widest[~np.isnan(widest)]
    shares = [Known(float(value), 1e-9) for value in np.quantile(known, [0.05, 0.5, 0.95])]
    counts = [int((known < limit).sum()) for limit in (NARROW, VERY_NARROW)]
    least = Known(float(np.nanmin(widest)), 1e-9), int(np.nanargmin(widest))
    return [
        (5, None), (95, None), *((share, 2) for share in shares),
        (counts[0], None), (NARROW, None), (counts[1], None), (VERY_NARROW, None), (least[0], 2), (least[1], None),
    ]  # fmt: skip


def duplicates(statistics: DataStatistics) -> Expected:
    known: set[tuple[int, int]] = set()
    repeated = []
    for i, pair in enumerate(zip(statistics.scene.image.tolist(), statistics.scene.point.tolist(), strict=True)):
        repeated += [i] if pair in known else []
        known.add(pair)
    return [(len(repeated), None), *statistics.where(repeated[0])] if repeated else []


def pixels(statistics: DataStatistics) -> Expected:
    scene = statistics.scene
    cameras = zip(scene.models, scene.intrinsics, strict=True)
    principal = np.array([row[2:4] if model == "pinhole" else (0, 0) for model, row in cameras])
    distance = np.hypot(*(scene.pixels - principal[scene.camera]).T)
    usual, worst = float(np.quantile(distance, OF_PICTURES)), int(distance.argmax())
    found: Expected = [(100 * OF_PICTURES, 2), (usual, 4), (float(distance[worst]), 4), *statistics.where(worst)]
    far = int((distance > BEYOND * usual).sum())
    return [*found, *([(far, None), (BEYOND * usual, 4)] if far else [])]


def errors(statistics: DataStatistics) -> Expected:
    found, moved = norms(statistics.scene), rounding(statistics.scene)
    worst = int(found.argmax())
    largest = Known(float(found[worst]), float(moved[worst]))
    return [(median(statistics.scene), 3), (rms(statistics.scene), 3), (largest, 4), *statistics.where(worst)]


def all_free_numbers(statistics: DataStatistics) -> Expected:
    """All free numbers and all residuals; then the first part that has too few residuals even where its frame is held.

    A frame is seven numbers, or more where rotations are written with more numbers than three.
    """
    scene = statistics.scene
    found = [free_numbers(scene, statistics.rotation), 2 * len(scene.image)]
    surplus, loose = NUMBERS.get(statistics.rotation, 3) - 3, []
    for images, points in statistics.pieces:
        part = replace(scene, free=_only(scene, images, points))
        numbers, residuals = free_numbers(part, statistics.rotation), 2 * int(images[scene.image].sum())
        frame = min(free_directions(part, statistics.rotation), FRAME + surplus * int(images.sum()))
        loose += [(numbers, residuals, int(images.argmax()))] if numbers - frame > residuals else []
    if loose:
        found += [len(loose), len(statistics.pieces), *loose[0]]
    return [(number, None) for number in found]


def _only(scene: Scene, images: Any, points: Any) -> Free:
    """What is free of these images, their cameras and these points."""
    cameras = np.isin(np.arange(len(scene.models)), scene.camera_of_image[images])
    free = scene.free
    return Free(
        free.rotations & images,
        free.translations & images[:, None],
        free.intrinsics & cameras[:, None],
        free.points & points,
    )


def gauge(statistics: DataStatistics) -> Expected:
    open_ = free_directions(statistics.scene, statistics.rotation)
    return [(open_, None)] if open_ else []


def determined(statistics: DataStatistics) -> Expected:
    """All directions that are open beyond those that are expected; see `printed`."""
    scene, rotation = statistics.scene, statistics.rotation
    return [(free_directions(scene, rotation) - expected_directions(scene, rotation), None)]


DATA: dict[str, Callable[[DataStatistics], Expected]] = {
    "sizes": sizes,
    "connectivity": connectivity,
    "tracks": tracks,
    "images": images,
    "depths": depths,
    "ray angles": ray_angles,
    "duplicates": duplicates,
    "pixels": pixels,
    "errors": errors,
    "free numbers": all_free_numbers,
    "gauge": gauge,
    "determined": determined,
}


def data_lines(text: str) -> dict[str, str]:
    """The tests of the data by name, up to the first empty line."""
    _, *lines = text.split("\n\n")[0].splitlines()
    return {line[4:17].strip(): line[18:] for line in lines}


def printed(name: str, line: str, statistics: DataStatistics) -> list[Printed]:
    """The numbers of a line; of what is not determined only how many directions there are, whoever has them."""
    expected = DATA[name](statistics)
    if name == "determined":
        line = str(sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) free direction", line)))
    return matched(name, line, expected)
