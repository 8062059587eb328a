"""The pipeline: load, perturb, select what is free, solve, write the run folder (see `ba.show.runfolder`).

summary.json        the numbers of the run; written first, so that a disk that fills up loses the picture and not these
config.yaml         the effective configuration; it runs again to the same bits
iterations.jsonl    a line for each accepted step, flushed as it happens
solution.*          the solution in the input's format (`.npz` where that format cannot hold it), and as solution.ply
truth.npz           the ground truth of a generated scene
residuals.npz       residuals at start and end (n_obs, 2) px, projection minus pixels
report.html, view.png
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ba import io
from ba.analyse import memory
from ba.analyse.undetermined import report
from ba.config import reading
from ba.engine import kernelcache
from ba.errors import SolverError, UserError
from ba.io import synthetic
from ba.model.problem import Problem
from ba.model.residual import Projection, project
from ba.model.rotation import ROTATIONS, isotropy, so3
from ba.options import Config
from ba.options import load as load_config
from ba.prepare.conditioning import is_bound_to_frame, is_far
from ba.prepare.noise import note_of_second_noise, perturb
from ba.prepare.select import select, with_rotations
from ba.show.report import write_report
from ba.show.runfolder import RunFolder, staged
from ba.show.staging import SOLUTION
from ba.show.summary import Before, before, summarize
from ba.solve import solve
from ba.solve.result import Observer, Solution, Status, ignore
from ba.system import files, interrupt
from ba.system.words import counted

MANY = 1_000_000
"""Observations above which Ctrl-C leaves out what takes long and follows from the rest."""
SINGULAR = 1e-2
"""Third singular value of the tangent map, as a share of its first, below which a rotation is near a singularity."""
BRIEF = "stopped early: no residuals.npz and no report.html, which take long for so many observations"
UNDRAWN = "no picture: stopped early; `ba view FOLDER --screenshot PNG` draws it"


@dataclass(frozen=True)
class Began:
    """When a run began, s, and how long this process had been compiling kernels by then."""

    at: float = field(default_factory=time.perf_counter)
    compiling: float = field(default_factory=kernelcache.compile_seconds)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A finished run. `summary` is what summary.json holds; `notes` are things to tell the user."""

    summary: dict[str, Any]
    folder: Path
    notes: tuple[str, ...]
    solution: Solution

    def __repr__(self) -> str:
        return f"Result({str(self.folder)!r}, {counted(len(self.notes), 'note')}, {self.solution!r})"


def run(
    config: Config | Path | str, out: Path | None = None, observer: Observer = ignore, overwrite: bool = False
) -> Result:
    """Carry out a configuration, given as a Config or as the path of a YAML file, and write its run folder.

    out: the run folder, instead of `output.dir`; overwrite: an earlier run there may be replaced. Raises UserError for
    what the user can mend, before anything is written; SolverError where the solver failed, and SystemRefusal where
    the system would not write something, after writing what there is; KeyboardInterrupt for a signal that could end
    nothing any more, after writing everything.
    """
    began = Began()
    config = config if isinstance(config, Config) else load_config(config)
    reading.check_names(config)
    path = config.data.path
    name = "synthetic" if path is None else path.name.split(".")[0]
    with staged(out or config.output.dir, name, [] if path is None else [path], overwrite) as folder:
        loaded, start = load_start(config)
        memory.check(start, config)
        known = before(config, start)
        solution = solve(
            start,
            rotation=config.rotation,
            loss=config.loss,
            options=config.solver,
            bounds=config.camera.bounds,
            observer=folder.logging(observer),
        )
        with interrupt.uninterrupted(said=f"the result stands in {folder.target}"):
            summary, notes = _save(folder, config, loaded, start, known, solution, began)
            place = folder.publish()
    if solution.status is Status.FAILED:
        raise SolverError(f"{solution.message}; what there is stands in {place}")
    return Result(summary, place, tuple(notes), solution)


def _save(
    folder: RunFolder, config: Config, loaded: Problem, start: Problem, known: Before, solution: Solution, began: Began
) -> tuple[dict[str, Any], list[str]]:
    """Write all that a run leaves, what matters most first. Returns the summary and its notes."""
    stopped = solution.status is Status.INTERRUPTED
    brief = stopped and start.num_observations > MANY
    projection = project(solution.problem, config.solver.threads)
    summary = summarize(config, start, known, solution, projection)
    summary |= report(solution.problem, config.rotation, config.solver.threads, known=not stopped)
    summary["compile_seconds"] = kernelcache.compile_seconds() - began.compiling
    about = [note_of_second_noise(config), BRIEF if brief else None]
    if config.data.scene is not None:
        try:
            summary |= _against_truth(loaded, start, solution)
        except UserError as error:  # nothing aligns an end that has run off; the numbers of the run are no less true
            about.append(str(error))
    notes = [*_notes(summary, start, solution.problem), *filter(None, about)]
    _write_summary(summary, notes, began, folder)
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
            failure = UNDRAWN if stopped or interrupt.pending() else _draw(start, solution, folder.path)
            notes += [failure] if failure else []
    notes += [folder.shown(refusal) for refusal in folder.refusals]
    _write_summary(summary, notes, began, folder)
    if config.output.report and not brief:
        with folder.keeping("report.html"):
            residuals = projection.pixels - start.pixels
            view = folder.path / "view.png"
            write_report(folder.path / "report.html", summary, solution.iterations, residuals, view, text)
    return summary, notes


