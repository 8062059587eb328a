"""The few figures that README quotes of what `ba compare`, `ba run` and `ba check` leave behind, for `results/`."""

import csv
import re
from collections.abc import Callable, Iterable
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ba.model.rotation.so3 import OFF_SO3

Row = dict[str, str]

REACHED, NEAR = "1e-04", "1e-06"


def rows(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def comparison(folder: Path) -> dict[str, Any]:
    """Of `ba compare`'s folder: medians to within 1e-6 by dataset and rotation, and how often each never arrived."""
    by: dict[tuple[str, str], list[Row]] = {}
    for row in rows(folder / "results.csv"):
        by.setdefault((row["dataset"], row["label"].removeprefix("rotation=")), []).append(row)
    found: dict[str, Any] = {}
    for (dataset, label), group in by.items():
        found.setdefault(dataset, {})[label] = {
            "runs": len(group),
            "stays_rotation": all(float(row["distance_from_so3"]) <= OFF_SO3 for row in group),
            "steps": _finite(median(_numbers(group, f"steps_to_{NEAR}"))),
            "seconds": _finite(median(_numbers(group, f"seconds_to_{NEAR}"))),
            "never_reached": _never(group, f"steps_to_{REACHED}"),
            "never_near": _never(group, f"steps_to_{NEAR}"),
        }
    return found


def _numbers(group: Iterable[Row], column: str) -> list[float]:
    return [float(row[column] or "inf") for row in group]


def _never(group: Iterable[Row], column: str) -> int:
    return sum(not isfinite(number) for number in _numbers(group, column))


def _finite(number: float) -> float | None:
    return number if isfinite(number) else None


def alignment(folder: Path) -> dict[str, Any]:
    """Of a run of `kind: rotation_alignment`: steps, distance from the closed form, shares of starts that reach it."""
    found: dict[str, Any] = {"steps": {}, "to_closed_form": {}, "reached": {}}
    for row in rows(folder / "results.csv"):
        found["steps"].setdefault(row["residual"], {})[row["rotation"]] = int(row["iterations"])
        found["to_closed_form"].setdefault(row["residual"], {})[row["rotation"]] = float(row["to_closed_form"])
    for row in rows(folder / "starts.csv"):
        share = int(row["reached"]) / int(row["of"])
        by_angle = found["reached"].setdefault(row["residual"], {}).setdefault(row["rotation"], {})
        by_angle[f"{float(row['degrees']):g}"] = share
    return found


def check(text: str) -> dict[str, Any]:
    """Of what `ba check` prints: the table of derivatives with what it says of zeros."""
    lines = text.splitlines()
    first = next(at for at, line in enumerate(lines) if line.strip().startswith("analytic against"))
    last = next(at for at, line in enumerate(lines) if at > first and re.search(r"inside, .* zero", line))
    return {"table": [line.rstrip() for line in lines[first : last + 1]]}


DIGESTS: dict[str, Callable[[Path], dict[str, Any]]] = {"compare": comparison, "rotation-alignment": alignment}
