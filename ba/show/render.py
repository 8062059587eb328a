"""Draw one job to one PNG: `python -P render.py JOB.npz OUT.png`, which may be /dev/fd/N of open files.

A process of its own, because open3d renders with Vulkan and aborts the process where no driver is installed.
Started by its path and with -P, it cannot take code from the working folder.
The job holds points (n, 3) and point_colors (n, 3) uint8, segments (m, 2, 3) and segment_colors (m, 3) uint8, eye,
target and up (3,), size (2,) px, field_of_view in degrees, clip (2,), point_size and line_width in px.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ba.system.children import end_with_parent


def point_cloud(points: Any, colors: Any) -> Any:
    """An open3d PointCloud; points (n, 3), colors (n, 3) uint8."""
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    cloud.colors = open3d.utility.Vector3dVector(colors / 255.0)
    return cloud


def line_set(segments: Any, colors: Any) -> Any:
    """An open3d LineSet; segments (m, 2, 3), colors (m, 3) uint8."""
    import open3d

    lines = open3d.geometry.LineSet(
        open3d.utility.Vector3dVector(segments.reshape(-1, 3)),
        open3d.utility.Vector2iVector(np.arange(2 * len(segments)).reshape(-1, 2)),
    )
    lines.colors = open3d.utility.Vector3dVector(colors / 255.0)
    return lines


def render(job: dict[str, Any], png: Path) -> None:
    """Write the picture, as PNG whatever the path is called. Raises OSError where it cannot be written."""
    from open3d.visualization import rendering

    width, height = (int(side) for side in job["size"])
    sizes = float(job["point_size"]), float(job["line_width"])
    renderer = rendering.OffscreenRenderer(width, height)
    renderer.scene.set_background([1.0, 1.0, 1.0, 1.0])
    renderer.scene.scene.enable_sun_light(False)
    renderer.scene.view.set_post_processing(False)
    for shader, geometry in (
        ("defaultUnlit", point_cloud(job["points"], job["point_colors"])),
        ("unlitLine", line_set(job["segments"], job["segment_colors"])),
    ):
        material = rendering.MaterialRecord()
        material.shader, material.point_size, material.line_width = shader, *sizes
        renderer.scene.add_geometry(shader, geometry, material)
    clip = map(float, job["clip"])
    renderer.setup_camera(float(job["field_of_view"]), job["target"], job["eye"], job["up"], *clip)
    with png.open("wb") as file:
        Image.fromarray(np.asarray(renderer.render_to_image())).save(file, "PNG")


if __name__ == "__main__":
    end_with_parent()
    with np.load(sys.argv[1]) as arrays:
        render(dict(arrays), Path(sys.argv[2]))
