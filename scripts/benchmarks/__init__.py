"""Benchmarks, each a module with `main(arguments) -> exit code`, started by `scripts/bench NAME`.

To add one: write its module and add one line to `BENCHMARKS`. Only the module of the benchmark that runs is imported.
"""

BENCHMARKS: dict[str, tuple[str, str]] = {
    "race": ("race", "ba against Ceres and GTSAM, on the same files"),
    "scipy": ("least_squares", "three ways to use SciPy's least_squares, side by side"),
    "linear": ("linear", "the linear solvers of the backend schur on generated scenes, and what forming S costs"),
    "kernels": ("kernels", "each kernel of a step against the committed baseline"),
    "scaling": ("scaling", "time a step and memory against the number of observations"),
    "starts": ("starts", "from how many hard starts ba and Ceres reach the lowest cost"),
    "agree": ("agree", "whether the backends end at the same cost and state, for every rotation"),
    "all": ("everything", "measure what README quotes, part by part, and put it into the text"),
    "claims": ("check_claims", "whether the text says what was measured; --update makes it"),
}
"""Name of the benchmark: its module, and what it measures."""
