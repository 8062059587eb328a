"""ba against its peers, on the same files, in turn, each run in a process of its own, on as many cores as threads.

    scripts/bench race [FILE ...] [--only ba-schur,ceres] [--ceres-binary PATH] [--repeats 3] [--threads 2] [--in-front]

Warm: seconds from the problem in memory to within 1e-4, 1e-5 and 1e-6 of the lowest known cost, with everything loaded;
a peer's posing of its problem stands apart as `build`. A run stops once it is within 1e-6. Cold: seconds from the start
of a process to its exit, for `ba run` and for one that reads the file, poses it and solves it by Ceres, both to
ftol 1e-8. Writes results.json and a picture of cost against time for each file. Run it on an otherwise idle machine.

`ceres` is Ceres as the PyPI wheel of pyceres has it, built for any x86-64; `ceres-native` is the program
`bundle_adjuster` among Ceres' examples, as --ceres-binary names it (see contenders/native.py).

That all minimize the same cost is checked for each run (see contest.py). GTSAM is left out where
observations start behind their cameras; --in-front leaves those observations out, for all. Ends with 1 if a contender
failed or solved another problem.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts import ROOT, environment, python
from scripts.benchmarks.contenders import CERES_SOLVERS, CONTENDERS, NATIVE
from scripts.benchmarks.provenance import keep, machine
from scripts.benchmarks.table import SHARES, Run, Runs, cold_lines, lowest_cost, medians, remarks, table

FILES = tuple(ROOT / "datasets" / f"{name}.txt.xz" for name in ("dubrovnik-16-22106-pre", "ladybug-49-7776-pre"))
LOWEST = {"dubrovnik-16-22106-pre": 18033.9034788, "ladybug-49-7776-pre": 13344.24074}
COLD = ("ba-schur", "ceres")
COLD_FTOL = 1e-8
ASKED = {"ceres_solver": "auto", "ceres_binary": "", "ceres_built": "", "in_front": False}
"""Of a task, what the command line may say, and what it is otherwise."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TBB_NUM_THREADS")


class Failed(Exception):
    """A contender's process ended badly; the text is the last thing it said."""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench race", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="whatever ba reads; two of BAL if not given"
    )
    parser.add_argument("--only", type=_names, metavar="NAMES", help=f"of {', '.join(CONTENDERS)}, joined by commas")
    parser.add_argument("--slow", action="store_true", help="the slow ones too (cookbook: minutes a run)")
    parser.add_argument("--repeats", type=_positive, default=3, help="runs of each contender (default 3)")
    parser.add_argument("--threads", type=_positive, default=2, help="threads and cores of each (default 2)")
    parser.add_argument(
        "--ceres-solver", choices=CERES_SOLVERS, default="auto", help="auto: by number of images and fill"
    )
    parser.add_argument("--ceres-binary", type=_program, metavar="PATH", help="a bundle_adjuster of Ceres")
    parser.add_argument("--ceres-built", default="", metavar="TEXT", help="how it was built, for the record")
    parser.add_argument("--in-front", action="store_true", help="without observations that start behind their cameras")
    parser.add_argument("--ftol", type=float, default=1e-10, help="where warm runs end by themselves (default 1e-10)")
    parser.add_argument("--no-cold", dest="cold", action="store_false", help="leave out the cold runs")
    parser.add_argument("--limit", type=_positive, default=900, help="seconds a run may take (default 900)")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the medians, as benchmarks/results has them")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    chosen.files = chosen.files or list(FILES)
    if missing := [file for file in chosen.files if not file.is_file()]:
        parser.error(f"{missing[0]}: no such file")
    if chosen.only and NATIVE in chosen.only and not chosen.ceres_binary:
        parser.error(f"--only {NATIVE}: --ceres-binary PATH is missing")
    chosen.only = chosen.only or [
        name for name, entry in CONTENDERS.items()
        if (chosen.slow or not entry.slow) and (chosen.ceres_binary or name != NATIVE)
    ]  # fmt: skip
    return chosen


def _program(text: str) -> str:
    if not os.access(text, os.X_OK) or Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no program; a built bundle_adjuster of Ceres is right")
    return str(Path(text).resolve())


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in CONTENDERS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is unknown; right are {', '.join(CONTENDERS)}")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def stem(file: Path) -> str:
    return file.name.split(".")[0]


def title(file: Path, chosen: argparse.Namespace) -> str:
    """What the results of a file are called."""
    return stem(file) + ("-in-front" if chosen.in_front else "")


def run_one(task: dict[str, Any]) -> None:
    """In the process of a contender: solve, and print the run as the last line."""
    from ba.errors import UserError
    from scripts.benchmarks.contest import Task, run

    try:
        print(json.dumps(run(Task(**task))))
    except UserError as error:
        sys.exit(str(error))


def in_process(command: list[str], chosen: argparse.Namespace) -> str:
    """What the command printed. Raises Failed with its last words."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(chosen.threads))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment() | threads, check=False, timeout=chosen.limit,
            preexec_fn=lambda: keep_to_cores(chosen.threads),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(f"not done after {chosen.limit} s") from None
    if done.returncode < 0:
        raise Failed(f"killed by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1])
    return done.stdout


def keep_to_cores(number: int) -> None:
    """Some libraries take all cores they see, whatever they are told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


