"""Are the data sound? One test a line, with numbers and the worst offender by name.

To add a test: write `test(statistics) -> Finding` and add one line to `DATA_TESTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ba.analyse.undetermined import findings, image_name
from ba.check.statistics import DataStatistics
from ba.model.camera import BEHIND, CAMERAS, OUTSIDE
from ba.system.words import counted

NARROW, VERY_NARROW = 2.0, 1.0
"""Degrees between rays below which a point's depth is poorly determined, and hardly at all."""

FEW = 10
"""Observations below which an image is poorly determined."""

FRAME = 7
"""Numbers of a frame: position, orientation, scale."""

FAR_OUT = 3.0
"""Pixels are marked from this many times the distance within which the share `USUAL` of all of them lies."""
USUAL = 0.95

TRACK_LENGTHS = {"1": 1, "2": 2, "3": 3, "4-9": 4, "10-99": 10, "100+": 100}
"""Classes of track lengths by name, and where each begins."""


@dataclass(frozen=True)
class Finding:
    """text: what was found; sound: whether nothing about it needs a look."""

    text: str
    sound: bool = True


def sizes(statistics: DataStatistics) -> Finding:
    problem = statistics.problem
    nouns = ("image", "camera", "point", "observation")
    counts = ", ".join(counted(getattr(problem, f"num_{noun}s"), noun) for noun in nouns)
    return Finding(f"{counts}; {', '.join(dict.fromkeys(problem.camera_models))}", problem.num_observations > 0)


def connectivity(statistics: DataStatistics) -> Finding:
    parts = statistics.components
    if len(parts) <= 1:
        return Finding("all images and points that are seen hang together")
    largest = ", ".join(f"{counted(part.images, 'image')} with {counted(part.points, 'point')}" for part in parts[:4])
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    last = image_name(statistics.problem, parts[-1].first_image)
    text = f"{len(parts)} separate components, each with a frame and a scale of its own: {largest}{more}"
    return Finding(f"{text}; the smallest has {last}", sound=False)


def tracks(statistics: DataStatistics) -> Finding:
    lengths = statistics.tracks
    if not len(lengths):
        return Finding("no points", sound=False)
    shares = zip(TRACK_LENGTHS, np.histogram(lengths, [*TRACK_LENGTHS.values(), np.inf])[0], strict=True)
    histogram = ", ".join(f"{number:,} of {name}" for name, number in shares if number)
    fewer = int((lengths < 2).sum())
    text = f"{histogram}; median {np.median(lengths):g}, longest {lengths.max():,} (point {np.argmax(lengths)})"
    if fewer:
        text += f"; {counted(fewer, 'point')} seen fewer than twice, held fixed, such as point {np.argmin(lengths)}"
    return Finding(text, fewer == 0)


def images(statistics: DataStatistics) -> Finding:
    problem = statistics.problem
    seen = np.bincount(problem.image_of_obs, minlength=problem.num_images)
    if not len(seen):
        return Finding("no images", sound=False)
    few = int((seen < FEW).sum())
    least = int(np.argmin(seen))
    name = image_name(problem, least)
    text = f"see {np.median(seen):,g} points in the median, least {seen[least]:,} ({name})"
    return Finding(text + (f"; {few} see fewer than {FEW}" if few else ""), few == 0)


def depths(statistics: DataStatistics) -> Finding:
    domain = statistics.projection.domain
    behind, outside = int((domain == BEHIND).sum()), int((domain == OUTSIDE).sum())
    texts = []
    if behind:
        worst = int(np.argmin(statistics.depths))
        farthest = f"farthest {_where(statistics, worst)}, at depth {statistics.depths[worst]:.3g}"
        texts.append(f"{counted(behind, 'observation')} with the point behind its camera, {farthest}")
    if outside:
        first = _where(statistics, int(np.argmax(domain == OUTSIDE)))
        texts.append(f"{counted(outside, 'observation')} where the distortion is not one-to-one, first {first}")
    return Finding("; ".join(texts) or "every point is in front of the cameras that see it", not texts)


