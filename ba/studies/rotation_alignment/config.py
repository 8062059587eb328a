"""The YAML schema of a rotation alignment, as strict as that of a bundle adjustment and read by the same code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ba.config import reading
from ba.config.section import AnyPath, Finite, NonNegative, Section, Seed, input_file, registered
from ba.model.rotation import ROTATIONS
from ba.show.options import Output
from ba.solve.backends import SOLVERS
from ba.solve.options import Solver

Vector = tuple[Finite, Finite, Finite]
Degrees = Annotated[float, Field(ge=0.0, le=180.0)]
ALL = "all"


class Generated(Section):
    """p2 from N(0, 1), and p1 = R p2 + noise."""

    points: int = Field(100, ge=2, le=1_000_000, description="number of points")
    seed: Seed = Field(1001, description="seed of the points and of their noise")
    axis_angle: Vector = Field((0.3, -0.2, 0.1), description="true rotation vector, radians")
    sigma: NonNegative = Field(0.01, description="sigma of the noise on each coordinate of p1")


class Sets(Section):
    p1: AnyPath | None = input_file("target points, .npy, .csv or .ply, relative to this configuration")
    p2: AnyPath | None = input_file("points to rotate, in the same order; as p1")
    generated: Generated | None = Field(None, description="generate both sets instead of reading them")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        read = [name for name in ("p1", "p2") if getattr(self, name) is not None]
        if read and self.generated is not None:
            raise ValueError(f"data.generated: data.{read[0]} is given too; set one of the two to null")
        if len(read) == 1:
            raise ValueError(f"data.{'p1' if read == ['p2'] else 'p2'}: missing; an alignment needs two sets")
        if not read and self.generated is None:
            raise ValueError("data.p1: nothing to read; set it and data.p2, or set data.generated")
        return self


class Starts(Section):
    """Random rotations at given angles from the closed form's, to count from how many the optimum is reached."""

    count: int = Field(0, ge=0, le=100_000, description="starts at each angle; 0: none")
    angles_deg: list[Degrees] = Field(
        default_factory=lambda: [30.0, 90.0, 150.0, 170.0, 179.0], description="how far away, degrees"
    )
    seed: Seed = Field(0, description="seed of the starts' directions")


class Alignment(Solver):
    """As of a bundle adjustment, but steps go on until none lowers the cost."""

    backend: str = registered("schur", SOLVERS, "which solver")
    max_iterations: int = Field(200, ge=0, description="accepted steps (lm: evaluations) at most")
    ftol: NonNegative = Field(0.0, description="stop when a step lowers the cost by less than this share")
    xtol: NonNegative = Field(0.0, description="stop when a step moves no number by more than this share of it")
    gtol: NonNegative = Field(0.0, description="stop when the largest component of the gradient is below this")


class RotationAlignment(Section):
    """Find R that minimizes sum |p1 - R p2|^2."""

    EXAMPLE: ClassVar[str] = "solver.max_iterations=20"

    kind: Literal["rotation_alignment"] = Field(description="the kind of problem")
    data: Sets = Field(default_factory=lambda: Sets(generated=Generated()), description="the two point sets")
    rotation: str | list[str] = registered(
        ALL, ROTATIONS, "rotation parameterization, a list of them, or all", words=(ALL,)
    )
    residual: Literal["vector", "norm", "both"] = Field(
        "vector", description="p1 - R p2, three numbers a point; or norm, its length; or both in turn"
    )
    start: Vector = Field((0.0, 0.0, 0.0), description="rotation vector of the start, radians")
    starts: Starts = Field(default_factory=Starts, description="more starts, far from the optimum")
    solver: Alignment = Field(default_factory=Alignment, description="how the minimum is searched")
    output: Output = Field(default_factory=Output, description="where results go")

    @model_validator(mode="after")
    def _check_rotation(self) -> Self:
        if self.rotation == []:
            raise ValueError(f"rotation: [] found, a name, a list of names or {ALL} expected")
        return self

    @property
    def rotations(self) -> tuple[str, ...]:
        if self.rotation == ALL:
            return tuple(ROTATIONS)
        return (self.rotation,) if isinstance(self.rotation, str) else tuple(self.rotation)

    @property
    def residuals(self) -> tuple[str, ...]:
        return ("vector", "norm") if self.residual == "both" else (self.residual,)


def load(path: Path | str, overrides: Sequence[str] = ()) -> RotationAlignment:
    """The configuration in a YAML file, as `ba.config.reading.load` reads it."""
    return reading.load(RotationAlignment, path, overrides)
