"""ba against its peers, on the same files, in turn, each run in a process of its own.

    scripts/bench [FILE ...] [--only ba-schur,ceres-dense] [--repeats 3] [--threads 2] [--out build/bench]

Prints medians of seconds to within 1e-4, 1e-5 and 1e-6 of the lowest known cost, from the problem in memory with
everything loaded (a peer's building of its problem stands apart), the spread, ratios to ba-schur and peak memory;
writes results.json and a picture of cost against time for each file. Run it on an otherwise idle machine.

pycolmap's cost and GTSAM's factors give observations behind their camera no residual, where BAL's definition and ba's
give them one. A contender whose initial cost is not ours solves another problem, and is marked:
Ladybug-49 starts with 31 such observations. --in-front leaves them out for all.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from contenders import CONTENDERS

ROOT = Path(__file__).parents[1]
FILES = ("dubrovnik-16-22106-pre.txt.xz", "ladybug-49-7776-pre.txt.xz")
LOWEST = {"dubrovnik-16-22106-pre": 18033.9034788, "ladybug-49-7776-pre": 13344.2408}
SHARES = (1e-4, 1e-5, 1e-6)
DEFAULT = ("ba-schur", "ceres-dense", "gtsam")
SAME = 1e-9

Runs = list[dict[str, Any]]


def arrival(curve: list[list[float]], cost: float) -> float:
    """Seconds after which a curve is at or below a cost; infinite if never."""
    return next((seconds for seconds, reached in curve if reached <= cost), float("inf"))


def run(name: str, file: Path, threads: int, *extra: str) -> dict[str, Any]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TBB_NUM_THREADS": str(threads)}
    command = [sys.executable, str(Path(__file__).with_name("contenders.py")), name, str(file), str(threads), *extra]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{name} on {file.name} failed:\n{done.stderr.strip()}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(results: dict[str, Runs], lowest: float) -> str:
    """Medians over each contender's runs, and ratios to the first contender's."""
    first = next(iter(results.values()))
    shares = "".join(f"{f'to {share:g} s':>12}{'ratio':>8}" for share in SHARES)
    lines = [f"{'':<16}{shares}{'all s':>9}{'spread':>8}{'build s':>9}{'peak MB':>9}"]
    for name, runs in results.items():
        line = f"{name:<16}"
        for share in SHARES:
            target = lowest * (1.0 + share)
            ours = median(arrival(run["curve"], target) for run in first)
            theirs = median(arrival(run["curve"], target) for run in runs)
            line += f"{theirs:>12.3f}{theirs / ours:>7.1f}x"
        seconds = [run["seconds"] for run in runs]
        line += f"{median(seconds):>9.3f}{max(seconds) - min(seconds):>8.3f}"
        line += f"{median(run['build_seconds'] for run in runs):>9.2f}{max(run['peak_mb'] for run in runs):>9.0f}"
        if abs(runs[0]["initial_cost"] / first[0]["initial_cost"] - 1.0) > SAME:
            line += f"  another problem: starts at {runs[0]['initial_cost']:.6f}"
        lines.append(line)
    return "\n".join(lines)


def draw(results: dict[str, Runs], lowest: float, title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    for name, runs in results.items():
        seconds, costs = zip(*runs[0]["curve"], strict=True)
        axes.loglog(
            [max(s, 1e-3) for s in seconds], [max(c / lowest - 1.0, 1e-9) for c in costs], "o-", ms=3, label=name
        )
    axes.set(xlabel="seconds", ylabel="cost above the lowest, relative", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[ROOT / "datasets" / name for name in FILES])
    parser.add_argument("--only", default=",".join(DEFAULT), help=f"of {', '.join(CONTENDERS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--in-front", action="store_true", help="leave out observations that start behind the camera")
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - set(CONTENDERS):
        parser.error(f"--only: {', '.join(sorted(unknown))} unknown; right are {', '.join(CONTENDERS)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    everything: dict[str, dict[str, Runs]] = {}
    for file in arguments.files:
        stem = file.name.split(".")[0]
        results: dict[str, Runs] = {name: [] for name in names}
        for _ in range(arguments.repeats):
            for name in names:
                results[name].append(run(name, file, arguments.threads, *["in-front"] * arguments.in_front))
        reached = min(curve["curve"][-1][1] for runs in results.values() for curve in runs)
        lowest = reached if arguments.in_front else LOWEST.get(stem, reached)
        print(f"\n{stem}, {arguments.threads} threads, {arguments.repeats} runs, lowest cost {lowest:.7f}")
        print(table(results, lowest), flush=True)
        draw(results, lowest, stem, arguments.out / f"{stem}.png")
        everything[stem] = results
    for name in names:
        print(name, next(iter(everything.values()))[name][0]["versions"])
    (arguments.out / "results.json").write_text(json.dumps(everything, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
