"""The forecast of a run's memory (`ba.analyse.memory`) against the peak of `ba run`, each run in a process of its own.

    scripts/memory [--sizes 1e5,3e5,1e6] [--only "scipy, preconditioner none"] [--kind street_loop] [--iterations 2]

A line for each size and way to solve: resident memory at the peak, forecast and measured (VmHWM, Linux only), and the
time that the forecast took. Nothing is drawn, and kernels are compiled before. Ends with 1 where a forecast is off by
more than 20 %.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts import environment, python

TOLERANCE = 0.2
PER_IMAGE = 200
"""Observations of an image."""


@dataclass(frozen=True)
class Order:
    """A generated scene and a way of `ba.analyse.memory.WAYS` to solve it."""

    kind: str
    observations: int
    way: str
    iterations: int = 2
    images: int | None = None


@dataclass(frozen=True)
class Measured:
    """Bytes at the peak, and seconds that the forecast took."""

    forecast: int
    peak: int
    seconds: float

    @property
    def error(self) -> float:
        """Of the forecast, as a share of the peak."""
        return self.forecast / self.peak - 1.0


def measure(order: Order) -> Measured:
    """Forecast and run, in a process of its own. Raises CalledProcessError where the run fails."""
    command = python("memory", "--one", *asdict(order).values())
    lines = subprocess.run(
        command, env=environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()
    forecast, peak, seconds = lines[-1].split()
    return Measured(int(forecast), int(peak), float(seconds))


def run_one(order: Order) -> str:
    """Forecast, peak in bytes and seconds of the forecast, for a run in this process."""
    from ba import pipeline
    from ba.analyse import memory
    from ba.io.options import Data, Scene
    from ba.model.rotation import ROTATIONS
    from ba.options import Config
    from ba.prepare.conditioning import condition
    from ba.prepare.options import Noise
    from ba.show.options import Output
    from ba.solve.options import Solver

    images = order.images or max(order.observations // PER_IMAGE, 2)
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            data=Data(scene=Scene(kind=order.kind, observations=order.observations, images=images, camera="bal")),
            noise=Noise(rotation_deg=0.05, position=0.01, points=0.01),
            solver=Solver(max_iterations=order.iterations, **memory.WAYS[order.way]),
            output=Output(dir=Path(folder) / "run", picture=False),
        )
        problem = pipeline.run(config).solution.problem
        peak = peak_bytes()
    began = time.perf_counter()
    sizes = memory.measured(condition(problem).problem, ROTATIONS[config.rotation].tangent_dim)
    forecast = sum(memory.forecast(sizes, config.solver).values())
    return f"{forecast} {peak} {time.perf_counter() - began}"


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def parse(arguments: list[str]) -> argparse.Namespace:
    from ba.analyse.memory import WAYS
    from ba.io.scenes import LAYOUTS

    parser = argparse.ArgumentParser(
        prog="scripts/memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="1e5,3e5,1e6", help="observations, joined by commas (1e5,3e5,1e6)")
    parser.add_argument("--only", action="append", choices=list(WAYS), help="a way to solve; repeatable (all)")
    parser.add_argument("--kind", default="street_loop", choices=list(LAYOUTS), help="kind of scene (street_loop)")
    parser.add_argument("--images", type=int, help=f"images (one for {PER_IMAGE} observations)")
    parser.add_argument("--iterations", type=int, default=2, help="accepted steps (2)")
    return parser.parse_args(arguments)


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        kind, observations, way, iterations, images = sys.argv[2:]
        told = run_one(Order(kind, int(observations), way, int(iterations), None if images == "None" else int(images)))
        print(told)
        return 0
    options = parse(sys.argv[1:])
    from ba.analyse.memory import WAYS

    print(f"{'observations':>12}  {'way':<28}{'forecast MB':>12}{'measured MB':>12}{'off':>8}{'forecast s':>12}")
    worst = 0.0
    for size in (int(float(text)) for text in options.sizes.split(",")):
        for way in options.only or WAYS:
            found = measure(Order(options.kind, size, way, options.iterations, options.images))
            worst = max(worst, abs(found.error))
            print(
                f"{size:>12,}  {way:<28}{found.forecast / 1e6:>12,.0f}{found.peak / 1e6:>12,.0f}"
                f"{100 * found.error:>+7.1f}%{found.seconds:>12.2f}",
                flush=True,
            )
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
