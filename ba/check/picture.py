"""The pattern of J, and of J^T J beside it, as a picture: a dot for each entry, coloured by kind, zeros left white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from ba.analyse.derivatives import KINDS
from ba.model.arrays import Array
from ba.system.files import replacing

PANEL, DPI = 6.0, 150
"""Width and height of a panel in inches, and dots an inch."""
COLORS = ("C0", "C1", "C3", "C4", "C5", "C6", "C2")
"""Of each of `KINDS`, as matplotlib names them."""


def draw_pattern(jacobian: csr_array, kinds: Array, path: Path) -> None:
    """Write a PNG of the pattern of `jacobian` (m, n), whose columns are of `kinds` (n,), indices into `KINDS`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    pattern = csr_array((np.ones(jacobian.nnz, np.int32), jacobian.indices, jacobian.indptr), shape=jacobian.shape)
    figure = Figure(figsize=(2.0 * PANEL, 1.1 * PANEL), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name, matrix in zip(figure.subplots(1, 2), ("J", "J^T J"), (pattern, pattern.T @ pattern), strict=True):
        height, width = matrix.shape
        share = matrix.nnz / max(height * width, 1)
        axes.set(title=f"{name}, {height:,} x {width:,}, {share:.2%} not zero", xlim=(-0.5, width - 0.5))
        axes.set_ylim(height - 0.5, -0.5)
        size = max(72.0 * 0.8 * PANEL / max(height, width, 1), 72.0 / DPI)  # points; at least a dot of the picture
        entries = matrix.tocoo()
        for kind in np.unique(kinds):
            own = kinds[entries.col] == kind
            axes.plot(entries.col[own], entries.row[own], "s", ms=size, mew=0.0, color=COLORS[kind])
    patches = [Patch(color=COLORS[kind], label=KINDS[kind]) for kind in np.unique(kinds)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)
