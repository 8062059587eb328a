"""The words and the table of `ba check`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ba.analyse.derivatives import EXACT, JACOBIANS, KINDS
from ba.check.data import Finding
from ba.check.derivatives import Derivatives, Row
from ba.system.words import counted, in_bytes


def data_lines(findings: dict[str, Finding]) -> Iterator[str]:
    """A line for each test, those that need a look marked."""
    for name, finding in findings.items():
        yield f"  {' ' if finding.sound else '!'} {name:<13} {finding.text}"


def memory_lines(parts: dict[str, int], ways: dict[str, int], chosen: str) -> Iterator[str]:
    """What every way would take, that of the configuration marked, and the parts of the latter."""
    for name, size in ways.items():
        yield f"  {'*' if name == chosen else ' '} {name:<32} {in_bytes(size):>9}"
    yield f"    * as configured, peak of the whole run: {in_bytes(sum(parts.values()))}, of which"
    for name, size in parts.items():
        if size:
            yield f"      {name:<32} {in_bytes(size):>9}"


def derivative_lines(found: Derivatives) -> Iterator[str]:
    """The table, where the exact ways are farthest apart, the zeros, and what is missing."""
    kinds = [kind for kind in KINDS if any(kind in row.errors for row in found.rows)]
    yield (
        "    "
        f"{'analytic against':<18}"
        + "".join(f"{kind:>{_width(kind)}}" for kind in kinds)
        + (f"{'n':>9}{'s':>9}{'memory':>10}   grow as")
    )
    for row in found.rows:
        if row.name != "analytic":
            yield ("  ! " if row.faults else "    ") + _line(row, kinds)
    analytic = next(row for row in found.rows if row.name == "analytic")
    yield f"    {'(analytic itself)':<18}{'':>{sum(_width(kind) for kind in kinds)}}{_cost(analytic)}"
    yield "    n: observations; s, memory: of one Jacobian, peak; difference quotients (forward, central) do not decide"
    exact = [row for row in found.rows if JACOBIANS[row.name].exact and row.name != "analytic"]
    for kind in kinds:
        row = max(exact, key=lambda row: row.errors[kind].share if kind in row.errors else 0.0)
        if kind in row.errors and row.errors[kind].share > 0.0:
            yield f"    {kind}: {row.errors[kind].share:.1e} at {row.places[kind]}, {row.name}"
    height, width = found.pattern.shape
    cut = found.cut
    yield (
        f"    zeros: on the cut of {counted(cut.num_images, 'image')} and {counted(cut.num_points, 'point')}, "
        f"{height:,} x {width:,}, "
        f"{found.pattern.nnz / max(height * width, 1):.2%} are in the pattern;"
    )
    inner = ", ".join(f"{share:.0%} of {kind}" for kind, share in found.inner_zeros.items())
    yield f"    {found.stray:,} of the {found.tested:,} outside are not zero; inside, {inner or 'none'} are zero"
    if any(row.errors[kind].share > EXACT and not row.faults for row in exact for kind in row.errors):
        yield f"    errors above {EXACT:g} without a mark are the rounding of depths that are left of far larger terms"
    for name, why in found.missing.items():
        yield f"    {name} is missing: {why}"


def _line(row: Row, kinds: list[str]) -> str:
    shares = [f"{row.errors[kind].share:.1e}" if kind in row.errors else "" for kind in kinds]
    cells = "".join(f"{share:>{_width(kind)}}" for share, kind in zip(shares, kinds, strict=True))
    return f"{row.name:<18}{cells}{_cost(row)}"


def _cost(row: Row) -> str:
    cost = row.cost
    seconds, memory = cost.powers
    powers = f"n^{seconds:.1f}, n^{memory:.1f}" if np.isfinite(seconds) else "too few to tell"
    return f"{cost.observations[-1]:>9,}{cost.seconds[-1]:>9.3g}{in_bytes(cost.bytes[-1]):>10}   {powers}"


def _width(kind: str) -> int:
    return max(len(kind), 7) + 2