def warm(name: str, file: Path, chosen: argparse.Namespace, **settings: Any) -> Run:
    asked = {name: getattr(chosen, name, None) or value for name, value in ASKED.items()}
    task = {"contender": name, "file": str(file), "threads": chosen.threads} | asked | settings
    said = in_process(python("benchmarks", "race", "--one", json.dumps(task)), chosen)
    return dict(json.loads(said.splitlines()[-1]))


def cold(name: str, file: Path, chosen: argparse.Namespace) -> float:
    """Seconds of a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "run.yaml"
        config.write_text(json.dumps({"data": {"path": str(file.resolve())}, "output": {"dir": f"{folder}/out"}}))
        settings = {"backend": "schur", "threads": chosen.threads, "ftol": COLD_FTOL}
        overrides = [f"--set=solver.{key}={value}" for key, value in settings.items()]
        overrides += ["--set=output.picture=false", "--set=output.report=false"]
        began = time.perf_counter()
        if name == "ba-schur":
            in_process([str(Path(sys.executable).with_name("ba")), "run", str(config), *overrides], chosen)
        else:
            warm(name, file, chosen, ftol=COLD_FTOL, check=False)
        return time.perf_counter() - began


def measure(file: Path, chosen: argparse.Namespace) -> tuple[Runs, dict[str, list[float]], dict[str, str]]:
    """Warm runs, cold seconds, and why who failed, by contender."""
    known = LOWEST.get(title(file, chosen))
    enough = known * (1.0 + min(SHARES)) if known else 0.0
    runs: Runs = {}
    seconds: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    contenders = able(file, chosen)
    for repeat in range(chosen.repeats):
        for name in contenders:
            if name in failed:
                continue
            say(f"{stem(file)}, run {repeat + 1} of {chosen.repeats}: {name}")
            try:
                runs.setdefault(name, []).append(warm(name, file, chosen, enough=enough, ftol=chosen.ftol))
                if chosen.cold and name in COLD:
                    seconds.setdefault(name, []).append(cold(name, file, chosen))
            except Failed as reason:
                failed[name] = str(reason)
    return {name: group for name, group in runs.items() if group}, seconds, failed


def able(file: Path, chosen: argparse.Namespace) -> list[str]:
    """The contenders that can be given the problem."""
    from scripts.benchmarks.contest import behind, load

    hidden = int(behind(load(file, in_front=chosen.in_front)).sum())
    unable = [name for name in chosen.only if hidden and CONTENDERS[name].front_only]
    for name in unable:
        print(f"{name}: left out of {stem(file)}: {hidden} observations start behind their cameras; see --in-front")
    return [name for name in chosen.only if name not in unable]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    chosen = parse(arguments)
    if chosen.one:
        run_one(chosen.one)
        return 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    here = machine()
    results: dict[str, Any] = {"machine": here, "threads": chosen.threads, "repeats": chosen.repeats, "files": {}}
    print(", ".join(f"{key} {value}" for key, value in here.items()) + f", {chosen.threads} threads")
    bad = False
    for file in chosen.files:
        runs, seconds, failed = measure(file, chosen)
        entry: dict[str, Any] = {"runs": runs, "cold_seconds": seconds, "failed": failed}
        print(f"\n{title(file, chosen)}, {chosen.repeats} runs")
        if runs:
            entry["lowest_cost"] = report(title(file, chosen), runs, seconds, chosen.out)
        for name, reason in failed.items():
            print(f"{name}: failed: {reason}")
        bad |= bool(failed) or any(run["faults"] for group in runs.values() for run in group)
        results["files"][title(file, chosen)] = entry
        (chosen.out / "results.json").write_text(json.dumps(results, indent=1))
    if chosen.json:
        keep(chosen.json, f"scripts/bench race {shlex.join(arguments)}", digest(results["files"]))
    say(f"written: {chosen.out}/results.json and a picture for each file")
    return int(bad)


def report(title: str, runs: Runs, seconds: dict[str, list[float]], out: Path) -> float:
    """Print and draw; the lowest cost that it relates to."""
    from scripts.benchmarks.picture import draw

    lowest = lowest_cost(runs, LOWEST.get(title))
    print(f"lowest cost {lowest:.7f}, initial {next(iter(runs.values()))[0]['curve'][0][1]:.7f}")
    print(table(runs, lowest))
    print("\n".join([*cold_lines(seconds), *remarks(runs)]), flush=True)
    draw(runs, lowest, title, out / f"{title}.png")
    return lowest


def digest(files: dict[str, Any]) -> dict[str, Any]:
    """Of each file, what a reader is told: medians, observations and versions by contender."""
    return {
        name: {
            "lowest_cost": entry["lowest_cost"],
            "observations": next(iter(entry["runs"].values()))[0]["observations"],
            "contenders": {who: medians(group, entry["lowest_cost"]) for who, group in entry["runs"].items()},
        }
        for name, entry in files.items()
        if entry["runs"]
    }