def angles(statistics: DataStatistics) -> Finding:
    finite = statistics.angles[np.isfinite(statistics.angles)]
    if not len(finite):
        return Finding("no point is seen twice", sound=False)
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    narrow, very = int((finite < NARROW).sum()), int((finite < VERY_NARROW).sum())
    worst = int(np.nanargmin(statistics.angles))
    text = f"5 %, half and 95 % of the points below {low:.2g}, {middle:.2g} and {high:.2g} degrees"
    text += f"; {narrow:,} below {NARROW:g}, {very:,} below {VERY_NARROW:g}"
    return Finding(f"{text}, least {statistics.angles[worst]:.2g} (point {worst})", narrow <= 0.05 * len(finite))


def duplicates(statistics: DataStatistics) -> Finding:
    problem = statistics.problem
    pairs = problem.image_of_obs.astype(np.int64) * max(problem.num_points, 1) + problem.point_of_obs
    order = np.argsort(pairs, kind="stable")
    repeated = order[1:][np.diff(pairs[order]) == 0]
    if not len(repeated):
        return Finding("no image sees a point twice")
    text = f"{counted(len(repeated), 'observation')} of a point that its image has already"
    return Finding(f"{text}, first {_where(statistics, int(repeated.min()))}", sound=False)


def pixels(statistics: DataStatistics) -> Finding:
    problem = statistics.problem
    if not problem.num_observations:
        return Finding("none", sound=False)
    camera = problem.camera_of_image[problem.image_of_obs]
    middle = np.zeros((problem.num_cameras, 2))
    for row, (name, params) in enumerate(zip(problem.camera_models, problem.intrinsics, strict=True)):
        if CAMERAS[name].principal_point:
            middle[row] = params[list(CAMERAS[name].principal_point)]
    distance = np.linalg.norm(problem.pixels - middle[camera], axis=1)
    usual = float(np.quantile(distance, USUAL))
    far, worst = int((distance > FAR_OUT * usual).sum()), int(np.argmax(distance))
    text = f"{USUAL:.0%} within {usual:.4g} px of the principal point, farthest {distance[worst]:.4g}"
    text += f", {_where(statistics, worst)}"
    return Finding(text + (f"; {far:,} beyond {FAR_OUT * usual:.4g}" if far else ""), far == 0)


def errors(statistics: DataStatistics) -> Finding:
    found = statistics.errors
    if not len(found):
        return Finding("none", sound=False)
    worst = int(np.argmax(found))
    rms = float(np.sqrt(np.mean(found**2)))
    text = f"median {np.median(found):.3g} px, rms {rms:.3g}, largest {found[worst]:.4g}, {_where(statistics, worst)}"
    return Finding(text, bool(np.isfinite(found).all()))


def free_numbers(statistics: DataStatistics) -> Finding:
    parts = statistics.components
    total, residuals = sum(part.free for part in parts), sum(part.residuals for part in parts)
    text = f"{total:,} numbers are free, {residuals:,} residuals hold them"
    surplus = statistics.rotation.tangent_dim - 3
    # Where observations are too few, more than the frame and surplus numbers change nothing.
    loose = [part for part in parts if part.free - min(part.gauge, FRAME + surplus * part.images) > part.residuals]
    if loose:
        part = loose[0]
        name = image_name(statistics.problem, part.first_image)
        text += f"; too few in {len(loose)} of {len(parts)} components: {part.free:,} by {part.residuals:,} ({name})"
    return Finding(text, not loose)


def gauge(statistics: DataStatistics) -> Finding:
    total = statistics.determination.free_directions
    if total == 0:
        return Finding("held: no direction changes nothing")
    change = "changes" if total == 1 else "change"
    return Finding(f"{counted(total, 'direction')} {change} no residual, with `{statistics.rotation.name}`")


def determined(statistics: DataStatistics) -> Finding:
    texts = [found.text for found in findings(statistics.determination)]
    return Finding("; ".join(texts) or "nothing is open but what is expected of gauge and rotation", not texts)


DATA_TESTS: dict[str, Callable[[DataStatistics], Finding]] = {
    "sizes": sizes,
    "connectivity": connectivity,
    "tracks": tracks,
    "images": images,
    "depths": depths,
    "ray angles": angles,
    "duplicates": duplicates,
    "pixels": pixels,
    "errors": errors,
    "free numbers": free_numbers,
    "gauge": gauge,
    "determined": determined,
}


def _where(statistics: DataStatistics, observation: int) -> str:
    problem = statistics.problem
    return f"{image_name(problem, int(problem.image_of_obs[observation]))} point {problem.point_of_obs[observation]}"
