"""Bundle Adjustment in the Large (Agarwal, Snavely, Seitz, Szeliski, ECCV 2010): whitespace-separated numbers.

    cameras points observations
    camera point u v            an observation a line: indices from 0, px from the image's centre, u right and v up
    w1 w2 w3 t1 t2 t3 f k1 k2   a camera: x_cam = exp([w]_x) x_world + t, looking down -z, y up
    X Y Z                       a point

With F = diag(1, -1, -1) our camera is R = F exp([w]_x), t = F t_bal, and v changes sign; F is its own inverse, so the
same lines convert both ways. An axis-angle vector is not unique (w and w + 2 pi n agree), hence the file's own vectors
are kept beside the problem and written again for rotations that did not change by a bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from ba.errors import UserError
from ba.model.problem import Float, Problem, make_problem
from ba.model.rotation import so3
from ba.system.files import write_bytes
from ba.system.reading import lines, number, read_text

FLIP = np.array([1.0, -1.0, -1.0])
LARGEST_ANGLE = 1e8


@dataclass(frozen=True)
class Header:
    """The file's first three numbers."""

    cameras: int
    points: int
    observations: int

    @property
    def sections(self) -> tuple[tuple[str, int, int], ...]:
        """What follows the header: the name of each section, the numbers of an entry, and the entries."""
        return ("observations", 4, self.observations), ("cameras", 9, self.cameras), ("points", 3, self.points)

    def __str__(self) -> str:
        return f"header: {self.cameras} cameras, {self.points} points, {self.observations} observations"


def read(path: Path) -> Problem:
    """The problem in a BAL file, plain or compressed. Raises UserError with file, line and reason."""
    text = read_text(path)
    numbers = _numbers(path, text)
    header = _header(path, text, numbers)
    observations, cameras, points = _sections(path, text, numbers, header)
    axis_angle = cameras[:, :3].copy()
    return make_problem(
        rotations=_rotations(axis_angle),
        translations=cameras[:, 3:6] * FLIP,
        camera_models=("bal",) * header.cameras,
        intrinsics=cameras[:, 6:],
        points=points,
        image_of_obs=observations[:, 0].astype(np.int32),
        point_of_obs=observations[:, 1].astype(np.int32),
        pixels=observations[:, 2:] * FLIP[:2],
        source={"format": "bal", "axis_angle": axis_angle},
    )


def write(problem: Problem, path: Path) -> None:
    """Write the problem, compressed by suffix; what was read comes back with the same numbers.

    Names, colours and what is held fixed have no place in the format. Raises UserError for a problem whose numbers
    have none: rigs, other camera models, shared cameras, covariances, matrices that are not rotations, nothing
    observed.
    """
    refusal = _refusal(problem)
    if refusal:
        raise UserError(f"{path}: BAL cannot hold {refusal}; write a .npz file (format synthetic) instead")
    intrinsics = problem.intrinsics[problem.camera_of_image]
    cameras = np.hstack([_axis_angle(problem), problem.translations * FLIP, intrinsics])
    horizontal, vertical = (problem.pixels * FLIP[:2]).T.tolist()
    observations = zip(problem.image_of_obs.tolist(), problem.point_of_obs.tolist(), horizontal, vertical, strict=True)
    lines = [f"{problem.num_images} {problem.num_points} {problem.num_observations}"]
    lines += [f"{image} {point} {u!r} {v!r}" for image, point, u, v in observations]
    lines += map(repr, cameras.ravel().tolist())
    lines += map(repr, problem.points.ravel().tolist())
    write_bytes(path, ("\n".join(lines) + "\n").encode("ascii"))


def _rotations(axis_angle: Float) -> Float:
    return np.asarray(so3.exp(axis_angle) * FLIP[:, None])


def _axis_angle(problem: Problem) -> Float:
    """(n_images, 3) rad, the file's own vectors where they still give the image's rotation bit for bit."""
    logarithms = np.asarray(so3.log(problem.rotations * FLIP[:, None]))
    stored = problem.source.get("axis_angle")
    if stored is None or np.shape(stored) != logarithms.shape:
        return logarithms
    unchanged = (_rotations(np.asarray(stored)) == problem.rotations).all(axis=(1, 2))
    return np.where(unchanged[:, None], stored, logarithms)


def _refusal(problem: Problem) -> str:
    """What of the problem the format has no place for, or nothing."""
    if problem.rigs is not None:
        return "rigs"
    others = sorted(set(problem.camera_models) - {"bal"})
    if others:
        return f"the camera model {others[0]} (only bal)"
    if sorted(problem.camera_of_image) != list(range(problem.num_cameras)):
        return "cameras that are shared or unused (each image has one of its own)"
    if problem.covariances is not None:
        return "covariances of observations"
    if so3.orthonormality(problem.rotations).max(initial=0.0) > so3.OFF_SO3:
        return "matrices that are not rotations"
    if not (problem.num_images and problem.num_points and problem.num_observations):
        return "a problem without images, points or observations"
    return ""


