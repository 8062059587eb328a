"""End `ba run` by SIGKILL, SIGTERM and SIGINT in every phase, and check what is left.

    scripts/kills [--kill 200] [--term 100] [--interrupt 100] [--parallel 2] [--seed 0]

Each run solves a small generated scene, with a picture, and overwrites a folder that holds an earlier result, in which
the user has put a file of his own. Phases are known by what has been written: the run is watched until a phase begins
(each in turn) and signalled after a random share of the seconds that the phase took in a run that was left alone. What
must hold afterwards:

    the folder is the whole old or the whole new result: every product is there, parses, and is of one run (its seed)
    the user's file is there once the next run has begun
    the exit code is that of the signal, or of success where the run had ended before
    5 s later no process of the run lives
    once the next run has begun, nothing is beside the folder, and nothing in the folder for temporary files

The end is 1, with each fault in a line, where any of this does not hold. It takes three
seconds a signal on an idle core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from ba import io
from ba.show.runfolder import staged
from ba.show.staging import staging_of

PHASES = ("start", "load", "solve", "write", "picture", "report", "end")
"""Until the hidden folder is there; until the first step; until the summary; until the drawing process is at work;
until the picture; until the new result is in its place; until the process has ended."""

ENDS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}
CONFIG = """
data: {scene: {images: 6, points: 200}}
noise: {rotation_deg: 1.0, points: 0.05}
solver: {backend: schur, threads: 1}
"""
WHOLE = {
    "config.yaml", "summary.json", "iterations.jsonl", "solution.npz", "solution.ply", "truth.npz", "residuals.npz",
    "report.html", "view.png",
}  # fmt: skip
MINE = "mine.txt"
PATIENCE_S = 5.0
LIMIT_S = 120.0
POLL_S = 0.0005
TOKEN = "BA_KILLS"


@dataclass
class Outcome:
    """One signal: what was sent in which phase, what the folder is now, and what is not as it must be."""

    end: str
    phase: str
    left: str
    faults: list[str] = field(default_factory=list)


class Lane:
    """A folder in which one run after the other is ended. `result` is what they overwrite."""

    def __init__(self, place: Path) -> None:
        self.parent, self.temporary = place / "runs", place / "tmp"
        self.result = self.parent / "result"
        self.config = place / "scene.yaml"
        for folder in (self.parent, self.temporary):
            folder.mkdir(parents=True)
        self.config.write_text(CONFIG)
        self.seed = 0
        with self.start(0) as process:
            process.wait(LIMIT_S)
        (self.result / MINE).write_text("mine")

    def start(self, seed: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ba", "run", str(self.config), "--out", str(self.result), "--overwrite"]
        environment = os.environ | {TOKEN: str(self.parent), "TMPDIR": str(self.temporary)}
        self.place_before = self.result.stat().st_ino if self.result.exists() else 0
        return subprocess.Popen(
            [*command, "--quiet", "--set", f"seed={seed}"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def phase(self, process: subprocess.Popen[bytes]) -> str | None:
        """The phase a run is in; None where it has ended."""
        if process.poll() is not None:
            return None
        running = staging_of(self.result)
        if self.result.exists() and self.result.stat().st_ino != self.place_before:
            return "end"
        if (running / "view.png").exists():
            return "report"
        if _children(process.pid):
            return "picture"
        for name, phase in (("summary.json", "write"), ("iterations.jsonl", "solve")):
            if (running / name).exists():
                return phase
        return "load" if running.exists() else "start"

    def durations(self) -> dict[str, float]:
        """How long each phase of an undisturbed run takes, s."""
        self.seed += 1
        with self.start(self.seed) as process:
            began = {PHASES[0]: time.monotonic()}
            while (phase := self.phase(process)) is not None:
                began.setdefault(phase, time.monotonic())
                time.sleep(POLL_S)
        times = [*sorted(began.values()), time.monotonic()]
        return {phase: end - start for phase, (start, end) in zip(began, pairwise(times), strict=True)}

    def once(self, end: str, wanted: str, delay: float) -> Outcome:
        """Start a run, signal it `delay` seconds after it is in the wanted phase or a later one, and look."""
        old, new = self.seed, self.seed + 1
        process = self.start(new)
        deadline = time.monotonic() + LIMIT_S
        while (phase := self.phase(process)) is not None and PHASES.index(phase) < PHASES.index(wanted):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the run is in phase {phase} after {LIMIT_S:g} s")
            time.sleep(POLL_S)
        time.sleep(delay)
        phase = self.phase(process) or "ended"
        process.send_signal(ENDS[end])
        said = process.communicate(timeout=LIMIT_S)[1].decode()
        faults = list(_wrong_code(process.returncode, ENDS[end], phase, said))
        left, wrong = self.found(old, new)
        self.seed = new if left == "new" else old
        faults += [*wrong, *self.orphans(), *self.next_start()]
        print(f"{end} in {phase}: {left}", *faults, sep="; ", file=sys.stderr, flush=True)
        return Outcome(end, phase, left, faults)

    def found(self, old: int, new: int) -> tuple[str, list[str]]:
        """`old` or `new`, and in what the folder is not wholly that."""
        try:
            seed = _seed_of_whole(self.result)
        except (OSError, ValueError, KeyError, SyntaxError) as error:
            return "broken", [f"{self.result.name} is not whole: {type(error).__name__}: {error}"]
        names = {old: "old", new: "new"}
        return names.get(seed, "broken"), [] if seed in names else [f"the seed is {seed}, not {old} or {new}"]

    def orphans(self) -> list[str]:
        """Processes of the run that live PATIENCE_S after it."""
        deadline = time.monotonic() + PATIENCE_S
        while (living := list(_living(str(self.parent)))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [f"process {number} lives after {PATIENCE_S:g} s" for number in living]

    def next_start(self) -> list[str]:
        """What is left of temporary files, and not there of the user's, when the next run begins."""
        with staged(self.result, "next", overwrite=True):
            beside = {path.name for path in self.parent.iterdir()}
        allowed = {self.result.name, staging_of(self.result).name}
        left = [*(beside - allowed), *(path.name for path in self.temporary.iterdir())]
        left += [path.name for path in self.result.iterdir() if path.name not in WHOLE | {MINE}]
        lost = [] if (self.result / MINE).exists() else [f"{MINE} is lost"]
        return [f"left: {name}" for name in left] + lost


