"""Ctrl-C in the middle of `ba run`, as a user would press it: how long until it has ended, and what it left.

The run may not end by itself, so its tolerances are zero. What must hold afterwards: status 130, within PATIENCE
seconds of the signal, a summary that says `interrupted`, and a solution that costs what the last line of the log says.
"""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ba import io
from ba.errors import UserError
from ba.show.staging import LOG, staging_of
from scripts.benchmarks.contest import SAME_END, cost

FIRST_STEPS = 3
PATIENCE = 2.0
ENDLESS = {"ftol": 0.0, "xtol": 0.0, "gtol": 0.0, "max_iterations": 1000}
POLL = 0.01


class Unfit(Exception):
    """The run gave no opportunity; the text says why."""


def interrupt(command: Sequence[str], folder: Path, after: float, limit: float) -> tuple[float, int]:
    """Start the command, signal it `after` seconds after its log has FIRST_STEPS steps; seconds to its exit, status.

    limit: seconds that the start and the end may each take.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_hear_ctrl_c, text=True
    )
    try:
        _wait_for_steps(process, staging_of(folder) / LOG, time.monotonic() + limit)
        time.sleep(after)
        if process.poll() is not None:
            raise Unfit(f"the run ended by itself, with {process.returncode}, within {after:g} s")
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        status = process.wait(limit)
        return time.perf_counter() - began, status
    except subprocess.TimeoutExpired:
        raise Unfit(f"the run went on for {limit:g} s after the signal") from None
    finally:
        process.kill()
        process.wait()


def _hear_ctrl_c() -> None:
    """A shell starts what runs in its background deaf to it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_steps(process: subprocess.Popen[str], log: Path, deadline: float) -> None:
    while not log.is_file() or len(log.read_text().splitlines()) <= FIRST_STEPS:
        if process.poll() is not None:
            raise Unfit(f"the run ended, with {process.returncode}, before it had taken {FIRST_STEPS} steps")
        if time.monotonic() > deadline:
            raise Unfit(f"the run has not taken {FIRST_STEPS} steps in time")
        time.sleep(POLL)


def left(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The summary of an interrupted run, and in what its folder is not what it must be."""
    try:
        summary = dict(json.loads((folder / "summary.json").read_text()))
        lines = (folder / "iterations.jsonl").read_text().splitlines()
        said, costs = float(json.loads(lines[-1])["cost"]), cost(io.load(folder / "solution.npz"))
    except (OSError, ValueError, KeyError, IndexError, UserError) as error:
        return {}, [f"{folder}: not a whole run folder: {error}"]
    found = []
    if summary["status"] != "interrupted":
        found.append(f"summary.json says {summary['status']}, not interrupted")
    if not abs(costs - said) <= SAME_END * said:
        found.append(f"the log ends at cost {said:.12g}, the solution costs {costs:.12g}")
    return summary, found


def late(seconds: float, status: int) -> list[str]:
    """In what the end of the process is not what it must be."""
    found = [] if status == 130 else [f"ended with status {status}, not 130"]
    if seconds > PATIENCE:
        found.append(f"ended {seconds:.2f} s after the signal, not within {PATIENCE:g} s")
    return found