def _numbers(path: Path, text: str) -> Float:
    """Every number of the file. numpy's parser is quick but lax about separators, so the words are counted too."""
    try:
        numbers = np.fromstring(text, sep=" ")
    except ValueError:
        numbers = np.empty(0)
    visible = np.frombuffer(f" {text}".encode(), np.uint8) > ord(" ")
    words = np.count_nonzero(visible[1:] > visible[:-1])
    if len(numbers) == words and np.isfinite(numbers).all():
        return numbers
    return np.fromiter(_one_by_one(path, text), float)


def _one_by_one(path: Path, text: str) -> Iterator[float]:
    """The same numbers as Python reads them, 20 times slower, to find the line of a word that is none."""
    for line, row in lines(text):
        for word in row.split():
            shown = ascii(word if len(word) <= 30 else word[:30] + "...")
            try:
                value = number(word)
            except ValueError:
                raise UserError(
                    f"{path}, line {line}: {shown} is not a number; a BAL file holds only numbers"
                ) from None
            if not isfinite(value):
                raise UserError(f"{path}, line {line}: {shown} is not a finite number")
            yield value


def _header(path: Path, text: str, numbers: Float) -> Header:
    counts = numbers[:3]
    if len(counts) == 3 and ((counts > 0) & (counts == np.floor(counts))).all():
        return Header(*map(int, counts))
    start = " ".join(f"{count:g}" for count in counts) or "no number"
    right = "a header of three positive integers, cameras points observations, is right"
    raise _fault(path, text, 0, f"the file begins with {start}; {right}")


def _sections(path: Path, text: str, numbers: Float, header: Header) -> tuple[Float, Float, Float]:
    """Observations (n, 4), cameras (n, 9) and points (n, 3), checked.

    Indices come first: a number that is missing or too many among the observations shows there, near its place.
    """
    cameras_start = 3 + 4 * header.observations
    points_start = cameras_start + 9 * header.cameras
    body = numbers[3:cameras_start]
    observations = body[: len(body) // 4 * 4].reshape(-1, 4)
    _check_indices(path, text, observations, 0, header.cameras, "camera")
    _check_indices(path, text, observations, 1, header.points, "point")
    _check_length(path, text, numbers, header)
    cameras = numbers[cameras_start:points_start].reshape(-1, 9)
    _check_cameras(path, text, cameras, cameras_start)
    return observations, cameras, numbers[points_start:].reshape(-1, 3)


def _check_indices(path: Path, text: str, observations: Float, column: int, bound: int, name: str) -> None:
    index = observations[:, column]
    wrong = (index < 0) | (index >= bound) | (index != np.floor(index))
    if wrong.any():
        first = int(np.argmax(wrong))
        shown = np.format_float_positional(index[first], trim="-")
        message = f"{name} index {shown} of observation {first}; the header asks for an integer from 0 to {bound - 1}"
        raise _fault(path, text, 3 + 4 * first + column, message)


def _check_length(path: Path, text: str, numbers: Float, header: Header) -> None:
    left = len(numbers) - 3
    for name, size, count in header.sections:
        if left < size * count:
            missing = 3 + sum(size * count for _, size, count in header.sections) - len(numbers)
            place = f"in the {name}, after {left // size} of {count}"
            message = f"the file ends {place}; missing numbers: {missing} ({header})"
            raise _fault(path, text, len(numbers) - 1, message)
        left -= size * count
    if left:
        message = f"the file should end before here; surplus numbers: {left} ({header})"
        raise _fault(path, text, len(numbers) - left, message)


def _check_cameras(path: Path, text: str, cameras: Float, start: int) -> None:
    """Refuse a focal length of 0, which sees one pixel, and angles so large that rounding has lost the rotation."""
    wrong = np.zeros(cameras.shape, bool)
    wrong[:, :3] = np.abs(cameras[:, :3]) > LARGEST_ANGLE
    wrong[:, 6] = cameras[:, 6] == 0.0
    if wrong.any():
        camera, column = (int(i) for i in np.argwhere(wrong)[0])
        value, name = cameras[camera, column], "focal length" if column == 6 else "rotation vector"
        right = "a length in px other than 0 is" if column == 6 else f"radians up to {LARGEST_ANGLE:g} are"
        message = f"{value:g} in the {name} of camera {camera}; {right} right"
        raise _fault(path, text, start + 9 * camera + column, message)


def _fault(path: Path, text: str, position: int, message: str) -> UserError:
    """What to raise, with the line, from 1, of the number at `position`, or the last line where there is none."""
    ends = np.cumsum([len(line.split()) for _, line in lines(text.rstrip())])
    line = min(int(np.searchsorted(ends, position, side="right")) + 1, len(ends))
    return UserError(f"{path}, line {line}: {message}")