def _seed_of_whole(folder: Path) -> int:
    """The seed of the one run whose products these are, all of them. Raises where something is missing or damaged."""
    summary = json.loads((folder / "summary.json").read_text())
    excused = {"view.png"} if any("no picture: stopped" in note for note in summary["notes"]) else set[str]()
    missing = WHOLE - excused - {path.name for path in folder.iterdir()}
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} missing")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    costs = [json.loads(line)["cost"] for line in (folder / "iterations.jsonl").read_text().splitlines()]
    with np.load(folder / "residuals.npz") as stored:
        half = 0.5 * float((stored["end"] ** 2).sum())
    for name in ("solution.npz", "truth.npz"):
        io.load(folder / name)
    if not excused:
        with Image.open(folder / "view.png") as picture:
            picture.load()
    if "</html>" not in (folder / "report.html").read_text():
        raise ValueError("report.html is cut")
    if not costs:
        raise ValueError("iterations.jsonl is empty")
    if config["seed"] != summary["seed"] or not costs[-1] == summary["final_cost"]:
        raise ValueError("products of two runs")
    if not abs(half - summary["final_cost"]) <= 1e-9 * half:
        raise ValueError("residuals of another run")
    return int(summary["seed"])


def _wrong_code(code: int, number: signal.Signals, phase: str, said: str) -> Iterator[str]:
    """Before the program hears signals, and after it has done all, the signal itself ends the process."""
    right = {-number} if number == signal.SIGKILL else {128 + number}
    right |= {-number} if phase in ("start", "end") else set()
    right |= {0} if phase in ("end", "ended") else set()
    right |= {1} if "Failed to import the site module" in said else set()  # Python itself has not begun
    if code not in right:
        yield f"exit code {code} after {number.name} in phase {phase}"
    if "Traceback" in said and phase != "start":
        yield f"a traceback after {number.name} in phase {phase}: {said.strip()}"


def _children(parent: int) -> list[str]:
    try:
        return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return []


def _living(token: str) -> Iterator[int]:
    """Processes whose environment has the token, which children inherit."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                entries = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # ended in the meantime, or another user's
                continue
            if f"{TOKEN}={token}".encode() in entries:
                yield int(folder.name)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("kill", 200), ("term", 100), ("interrupt", 100)):
        parser.add_argument(f"--{name}", type=int, default=number, metavar="N", help=f"signals (default {number})")
    parser.add_argument("--parallel", type=int, default=2, help="runs at a time (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    chosen = parser.parse_args(argv)
    # A shell starts what runs in its background deaf to Ctrl-C; what has a handler here, children hear.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ends = [end for end in ENDS for _ in range(getattr(chosen, end))]
    chance = random.Random(chosen.seed)
    work = [(end, PHASES[index % len(PHASES)], chance.random()) for index, end in enumerate(ends)]
    chance.shuffle(work)
    place = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        with ThreadPoolExecutor(chosen.parallel) as pool:
            parts = [work[first :: chosen.parallel] for first in range(chosen.parallel)]
            lanes = pool.map(_lane, [place / str(number) for number in range(chosen.parallel)], parts)
            outcomes = [outcome for lane in lanes for outcome in lane]
    finally:
        shutil.rmtree(place)
    print(table(outcomes))
    faults = [f"{o.end} in {o.phase}: {fault}" for o in outcomes for fault in o.faults]
    print(*faults, sep="\n", end="\n" if faults else "")
    return 1 if faults else 0


def _lane(place: Path, work: Sequence[tuple[str, str, float]]) -> list[Outcome]:
    lane = Lane(place)
    seconds = lane.durations()
    return [lane.once(end, wanted, share * seconds.get(wanted, 0.0)) for end, wanted, share in work]


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each signal and phase in which it arrived."""
    lines = [f"{'signal':10} {'phase':8} {'runs':>5} {'old':>5} {'new':>5} {'broken':>7} {'faults':>7}"]
    counts = Counter((o.end, o.phase) for o in outcomes)
    for end in ENDS:
        for phase in (*PHASES, "ended"):
            if counts[end, phase]:
                lines.append(_row(end, phase, [o for o in outcomes if (o.end, o.phase) == (end, phase)]))
    lines.append(_row("all", "", outcomes))
    return "\n".join(lines)


def _row(end: str, phase: str, some: Sequence[Outcome]) -> str:
    left = Counter(o.left for o in some)
    faults = sum(len(o.faults) for o in some)
    return f"{end:10} {phase:8} {len(some):5d} {left['old']:5d} {left['new']:5d} {left['broken']:7d} {faults:7d}"


if __name__ == "__main__":
    sys.exit(main())
