"""The words and the table of `ba check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ba.analyse.derivatives import EXACT, JACOBIANS, KINDS
from ba.check.data import Finding
from ba.check.derivatives import Cost, Derivatives
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
    others = [row for row in found.rows if row.name != "analytic"]
    yield "    " + _line("analytic against", kinds, kinds, ("n", "s", "memory", "grow as"))
    for row in others:
        shares = [f"{row.errors[kind].share:.1e}" if kind in row.errors else "" for kind in kinds]
        yield ("  ! " if row.faults else "    ") + _line(row.name, kinds, shares, _cells(row.cost))
    analytic = next(row for row in found.rows if row.name == "analytic")
    yield "    " + _line("(analytic itself)", kinds, [""] * len(kinds), _cells(analytic.cost))
    yield "    n: observations; s, memory: of one Jacobian, peak; difference quotients (forward, central) do not decide"
    exact = [row for row in others if JACOBIANS[row.name].exact]
    for kind in kinds:
        row = max(exact, key=lambda row: row.errors[kind].share if kind in row.errors else 0.0)
        if kind in row.errors and row.errors[kind].share > 0.0:
            yield f"    {kind}: {row.errors[kind].share:.1e} at {row.entries[kind]}, {row.name}"
    height, width = found.pattern.shape
    cut = f"{counted(found.cut.num_images, 'image')} and {counted(found.cut.num_points, 'point')}"
    share = found.pattern.nnz / max(height * width, 1)
    yield f"    zeros: on the cut of {cut}, {height:,} x {width:,}, {share:.2%} are in the pattern;"
    inner = ", ".join(f"{share:.0%} of {kind}" for kind, share in found.inner_zeros.items())
    yield f"    {found.stray:,} of the {found.tested:,} outside are not zero; inside, {inner or 'none'} are zero"
    if any(row.errors[kind].share > EXACT and not row.faults for row in exact for kind in row.errors):
        yield f"    errors above {EXACT:g} without a mark are the rounding of depths that are left of far larger terms"
    for name, why in found.missing.items():
        yield f"    {name} is missing: {why}"


def _line(name: str, kinds: Sequence[str], shares: Sequence[str], cost: tuple[str, str, str, str]) -> str:
    """A line of the table: a way, its error of each kind, and what it costs."""
    cells = "".join(f"{share:>{max(len(kind), 7) + 2}}" for share, kind in zip(shares, kinds, strict=True))
    observations, seconds, memory, powers = cost
    return f"{name:<18}{cells}{observations:>9}{seconds:>9}{memory:>10}   {powers}"


def _cells(cost: Cost) -> tuple[str, str, str, str]:
    seconds, memory = cost.powers
    powers = f"n^{seconds:.1f}, n^{memory:.1f}" if np.isfinite(seconds) else "too few to tell"
    return f"{cost.observations[-1]:,}", f"{cost.seconds[-1]:.3g}", in_bytes(cost.bytes[-1]), powers
