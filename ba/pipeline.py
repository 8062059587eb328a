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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ba import configfile, files, io
from ba.config import Config
from ba.errors import SolverError, UserError
from ba.io import synthetic
from ba.noise import perturb
from ba.problem import Problem
from ba.residual import Projection, project
from ba.result import Iteration, Observer, Solution, Status, ignore
from ba.select import select
from ba.solver import solve
from ba.summary import summarize

SOLUTION = "solution"


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
    with _logged(folder / "iterations.jsonl", observer) as log:
        solution = solve(
            start,
            rotation=config.rotation,
            loss=config.loss,
            options=config.solver,
            bounds=config.camera.bounds,
            observer=log,
        )
    projections = project(start), project(solution.problem)
    summary = summarize(config, start, solution, projections)
    if config.data.scene is not None:
        summary |= _against_truth(loaded, start, solution)
        synthetic.write(loaded, folder / "truth.npz")
    notes = [*_notes(summary), *_write_solution(config, solution, folder)]
    _write_residuals(start, projections, folder)
    files.write_bytes(folder / "config.yaml", configfile.dump(config).encode())
    notes += _write_picture(config, start, solution, folder)
    summary["total_seconds"] = time.perf_counter() - began
    summary["notes"] = notes
    files.write_bytes(folder / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    _write_report(config, solution, projections[1].pixels - start.pixels, summary, folder)
    if solution.status is Status.FAILED:
        raise SolverError(f"{solution.message}; what there is stands in {folder}")
    return Result(summary, folder, tuple(notes), solution)


def load_start(config: Config) -> tuple[Problem, Problem]:
    """The problem as loaded or generated, and the start: what is free selected, and perturbed."""
    data = config.data
    loaded = synthetic.generate(data.scene) if data.scene is not None else io.load(_path(config), data.format)
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be the run folder ({error.strerror}); --out DIR names another") from None
    return folder


@contextmanager
def _logged(path: Path, observer: Observer) -> Iterator[Observer]:
    """An observer that writes each iteration as a line before it passes it on."""
    with path.open("w") as stream:

        def log(iteration: Iteration) -> None:
            stream.write(json.dumps(asdict(iteration)) + "\n")
            stream.flush()
            observer(iteration)

        yield log


def _notes(summary: dict[str, Any]) -> Iterator[str]:
    for key, text in (
        ("points_seen_fewer_than_twice", "points are seen fewer than twice and were held fixed"),
        ("images_that_see_nothing", "images see nothing and were held fixed"),
        ("behind_camera_end", "observations end with the point behind its camera"),
        ("outside_field_end", "observations end where the camera's distortion is not one-to-one"),
    ):
        if summary[key]:
            yield f"{summary[key]} {text}"
    if summary["distance_from_so3"] > 1e-6:
        yield (
            f"rotations of `{summary['rotation']}` ended up to {summary['distance_from_so3']:.3g} from SO(3) "
            "(|R^T R - I|): its cost is not comparable with that of rotations"
        )


def _against_truth(truth: Problem, start: Problem, solution: Solution) -> dict[str, Any]:
    from ba.alignment import compare_to_truth

    return {"truth": {"start": compare_to_truth(start, truth), "end": compare_to_truth(solution.problem, truth)}}


def _write_solution(config: Config, solution: Solution, folder: Path) -> Iterator[str]:
    """solution.* and solution.ply; yields a note where the input's format cannot hold the solution."""
    problem = solution.problem
    source = problem.source.get("format", "synthetic")
    suffix = io.FORMATS[source].suffixes[0]
    for old in folder.glob(f"{SOLUTION}.*"):
        old.unlink()
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


def _write_picture(config: Config, start: Problem, solution: Solution, folder: Path) -> list[str]:
    if not config.output.picture:
        return []
    from ba import view

    failure = view.screenshot(start, solution.problem, folder / "view.png")
    return [failure] if failure else []


def _write_report(
    config: Config, solution: Solution, residuals: np.ndarray[Any, Any], summary: dict[str, Any], folder: Path
) -> None:
    if not config.output.report:
        return
    from ba.report import write_report

    picture = folder / "view.png"
    write_report(
        folder / "report.html",
        summary,
        solution.iterations,
        residuals,
        picture if config.output.picture and picture.is_file() else None,
        configfile.dump(config),
    )
