"""Geometry for pictures: where to look from, frusta, colours. Arrays only; nothing here draws.

The first view is found in closed form. Let a point's coordinates along the view's axes be (x, y, z), z into the
picture, and let the eye stand at e. The point is right of the picture's left edge when -(x - ex) <= tan_h (z - ez), and
likewise for the other three edges, so the nearest eye that holds a whole set is

    a = max(x - tan_h z),  b = max(-x - tan_h z):      ex = (a - b) / 2,   ez = -(a + b) / (2 tan_h)

and the lower of the two ez. Quantiles stand in for the maxima, because reconstructions have points near infinity.
Everything is built from differences and medians: a similarity of the world moves the view along with it.

Pictures are drawn in a `Frame` of their own, centred and of unit size: graphics cards compute in float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ba.model.camera import BEHIND, CAMERAS, INSIDE
from ba.model.problem import Problem
from ba.model.residual import project
from ba.model.robust import range_end

Float = NDArray[np.float64]
Bytes = NDArray[np.uint8]

FIELD_OF_VIEW = 40.0
"""Vertical, degrees."""

TILT = 25.0
"""How far the first view looks down, degrees."""

MOST_POINTS = 500_000
NEAREST = 0.9
"""Share of the points, those nearest to their middle, that set the scale of a picture."""

FAR = 10.0
"""Points beyond this many frame lengths are not drawn: they would push everything else into one pixel."""

UNSEEN = np.array([150, 150, 150], np.uint8)

TURBO = np.array(
    [[48, 18, 59], [70, 107, 227], [40, 187, 235], [49, 241, 153], [162, 252, 60],
     [236, 209, 58], [250, 127, 32], [208, 47, 5], [122, 4, 3]]
)  # fmt: skip
"""The turbo colour map (Mikhailov, 2019) at nine even steps, RGB."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The picture's own coordinates, (world - origin) / scale; origin (3,), scale in world units."""

    origin: Float
    scale: float

    def from_world(self, points: Float) -> Float:
        return np.asarray((points - self.origin) / self.scale)


@dataclass(frozen=True, eq=False)
class View:
    """Where to look from: eye, target and up (3,) in one frame; `FIELD_OF_VIEW` is the vertical opening."""

    eye: Float
    target: Float
    up: Float

    @property
    def distance(self) -> float:
        return float(np.linalg.norm(self.target - self.eye))


@dataclass(frozen=True, eq=False)
class Cloud:
    """One state of a problem, ready to draw, in a `Frame`.

    points (m, 3), errors (m,) px median reprojection error with NaN where nothing sees the point, colors (m, 3) uint8
    RGB or None, frusta (n_images * 8, 2, 3) line segments, hidden: how many points are too far away to draw.
    """

    points: Float
    errors: Float
    colors: Bytes | None
    frusta: Float
    hidden: int


def frame_of(problem: Problem) -> Frame:
    """The points' middle and the distance from it that holds `NEAREST` of the points."""
    origin = middle_of(problem.points)
    scale = float(np.quantile(np.linalg.norm(problem.points - origin, axis=1), NEAREST))
    return Frame(origin, scale if scale > 0.0 else 1.0)


def first_view(rotations: Float, centers: Float, points: Float, aspect: float = 1.6) -> View:
    """The nearest view from behind and above the cameras that holds them and most of the points.

    rotations (n, 3, 3) cam_from_world, centers (n, 3), points (m, 3) of one frame; aspect is width / height.
    """
    axes = _view_axes(rotations, centers, points)
    near = _nearest(points)
    tan_v = 0.92 * np.tan(np.radians(FIELD_OF_VIEW / 2.0))
    bodies = ((centers @ axes.T, 0.98), (near @ axes.T, 0.975))
    x, depth_x = _fit(bodies, 0, tan_v * aspect)
    y, depth_y = _fit(bodies, 1, tan_v)
    middle = float(np.mean([np.median(body[:, 2]) for body, _ in bodies]))
    extent = max(float(np.abs(body - bodies[0][0][0]).max()) for body, _ in bodies)
    depth = min(depth_x, depth_y, middle - (1e-3 * extent or 1.0))
    return View(np.array([x, y, depth]) @ axes, np.array([x, y, middle]) @ axes, -axes[1])


def _fit(bodies: tuple[tuple[Float, float], ...], axis: int, tan: float) -> tuple[float, float]:
    """Position of the eye along `axis`, and its depth, from which each body's share fits between two edges."""
    sides = []
    for sign in (1.0, -1.0):
        reach = [(sign * body[:, axis] - tan * body[:, 2], share) for body, share in bodies]
        sides.append(max(float(np.quantile(distances, share, method="higher")) for distances, share in reach))
    return (sides[0] - sides[1]) / 2.0, -(sides[0] + sides[1]) / (2.0 * tan)


