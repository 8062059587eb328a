"""What the runs on one file say, as text: medians, spread (largest less smallest), ratios to the first contender."""

from math import isfinite
from statistics import median
from typing import Any

Run = dict[str, Any]
Runs = dict[str, list[Run]]

SHARES = (1e-4, 1e-5, 1e-6)
ROUNDING = 1e-12


def arrival(curve: list[list[float]], cost: float) -> float:
    """Seconds after which a curve is at or below a cost; infinite if never."""
    return next((seconds for seconds, reached in curve if reached <= cost), float("inf"))


def goal(lowest: float, share: float, initial: float) -> float:
    """The cost to reach: within a share of the lowest, or of what rounding leaves of the initial where that is less."""
    return lowest + max(share * lowest, ROUNDING * initial)


def lowest_cost(runs: Runs, known: float | None) -> float:
    """The known one, or the lowest that a run without fault reached (if all have faults: that any reached)."""
    if known is not None:
        return known
    every = [run for group in runs.values() for run in group]
    return float(min(run["curve"][-1][1] for run in [run for run in every if not run["faults"]] or every))


def table(runs: Runs, lowest: float) -> str:
    """One line a contender: seconds, spread and ratio for each share above the lowest cost."""
    first = next(iter(runs.values()))
    initial = first[0]["curve"][0][1]
    columns = "".join(f"{f'to {share:g}, s':>12}{'spread':>8}{'ratio':>8}" for share in SHARES)
    lines = [f"{'':<10}{columns}{'steps':>7}{'build s':>9}{'peak MB':>9}{'last cost':>15}"]
    for name, group in runs.items():
        cells = "".join(_cell(group, first, goal(lowest, share, initial)) for share in SHARES)
        steps, last = median(len(run["curve"]) - 1 for run in group), median(run["curve"][-1][1] for run in group)
        build, peak = median(run["build_seconds"] for run in group), median(run["peak_mb"] for run in group)
        lines.append(f"{name:<10}{cells}{steps:>7.0f}{build:>9.2f}{peak:>9.0f}{last:>15.5f}")
    return "\n".join(lines)


def _cell(group: list[Run], first: list[Run], cost: float) -> str:
    seconds = [arrival(run["curve"], cost) for run in group]
    middle, ours = median(seconds), median(arrival(run["curve"], cost) for run in first)
    if not isfinite(middle):
        return f"{'never':>12}{'':>8}{'':>8}"
    spread, ratio = max(seconds) - min(seconds), f"{middle / ours:.1f}x" if isfinite(ours) else ""
    return f"{middle:>12.3f}{spread:>8.3f}{ratio:>8}"


def medians(group: list[Run], lowest: float) -> dict[str, Any]:
    """Of one contender's runs: median seconds to each share above the lowest cost (None: never), steps, versions."""
    initial = group[0]["curve"][0][1]
    seconds = {
        f"{share:g}": median(arrival(run["curve"], goal(lowest, share, initial)) for run in group) for share in SHARES
    }
    return {
        "seconds": {share: round(value, 4) if isfinite(value) else None for share, value in seconds.items()},
        "runs": len(group),
        "steps": median(len(run["curve"]) - 1 for run in group),
        "settings": group[0]["settings"],
        "versions": group[0]["versions"],
    }


def remarks(runs: Runs) -> list[str]:
    """Settings and phases of each contender, and what was wrong with a run."""
    lines = []
    for name, group in runs.items():
        run = group[0]
        parts = [f"{key} {value}" for key, value in run["settings"].items()]
        parts += [f"{key.removesuffix('_seconds')} {seconds:.3f} s" for key, seconds in run["phases"].items()]
        parts += [f"{package} {number}" for package, number in run["versions"].items()]
        lines.append(f"{name}: {', '.join(parts)}")
        lines += [
            f"{name}: not the same problem: {fault}" for fault in sorted({f for run in group for f in run["faults"]})
        ]
    return lines


def cold_lines(cold: dict[str, list[float]]) -> list[str]:
    """Seconds from the start of a process to its exit."""
    ours = median(next(iter(cold.values()))) if cold else 1.0
    return [
        f"cold, process start to exit: {name} {median(seconds):.2f} s, spread {max(seconds) - min(seconds):.2f} s, "
        f"{median(seconds) / ours:.1f}x"
        for name, seconds in cold.items()
    ]
