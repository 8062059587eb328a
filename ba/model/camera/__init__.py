"""Camera models: point in camera -> pixel, with both derivatives.

To add a model: write one file with its formulas (copy `pinhole.py`), make a `CameraModel` of them, and add one line to
`CAMERAS`. Tests, configuration and reports walk the registry; they hold the model to its formula written a second time,
a file in tests/support/cameras.
"""

from ba.model.camera import bal, pinhole
from ba.model.camera.model import BEHIND, INSIDE, OUTSIDE, CameraModel

CAMERAS: dict[str, CameraModel] = {
    "bal": bal.MODEL,
    "pinhole": pinhole.MODEL,
}

__all__ = ["BEHIND", "CAMERAS", "INSIDE", "OUTSIDE", "CameraModel"]
