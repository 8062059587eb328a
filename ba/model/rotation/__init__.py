"""Rotation parameterizations: how the numbers a solver moves make a rotation.

To add one: write one file with its functions (copy `quaternion.py`), make a `Parameterization` of them, and add one
line to `ROTATIONS`. Tests, configuration and reports walk the registry. The mathematics is in `so3`.
"""

from ba.model.rotation import (
    axis_angle,
    cayley,
    columns6,
    euler,
    matrix9,
    modified_rodrigues,
    quaternion,
    so3_left,
    so3_right,
    unit_quaternion,
)
from ba.model.rotation.parameterization import Parameterization, isotropy

ROTATIONS: dict[str, Parameterization] = {
    "axis_angle": axis_angle.PARAMETERIZATION,
    "so3_left": so3_left.PARAMETERIZATION,
    "so3_right": so3_right.PARAMETERIZATION,
    "quaternion": quaternion.PARAMETERIZATION,
    "unit_quaternion": unit_quaternion.PARAMETERIZATION,
    "modified_rodrigues": modified_rodrigues.PARAMETERIZATION,
    "cayley": cayley.PARAMETERIZATION,
    **euler.PARAMETERIZATIONS,
    "columns6": columns6.PARAMETERIZATION,
    "matrix9": matrix9.PARAMETERIZATION,
}

__all__ = ["ROTATIONS", "Parameterization", "isotropy"]
