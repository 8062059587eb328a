"""Measure what README and docstrings quote, part by part, one after the other, and put it into the text.

    scripts/bench all [PART ...] [--ceres-binary PATH --ceres-built TEXT] [--out build/bench]

Each part is a command, printed as it starts, that writes a file of scripts/benchmarks/results. What is quoted of times
is measured by the parts of the default; the others count, so that they need no idle machine: starts (hard starts),
rotation-alignment, sensitivity. --ceres-built says in words how the native Ceres was built. Run it on an otherwise idle
machine. Ends with 1 where a part ended badly or text is left to mend.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts import ROOT, environment, python
from scripts.benchmarks import check_claims
from scripts.benchmarks.contenders import NATIVE
from scripts.benchmarks.digests import DIGESTS, check
from scripts.benchmarks.provenance import RESULTS, keep

BA = (sys.executable, "-m", "ba")
LADYBUG = ROOT / "datasets" / "ladybug-49-7776-pre.txt.xz"

Part = Callable[[argparse.Namespace], None]


class Failed(Exception):
    """A part's command ended badly; the text says how."""


def run(*command: str | Path) -> str:
    """What it printed, which is shown as it comes. Raises Failed."""
    print("$", *command, flush=True)
    lines = []
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise Failed(f"{command[0]} {command[1]} ended with {process.returncode}")
    return "".join(lines)


def script(*command: str | Path) -> Part:
    """A module of ours with its arguments, which stores its results itself."""

    def part(chosen: argparse.Namespace) -> None:
        run(*python(*map(str, command), "--json", RESULTS / f"{chosen.part}.json"))

    return part


def race(*arguments: str | Path, gtsam: bool = False) -> Part:
    """`scripts/bench race` with the peers that README shows."""

    def part(chosen: argparse.Namespace) -> None:
        names = ["ba-schur", "ceres", *(["gtsam"] if gtsam else [])]
        native: list[str] = []
        if chosen.ceres_binary:
            names.append(NATIVE)
            native = ["--ceres-binary", chosen.ceres_binary, "--ceres-built", chosen.ceres_built]
        options = ("--no-cold", "--only", ",".join(names), *native, "--out", chosen.out)
        script("benchmarks", "race", *arguments, *options)(chosen)

    return part


def large(kind: str, *arguments: str) -> Part:
    """A race on the start of one of the large scenes, which is generated first."""

    def part(chosen: argparse.Namespace) -> None:
        folder = chosen.out / chosen.part
        if not (folder / "solution.npz").is_file():
            without = ("--set=solver.max_iterations=0", "--set=output.picture=false", "--set=output.report=false")
            run(*BA, "run", f"configs/{kind}-2000.yaml", *without, "--out", folder)
        race(folder / "solution.npz", "--ftol", "1e-6", *arguments)(chosen)

    return part


def of_ba(command: str, config: str) -> Part:
    """A part that is a command of ba, whose folder is digested."""

    def part(chosen: argparse.Namespace) -> None:
        folder = chosen.out / f"{chosen.part}-{time.time_ns()}"  # nothing that an earlier call left is taken for new
        run(*BA, command, config, "--out", folder)
        keep(RESULTS / f"{chosen.part}.json", f"ba {command} {config}", DIGESTS[chosen.part](folder))

    return part


def checked(chosen: argparse.Namespace) -> None:
    config = "configs/quickstart.yaml"
    keep(RESULTS / f"{chosen.part}.json", f"ba check {config}", check(run(*BA, "check", config)))


TIMED: dict[str, Part] = {
    "bench-bal": race(gtsam=True),
    "bench-in-front": race(LADYBUG, "--in-front", gtsam=True),
    "bench-street-2000": large("street"),
    "bench-internet-2000": large("internet", "--ceres-solver", "iterative_schur", "--repeats", "1"),
    "scipy": script("benchmarks", "scipy", "--repeats", "3"),
    "linear": script("benchmarks", "linear"),
    "kernels": script("benchmarks", "kernels"),
    "scaling": script("benchmarks", "scaling", "--sizes", "1e5,1e6,1e7"),
    "check": checked,
    "compare": of_ba("compare", "configs/compare-rotations.yaml"),
}
COUNTED: dict[str, Part] = {
    "starts": script("benchmarks", "starts"),
    "rotation-alignment": of_ba("run", "configs/rotation-alignment.yaml"),
    "sensitivity": script("show_sensitivity"),
}
PARTS = TIMED | COUNTED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--ceres-binary", default="", metavar="PATH", help="a bundle_adjuster of Ceres")
    parser.add_argument("--ceres-built", default="", metavar="TEXT", help="how it was built")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder (default build/bench)")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.parts if name not in PARTS]:
        parser.error(f"{unknown[0]!r} is unknown; right are {', '.join(PARTS)}")
    if bool(chosen.ceres_binary) != bool(chosen.ceres_built):
        parser.error("--ceres-binary and --ceres-built belong together")
    chosen.parts = chosen.parts or list(TIMED)
    return chosen


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in chosen.parts:
        chosen.part, began = name, time.monotonic()
        try:
            PARTS[name](chosen)
        except Failed as reason:
            bad = 1
            print(f"{name}: {reason}")
        print(f"{name}: {time.monotonic() - began:.0f} s\n", flush=True)
    return check_claims.main(["--update"]) or bad
