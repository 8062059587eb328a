"""Names for the types of arrays; their shapes and units stand in the docstrings of what has them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Operator = Callable[[Array], Array]
Float = NDArray[np.float64]
Int = NDArray[np.int32]
Bool = NDArray[np.bool_]
