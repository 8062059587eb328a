"""Options of solving: what each backend alone has, and what all of them obey. `solver` has the keys of all of them.

To add keys for a backend: a class in a file of its own, named in the backend's line of `ba.solve.backends.SOLVERS`, of
which `Solver` is made. Keys of a backend that is not chosen are accepted and do nothing.
"""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, create_model, model_validator

from ba.config.section import NonNegative, Positive, Section, registered
from ba.model.options import Loss, Rotation
from ba.solve.backends import SOLVERS
from ba.solve.reduced import LINEAR_SOLVERS, PRECONDITIONERS


class Choice(Section):
    backend: str = registered("scipy", SOLVERS, "which solver")


class Scipy(Section):
    method: Literal["trf", "dogbox", "lm"] = Field("trf", description="scipy's method; lm is dense, for small problems")
    preconditioner: Literal["none", "schur"] = Field(
        default_factory=lambda solver: "schur" if solver.get("method") == "trf" else "none",
        description="change of variables for scipy's trf; if not given: schur, or none with bounds, dogbox or lm",
    )

    @model_validator(mode="after")
    def _check_preconditioner(self) -> Self:
        if self.preconditioner == "schur" and self.method != "trf":
            right = f"schur works with solver.method trf, not {self.method}; none is right"
            raise ValueError(f"solver.preconditioner: {right}")
        return self


class Schur(Section):
    linear: str | None = registered(
        None,
        LINEAR_SOLVERS,
        "schur's linear solver: dense, sparse or cg; null chooses by size and fill",
    )
    cg_preconditioner: str = registered(
        "jacobi", PRECONDITIONERS, "preconditioner of schur's conjugate gradients: jacobi or power"
    )


class Limits(Section):
    """When to stop and how many threads to use, which every backend obeys."""

    max_iterations: int = Field(100, ge=0, description="accepted steps (lm: evaluations) at most")
    max_seconds: Positive | None = Field(
        None, description="seconds of solving at most, after which the best state so far is the result; null: no limit"
    )
    ftol: NonNegative = Field(1e-8, description="stop when a step lowers the cost by less than this share")
    xtol: NonNegative = Field(1e-10, description="stop when a step moves no number by more than this share of it")
    gtol: NonNegative = Field(1e-10, description="stop when the largest component of the gradient is below this")
    threads: int = Field(0, ge=0, description="threads for residuals and derivatives; 0: one a core")


if TYPE_CHECKING:

    class Solver(Limits, Schur, Scipy, Choice):
        """What is known of it here; a backend that is added reads its own keys as its own section has them."""

else:
    # Fields are listed from the last base to the first.
    _OWN = [entry.keys for entry in SOLVERS.values() if entry.section]
    Solver = create_model("Solver", __base__=(Limits, *reversed(_OWN), Choice), __module__=__name__)


class Settings(Section):
    """What `ba.solve` is asked, with the keys that a run has for it."""

    rotation: Rotation = "so3_left"
    loss: Loss = Field(default_factory=Loss, description="robust loss")
    solver: Solver = Field(default_factory=Solver, description="how the minimum is searched")
