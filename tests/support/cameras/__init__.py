"""Camera models written a second time, with numpy alone: one file each, named after the model.

Each has `pixel(params, x, y) -> [u, v]` of one point (x, y) = (X / Z, Y / Z), and leaves unread what may stand behind
the model's own parameters. `PROJECTED` is made of the files, so a model that is added has its own beside these.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

import numpy as np

PROJECTED: dict[str, Callable[[np.ndarray, float, float], list[float]]] = {
    module.name: import_module(f"{__name__}.{module.name}").pixel for module in iter_modules(__path__)
}
