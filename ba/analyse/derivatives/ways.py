"""Ways to the Jacobian of the residual that share nothing but the function, or nothing but the answer.

Units through the operators, one a row (`vjp`: reverse mode, the scan of Theano's tutorial) or one a column (`jvp`:
forward mode), cost n times a product: quadratic. Each row reads one image, one camera and one point, so columns that
have the same place among an image's, a camera's or a point's numbers never meet in a row, and may all be moved at once:
a colouring with k + 3 + intrinsics + 3 colours for any number of images (Curtis, Powell and Reid, "On the estimation of
sparse Jacobian matrices", 1974). `complex_columns` believes no such thing: it moves one number at a time and keeps
whatever changes, which proves the pattern.

A complex step takes no difference, so nothing cancels: f'(x) = Im f(x + ih) / h to rounding for h = 1e-30 (Squire and
Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, lil_array, vstack

from ba.model.residual import Residuals
from ba.model.terms.stacked import columns_of, joined
from ba.model.variables import Variables

Array = NDArray[Any]
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
    function = _function(residuals, variables)
    columns = (_imaginary(function, x, np.array([j]))[0] / STEP for j in range(len(x)))
    return _stacked(columns, residuals.num_rows).T.tocsr()


def _function(residuals: Residuals, variables: Variables) -> Function:
    return lambda x: residuals.stacked(variables.at(x))


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
        moved = _distinct(column_of_obs, len(x))
        if len(moved):
            change, step = move(lambda x: residuals.residual(variables.at(x))[0], x, moved)
            step_of_obs = np.append(step, 1.0)[column_of_obs]
            blocks[:, :, colour] = change / step_of_obs[:, None]
    width = columns.reduced.shape[1]
    J = columns.csr(blocks[:, :, :width], blocks[:, :, width:])
    if not residuals.problem.terms:
        return J
    return csr_array(vstack([J, _one_by_one(residuals, variables, x, move)], format="csr"))


def _one_by_one(residuals: Residuals, variables: Variables, x: Array, move: Move) -> csr_array:
    """The rows of the other terms: they are few, and one may touch two blocks of the same family."""
    terms, layout = residuals.problem.terms, variables.layout
    touched = np.concatenate([columns_of(term, layout).ravel() for term in terms])
    moved = _distinct(touched, len(x))
    J = lil_array((sum(n * rows for n, rows in residuals.shapes[1:]), len(x)))
    for column in moved.tolist():
        change, step = move(lambda x: joined([term.residual(variables.at(x)) for term in terms]), x, np.array([column]))
        J[:, [column]] = (change / step[column])[:, None]
    return csr_array(J)


def _distinct(columns: Array, size: int) -> Array:
    """The columns that are free, each once."""
    present = np.zeros(size + 1, bool)
    present[columns] = True
    return np.flatnonzero(present[:-1])


def _units(size: int) -> Iterator[Array]:
    for i in range(size):
        unit = np.zeros(size)
        unit[i] = 1.0
        yield unit


def _stacked(rows: Iterable[Array], width: int) -> csr_array:
    """Rows as one sparse matrix, zeros left out."""
    indices, values, counts = [np.empty(0, int)], [np.empty(0)], [0]
    for row in rows:
        entries = np.flatnonzero(row)
        indices.append(entries)
        values.append(row[entries])
        counts.append(len(entries))
    data = np.concatenate(values), np.concatenate(indices), np.cumsum(counts)
    return csr_array(data, shape=(len(counts) - 1, width))
