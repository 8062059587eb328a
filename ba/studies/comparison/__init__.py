"""Compare settings fairly: the same starts, the same stopping rule, one table and one report.

    findings = ba.compare("configs/compare-rotations.yaml")

config       the YAML schema                          runs         which runs, from which starts
execute      runs in parallel, then timed alone       measure      one run
outcome      what one run brings back                 profiles     arrivals, their spread, performance profiles
results      outcomes and summaries, as tables        conclusions  three sentences that the numbers bear out
table        what is printed                          report, charts   the page
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ba.errors import UserError
from ba.system.words import counted

if TYPE_CHECKING:
    from ba.studies.comparison.config import Source
    from ba.studies.comparison.outcome import Outcome
    from ba.studies.comparison.results import Summary
    from ba.studies.comparison.runs import Run


@dataclass(frozen=True)
class Findings:
    """A finished comparison: a row a run, a row a dataset and label, what follows, and where everything stands.

    notes: what an earlier call had kept and was damaged, so that it was done again.
    """

    outcomes: list[Outcome]
    summaries: list[Summary]
    conclusions: tuple[str, str, str]
    folder: Path
    notes: tuple[str, ...] = ()


def compare(
    path: Path | str,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    workers: int | None = None,
    tick: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Findings:
    """Carry out the comparison in a YAML file, or go on with it, and write its folder.

    out: the folder, runs/NAME if not given; workers: processes at a time, as many as there are cores if not given (a
    script that uses them needs the `if __name__ == "__main__"` of multiprocessing); tick: told of progress. Raises
    UserError for what the user can mend, also where another comparison is at work in the folder. Ctrl-C leaves what is
    done, and a second call goes on from there; what it finds damaged it does again.
    """
    from ba.studies.comparison import conclusions, config, execute, report, results
    from ba.studies.comparison import runs as planned

    source = config.load(path, overrides)
    runs = planned.make_runs(source)
    folder = out or Path("runs") / source.name
    with _locked(folder):
        notes = execute.execute(runs, folder, execute.cores() if workers is None else workers, tick)
        outcomes = results.outcomes(runs, folder)
        rows = results.summaries(outcomes)
        sentences = conclusions.conclude(outcomes, rows)
        results.write(outcomes, rows, folder)
        report.write(outcomes, sentences, _stress(source, runs), folder, _rule(source))
    return Findings(outcomes, rows, sentences, folder, notes)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, made if it is missing, is ours within the block. Raises UserError where it is another's."""
    from ba.system.locks import lock
    from ba.system.reading import reported

    with reported(folder, "the comparison's folder"):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if lock(handle) is False:
            raise UserError(
                f"{folder}: another comparison is at work there; wait for it, or --out DIR names another folder"
            )
        yield
    finally:
        os.close(handle)


def _stress(source: Source, runs: Sequence[Run]) -> list[Any]:
    """Rows of the stress scenes for the rotations that are compared; none where rotations are not."""
    if "rotation" not in source.comparison.vary:
        return []
    from ba.model.rotation import ROTATIONS
    from ba.studies.rotation_alignment import stress

    return list(stress.run({run.config.rotation: ROTATIONS[run.config.rotation] for run in runs}))


def _rule(source: Source) -> str:
    stop = source.comparison.stop
    return (
        f"Every run stops when a step lowers the cost by less than {stop.ftol:g} of it, when no step lowers it any "
        f"more, or after {counted(stop.max_iterations, 'step')}."
    )


__all__ = ["Findings", "compare"]
