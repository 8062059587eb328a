"""How a solve ends: its status, and the message that says why."""

from __future__ import annotations

from ba.solve.result import Status

Ending = tuple[Status, str]

INTERRUPTED = Status.INTERRUPTED, "stopped by Ctrl-C or another signal; this is the best state so far"
BY_OBSERVER = Status.INTERRUPTED, "stopped by the observer; this is the state that it was last told of"
OUT_OF_SECONDS = Status.MAX_SECONDS, "solver.max_seconds is over; this is the best state so far"
OUT_OF_ITERATIONS = Status.MAX_ITERATIONS, "solver.max_iterations reached"
BY_GRADIENT = Status.CONVERGED, "largest gradient component below solver.gtol"
BY_COST = Status.CONVERGED, "relative change of the cost below solver.ftol"
BY_STEP = Status.CONVERGED, "no number moves by more than solver.xtol of itself"
NO_LOWER = Status.CONVERGED, "no step lowers the cost in float64 any more"
NO_STEP = Status.FAILED, "no step lowers the cost, though the gradient is not zero"
STUCK = Status.FAILED, "no finite step lowers the cost at any damping"


class Stopped(Exception):
    """Raised inside a backend to end it there, with the state that was last recorded."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending[1])
        self.ending = ending


def of(stop: KeyboardInterrupt | Stopped) -> Ending:
    """How a solve ends that was stopped from outside."""
    return stop.ending if isinstance(stop, Stopped) else INTERRUPTED
