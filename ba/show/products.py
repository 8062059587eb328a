"""What a run leaves in its folder, what matters most first.

summary.json        the numbers of the run; written first, so that a disk that fills up loses the picture and not these
config.yaml         the effective configuration; it runs again to the same bits
iterations.jsonl    a line for each accepted step, flushed as it happens (`ba.show.runfolder`)
solution.*          the solution in the input's format (`.npz` where that format cannot hold it), and as solution.ply
truth.npz           the ground truth of a generated scene
residuals.npz       residuals at start and end (n_obs, 2) px, projection minus pixels
report.html, view.png

A run that was stopped is brief: it leaves out the picture, and of many observations what takes long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ba import io
from ba.analyse.undetermined import report
from ba.config import reading
from ba.engine import kernelcache
from ba.errors import UserError
from ba.model import similarity
from ba.model.problem import Problem
from ba.model.residual import Projection, project
from ba.prepare.noise import note_of_second_noise
from ba.show.notes import notes_of
from ba.show.report import write_report
from ba.show.runfolder import RunFolder
from ba.show.staging import SOLUTION
from ba.show.summary import Before, summarize
from ba.solve.result import Solution, Status
from ba.system import files, interrupt

if TYPE_CHECKING:
    from ba.options import Config

MANY = 1_000_000
"""Observations above which Ctrl-C leaves out what takes long and follows from the rest."""
BRIEF = "stopped early: no residuals.npz and no report.html, which take long for so many observations"
UNDRAWN = "no picture: stopped early; `ba view FOLDER --screenshot PNG` draws it"


@dataclass(frozen=True)
class Began:
    """When a run began, s, and how long this process had been compiling kernels by then."""

    at: float = field(default_factory=time.perf_counter)
    compiling: float = field(default_factory=kernelcache.compile_seconds)


def save(
    folder: RunFolder, config: Config, loaded: Problem, start: Problem, before: Before, solution: Solution, began: Began
) -> tuple[dict[str, Any], list[str]]:
    """Write all that a run leaves, what matters most first. Returns the summary and its notes."""
    stopped = solution.status is Status.INTERRUPTED
    brief = stopped and start.num_observations > MANY
    projection = project(solution.problem, config.solver.threads)
    summary = summarize(config, start, before, solution, projection)
    summary |= report(solution.problem, config.rotation, config.solver.threads, computed=not stopped)
    summary["compile_seconds"] = kernelcache.compile_seconds() - began.compiling
    about = [note_of_second_noise(config), BRIEF if brief else None]
    if config.data.scene is not None:
        try:
            ends = {"start": start, "end": solution.problem}
            summary["truth"] = {name: similarity.compare_to_truth(problem, loaded) for name, problem in ends.items()}
        except UserError as error:  # nothing aligns an end that has run off; the numbers of the run are no less true
            about.append(str(error))
    notes = [*notes_of(summary, start, solution.problem), *filter(None, about)]
    write_summary(summary, notes, began, folder)
    text = reading.dump(config)
    with folder.keeping("config.yaml"):
        files.write_bytes(folder.path / "config.yaml", text.encode())
    with folder.keeping(SOLUTION):
        notes += _write_solution(loaded, solution, folder)
    folder.complete_log(solution.iterations)
    if config.data.scene is not None:
        with folder.keeping("truth.npz"):
            io.save(loaded, folder.path / "truth.npz", "synthetic")
    if not brief:
        with folder.keeping("residuals.npz"):
            _write_residuals(start, (project(start, config.solver.threads), projection), folder.path)
    if config.output.picture:
        with folder.keeping("view.png"):
            notes += drawn(lambda: _draw(start, solution, folder.path), stopped)
    notes += [folder.shown(refusal) for refusal in folder.refusals]
    write_summary(summary, notes, began, folder)
    if config.output.report and not brief:
        with folder.keeping("report.html"):
            residuals = projection.pixels - start.pixels
            view = folder.path / "view.png"
            write_report(folder.path / "report.html", summary, solution.iterations, residuals, view, text)
    return summary, notes


def write_summary(summary: dict[str, Any], notes: list[str], began: Began, folder: RunFolder) -> None:
    """Write the summary, with the notes and the time that is over."""
    summary |= {"total_seconds": time.perf_counter() - began.at, "notes": list(notes)}
    with folder.keeping("summary.json"):
        files.write_bytes(folder.path / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


def _write_solution(loaded: Problem, solution: Solution, folder: RunFolder) -> Iterator[str]:
    """solution.* and solution.ply; yields a note where the input's format cannot hold the solution.

    What may move is as the input has it: what this run held fixed, another need not.
    """
    problem = solution.problem.with_free(loaded.free)
    source = problem.source.get("format", "synthetic")
    suffix = io.FORMATS[source].suffixes[0]
    try:
        io.save(problem, folder.path / f"{SOLUTION}{suffix}", source)
    except UserError as error:
        io.save(problem, folder.path / f"{SOLUTION}.npz", "synthetic")
        yield f"the solution stands in {SOLUTION}.npz: {folder.shown(str(error))}"
    io.save(problem, folder.path / f"{SOLUTION}.ply")


def _write_residuals(start: Problem, projections: tuple[Projection, Projection], folder: Path) -> None:
    first, last = (projection.pixels - start.pixels for projection in projections)
    with files.replacing(folder / "residuals.npz") as temporary:
        np.savez(temporary, start=first, end=last, image_of_obs=start.image_of_obs, point_of_obs=start.point_of_obs)


def _draw(start: Problem, solution: Solution, folder: Path) -> str | None:
    """Write view.png; None, or why there is none."""
    from ba.show import view

    return view.screenshot(start, solution.problem, folder / "view.png")


def drawn(draw: Callable[[], str | None], stopped: bool) -> list[str]:
    """Draw a picture unless the run was stopped; a note where there is none."""
    if stopped or interrupt.pending():
        return [UNDRAWN]
    try:
        with interrupt.allowed():
            failure = draw()
    except KeyboardInterrupt:
        failure = UNDRAWN
    return [failure] if failure else []
