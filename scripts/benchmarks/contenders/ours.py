"""This program. A throw-away step first, so that the compiled kernels are loaded as a peer's are."""

import time

from ba.model.problem import Problem
from ba.solve import solve as solve_by
from ba.solve.options import Solver
from ba.solve.result import Iteration
from scripts.benchmarks.contest import MAX_ITERATIONS, Curve, Outcome, Task


def solve(problem: Problem, task: Task, *, backend: str) -> Outcome:
    solve_by(problem, options=Solver(backend=backend, max_iterations=1, threads=task.threads))
    options = Solver(
        backend=backend, ftol=task.ftol, xtol=0.0, gtol=0.0, max_iterations=MAX_ITERATIONS, threads=task.threads
    )
    curve = Curve()

    def observe(iteration: Iteration) -> None:
        curve.add(iteration.cost)
        if iteration.cost <= task.enough:
            raise KeyboardInterrupt

    solution = solve_by(problem, options=options, observer=observe)
    return Outcome(
        build_seconds=0.0,
        solve_seconds=time.perf_counter() - curve.began,
        curve=curve.points,
        problem=solution.problem,
        settings={"backend": backend, "linear_solver": solution.solver_details.get("linear_solver", "")},
        phases={name: value for name, value in solution.solver_details.items() if name.endswith("_seconds")},
    )
