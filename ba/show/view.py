"""The result in 3D: an open3d window, or a picture without a screen.

Points are coloured by their median reprojection error, or as the input coloured them; cameras are frusta. The window is
open3d's own, where each state and each colouring is a toggle. The picture is drawn by `ba.show.render` in a process of
its own: a missing graphics driver ends that process and not this one.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from ba.errors import UserError
from ba.model.problem import Problem
from ba.show import scene
from ba.show.legend import SIZE, STRIP, short, with_legend
from ba.show.scene import Bytes, Cloud, View
from ba.system import children, interrupt, safepath
from ba.system.files import replacing
from ba.system.words import counted

TIMEOUT_SECONDS = 120.0
RENDER = (sys.executable, "-P", str(Path(__file__).with_name("render.py")))
MEND_DRIVER = "apt-get install -y libusb-1.0-0 libgl1 libegl1 libvulkan1 mesa-vulkan-drivers"
MEND_OPEN3D = "pip install open3d"

FEW_POINTS = 5_000
"""Up to this many are drawn larger."""
FEW_SEGMENTS = 240
"""Lines of 30 frusta; up to this many are drawn thicker."""
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
    if importlib.util.find_spec("open3d") is None:
        raise UserError(f"no window: open3d is not installed; install it with: {MEND_OPEN3D}")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError(
            "no window: neither DISPLAY nor WAYLAND_DISPLAY is set; without a screen, --screenshot PNG writes a picture"
        )
    # Without a driver the window would end this process: another one tries first.
    with tempfile.TemporaryFile() as drawing:
        failure = draw_job(job, drawing)
    if failure:
        raise UserError(f"no window: {failure}")
    from open3d.visualization import O3DVisualizer, gui

    gui.Application.instance.initialize()
    window = O3DVisualizer(title, *SIZE)
    window.enable_raw_mode(True)  # before any geometry: it forgets what is switched off
    window.point_size, window.line_width, window.show_settings = int(job["point_size"]), 3, True
    window.show_skybox(False)
    window.set_background((1.0, 1.0, 1.0, 1.0), None)
    for entry in entries:
        window.add_geometry(entry)
    window.reset_camera_to_default()
    window.setup_camera(float(job["field_of_view"]), job["target"], job["eye"], job["up"])
    gui.Application.instance.add_window(window)
    with interrupt.deadly():
        gui.Application.instance.run()


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
    hidden = states["after"].hidden
    caption = [_sizes(after) + (f" ({hidden:,} too far away to draw)" if hidden else "")]
    if "before" in states:
        caption.append("before: grey points, orange frusta")
    with tempfile.TemporaryFile() as drawing:
        failure = draw_job(_job(view, limit, states), drawing)
        if failure is None:
            with replacing(png) as temporary, Image.open(drawing) as picture:
                with_legend(picture, limit, caption).save(temporary)
    return failure


def _prepare(before: Problem | None, after: Problem) -> tuple[View, float, dict[str, Cloud]]:
    """One view and one colour scale for all states, so that they can be compared. The last state is `after`."""
    frame = scene.frame_of(after)
    centers, points = frame.from_world(after.centers), frame.from_world(after.points)
    view = scene.first_view(after.rotations, centers, points, SIZE[0] / (SIZE[1] - STRIP))
    size = scene.frustum_size(centers, view)
    states = {"after": after} if before is None else {"before": before, "after": after}
    clouds = {name: scene.cloud_of(problem, frame, size) for name, problem in states.items()}
    return view, scene.error_limit(clouds["after"].errors), clouds


def _entries(name: str, cloud: Cloud, limit: float) -> Iterator[dict[str, Any]]:
    """What open3d's window lists for one state: cameras, points by error, points in their own colours."""
    from ba.show.render import line_set, point_cloud

    colors = FRUSTUM if name == "after" else FRUSTUM_BEFORE
    listed = {
        "cameras": line_set(cloud.frusta, np.broadcast_to(colors, (len(cloud.frusta), 3))),
        "points by error": point_cloud(cloud.points, scene.error_colors(cloud.errors, limit)),
    }
    if cloud.colors is not None:
        listed["own colours"] = point_cloud(cloud.points, cloud.colors)
    for kind, geometry in listed.items():
        visible = name == "after" and kind != "own colours"
        yield {"name": f"{name}: {kind}", "geometry": geometry, "is_visible": visible, "group": name}


def _job(view: View, limit: float, states: dict[str, Cloud]) -> dict[str, Any]:
    """What `ba.show.render` draws: `after` in the colours of its errors, `before` in one pale colour."""
    clouds, after = list(states.values()), states["after"]
    point_colors: list[Bytes] = [np.broadcast_to(BEFORE, cloud.points.shape) for cloud in clouds[:-1]]
    frustum_colors = (FRUSTUM_BEFORE, FRUSTUM)[-len(clouds) :]
    return {
        "points": np.concatenate([cloud.points for cloud in clouds]),
        "point_colors": np.concatenate([*point_colors, scene.error_colors(after.errors, limit)]),
        "segments": np.concatenate([cloud.frusta for cloud in clouds]),
        "segment_colors": np.repeat(frustum_colors, [len(cloud.frusta) for cloud in clouds], axis=0),
        "eye": view.eye,
        "target": view.target,
        "up": view.up,
        "clip": (1e-3 * view.distance, float(np.linalg.norm(view.eye)) + scene.FAR),
        "size": (SIZE[0], SIZE[1] - STRIP),
        "field_of_view": scene.FIELD_OF_VIEW,
        "point_size": 3.0 if sum(len(cloud.points) for cloud in clouds) > FEW_POINTS else 6.0,
        "line_width": 2.5 if len(after.frusta) <= FEW_SEGMENTS else 1.5,
    }


def draw_job(job: dict[str, Any], drawing: IO[bytes]) -> str | None:
    """Draw what `ba.show.render` takes into an open file, in a process of its own; None, or why it failed.

    Both files are handed to that process open: they have no names, so nothing is left of them however it all ends.
    """
    environment = safepath.environment() | children.environment()
    with tempfile.TemporaryFile() as file:
        np.savez(file, **job)
        file.seek(0)
        handles = file.fileno(), drawing.fileno()
        try:
            done = subprocess.run(
                [*RENDER, *(f"/dev/fd/{handle}" for handle in handles)], env=environment, pass_fds=handles,
                capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _no_picture(f"the drawing process took longer than {TIMEOUT_SECONDS:g} s")
        except OSError as error:
            return _no_picture(f"the drawing process could not start ({error.strerror or error})")
    if done.returncode == 0 and os.fstat(drawing.fileno()).st_size:
        return None
    return _no_picture(f"the drawing process {_ending(done.returncode)}{_last_line(done.stderr)}")


def _no_picture(why: str) -> str:
    return f"no picture: {why}; if a graphics driver is missing, this installs one (Debian, Ubuntu): {MEND_DRIVER}"


def _ending(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"was ended by signal {signal.Signals(-code).name}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f" ({lines[-1].strip()[:200]})" if lines else ""


def _sizes(problem: Problem) -> str:
    return f"{counted(problem.num_images, 'image')}, {counted(problem.num_points, 'point')}"
