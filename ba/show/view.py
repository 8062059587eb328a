"""The result in 3D: an open3d window, or a picture without a screen.

Points are coloured by their median reprojection error, or as the input coloured them; cameras are frusta. The window is
open3d's own, where each state and each colouring is a toggle. The picture is drawn by `ba.show.render` in a process of
its own: a missing graphics driver ends that process and not this one.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from ba.errors import UserError
from ba.model.problem import Problem
from ba.show.legend import SIZE, STRIP, short, with_legend
from ba.show.scene import (
    FAR,
    FIELD_OF_VIEW,
    Bytes,
    Cloud,
    View,
    cloud_of,
    error_colors,
    error_limit,
    frame_of,
    frustum_size,
    view_of,
)
from ba.system import children, interrupt, safepath
from ba.system.files import replacing
from ba.system.words import counted

TIMEOUT_SECONDS = 120.0
RENDER = (sys.executable, "-P", str(Path(__file__).with_name("render.py")))
MEND_DRIVER = "apt-get install -y libusb-1.0-0 libgl1 libegl1 libvulkan1 mesa-vulkan-drivers"
MEND_OPEN3D = "pip install open3d"

FEW_POINTS = 5_000
"""Up to this many are drawn larger."""
FRUSTUM = np.array([24, 24, 32], np.uint8)
FRUSTUM_BEFORE = np.array([214, 120, 20], np.uint8)
BEFORE = np.array([176, 176, 184], np.uint8)


def show(before: Problem | None, after: Problem) -> None:
    """Open a window with `after`, and `before` as a group that is switched on beside it. Returns when it is closed.

    Raises UserError where open3d, a screen or a graphics driver is missing.
    """
    if after.num_images == 0 or after.num_points == 0:
        raise UserError("no window: there are no images or no points to show")
    view, limit, states = _prepare(before, after)
    entries = (entry for name, cloud in states.items() for entry in _entries(name, cloud, limit))
    title = f"ba: {_sizes(after)}; colours from 0 to {short(limit)} px median reprojection error"
    open_window(title, _job(view, limit, states), entries)


def open_window(title: str, job: dict[str, Any], entries: Iterable[dict[str, Any]]) -> None:
    """Open a window on what O3DVisualizer lists as `entries`, seen as in the job of `ba.show.render`; returns when
    closed.

    `entries` are made after the checks. Raises UserError where open3d, a screen or a graphics driver is missing.
    """
    _check_open3d()
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError(
            "no window: neither DISPLAY nor WAYLAND_DISPLAY is set; without a screen, --screenshot PNG writes a picture"
        )
    # Without a driver the window would end this process: another one tries first.
    with tempfile.TemporaryFile() as drawn:
        failure = draw_job(job, drawn)
    if failure:
        raise UserError(f"no window: {failure}")
    from open3d.visualization import O3DVisualizer, gui

    gui.Application.instance.initialize()
    window = O3DVisualizer(title, *SIZE)
    window.enable_raw_mode(True)  # before any geometry: it forgets what is switched off
    window.point_size, window.line_width, window.show_settings = int(job["point_size"]), 3, True
    window.show_skybox(False)
    no_picture: Any = None
    window.set_background((1.0, 1.0, 1.0, 1.0), no_picture)
    for entry in entries:
        window.add_geometry(entry)
    window.reset_camera_to_default()
    window.setup_camera(float(job["field_of_view"]), job["target"], job["eye"], job["up"])
    gui.Application.instance.add_window(window)
    with interrupt.deadly():
        gui.Application.instance.run()


def _check_open3d() -> None:
    if importlib.util.find_spec("open3d") is None:
        raise UserError(f"no window: open3d is not installed; install it with: {MEND_OPEN3D}")


def screenshot(before: Problem | None, after: Problem, png: Path, show_before: bool = False) -> str | None:
    """Write a picture of `after` (over a pale `before`, if that is wanted), 1600 x 1000 px.

    Returns None, or one message that says why there is no picture and the command that mends it. Raises UserError only
    where `png` cannot be written.
    """
    if png.suffix.lower() != ".png":
        raise UserError(f"{png}: a picture is a PNG file; a name that ends in .png is right")
    if after.num_images == 0 or after.num_points == 0:
        return "no picture: there are no images or no points to draw"
    if importlib.util.find_spec("open3d") is None:
        return f"no picture: open3d is not installed; install it with: {MEND_OPEN3D}"
    view, limit, states = _prepare(before if show_before else None, after)
    with tempfile.TemporaryFile() as drawn:
        failure = _draw(view, limit, states, drawn)
        if failure is None:
            with replacing(png) as temporary, Image.open(drawn) as scene:
                with_legend(scene, limit, _caption(after, states)).save(temporary)
    return failure


def _prepare(before: Problem | None, after: Problem) -> tuple[View, float, dict[str, Cloud]]:
    """One view and one colour scale for all states, so that they can be compared. The last state is `after`."""
    frame = frame_of(after)
    view = view_of(after, frame, SIZE[0] / (SIZE[1] - STRIP))
    size = frustum_size(frame.from_world(after.centers), view)
    states = {} if before is None else {"before": before}
    states["after"] = after
    clouds = {name: cloud_of(problem, frame, size) for name, problem in states.items()}
    return view, error_limit(clouds["after"].errors), clouds


def _clip(view: View) -> tuple[float, float]:
    """Nearest and furthest depth that is drawn."""
    return 1e-3 * view.distance, float(np.linalg.norm(view.eye)) + FAR


def _repeat(color: Bytes, times: int) -> Bytes:
    return np.broadcast_to(color, (times, 3))


def _entries(name: str, cloud: Cloud, limit: float) -> list[dict[str, Any]]:
    """What open3d's window lists for one state: points by error, points in their own colours, cameras."""
    from ba.show.render import line_set, point_cloud

    shown = name == "after"
    segments = cloud.frusta.reshape(-1, 2, 3)
    lines = line_set(segments, _repeat(FRUSTUM if shown else FRUSTUM_BEFORE, len(segments)))
    points = {"points by error": point_cloud(cloud.points, error_colors(cloud.errors, limit))}
    if cloud.colors is not None:
        points["own colours"] = point_cloud(cloud.points, cloud.colors)
    entries = [{"name": f"{name}: cameras", "geometry": lines, "is_visible": shown}]
    for index, (kind, geometry) in enumerate(points.items()):
        entries.append({"name": f"{name}: {kind}", "geometry": geometry, "is_visible": shown and index == 0})
    return [entry | {"group": name} for entry in entries]


