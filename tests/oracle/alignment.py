"""Rotation alignment: the rotation R that minimizes sum |p1 - R p2|^2, its closed form, and the files of a run.

The closed form is Kabsch's, 1976: with sum p1 p2^T = U D V^T, R = U diag(1, 1, det U V^T) V^T. A run of one rotation
and one residual tells its matrix by `axis_angle`, so runs of 0, 1, 2, ... steps tell the state after each.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle.known import EPS, Known
from tests.oracle.reading import Folder, read_folder, read_ply
from tests.oracle.rotating import STEPS, TURNS, angle, exp, log


@dataclass(frozen=True, eq=False)
class Alignment:
    """folders: of runs of one rotation and one residual with 0, 1, 2, ... steps; the last is looked at."""

    name: str
    folders: Sequence[Folder]

    @property
    def last(self) -> Folder:
        return self.folders[-1]

    @property
    def config(self) -> dict[str, Any]:
        return self.last.config

    @property
    def rotation(self) -> str:
        return str(self.config["rotation"])

    @cached_property
    def sets(self) -> tuple[Any, Any, Any]:
        """p1, p2 (n, 3) and the true rotation (3, 3) or None."""
        data = self.config["data"]
        if data["generated"] is None:
            return *(read_points(Path(data[name])) for name in ("p1", "p2")), None
        made = data["generated"]
        draws = np.random.default_rng(made["seed"])
        p2 = draws.normal(size=(made["points"], 3))
        (R,) = exp(np.array([made["axis_angle"]]))
        return p2 @ R.T + made["sigma"] * draws.normal(size=p2.shape), p2, R

    @cached_property
    def closed(self) -> Any:
        """(3, 3)"""
        p1, p2, _ = self.sets
        U, _, Vt = np.linalg.svd(p1.T @ p2)
        return U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt

    @cached_property
    def states(self) -> list[Any]:
        """(3, 3) after each step."""
        return [exp(np.array([folder.summary["axis_angle"]]))[0] for folder in self.folders]

    @property
    def size(self) -> float:
        """Sum of the squares of all coordinates, which costs are small beside."""
        p1, p2, _ = self.sets
        return float((p1**2).sum() + (p2**2).sum())


def read_points(path: Path) -> Any:
    """(n, 3) of an .npy file, or of a .csv file below a line of names."""
    return np.load(path) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",", skiprows=1)


def read_alignment(name: str, folders: Sequence[Path]) -> Alignment:
    return Alignment(name, [read_folder(folder) for folder in folders])


def cost(case: Alignment, R: Any) -> Known:
    p1, p2, _ = case.sets
    r = p1 - p2 @ R.T
    return Known(float(0.5 * (r**2).sum()), 16 * EPS * float(np.abs(r).sum() * np.sqrt(case.size / len(p1))))


def gradient_norm(case: Alignment, R: Any) -> Known:
    """Largest component by the rotation's numbers: turning by phi moves R p2 by phi x R p2."""
    p1, p2, _ = case.sets
    turned = p2 @ R.T
    by_phi = np.cross(p1, turned).sum(0)
    found = TURNS[case.rotation](R[None])[0].T @ by_phi
    return Known(float(np.abs(found).max()), 64 * EPS * case.size)


def step_norm(case: Alignment, step: int) -> Known:
    if step == 0:
        return Known(0.0)
    before, after = case.states[step - 1][None], case.states[step][None]
    return Known(float(np.linalg.norm(STEPS[case.rotation](before, after))), 64 * EPS)


def isotropy(case: Alignment, R: Any) -> Known:
    """Third singular value of what the numbers turn, as a share of the first."""
    values = np.linalg.svd(TURNS[case.rotation](R[None])[0], compute_uv=False)
    return Known(float(values[2] / values[0]), 16 * EPS)


def between(R: Any, S: Any) -> Known:
    return Known(float(angle(R[None], S[None])[0]), 16 * EPS)


def to_truth(case: Alignment, R: Any) -> Known:
    return Known(None) if case.sets[2] is None else between(R, case.sets[2])


def row_of(case: Alignment) -> dict[str, Any]:
    """The one row of `results`."""
    end = case.states[-1]
    return {
        "rotation": case.rotation,
        "residual": case.config["residual"],
        "iterations": len(case.states) - 1,
        "initial_cost": cost(case, case.states[0]),
        "final_cost": cost(case, end),
        "to_closed_form": between(end, case.closed),
        "to_truth": to_truth(case, end),
        "distance_from_so3": Known(0.0, 64 * EPS),
    }


ROW_NOT_COMPUTED = {
    "status": "the solver's verdict: whether the slope that is left is rounding",
    "message": "words",
    "evaluations": "how many trials were made is known to the solver alone",
    "seconds": "a time",
}

SUMMARY: dict[str, Callable[[Alignment], Any]] = {
    "kind": lambda case: case.config["kind"],
    "status": lambda case: case.last.summary["results"][0]["status"],
    "num_points": lambda case: len(case.sets[1]),
    "closed_form.cost": lambda case: cost(case, case.closed),
    "closed_form.to_truth": lambda case: to_truth(case, case.closed),
}

SUMMARY_NOT_COMPUTED = {
    "notes": "words",
    "total_seconds": "a time",
    "starts": "counts of solves from random starts, which take a solver; none are asked for here",
    "results": "see row_of",
    "axis_angle": "what the states are read from",
    "closed_form.axis_angle": "an array; see ARRAYS",
}

ITERATION: dict[str, Callable[[Alignment, int], Any]] = {
    "rotation": lambda case, step: case.rotation,
    "residual": lambda case, step: case.config["residual"],
    "iteration": lambda case, step: step,
    "cost": lambda case, step: cost(case, case.states[step]),
    "gradient_norm": lambda case, step: gradient_norm(case, case.states[step]),
    "step_norm": step_norm,
    "isotropy": lambda case, step: isotropy(case, case.states[step]),
    "evaluations": lambda case, step: case.folders[step].summary["results"][0]["evaluations"],
    "to_closed_form": lambda case, step: between(case.states[step], case.closed),
}

ARRAYS: dict[str, Callable[[Alignment], tuple[Any, Any]]] = {
    "closed_form.axis_angle": lambda case: (
        np.array(case.last.summary["closed_form"]["axis_angle"]),
        log(case.closed[None])[0],
    ),
    "aligned.ply": lambda case: (read_ply(case.last.path / "aligned.ply")[1], case.sets[1] @ case.states[-1].T),
}
"""What is found and what is right."""


def results_csv(case: Alignment) -> list[dict[str, str]]:
    with (case.last.path / "results.csv").open() as file:
        return list(csv.DictReader(file))
