"""Time a step and peak memory against the number of observations, on generated scenes, each in a process of its own.

    scripts/bench scaling [--sizes 1e4,1e5,1e6] [--kind street] [--threads 2] [--out build/bench]
    scripts/bench scaling --sizes 1e6 --twice          are the results of two solves the same bits?
    scripts/bench scaling --sizes 1e7 --interrupt 2    Ctrl-C two seconds after the third step of `ba run`

Scenes are kept in OUT/scenes. Writes scaling-KIND.json and a picture. Run it on an otherwise idle machine. Ends with 1
if a solve failed or is not what it says (see scene.py), if two solves differ, or if an interrupted run did
not end in time with all that it should leave (see interrupted.py).
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from scripts import python
from scripts.benchmarks import growth
from scripts.benchmarks.growth import Run
from scripts.benchmarks.provenance import keep
from scripts.benchmarks.race import Failed, in_process, machine, say

SIZES = (10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
LEAST, MOST = 1_000, 100_000_000


def parse(arguments: list[str]) -> argparse.Namespace:
    from ba.io.scenes import LAYOUTS

    parser = argparse.ArgumentParser(
        prog="scripts/bench scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="observations, joined by commas (default to 1e7)")
    parser.add_argument("--kind", choices=list(LAYOUTS), default="street", help="kind of scene (default street)")
    parser.add_argument("--threads", type=_whole, default=2, help="threads and cores (default 2)")
    parser.add_argument("--ftol", type=float, default=1e-6, help="solver.ftol (default 1e-6)")
    parser.add_argument("--limit", type=_whole, default=1800, help="seconds a solve may take (default 1800)")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the table, as benchmarks/results has it")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--twice", action="store_true", help="solve the largest size two times and compare the bits")
    mode.add_argument(
        "--interrupt", type=_seconds, metavar="SECONDS", help="Ctrl-C so long after the third step on the largest size"
    )
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (number >= 1.0 and number.is_integer()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(number)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(sorted({_whole(part) for part in text.split(",")}))
    if wrong := [size for size in sizes if not LEAST <= size <= MOST]:
        raise argparse.ArgumentTypeError(f"{wrong[0]} observations; from {LEAST:,} to {MOST:,} are right")
    return sizes


def run_one(order: dict[str, Any]) -> None:
    """In a process of its own: make a scene, or measure a solve and print it as the last line."""
    from ba.errors import UserError
    from scripts.benchmarks.scene import Task, make, measure

    task = Task(**order["task"])
    try:
        if order["do"] == "make":
            make(task)
        else:
            print(json.dumps(measure(task)))
    except UserError as error:
        sys.exit(str(error))


def ordered(do: str, size: int, chosen: argparse.Namespace) -> str:
    """What a process that does it prints. Raises Failed."""
    task = asdict(task_of(size, chosen))
    return in_process(python("benchmarks", "scaling", "--one", json.dumps({"do": do, "task": task})), chosen)


def task_of(size: int, chosen: argparse.Namespace) -> Any:
    from scripts.benchmarks.scene import Task

    return Task(chosen.kind, size, str(chosen.out / "scenes"), chosen.threads, chosen.ftol)


def prepared(size: int, chosen: argparse.Namespace) -> None:
    """The scene of this size lies on the disk."""
    if not task_of(size, chosen).path.is_file():
        say(f"{chosen.kind}, {size:,} observations: generating")
        ordered("make", size, chosen)


def solved(size: int, chosen: argparse.Namespace) -> Run:
    prepared(size, chosen)
    say(f"{chosen.kind}, {size:,} observations: solving")
    return dict(json.loads(ordered("solve", size, chosen).splitlines()[-1]))


def scale(chosen: argparse.Namespace) -> list[str]:
    """Measure every size, print, draw; what was wrong."""
    results = chosen.out / f"scaling-{chosen.kind}.json"
    runs: list[Run] = []
    print(growth.HEADER)
    wrong = []
    for size in chosen.sizes:
        try:
            runs.append(solved(size, chosen))
        except Failed as reason:
            wrong.append(f"{size:,} observations: {reason}")
            continue
        print(growth.row(runs[-1]), flush=True)
        wrong += [f"{size:,} observations: {fault}" for fault in runs[-1]["faults"]]
        results.write_text(json.dumps({"machine": machine(), "runs": runs}, indent=1))
    if runs:
        lines = growth.fits(runs)
        print(growth.LEGEND, growth.conclusion(lines), sep="\n")
        title = f"{chosen.kind}, {chosen.threads} threads, {runs[-1]['linear_solver']}"
        growth.draw(runs, lines, title, results.with_suffix(".png"))
        if chosen.json:
            sizes = ",".join(str(size) for size in chosen.sizes)
            command = f"scripts/bench scaling --kind {chosen.kind} --sizes {sizes}"
            keep(chosen.json, command, growth.digest(runs, lines))
        say(f"written: {results} and a picture")
    return wrong


def twice(chosen: argparse.Namespace) -> list[str]:
    """Solve the largest size two times; in what the ends differ."""
    first, second = (solved(max(chosen.sizes), chosen) for _ in range(2))
    for run in (first, second):
        print(f"{run['steps']} steps, cost {run['final_cost']!r}, SHA-256 of all numbers {run['digest']}")
    costs = [[cost for _, cost in run["curve"]] for run in (first, second)]
    same = first["digest"] == second["digest"] and costs[0] == costs[1]
    print("the same bits, in every step's cost and in the state" if same else "not the same bits")
    return [] if same else ["two solves differ"]


def interrupt(chosen: argparse.Namespace) -> list[str]:
    """`ba run` on the largest size, with the settings of a user, and Ctrl-C; in what its end is not as it should be."""
    from scripts.benchmarks import interrupted

    size = max(chosen.sizes)
    prepared(size, chosen)
    settings = task_of(size, chosen).settings
    with tempfile.TemporaryDirectory(dir=chosen.out) as place:
        config, folder = Path(place) / "run.yaml", Path(place) / "run"
        config.write_text(json.dumps(settings | {"solver": settings["solver"] | interrupted.ENDLESS}))
        command = [str(Path(sys.executable).with_name("ba")), "run", str(config), "--out", str(folder)]
        say(f"{chosen.kind}, {size:,} observations: running, to be interrupted")
        try:
            seconds, status = interrupted.interrupt(command, folder, chosen.interrupt, chosen.limit)
        except interrupted.Unfit as reason:
            return [str(reason)]
        summary, wrong = interrupted.left(folder)
        files = ", ".join(f"{file.name} {file.stat().st_size / 1e6:.1f} MB" for file in sorted(folder.iterdir()))
    print(f"{seconds:.2f} s from Ctrl-C to the exit with status {status}, after {summary.get('iterations')} steps")
    print(f"left: {files}", *summary.get("notes", []), sep="\n")
    return wrong + interrupted.late(seconds, status)


def main(arguments: list[str]) -> int:
    chosen = parse(arguments)
    if chosen.one:
        run_one(chosen.one)
        return 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    print(", ".join(f"{key} {value}" for key, value in machine().items()) + f", {chosen.threads} threads")
    mode = twice if chosen.twice else scale if chosen.interrupt is None else interrupt
    try:
        wrong = mode(chosen)
    except Failed as reason:
        wrong = [str(reason)]
    for fault in wrong:
        print(f"wrong: {fault}")
    return int(bool(wrong))