def load_start(config: Config) -> tuple[Problem, Problem]:
    """The problem as loaded or generated, and the start: what is free selected, and perturbed.

    Matrices that are no rotations, as `matrix9` leaves them, become the nearest ones, unless it is `matrix9` again.
    """
    data = config.data
    loaded = synthetic.generate(data.scene) if data.scene is not None else io.load(_path(config), data.format)
    if ROTATIONS[config.rotation].stays_rotation:
        loaded = with_rotations(loaded)
    selected = select(loaded, config.camera, config.fix, config.gauge)
    return loaded, perturb(selected, config.noise, config.seed)


def open_scene(path: Path) -> tuple[Problem | None, Problem]:
    """Start and solution of a run folder, or None and the problem of a data file."""
    if not path.is_dir():
        return None, io.load(path)
    solutions = [found for found in sorted(path.glob(f"{SOLUTION}.*")) if found.suffix != ".ply"]
    if not solutions or not (path / "config.yaml").is_file():
        raise UserError(f"{path}: not a run folder, which holds config.yaml and {SOLUTION}.*; `ba run` writes one")
    config = load_config(path / "config.yaml")
    return load_start(config)[1], io.load(solutions[0])


def _path(config: Config) -> Path:
    if config.data.path is None:
        raise UserError("data.path: missing; the path of an input file is right")
    return config.data.path


def _notes(summary: dict[str, Any], start: Problem, end: Problem) -> Iterator[str]:
    for key, noun, one, more in (
        (
            "points_seen_fewer_than_twice",
            "point",
            "is seen fewer than twice and was",
            "are seen fewer than twice and were",
        ),
        ("images_that_see_nothing", "image", "sees nothing and was", "see nothing and were"),
    ):
        if summary[key]:
            yield f"{counted(summary[key], noun)} {one if summary[key] == 1 else more} held fixed"
    for key, where in (
        ("behind_camera_end", "with the point behind its camera"),
        ("outside_field_end", "where the camera's distortion is not one-to-one"),
    ):
        if summary[key]:
            yield f"{counted(summary[key], 'observation')} {'ends' if summary[key] == 1 else 'end'} {where}"
    yield from (found["text"] for found in summary["undetermined"] or ())
    if is_far(start) and is_bound_to_frame(start):
        yield (
            "coordinates are far from the origin, and a translation held under a free rotation (fix, or gauge: "
            "two_cameras) binds them there: steps are poor; gauge: free or three_points lets the solver move the frame"
        )
    if summary["distance_from_so3"] > so3.OFF_SO3:
        yield (
            f"rotations of `{summary['rotation']}` ended up to {summary['distance_from_so3']:.3g} from SO(3) "
            "(|R^T R - I|): its cost is not comparable with that of rotations"
        )
    yield from _near_singularities(summary["rotation"], start, end)


def _near_singularities(name: str, start: Problem, end: Problem) -> Iterator[str]:
    """A note where a free image is at one end so near gimbal lock, or its like, that steps can hardly turn it."""
    rotation = ROTATIONS[name]
    for verb, problem in (("ends", end), ("starts", start)) if rotation.stays_rotation else ():
        reach = np.where(problem.free.rotations, isotropy(rotation, rotation.from_matrix(problem.rotations)), 1.0)
        image = int(reach.argmin())
        if reach[image] < SINGULAR:
            yield (
                f"image {image} {verb} near a singularity of `{name}` (gimbal lock or the like): in one direction a "
                f"step turns it {reach[image]:.1g} times as far as in another; rotation: so3_left has no singularity"
            )
            return


def _against_truth(truth: Problem, start: Problem, solution: Solution) -> dict[str, Any]:
    from ba.model.similarity import compare_to_truth

    return {"truth": {"start": compare_to_truth(start, truth), "end": compare_to_truth(solution.problem, truth)}}


def _write_summary(summary: dict[str, Any], notes: list[str], began: Began, folder: RunFolder) -> None:
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
    with files.replacing(folder / "residuals.npz") as temporary:
        np.savez(
            temporary,
            start=projections[0].pixels - start.pixels,
            end=projections[1].pixels - start.pixels,
            image_of_obs=start.image_of_obs,
            point_of_obs=start.point_of_obs,
        )


def _draw(start: Problem, solution: Solution, folder: Path) -> str | None:
    """Write view.png; None, or why there is none."""
    from ba.show import view

    try:
        with interrupt.allowed():
            return view.screenshot(start, solution.problem, folder / "view.png")
    except KeyboardInterrupt:
        return UNDRAWN
