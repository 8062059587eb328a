"""The YAML schema: every key with its type, default, range and help, in one place.

Models are strict: an unknown key or a wrong type is an error. Names that live in a registry (rotations, formats, ...)
are plain strings here, marked with `registry`; `ba.config.reading` checks them, so this module stays below the
registries.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationInfo, field_validator, model_validator

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
AnyPath = Annotated[Path, Strict(False)]
Selection = Literal["none", "all"] | list[Annotated[int, Field(ge=0)]]


def registered(default: Any, registry: str, help: str) -> Any:
    """A field whose value names an entry of a registry, `module:DICT`."""
    return Field(default, description=help, json_schema_extra={"registry": registry})


def refuse(faults: Iterable[tuple[bool, str]]) -> None:
    """Raise ValueError with the first message whose condition holds. A message begins with the full key and a colon."""
    for wrong, message in faults:
        if wrong:
            raise ValueError(message)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Scene(Section):
    """A generated scene with known ground truth (`data.format: synthetic`)."""

    kind: Literal["ring", "street", "cloud", "street_loop", "city", "internet"] = Field(
        "ring", description="arrangement of cameras and points"
    )
    images: int = Field(20, ge=2, le=100_000, description="number of images")
    points: int = Field(500, ge=4, le=10_000_000, description="number of points, where observations is null")
    observations: int | None = Field(
        None, ge=8, le=100_000_000, description="number of observations, within a few percent; points follow from it"
    )
    camera: str = registered("pinhole", "ba.model.camera:CAMERAS", "camera model")
    shared_camera: bool = Field(False, description="one camera for all images instead of one each")
    observations_per_point: int = Field(6, ge=2, description="how many images see a point, at most")
    mean_px: tuple[Finite, Finite] = Field((0.0, 0.0), description="mean of the pixel noise")
    covariance_px2: tuple[tuple[Finite, Finite], tuple[Finite, Finite]] = Field(
        ((0.25, 0.0), (0.0, 0.25)), description="2x2 covariance of the pixel noise; all zeros for exact observations"
    )
    use_covariance: bool = Field(False, description="hand the covariance to the solver as each observation's weight")
    outliers: Fraction = Field(0.0, description="share of observations moved to a random place in the picture")
    seed: Seed = Field(0, description="seed of the scene and of its noise")

    @model_validator(mode="after")
    def _check_covariance(self) -> Self:
        (a, b), (c, d) = self.covariance_px2
        matrix = f"{[[a, b], [c, d]]}"
        key = "data.scene.covariance_px2"
        refuse(
            [
                (b != c, f"{key}: {matrix} is not symmetric; [[xx, xy], [xy, yy]] is right"),
                (min(a, d, a * d - b * c) < 0.0, f"{key}: {matrix} has a negative eigenvalue; a covariance has none"),
                (
                    self.use_covariance and a * d - b * c <= 0.0,
                    f"data.scene.use_covariance: weights need an invertible covariance_px2, {matrix} is singular",
                ),
            ]
        )
        return self


class Data(Section):
    path: AnyPath | None = Field(None, description="input file, relative to this configuration")
    format: str | None = registered(None, "ba.io:READERS", "input format, guessed from the path if not given")
    scene: Scene | None = Field(None, description="generate a scene instead of reading a file")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        refuse(
            [
                (self.path is None and self.scene is None, "data.path: nothing to read; set it, or set data.scene"),
                (
                    self.path is not None and self.scene is not None,
                    "data.scene: data.path is given too; one of them is right, set the other to null or delete it",
                ),
                (
                    self.scene is not None and self.format not in (None, "synthetic"),
                    f"data.format: {self.format} is for data.path; delete it where data.scene is given",
                ),
            ]
        )
        return self


class Noise(Section):
    """Gaussian perturbation of the start, drawn with the seed of the run. All zeros: the input as it is."""

    rotation_deg: NonNegative = Field(0.0, description="sigma of each rotation vector component, degrees")
    position: NonNegative = Field(0.0, description="sigma of each camera centre coordinate, world units")
    points: NonNegative = Field(0.0, description="sigma of each point coordinate, world units")
    intrinsics: NonNegative = Field(0.0, description="relative sigma of each non-zero intrinsic parameter")


class Camera(Section):
    refine: Literal["all", "none"] | list[str] = Field(
        "all", description="intrinsics that are free, by name (f, k1, k2; fx, fy, cx, cy, skew), or all, or none"
    )
    bounds: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="[lowest, highest] of an intrinsic by name (trf or dogbox, no preconditioner)",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        refuse(
            (not low < high, f"camera.bounds.{name}: [{low}, {high}] is empty; [lowest, highest] is right")
            for name, (low, high) in self.bounds.items()
        )
        return self


class Fix(Section):
    """What is held fixed, by index; fixed numbers keep their bits."""

    poses: Selection = Field("none", description="images whose rotation and translation are fixed")
    rotations: Selection = Field("none", description="images whose rotation is fixed")
    translations: Selection = Field("none", description="images whose translation (cam_from_world) is fixed")
    cameras: Selection = Field("none", description="cameras whose intrinsics are fixed")
    points: Selection = Field("none", description="points that are fixed")


class Loss(Section):
    name: str = registered("linear", "ba.model.loss:LOSSES", "loss of an observation's squared whitened residual")
    scale: Positive = Field(1.0, description="residual at which the loss turns, px (with covariances: sigmas)")


class Solver(Section):
    backend: str = registered("scipy", "ba.solve:SOLVERS", "which solver")
    method: Literal["trf", "dogbox", "lm"] = Field("trf", description="scipy's method; lm is dense, for small problems")
    preconditioner: Literal["none", "schur"] = Field(
        default_factory=lambda solver: "schur" if solver.get("method") == "trf" else "none",
        description="change of variables for scipy's trf; if not given: schur, or none with bounds, dogbox or lm",
    )
    linear: str | None = registered(
        None,
        "ba.solve.reduced:LINEAR_SOLVERS",
        "schur's linear solver: dense, sparse or cg; null chooses by size and fill",
    )
    cg_preconditioner: str = registered(
        "jacobi", "ba.solve.reduced:PRECONDITIONERS", "preconditioner of schur's conjugate gradients: jacobi or power"
    )
    max_iterations: int = Field(100, ge=0, description="accepted steps (lm: evaluations) at most")
    max_seconds: Positive | None = Field(
        None, description="seconds of solving at most, after which the best state so far is the result; null: no limit"
    )
    ftol: NonNegative = Field(1e-8, description="stop when a step lowers the cost by less than this share")
    xtol: NonNegative = Field(1e-10, description="stop when a step moves no number by more than this share of it")
    gtol: NonNegative = Field(1e-10, description="stop when the largest component of the gradient is below this")
    threads: int = Field(0, ge=0, description="threads for residuals and derivatives; 0: one a core")

    @model_validator(mode="after")
    def _check_preconditioner(self) -> Self:
        refuse(
            [
                (
                    self.preconditioner == "schur" and self.method != "trf",
                    f"solver.preconditioner: schur works with solver.method trf, not {self.method}; none is right",
                )
            ]
        )
        return self


class Output(Section):
    dir: AnyPath | None = Field(None, description="run folder; runs/NAME-TIME beside the working folder if not given")
    picture: bool = Field(True, description="write view.png")
    report: bool = Field(True, description="write report.html")


class Config(Section):
    """A run. A file with only `data.path` is complete."""

    data: Data = Field(description="what to reconstruct")
    rotation: str = registered("so3_left", "ba.model.rotation:ROTATIONS", "rotation parameterization")
    camera: Camera = Field(default_factory=Camera, description="which intrinsics are free")
    fix: Fix = Field(default_factory=Fix, description="what else is held fixed")
    gauge: Literal["free", "two_cameras", "three_points"] = Field(
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
        refuse_together(self.solver, self.loss, bounded=bool(self.camera.bounds))
        schur = self.camera.bounds and self.solver.preconditioner == "schur"
        refuse([(bool(schur), "solver.preconditioner: schur cannot keep camera.bounds; none is right")])
        return self


def refuse_together(solver: Solver, loss: Loss, *, bounded: bool) -> None:
    """Raise ValueError where scipy's `lm` is asked for what it does not have."""
    lm = solver.method == "lm"
    refuse(
        [
            (bounded and lm, "camera.bounds: lm knows none; set solver.method to trf or dogbox"),
            (
                lm and loss.name != "linear",
                f"loss.name: lm knows no {loss.name}, only linear; set solver.method to trf or dogbox",
            ),
        ]
    )
