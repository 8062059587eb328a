"""Options of the model: how rotations are parameterized, and what a residual costs."""

from typing import Annotated

from pydantic import Field

from ba.config.section import Positive, Section, registered
from ba.model.loss import LOSSES
from ba.model.rotation import ROTATIONS

Rotation = Annotated[str, registered(..., ROTATIONS, "rotation parameterization")]


class Loss(Section):
    name: str = registered("linear", LOSSES, "loss of an observation's squared whitened residual")
    scale: Positive = Field(1.0, description="residual at which the loss turns, px (with covariances: sigmas)")
