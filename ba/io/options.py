"""Options of input: which file, or which generated scene."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ba.config.section import AnyPath, Finite, Fraction, Section, Seed, input_file, registered
from ba.io import READERS
from ba.model.camera import CAMERAS


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
    camera: str = registered("pinhole", CAMERAS, "camera model")
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
        matrix, determinant = [[a, b], [c, d]], a * d - b * c
        key = "data.scene.covariance_px2"
        if b != c:
            raise ValueError(f"{key}: {matrix} is not symmetric; [[xx, xy], [xy, yy]] is right")
        if min(a, d, determinant) < 0.0:
            raise ValueError(f"{key}: {matrix} has a negative eigenvalue; a covariance has none")
        if self.use_covariance and determinant <= 0.0:
            right = "weights need an invertible covariance_px2"
            raise ValueError(f"data.scene.use_covariance: {right}, {matrix} is singular")
        return self


class Data(Section):
    path: AnyPath | None = input_file("input file, relative to this configuration", or_folder=True)
    format: str | None = registered(None, READERS, "input format, guessed from the path if not given")
    scene: Scene | None = Field(None, description="generate a scene instead of reading a file")

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if self.path is None and self.scene is None:
            raise ValueError("data.path: nothing to read; set it, or set data.scene")
        if self.path is not None and self.scene is not None:
            right = "one of them is right, set the other to null or delete it"
            raise ValueError(f"data.scene: data.path is given too; {right}")
        if self.scene is not None and self.format not in (None, "synthetic"):
            raise ValueError(f"data.format: {self.format} is for data.path; delete it where data.scene is given")
        return self
