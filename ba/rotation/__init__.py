"""Rotation parameterizations: how the numbers a solver moves make a rotation.

To add one: write one file with its functions (copy `quaternion.py`), make a `Parameterization` of them, and add one
line to `ROTATIONS`. Tests, configuration and reports walk the registry. The mathematics is in `so3`.
"""

from ba.rotation import axis_angle, euler_xyz, matrix9, quaternion, so3_left, so3_right
from ba.rotation.parameterization import Parameterization

ROTATIONS: dict[str, Parameterization] = {
    "axis_angle": axis_angle.PARAMETERIZATION,
    "so3_left": so3_left.PARAMETERIZATION,
    "so3_right": so3_right.PARAMETERIZATION,
    "quaternion": quaternion.PARAMETERIZATION,
    "euler_xyz": euler_xyz.PARAMETERIZATION,
    "matrix9": matrix9.PARAMETERIZATION,
}

__all__ = ["ROTATIONS", "Parameterization"]
