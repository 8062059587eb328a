"""Families of residuals beside the reprojections: one file each.

    problem = replace(problem, terms=(PositionPrior(image=..., position=..., covariance=...),))
    solution = ba.solve(problem)

To add one: write one file with a frozen dataclass that derives from `Term`. It says how many residuals a member has,
what its members touch, and gives residuals and derivatives at a state. Solvers, Hessian products, sensitivities and the
count of free directions then take it as it is; nothing else knows its name. Add one line to `TERMS`, which the tests
walk; they try an example of it, a file in tests/support/terms.
"""

from ba.model.terms.alignment import AlignmentDistance, PointAlignment
from ba.model.terms.distance import Distance
from ba.model.terms.position import PositionPrior
from ba.model.terms.term import Term

TERMS: dict[str, type[Term]] = {
    "position": PositionPrior,
    "distance": Distance,
    "alignment": PointAlignment,
    "alignment_distance": AlignmentDistance,
}
