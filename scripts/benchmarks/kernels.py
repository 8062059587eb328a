"""The kernels of a step, timed one by one and compared with the committed baseline.

    scripts/bench kernels [--only elimination,product] [--update]

A kernel's ratio is its time over that of a calibration kernel, which runs before each of its rounds on as many threads:
a slower machine slows both. Each time is the tenth percentile of the rounds of a process, and the least of several
processes, because what else runs on the machine, or on another that shares its cores, comes and goes. Measured on a
virtual machine with such neighbours, 14 processes: ratios from one half and from the other differed by 2 % on average
and 9 % at most (95th percentiles, all kernels), those of the shortest of all rounds by 9 % and 48 %, medians of the
processes' ratios by 14 % and 35 %.

Ends with 1 if a ratio is more than 15 % above the baseline's, or a kernel of the baseline was not timed. --update makes
what was measured the new baseline. Run it on an otherwise idle machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

from ba.errors import UserError
from ba.system.files import replacing
from ba.system.reading import existing_file
from scripts import ROOT, environment
from scripts.benchmarks.provenance import keep
from scripts.benchmarks.race import Failed, machine, say

SUITE = Path(__file__).with_name("kernel_suite.py")
BASELINE = Path(__file__).with_name("kernels-baseline.json")
PROCESSES = 7
TOLERANCE = 0.15
IDLE = 0.8
"""Share of the threads by which the calibration kernel is faster on a machine that is idle, at least."""
PLUGINS = (
    *("-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin"),
    *("--benchmark-disable-gc", "--benchmark-quiet"),
)

Key = tuple[str, int]
"""A kernel's name and its number of threads."""
Ratios = Mapping[Key, float]


@dataclass(frozen=True)
class Timing:
    """Seconds of a kernel, and of the calibration kernel on so many `calibration_threads`."""

    seconds: float
    calibration: float
    calibration_threads: int

    @property
    def ratio(self) -> float:
        return self.seconds / self.calibration


Timings = Mapping[Key, Timing]


def faults(ratios: Ratios, baseline: Ratios) -> list[str]:
    """What is wrong with ratios beside the baseline's, each named."""
    found = []
    for key, before in baseline.items():
        if key not in ratios:
            found.append(f"{named(key)}: is in the baseline, but was not timed")
        elif ratios[key] > before * (1.0 + TOLERANCE):
            found.append(f"{named(key)}: {change(ratios[key], before)} against the baseline, over +{TOLERANCE:.0%}")
    return found


def named(key: Key) -> str:
    name, threads = key
    return f"{name} on {threads} {_thread(threads)}"


def _thread(number: int) -> str:
    return "thread" if number == 1 else "threads"


def change(after: float, before: float) -> str:
    return f"{after / before - 1.0:+.1%}"


def table(timings: Timings, baseline: Ratios) -> str:
    """One line a kernel and number of threads; the speed-up is over its own time on one thread."""
    lines = [f"{'kernel':<28}{'threads':>8}{'ms':>9}{'speed-up':>10}{'ratio':>9}{'baseline':>10}{'change':>9}"]
    for (name, threads), timing in timings.items():
        alone, before = timings.get((name, 1)), baseline.get((name, threads))
        speed_up = f"{alone.seconds / timing.seconds:.2f}x" if alone and threads > 1 else ""
        compared = f"{before:>10.4f}{change(timing.ratio, before):>9}" if before else f"{'none':>10}"
        lines.append(f"{name:<28}{threads:>8}{1e3 * timing.seconds:>9.3f}{speed_up:>10}{timing.ratio:>9.4f}" + compared)
    return "\n".join(lines)


def milliseconds(timings: Timings) -> dict[str, dict[str, float]]:
    """Of a call, by kernel and threads."""
    found: dict[str, dict[str, float]] = {}
    for (name, threads), timing in timings.items():
        found.setdefault(name, {})[str(threads)] = round(1e3 * timing.seconds, 4)
    return found


def timed(only: Sequence[str]) -> Timings:
    """Run the suite, or `only` some kernels, in each of PROCESSES processes. Raises Failed."""
    from scripts.benchmarks.kernel_suite import CASES

    tests = [f"{SUITE}::test_kernel[{name}-{threads}]" for name, threads in CASES if not only or name in only]
    pieces = []
    for number in range(PROCESSES):
        say(f"process {number + 1} of {PROCESSES}")
        pieces += run_suite(tests)
    return gathered(pieces)


