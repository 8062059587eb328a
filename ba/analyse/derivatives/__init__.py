"""Jacobians of the residual in every way there is, to trust one by the others.

    variables = make_variables(problem, ROTATIONS["so3_left"])
    J = jacobian(variables, variables.start, how="complex_step")

To add a way: write `way(residuals, variables, x) -> csr_array` and add one line to `JACOBIANS`. Tests and `ba check`
walk the registry.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ba.analyse.derivatives import ways
from ba.analyse.derivatives.automatic import automatic
from ba.analyse.derivatives.errors import KINDS as KINDS
from ba.analyse.derivatives.errors import Error as Error
from ba.analyse.derivatives.errors import groups_of as groups_of
from ba.analyse.derivatives.errors import largest_errors as largest_errors
from ba.analyse.derivatives.errors import rounding_slack as rounding_slack
from ba.errors import UserError
from ba.model.arrays import Array
from ba.model.residual import Residuals
from ba.model.variables import Variables
from ba.system.words import unknown

Compute = Callable[[Residuals, Variables, Array], csr_array]


@dataclass(frozen=True)
class Way:
    """A way to the Jacobian.

    tolerance: how far it may be from another exact way, as a share of the group's largest entry; difference quotients
    promise less, depending on the scale of the data, and prove nothing alone
    quadratic: its time grows with the square of the number of observations
    """

    compute: Compute
    tolerance: float
    quadratic: bool = False

    @property
    def exact(self) -> bool:
        return self.tolerance <= EXACT


EXACT = 1e-12

JACOBIANS: dict[str, Way] = {
    "analytic": Way(ways.analytic, EXACT),
    "vjp_rows": Way(ways.vjp_rows, EXACT, quadratic=True),
    "jvp_columns": Way(ways.jvp_columns, EXACT, quadratic=True),
    "forward": Way(ways.forward, 1e-4),
    "central": Way(ways.central, 1e-6),
    "complex_step": Way(ways.complex_step, EXACT),
    "complex_columns": Way(ways.complex_columns, EXACT, quadratic=True),
    "automatic": Way(automatic, EXACT),
}


def jacobian(variables: Variables, x: Array, how: str = "analytic", threads: int = 1) -> csr_array:
    """(2 n_obs, size) derivative of the whitened residual (rows u0 v0 u1 v1 ...) at x (size,), in one of `JACOBIANS`.

    Raises UserError for an unknown way, an x of another length, and where `automatic` lacks autograd or a formula.
    """
    if message := unknown(how, JACOBIANS, "way to find a Jacobian"):
        raise UserError(f"how: {message}")
    x = np.asarray(x, float)
    if x.shape != (variables.layout.size,):
        raise UserError(f"x: shape {x.shape} found, ({variables.layout.size},) is right")
    return JACOBIANS[how].compute(Residuals(variables.problem, threads), variables, x)
