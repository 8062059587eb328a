"""What one run of a comparison brings back, as plain numbers that fit a row of a table."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a run brings back before it is timed.

    cost: at the start and after each accepted step
    condition: largest over smallest eigenvalue of the reduced normal equations at the end, scaled to unit diagonal and
        without the `free_directions` smallest, which gauge freedom leaves at zero; NaN where it was not computed
    distance_from_so3: largest |R^T R - I| of an image
    """

    status: str
    message: str
    cost: tuple[float, ...]
    free_numbers: int
    free_directions: int
    condition: float
    distance_from_so3: float

    @property
    def steps(self) -> int:
        return len(self.cost) - 1

    @property
    def final_cost(self) -> float:
        return self.cost[-1] if self.cost else math.nan


@dataclass(frozen=True, kw_only=True)
class Outcome(Ending):
    """One dataset, one seed of start noise, one combination of settings.

    label: the varied settings joined, such as `quaternion` or `quaternion, huber`; settings: them by key
    seconds: of the solve at the start and after each accepted step, taken with nothing else running
    difference: of the solution from the best of its dataset and seed after Sim(3) alignment, root mean square of
        points over their extent, NaN off SO(3)
    truth_error: the same difference from the ground truth, NaN where there is none
    flags: why this run must not be ranked beside the others, such as `lower cost off SO(3)`
    """

    dataset: str
    seed: int
    label: str
    settings: dict[str, str]
    seconds: tuple[float, ...]
    difference: float
    truth_error: float
    flags: tuple[str, ...]