def run_suite(tests: Sequence[str]) -> list[dict[str, Any]]:
    """What pytest-benchmark stored of these tests, run in a process of their own. Raises Failed with what it said."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, f"--benchmark-json={results}", *tests]
        variables = environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"the suite failed\n{done.stdout}{done.stderr}")
        return list(json.loads(results.read_text())["benchmarks"])


def gathered(benchmarks: Iterable[dict[str, Any]]) -> Timings:
    """What pytest-benchmark stored in all processes, by kernel and threads."""
    runs: dict[Key, list[dict[str, Any]]] = {}
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        runs.setdefault((info["kernel"], info["threads"]), []).append(info | benchmark["stats"])
    return {key: _summary(group) for key, group in runs.items()}


def _summary(runs: Sequence[dict[str, Any]]) -> Timing:
    seconds = min(tenth_percentile(run["data"]) / run["calls"] for run in runs)
    calibration = min(tenth_percentile(run["calibration"]) for run in runs)
    return Timing(seconds, calibration, runs[0]["calibration_threads"])


def tenth_percentile(numbers: Sequence[float]) -> float:
    return sorted(numbers)[len(numbers) // 10]


def remarks(timings: Timings) -> list[str]:
    """The calibration kernel's times, which tell whether there was a core for each thread."""
    counts = sorted({timing.calibration_threads for timing in timings.values()})
    times = [min(t.calibration for t in timings.values() if t.calibration_threads == count) for count in counts]
    lines = [
        f"calibration on {count} {_thread(count)}: {1e3 * time:.3f} ms"
        for count, time in zip(counts, times, strict=True)
    ]
    return lines + [
        f"no idle core for each of {count} threads: do not trust their lines"
        for count, time in zip(counts, times, strict=True)
        if counts[0] == 1 and times[0] < IDLE * count * time
    ]


def read(path: Path) -> tuple[Ratios, str]:
    """A baseline's ratios, and what they were measured on. Raises UserError where it is missing or is none."""
    try:
        content = json.loads(existing_file(path).read_text())
        ratios = {
            (name, int(threads)): float(ratio)
            for name, group in content["ratios"].items()
            for threads, ratio in group.items()
        }
        if wrong := [named(key) for key, ratio in ratios.items() if not 0.0 < ratio < inf]:
            raise ValueError(f"the ratio of {wrong[0]} is not a number above 0")
        return ratios, str(content["machine"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: is no baseline ({error!r}); --update makes one") from None


def write(path: Path, ratios: Ratios, measured_on: str) -> None:
    """Store a baseline, in one piece or not at all."""
    groups: dict[str, dict[str, float]] = {}
    for (name, threads), ratio in ratios.items():
        groups.setdefault(name, {})[str(threads)] = round(ratio, 5)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"machine": measured_on, "ratios": groups}, indent=2) + "\n")


def description() -> str:
    """The machine, and the versions that times depend on."""
    parts = [f"{key} {value}" for key, value in machine().items()]
    return ", ".join([*parts, *(f"{package} {version(package)}" for package in ("numba", "numpy", "scipy"))])


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--only", type=_names, default=(), metavar="NAMES", help="kernels, joined by commas")
    mode.add_argument("--update", action="store_true", help="make what is measured the new baseline")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the milliseconds, as benchmarks/results has them")
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE", help="the baseline (default: ours)")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    from scripts.benchmarks.kernel_suite import CASES

    names, known = text.split(","), dict(CASES)
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown; right are {', '.join(known)}")
    return names


def main(arguments: list[str]) -> int:
    chosen = parse(arguments)
    try:
        return run(chosen)
    except UserError as error:
        print(f"scripts/bench kernels: error: {error}", file=sys.stderr)
        return 2
    except Failed as reason:
        print(f"scripts/bench kernels: {reason}", file=sys.stderr)
        return 1


def run(chosen: argparse.Namespace) -> int:
    here = description()
    baseline, there = ({}, "none") if chosen.update else read(chosen.baseline)
    print(f"{here}\nbaseline: {there}", flush=True)
    timings = timed(chosen.only)
    ratios = {key: timing.ratio for key, timing in timings.items()}
    if chosen.only:
        baseline = {key: ratio for key, ratio in baseline.items() if key in timings}
    print("\n".join([table(timings, baseline), *remarks(timings)]))
    if chosen.json:
        keep(chosen.json, "scripts/bench kernels", milliseconds(timings))
    if chosen.update:
        write(chosen.baseline, ratios, here)
        say(f"written: {chosen.baseline}")
    found = faults(ratios, baseline)
    for fault in found:
        print(fault)
    return int(bool(found))
