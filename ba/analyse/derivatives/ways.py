"""Ways to compute the Jacobian of the residual. They are independent of each other, so that each checks the others.

`vjp_rows` takes the products J^T e with unit vectors e, one a row (reverse mode, the scan of Theano's tutorial), and
`jvp_columns` the products J e, one a column (forward mode): n times the cost of a product, which is quadratic. Each row
reads one image, one camera and one point. So columns that stand at the same place among an image's, a camera's or a
point's numbers never meet in a row, and may all be moved at once: a colouring with k + 3 + intrinsics + 3 colours for
any number of images (Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices", 1974).
`complex_columns` does not rely on that pattern: it moves one number at a time and keeps whatever changes, which proves
the pattern.

A complex step takes no difference, so nothing cancels: f'(x) = Im f(x + ih) / h to rounding for h = 1e-30 (Squire and
Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.sparse import csr_array, vstack

from ba.model.arrays import Array
from ba.model.residual import Residuals
from ba.model.terms.stacked import columns_of, joined
from ba.model.variables import Variables

Function = Callable[[Array], Array]
Move = Callable[[Function, Array, Array], tuple[Array, Array]]
"""move(f, x, columns): by how much f changes as these columns move together, and their steps, (size,)."""

STEP = 1e-30
FORWARD, CENTRAL = float(np.finfo(float).eps ** 0.5), float(np.finfo(float).eps ** (1.0 / 3.0))


def analytic(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """The blocks that solvers use."""
    return residuals.linearize(variables, x).csr()


def vjp_rows(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """J^T e for each row's unit e: `grad_outputs` of automatic differentiation."""
    linearization = residuals.linearize(variables, x)
    return _stacked((linearization.vjp(unit) for unit in _units(residuals.num_rows)), len(x))


def jvp_columns(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """J e for each column's unit e."""
    linearization = residuals.linearize(variables, x)
    return _stacked((linearization.jvp(unit) for unit in _units(len(x))), residuals.num_rows).T.tocsr()


def forward(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """(f(x + h) - f(x)) / h by colours; half of the digits."""

    def ahead(function: Function, x: Array, columns: Array) -> tuple[Array, Array]:
        moved = _moved(x, columns, FORWARD)
        return function(moved) - function(x), moved - x

    return _coloured(residuals, variables, x, ahead)


def central(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """(f(x + h) - f(x - h)) / 2h by colours; two thirds of the digits."""
    return _coloured(residuals, variables, x, _both_sides)


def complex_step(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """Im f(x + ih) / h by colours; all of the digits."""
    return _coloured(residuals, variables, x, _imaginary)


def complex_columns(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """Im f(x + ih) / h column by column: what is zero here does not depend on that number."""
    everything = np.ones(len(x), bool)
    return _one_by_one(lambda x: residuals.stacked(variables.at(x)), x, everything, _imaginary)


def _both_sides(function: Function, x: Array, columns: Array) -> tuple[Array, Array]:
    ahead, behind = _moved(x, columns, CENTRAL), _moved(x, columns, -CENTRAL)
    return function(ahead) - function(behind), ahead - behind


def _imaginary(function: Function, x: Array, columns: Array) -> tuple[Array, Array]:
    aside = x.astype(complex)
    aside[columns] += 1j * STEP
    return function(aside).imag, aside.imag


def _moved(x: Array, columns: Array, share: float) -> Array:
    moved = x.copy()
    moved[columns] += share * np.maximum(np.abs(x[columns]), 1.0)
    return moved


def _coloured(residuals: Residuals, variables: Variables, x: Array, move: Move) -> csr_array:
    columns = residuals.columns(variables.layout)
    touched = np.hstack([columns.reduced, columns.points])
    blocks = np.zeros((len(touched), 2, touched.shape[1]))
    for colour, column_of_obs in enumerate(touched.T):
        moved = np.flatnonzero(np.bincount(column_of_obs + 1)[1:])
        if len(moved):
            change, step = move(lambda x: residuals.residual(variables.at(x))[0], x, moved)
            step_of_obs = np.append(step, 1.0)[column_of_obs]
            blocks[:, :, colour] = change / step_of_obs[:, None]
    width = columns.reduced.shape[1]
    J = columns.csr(blocks[:, :, :width], blocks[:, :, width:])
    if not residuals.problem.terms:
        return J
    terms, layout = residuals.problem.terms, variables.layout
    touched = np.zeros(len(x) + 1, bool)
    for term in terms:
        touched[columns_of(term, layout)] = True
    of_terms = _one_by_one(lambda x: joined([term.residual(variables.at(x)) for term in terms]), x, touched[:-1], move)
    return csr_array(vstack([J, of_terms], format="csr"))


def _one_by_one(function: Function, x: Array, touched: Array, move: Move) -> csr_array:
    """Derivatives by each number that is touched, (size,) bool; a term may touch two blocks of the same family, so that
    colours do not serve."""

    def derivative(column: int) -> Array:
        change, step = move(function, x, np.array([column]))
        return np.asarray(change / step[column])

    nothing = np.zeros(len(function(x)))
    columns = (derivative(j) if touched[j] else nothing for j in range(len(x)))
    return _stacked(columns, len(nothing)).T.tocsr()


def _units(size: int) -> Iterator[Array]:
    for i in range(size):
        unit = np.zeros(size)
        unit[i] = 1.0
        yield unit


def _stacked(rows: Iterable[Array], width: int) -> csr_array:
    """Rows as one sparse matrix, zeros left out."""
    return csr_array(vstack([csr_array((0, width)), *(csr_array(row[None]) for row in rows)], format="csr"))
