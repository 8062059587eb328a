"""Hand every reader many wrong files, and see that each is answered by one message or by sound data.

Files are made from sound ones by seeded changes (scripts/fuzzing/mutations.py) and read in child processes whose memory
is bounded. A file is answered wrongly by a signal, a hang, another exception than UserError, a message that does not
begin with the file's name or has more than one line, data that are not sound, a warning, more than 2 s of CPU time or
more memory than 20 times the file and 300 MB. Such files are kept, and the program ends with 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts import environment, python
from scripts.fuzzing.child import STATE, content_of
from scripts.fuzzing.readers import readers

CHILD = python("fuzzing.child")
MOST_FAULTS = 100
"""Of one reader; what is broken that often does not need to be shown more often."""
SHOWN = 5


@dataclass
class Outcome:
    """What became of one reader's inputs. faults: index of the input, and how it was answered."""

    reader: str
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    wall: float = 0.0
    faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused


def fuzz(reader: str, seed: int, start: int, stop: int) -> Outcome:
    """Read the inputs from `start` to before `stop`; a process that dies is followed by one for the rest."""
    outcome, began = Outcome(reader), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        state, faults = Path(folder, "state"), Path(folder, "faults")
        faults.touch()
        while start < stop and len(outcome.faults) < MOST_FAULTS:
            state.write_bytes(STATE.pack(start, 0, 0, 0.0, 0.0))
            command = [*CHILD, *map(str, (reader, seed, start, stop, state, faults))]
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
            start, *counts = STATE.unpack(state.read_bytes())
            add(outcome, *counts)
            outcome.faults += map(tuple, map(json.loads, faults.read_text().splitlines()))
            faults.write_text("")
            if done.returncode:
                outcome.refused += 1
                last = (done.stderr.strip().splitlines() or [""])[-1]
                outcome.faults.append((start, f"the process ended with {done.returncode} {last}"))
                start += 1
    outcome.wall = time.perf_counter() - began
    return outcome


def add(outcome: Outcome, accepted: int, refused: int, seconds: float, memory: float) -> None:
    outcome.accepted += accepted
    outcome.refused += refused
    outcome.seconds, outcome.memory = max(outcome.seconds, seconds), max(outcome.memory, memory)


def keep(outcome: Outcome, seed: int, folder: Path) -> None:
    """The files that were answered wrongly."""
    known = readers()[outcome.reader]
    for index, _ in outcome.faults:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{outcome.reader.replace('.', '-')}-{index}{known.suffix}"
        path.write_bytes(content_of(known, outcome.reader, seed, index))


def all_outcomes(names: Sequence[str], inputs: int, seed: int, processes: int) -> Iterator[Outcome]:
    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(lambda name: fuzz(name, seed, 0, inputs), names)


def table(outcomes: Sequence[Outcome]) -> Table:
    shown = Table("reader", *(
        "inputs", "accepted", "refused", "answered wrongly", "worst, s", "worst, MB", "inputs a second"
    ), title="ba on wrong files")  # fmt: skip
    for column in shown.columns[1:]:
        column.justify = "right"
    for one in outcomes:
        shown.add_row(
            one.reader, f"{one.inputs:,}", f"{one.accepted:,}", f"{one.refused:,}", str(len(one.faults)),
            f"{one.seconds:.3f}", f"{one.memory / 1e6:.1f}", f"{one.inputs / one.wall:,.0f}",
        )  # fmt: skip
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    names = list(readers())
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="for each reader (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes (default: %(default)s)")
    parser.add_argument("--reader", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--processes", type=int, default=2, help="at a time (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder for files answered wrongly")
    chosen = parser.parse_args(arguments)
    console = Console(width=120)
    outcomes = []
    for outcome in all_outcomes(chosen.reader or names, chosen.inputs, chosen.seed, chosen.processes):
        outcomes.append(outcome)
        keep(outcome, chosen.seed, chosen.keep)
        for index, fault in outcome.faults[:SHOWN]:
            console.print(f"{outcome.reader}, input {index}: {fault[:300]}", markup=False, highlight=False)
    console.print(table(outcomes))
    return 1 if any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
