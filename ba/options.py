"""The configuration of a run, composed of the options of each room (`ba.io.options`, `ba.solve.options`, ...).

It stands beside `ba.pipeline`, which says how a run goes: a reader of either needs one of the two, and checks and
comparisons load configurations without running a pipeline.

    python -m ba.options > configs/all-keys.yaml
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ba.config import reading, schema
from ba.config.section import Section, Seed
from ba.io.options import Data, Scene
from ba.model.options import Loss, Rotation
from ba.prepare.options import Camera, Fix, Gauge, Noise
from ba.show.options import Output
from ba.solve.backends import refusals
from ba.solve.options import Solver

EXAMPLE = Path("../datasets/dubrovnik-16-22106-pre.txt.xz")


class Config(Section):
    """A run. A file with only `data.path` is complete."""

    EXAMPLE: ClassVar[str] = "solver.max_iterations=20"

    data: Data = Field(description="what to reconstruct")
    rotation: Rotation = "so3_left"
    camera: Camera = Field(default_factory=Camera, description="which intrinsics are free")
    fix: Fix = Field(default_factory=Fix, description="what else is held fixed")
    gauge: Gauge = Field(
        "free",
        description="what fixes the frame: nothing, the first pose and one coordinate of a second, three points",
    )
    noise: Noise = Field(default_factory=Noise, description="perturbation of the start")
    loss: Loss = Field(default_factory=Loss, description="robust loss")
    solver: Solver = Field(default_factory=Solver, description="how the minimum is searched", validate_default=True)
    output: Output = Field(default_factory=Output, description="where results go")
    seed: Seed = Field(0, description="seed of `noise`")

    @field_validator("solver")
    @classmethod
    def _keep_bounds(cls, solver: Solver, info: ValidationInfo) -> Solver:
        """Bounds hold in the plain variables only, so they turn off a preconditioner that nobody asked for."""
        camera: Camera | None = info.data.get("camera")
        if camera and camera.bounds and "preconditioner" not in solver.model_fields_set:
            return solver.model_copy(update={"preconditioner": "none"})
        return solver

    @model_validator(mode="after")
    def _check_method(self) -> Self:
        solver, bounded = self.solver, bool(self.camera.bounds)
        for message in refusals(solver.backend, solver.method, self.loss.name, bounded=bounded):
            raise ValueError(message)
        if bounded and solver.preconditioner == "schur":
            raise ValueError("solver.preconditioner: schur cannot keep camera.bounds; none is right")
        return self


def load(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a YAML file, as `ba.config.reading.load` reads it."""
    return reading.load(Config, path, overrides)


def all_keys() -> str:
    """A configuration file with every key, its default and its help; the keys of a scene stand in comments."""
    return schema.listing(Config(data=Data(path=EXAMPLE)), {("data", "scene"): Scene()})


if __name__ == "__main__":
    print(all_keys(), end="")
