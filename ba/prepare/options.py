"""Options of preparation: what is free, how the frame is held, and how the start is perturbed."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ba.config.section import NonNegative, Section, Selection, registered
from ba.prepare.select import PARAMETERS

Gauge = Literal["free", "two_cameras", "three_points"]

PARAMETER = "parameter of a camera model"


class Noise(Section):
    """Gaussian perturbation of the start, drawn with the seed of the run. All zeros: the input as it is."""

    rotation_deg: NonNegative = Field(0.0, description="sigma of each rotation vector component, degrees")
    position: NonNegative = Field(0.0, description="sigma of each camera centre coordinate, world units")
    points: NonNegative = Field(0.0, description="sigma of each point coordinate, world units")
    intrinsics: NonNegative = Field(0.0, description="relative sigma of each non-zero intrinsic parameter")

    @property
    def is_zero(self) -> bool:
        return not any(sigma for _, sigma in self)


class Camera(Section):
    refine: Literal["all", "none"] | list[str] = registered(
        "all",
        PARAMETERS,
        "intrinsics that are free, by name (f, k1, k2; fx, fy, cx, cy, skew), or all, or none",
        words=("all", "none"),
        what=PARAMETER,
    )
    bounds: dict[str, tuple[float, float]] = registered(
        {}, PARAMETERS, "[lowest, highest] of an intrinsic by name (trf or dogbox, no preconditioner)", what=PARAMETER
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        for name, (low, high) in self.bounds.items():
            if not low < high:
                raise ValueError(f"camera.bounds.{name}: [{low}, {high}] is empty; [lowest, highest] is right")
        return self


class Fix(Section):
    """What is held fixed, by index; fixed numbers keep their bits."""

    poses: Selection = Field("none", description="images whose rotation and translation are fixed")
    rotations: Selection = Field("none", description="images whose rotation is fixed")
    translations: Selection = Field("none", description="images whose translation (cam_from_world) is fixed")
    cameras: Selection = Field("none", description="cameras whose intrinsics are fixed")
    points: Selection = Field("none", description="points that are fixed")
