"""Runs of a comparison that are made up."""

import math
from dataclasses import replace

from ba.studies.comparison.outcome import Outcome

RUN = Outcome(
    dataset="dubrovnik", seed=0, label="so3_left", settings={"rotation": "so3_left"}, status="converged",
    message="relative change of cost below ftol", cost=(1000.0, 20.0, 10.5, 10.0), seconds=(0.0, 0.5, 1.0, 1.5),
    free_numbers=48, free_directions=7, condition=1e5, distance_from_so3=1e-15, difference=1e-8, truth_error=math.nan,
    flags=(),
)  # fmt: skip
OFF = replace(
    RUN, label="matrix9", cost=(1000.0, 1.0), seconds=(0.0, 0.1), distance_from_so3=0.09, flags=("off SO(3)",)
)