def _job(view: View, limit: float, states: dict[str, Cloud]) -> dict[str, Any]:
    """What `ba.show.render` draws: `after` in the colours of its errors, `before` in one pale colour."""
    point_colors = {
        name: error_colors(cloud.errors, limit) if name == "after" else _repeat(BEFORE, len(cloud.points))
        for name, cloud in states.items()
    }
    segments = {name: cloud.frusta.reshape(-1, 2, 3) for name, cloud in states.items()}
    line_colors = {name: FRUSTUM if name == "after" else FRUSTUM_BEFORE for name in states}
    return {
        "points": np.concatenate([cloud.points for cloud in states.values()]),
        "point_colors": np.concatenate(list(point_colors.values())),
        "segments": np.concatenate(list(segments.values())),
        "segment_colors": np.concatenate([_repeat(line_colors[name], len(segments[name])) for name in states]),
        "eye": view.eye,
        "target": view.target,
        "up": view.up,
        "clip": _clip(view),
        "size": (SIZE[0], SIZE[1] - STRIP),
        "field_of_view": FIELD_OF_VIEW,
        "point_size": 3.0 if sum(len(cloud.points) for cloud in states.values()) > FEW_POINTS else 6.0,
        "line_width": 2.5 if len(states["after"].frusta) <= 30 else 1.5,
    }


def _draw(view: View, limit: float, states: dict[str, Cloud], drawn: IO[bytes]) -> str | None:
    return draw_job(_job(view, limit, states), drawn)


def draw_job(job: dict[str, Any], drawn: IO[bytes]) -> str | None:
    """Draw what `ba.show.render` takes into an open file, in a process of its own; None, or why it failed.

    Both files are handed to that process open: they have no names, so nothing is left of them however it all ends.
    """
    environment = safepath.environment() | children.environment()
    with tempfile.TemporaryFile() as file:
        np.savez(file, **job)
        file.seek(0)
        handles = file.fileno(), drawn.fileno()
        try:
            done = subprocess.run(
                [*RENDER, *(f"/dev/fd/{handle}" for handle in handles)], env=environment, pass_fds=handles,
                capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _no_picture(f"the drawing process took longer than {TIMEOUT_SECONDS:g} s")
        except OSError as error:
            return _no_picture(f"the drawing process could not start ({error.strerror or error})")
    if done.returncode == 0 and os.fstat(drawn.fileno()).st_size:
        return None
    return _no_picture(f"the drawing process {_ending(done.returncode)}{_last_line(done.stderr)}")


def _no_picture(why: str) -> str:
    return f"no picture: {why}; if a graphics driver is missing, this installs one (Debian, Ubuntu): {MEND_DRIVER}"


def _ending(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"was ended by signal {signal.Signals(-code).name}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f" ({lines[-1][:200]})" if lines else ""


def _sizes(problem: Problem) -> str:
    return f"{counted(problem.num_images, 'image')}, {counted(problem.num_points, 'point')}"


def _caption(after: Problem, states: dict[str, Cloud]) -> list[str]:
    hidden = states["after"].hidden
    far = f" ({hidden:,} too far away to draw)" if hidden else ""
    return [_sizes(after) + far, *(["before: grey points, orange frusta"] if "before" in states else [])]
