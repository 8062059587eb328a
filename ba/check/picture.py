"""The pattern of J, and of J^T J beside it, as a picture: a dot for each entry, coloured by kind, zeros left white."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.sparse import csr_array

from ba.analyse.derivatives import KINDS
from ba.system.files import replacing

Array = NDArray[Any]

HEIGHT, GAP, HEAD, FOOT = 900, 40, 50, 50
COLORS = np.array(
    [[31, 119, 180], [255, 127, 14], [214, 39, 40], [148, 103, 189], [140, 86, 75], [227, 119, 194], [44, 160, 44]],
    np.uint8,
)
"""RGB of each of `KINDS`."""


def draw_pattern(jacobian: csr_array, kinds: Array, path: Path) -> None:
    """Write a PNG of the pattern of `jacobian` (m, n), whose columns are of `kinds` (n,), indices into `KINDS`."""
    pattern = csr_array((np.ones(jacobian.nnz, np.int32), jacobian.indices, jacobian.indptr), shape=jacobian.shape)
    panels = [_spy(matrix, kinds) for matrix in (pattern, (pattern.T @ pattern).tocsr())]
    width = sum(len(panel[0]) for panel in panels) + 3 * GAP
    canvas = Image.new("RGB", (width, HEIGHT + HEAD + FOOT), "white")
    draw, font, left = ImageDraw.Draw(canvas), ImageFont.load_default(16), GAP
    titles = (
        f"J, {jacobian.shape[0]:,} x {jacobian.shape[1]:,}, {_share(pattern)}",
        f"J^T J, {jacobian.shape[1]:,} x {jacobian.shape[1]:,}, {_share(pattern.T @ pattern)}",
    )
    for panel, title in zip(panels, titles, strict=True):
        draw.text((left, 16), title, fill="black", font=font)
        canvas.paste(Image.fromarray(panel), (left, HEAD))
        draw.rectangle((left - 1, HEAD - 1, left + panel.shape[1], HEAD + panel.shape[0]), outline=(120, 120, 120))
        left += panel.shape[1] + GAP
    _draw_legend(draw, font, kinds)
    with replacing(path) as temporary:
        canvas.save(temporary)


def _draw_legend(draw: ImageDraw.ImageDraw, font: Any, kinds: Array) -> None:
    left, top = GAP, HEAD + HEIGHT + 16
    for kind in np.unique(kinds):
        draw.rectangle((left, top + 3, left + 13, top + 16), fill=tuple(COLORS[kind].tolist()))
        draw.text((left + 20, top), KINDS[kind], fill="black", font=font)
        left += 46 + int(draw.textlength(KINDS[kind], font=font))


def _spy(matrix: csr_array, kinds: Array) -> Array:
    """(HEIGHT, width, 3) uint8, as high as every panel, and as wide as the matrix is for its height, within bounds."""
    rows, columns = (max(side, 1) for side in matrix.shape)
    width = int(np.clip(HEIGHT * columns / rows, HEIGHT / 2, HEIGHT))
    image = np.full((HEIGHT, width, 3), 255, np.uint8)
    entries = matrix.tocoo()
    tall, wide = -(-HEIGHT // rows), -(-width // columns)
    top, left = entries.row * HEIGHT // rows, entries.col * width // columns
    for down in range(tall):
        for right in range(wide):
            at = np.minimum(top + down, HEIGHT - 1), np.minimum(left + right, width - 1)
            image[at] = COLORS[kinds[entries.col]]
    return image


def _share(matrix: Any) -> str:
    return f"{matrix.nnz / max(matrix.shape[0] * matrix.shape[1], 1):.2%} not zero"