def _view_axes(rotations: Float, centers: Float, points: Float) -> Float:
    """(3, 3) rows right, down, forward of a view that looks as the cameras do, tilted down."""
    middle, near = middle_of(points), _nearest(points)
    spread = np.linalg.eigh((near - middle).T @ (near - middle))[1].T
    up = _direction(-rotations[:, 1].mean(axis=0), list(spread))
    heading = _direction(_level(rotations[:, 2].mean(axis=0), up), [_level(d, up) for d in spread[::-1]])
    tilt = np.radians(TILT)
    forward = np.cos(tilt) * heading - np.sin(tilt) * up
    down = -np.cos(tilt) * up - np.sin(tilt) * heading
    return np.stack([np.cross(down, forward), down, forward])


def _direction(mean: Float, axes: Sequence[Float]) -> Float:
    """The mean of unit vectors as a unit vector; where they cancel, the first usable axis on its side."""
    if np.linalg.norm(mean) > 0.15:
        return np.asarray(mean / np.linalg.norm(mean))
    axis = next(axis for axis in axes if np.linalg.norm(axis) > 0.15)
    return np.asarray(axis / np.linalg.norm(axis) * (1.0 if axis @ mean >= 0.0 else -1.0))


def _level(direction: Float, up: Float) -> Float:
    return np.asarray(direction - (direction @ up) * up)


def middle_of(points: Float) -> Float:
    """(3,) geometric median by Weiszfeld's iteration: as robust as a median, and it turns with the points."""
    points = points[:: len(points) // 100_000 + 1]
    middle = np.median(points, axis=0)
    for _ in range(30):
        distance = np.linalg.norm(points - middle, axis=1)
        weight = 1.0 / np.maximum(distance, 1e-3 * np.median(distance) or 1.0)
        middle = weight @ (points - middle) / weight.sum() + middle
    return np.asarray(middle)


def _nearest(points: Float) -> Float:
    distance = np.linalg.norm(points - middle_of(points), axis=1)
    return np.asarray(points[distance <= np.quantile(distance, NEAREST)])


def frustum_size(centers: Float, view: View) -> float:
    """How large a frustum is drawn: the usual spacing of the cameras, yet neither a speck nor a screenful in `view`."""
    depth = float(np.median((centers - view.eye) @ (view.target - view.eye))) / view.distance
    spacing = float(np.median(cKDTree(centers).query(centers, k=2)[0][:, 1])) if len(centers) > 1 else np.inf
    return float(np.clip(0.7 * spacing, 0.02 * depth, 0.06 * depth))


def frusta(problem: Problem, size: float) -> Float:
    """(n_images, 8, 2, 3) segments in the world: four edges from each camera's centre, then the picture's border.

    `size` is the depth of the border in world units, or half its diagonal where that is longer.
    """
    images = np.repeat(np.arange(problem.num_images), 4)
    rays = unproject(problem, images, picture_corners(problem).reshape(-1, 2)).reshape(-1, 4, 3)
    longest = np.linalg.norm(rays[:, :, :2], axis=2).max(axis=1).clip(min=1.0)
    rays *= size / longest[:, None, None]
    corners = np.einsum("nji,nkj->nki", problem.rotations, rays) + problem.centers[:, None]
    apex = np.broadcast_to(problem.centers[:, None], corners.shape)
    edges = np.stack([apex, corners], axis=2)
    border = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2)
    return np.concatenate([edges, border], axis=1)


def picture_corners(problem: Problem) -> Float:
    """(n_images, 4, 2) px, around the principal point, as wide as the image's own observations reach.

    No format says how large a picture is; an image without observations gets 0.8 x 0.6 focal lengths.
    """
    principal, focal = _principal_and_focal(problem)
    half = np.zeros((problem.num_images, 2))
    np.maximum.at(half, problem.image_of_obs, np.abs(problem.pixels - principal[problem.image_of_obs]))
    half = np.where(half.min(axis=1, keepdims=True) > 0.0, half, focal[:, None] * [0.4, 0.3])
    return np.asarray(principal[:, None] + half[:, None] * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]))


def _principal_and_focal(problem: Problem) -> tuple[Float, Float]:
    """(n_images, 2) and (n_images,) px."""
    principal, focal = np.zeros((problem.num_images, 2)), np.ones(problem.num_images)
    for name, images in _by_model(problem, np.arange(problem.num_images)):
        params = problem.intrinsics[problem.camera_of_image[images]]
        model = CAMERAS[name]
        if model.principal_point:
            principal[images] = params[:, list(model.principal_point)]
        focal[images] = np.abs(params[:, list(model.focal)]).mean(axis=1)
    return principal, focal


