"""The pipeline: load, perturb, select what is free, solve, write the run folder.

config.yaml         the effective configuration; it runs again to the same bits
summary.json        the numbers of the run
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
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ba import configfile, files, io
from ba.config import Config
from ba.errors import SolverError, UserError
from ba.io import synthetic
from ba.noise import perturb
from ba.problem import Problem
from ba.report import write_report
from ba.residual import Projection, project
from ba.result import Iteration, Observer, Solution, Status, ignore
from ba.rotation import ROTATIONS, isotropy
from ba.select import select, with_rotations
from ba.solver import solve
from ba.solver.conditioning import is_bound_to_frame, is_far
from ba.summary import before, summarize
from ba.undetermined import report

SOLUTION = "solution"
PRODUCTS = (
    "config.yaml",
    "summary.json",
    "iterations.jsonl",
    *(f"{SOLUTION}{suffix}" for entry in io.FORMATS.values() for suffix in entry.suffixes),
    "truth.npz",
    "residuals.npz",
    "report.html",
    "view.png",
)

MANY = 1_000_000
"""Observations above which Ctrl-C leaves out what takes long and follows from the rest."""
SINGULAR = 1e-2
"""Third singular value of the tangent map, as a share of its first, below which a rotation is near a singularity."""
BRIEF = "stopped by Ctrl-C: no residuals.npz and no report.html, which take long for so many observations"
UNDRAWN = "no picture: stopped by Ctrl-C; `ba view FOLDER --screenshot PNG` draws it"


@dataclass(frozen=True, eq=False)
class Result:
    """A finished run. `summary` is what summary.json holds; `notes` are things to tell the user."""

    summary: dict[str, Any]
    folder: Path
    notes: tuple[str, ...]
    solution: Solution


def run(config: Config | Path | str, out: Path | None = None, observer: Observer = ignore) -> Result:
    """Carry out a configuration, given as a Config or as the path of a YAML file, and write its run folder.

    out: the run folder, instead of `output.dir`. Raises UserError for what the user can mend, before anything is
    written, and SolverError, after writing what there is, where the solver failed.
    """
    began = time.perf_counter()
    config = config if isinstance(config, Config) else configfile.load(config)
    configfile.check_names(config)
    loaded, start = load_start(config)
    folder = _make_folder(config, out)
    known = before(config, start)
    with _logged(folder, observer) as log:
        solution = solve(
            start,
            rotation=config.rotation,
            loss=config.loss,
            options=config.solver,
            bounds=config.camera.bounds,
            observer=log,
        )
    stopped = solution.status is Status.INTERRUPTED
    brief = stopped and start.num_observations > MANY
    with files.uninterrupted():
        notes = list(_write_solution(loaded, solution, folder))
        projection = project(solution.problem, config.solver.threads)
        summary = summarize(config, start, known, solution, projection)
        summary |= report(solution.problem, config.rotation, config.solver.threads, known=not stopped)
        if config.data.scene is not None:
            summary |= _against_truth(loaded, start, solution)
            io.save(loaded, folder / "truth.npz", "synthetic")
        notes = [*_notes(summary, start, solution.problem), *notes, *([BRIEF] if brief else [])]
        if not brief:
            _write_residuals(start, (project(start, config.solver.threads), projection), folder)
        files.write_bytes(folder / "config.yaml", configfile.dump(config).encode())
        _write_summary(summary, notes, began, folder)
    if config.output.picture:
        failure = UNDRAWN if stopped else _draw(start, solution, folder)
        notes += [failure] if failure else []
    with files.uninterrupted():
        _write_summary(summary, notes, began, folder)
        if config.output.report and not brief:
            residuals = projection.pixels - start.pixels
            text = configfile.dump(config)
            write_report(folder / "report.html", summary, solution.iterations, residuals, folder / "view.png", text)
    if solution.status is Status.FAILED:
        raise SolverError(f"{solution.message}; what there is stands in {folder}")
    return Result(summary, folder, tuple(notes), solution)


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
    config = configfile.load(path / "config.yaml")
    return load_start(config)[1], io.load(solutions[0])


def _path(config: Config) -> Path:
    if config.data.path is None:
        raise UserError("data.path: missing; the path of an input file is right")
    return config.data.path


def _make_folder(config: Config, out: Path | None) -> Path:
    source = config.data.path.name.split(".")[0] if config.data.path is not None else "synthetic"
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = out or config.output.dir or Path("runs") / f"{source}-{stamp}"
    if config.data.path is not None and config.data.path.resolve() in {(folder / name).resolve() for name in PRODUCTS}:
        raise UserError(
            f"{folder}: the run would replace its own input, {config.data.path.name}; --out DIR names another"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be the run folder ({error.strerror}); --out DIR names another") from None
    return folder


@contextmanager
def _logged(folder: Path, observer: Observer) -> Iterator[Observer]:
    """An observer that writes each iteration as a line before it passes it on.

    What an earlier run left in the folder goes when the first iteration comes, for until then this one may be refused.
    """
    with ExitStack() as stack:
        streams: list[TextIO] = []

        def log(iteration: Iteration) -> None:
            if not streams:
                _clear(folder)
                streams.append(stack.enter_context((folder / "iterations.jsonl").open("w")))
            streams[0].write(json.dumps(asdict(iteration)) + "\n")
            streams[0].flush()
            observer(iteration)

        yield log


def _clear(folder: Path) -> None:
    """Remove what a run writes; whatever else is there stays. Raises UserError where it cannot be written."""
    try:
        for name in PRODUCTS:
            (folder / name).unlink(missing_ok=True)
        (folder / "iterations.jsonl").touch()
    except OSError as error:
        raise UserError(
            f"{error.filename}: cannot be replaced ({error.strerror}); --out DIR names another folder"
        ) from None


def _notes(summary: dict[str, Any], start: Problem, end: Problem) -> Iterator[str]:
    for key, text in (
        ("points_seen_fewer_than_twice", "points are seen fewer than twice and were held fixed"),
        ("images_that_see_nothing", "images see nothing and were held fixed"),
        ("behind_camera_end", "observations end with the point behind its camera"),
        ("outside_field_end", "observations end where the camera's distortion is not one-to-one"),
    ):
        if summary[key]:
            yield f"{summary[key]} {text}"
    yield from (found["text"] for found in summary["undetermined"] or ())
    if is_far(start) and is_bound_to_frame(start):
        yield (
            "coordinates are far from the origin, and a translation held under a free rotation (fix, or gauge: "
            "two_cameras) binds them there: steps are poor; gauge: free or three_points lets the solver move the frame"
        )
    if summary["distance_from_so3"] > 1e-6:
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
    from ba.alignment import compare_to_truth

    return {"truth": {"start": compare_to_truth(start, truth), "end": compare_to_truth(solution.problem, truth)}}


def _write_summary(summary: dict[str, Any], notes: list[str], began: float, folder: Path) -> None:
    summary |= {"total_seconds": time.perf_counter() - began, "notes": list(notes)}
    files.write_bytes(folder / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


def _write_solution(loaded: Problem, solution: Solution, folder: Path) -> Iterator[str]:
    """solution.* and solution.ply; yields a note where the input's format cannot hold the solution.

    What may move is as the input has it: what this run held fixed, another need not.
    """
    problem = solution.problem.with_free(loaded.free)
    source = problem.source.get("format", "synthetic")
    suffix = io.FORMATS[source].suffixes[0]
    try:
        io.save(problem, folder / f"{SOLUTION}{suffix}", source)
    except UserError as error:
        io.save(problem, folder / f"{SOLUTION}.npz", "synthetic")
        yield f"the solution stands in {SOLUTION}.npz: {error}"
    io.save(problem, folder / f"{SOLUTION}.ply")


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
    from ba import view

    try:
        return view.screenshot(start, solution.problem, folder / "view.png")
    except KeyboardInterrupt:
        return "no picture: stopped by Ctrl-C"