def _by_model(problem: Problem, images: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Each camera model, and which of the images have it."""
    names = np.array(problem.camera_models)[problem.camera_of_image[images]]
    for name in dict.fromkeys(problem.camera_models):
        yield name, np.flatnonzero(names == name)


def unproject(problem: Problem, images: NDArray[np.intp], pixels: Float) -> Float:
    """(n, 3) points at depth 1 in the images' cameras that project to `pixels` (n, 2), by Newton's method.

    Where the distortion does not reach a pixel, it is left out.
    """
    principal, focal = _principal_and_focal(problem)
    undistorted = (pixels - principal[images]) / focal[images, None]
    rays = np.concatenate([undistorted, np.ones((len(pixels), 1))], axis=1)
    for name, rows in _by_model(problem, images):
        cameras = problem.camera_of_image[images[rows]]
        rays[rows, :2] = _newton(name, problem.intrinsics, cameras, rays[rows], pixels[rows])
    return rays


def _newton(name: str, intrinsics: Float, cameras: NDArray[np.int32], start: Float, pixels: Float) -> Float:
    n, ray = len(start), start.copy()
    uv, d_point, domain = np.empty((n, 2)), np.empty((n, 2, 3)), np.empty(n, np.uint8)
    d_params = np.empty((n, 2, intrinsics.shape[1]))
    ray[:, :2] = 0.0
    for _ in range(20):
        CAMERAS[name].project(intrinsics, cameras, ray, uv, d_point, d_params, domain)
        step = np.linalg.pinv(d_point[:, :, :2]) @ (pixels - uv)[:, :, None]
        ray[:, :2] += np.clip(step[:, :, 0], -0.3, 0.3)
    CAMERAS[name].project(intrinsics, cameras, ray, uv, d_point, d_params, domain)
    close = np.abs(uv - pixels).max(axis=1, initial=0.0) < 1e-6 * np.abs(pixels).max(initial=1.0)
    return np.where((close & (domain == INSIDE))[:, None], ray[:, :2], start[:, :2])


def point_errors(problem: Problem) -> Float:
    """(n_points,) px, median reprojection error over a point's observations; NaN where no camera has it in front.

    The median, because a single mismatch among five observations would make the mean that of a point that is far off.
    Point and error are sorted as one 64 bit number, whose lower half is the error in float32 (positive ones are in the
    order of their bits), because sorting two keys takes several times as long.
    """
    projection = project(problem)
    seen = projection.domain != BEHIND
    norms = np.linalg.norm(projection.pixels - problem.pixels, axis=1)[seen]
    points = problem.point_of_obs[seen]
    with np.errstate(over="ignore"):
        bits = norms.astype(np.float32).view(np.uint32)
    keys = np.sort(points.astype(np.uint64) << np.uint64(32) | bits)
    ordered = keys.astype(np.uint32).view(np.float32).astype(np.float64)
    count = np.bincount(points, minlength=problem.num_points)
    first, is_seen = np.cumsum(count) - count, count > 0
    errors = np.full(problem.num_points, np.nan)
    lower, upper = (first + (count - 1) // 2)[is_seen], (first + count // 2)[is_seen]
    errors[is_seen] = (ordered[lower] + ordered[upper]) / 2.0
    return errors


def error_limit(errors: Float) -> float:
    """Upper end of the colour scale, px: `range_end` for 95 % of the errors, 1 where there are none."""
    finite = errors[np.isfinite(errors)]
    return (range_end(finite, 0.95) if len(finite) else 0.0) or 1.0


def error_colors(errors: Float, limit: float) -> Bytes:
    """(n, 3) uint8 RGB on the turbo scale from 0 to `limit` px; grey for NaN."""
    position = np.clip(np.nan_to_num(errors, nan=0.0, posinf=limit) / limit, 0.0, 1.0) * (len(TURBO) - 1)
    channels = [np.interp(position, np.arange(len(TURBO)), channel) for channel in TURBO.T]
    colors = np.stack(channels, axis=1).round().astype(np.uint8)
    colors[np.isnan(errors)] = UNSEEN
    return colors


def cloud_of(problem: Problem, frame: Frame, size: float, most: int = MOST_POINTS) -> Cloud:
    """The problem in `frame`, without its far points and at most `most` points; frusta `size` deep in the frame."""
    points = frame.from_world(problem.points)
    near = np.flatnonzero(np.linalg.norm(points, axis=1) <= FAR)
    kept = np.sort(np.random.default_rng(0).choice(near, most, replace=False)) if len(near) > most else near
    return Cloud(
        points=points[kept],
        errors=point_errors(problem)[kept],
        colors=None if problem.colors is None else problem.colors[kept],
        frusta=frame.from_world(frusta(problem, size * frame.scale)).reshape(-1, 2, 3),
        hidden=problem.num_points - len(near),
    )
