"""Cost above the lowest against time, all runs of all contenders on one file, as a PNG."""

from pathlib import Path

from scripts.benchmarks.table import Runs


def draw(runs: Runs, lowest: float, title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    least = 1e-9 * lowest
    for number, (name, group) in enumerate(runs.items()):
        for repeat, run in enumerate(group):
            seconds, costs = zip(*run["curve"], strict=True)
            axes.plot(
                [max(second, 1e-3) for second in seconds], [max(cost - lowest, least) for cost in costs],
                "o-", markersize=3, linewidth=1, color=f"C{number}", alpha=0.7, label=name if repeat == 0 else None,
            )  # fmt: skip
    for share in (1e-4, 1e-5, 1e-6):
        axes.axhline(share * lowest, color="black", linewidth=0.5, linestyle=":")
        axes.annotate(f"{share:g}", (1.0, share * lowest), xycoords=("axes fraction", "data"), fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel=f"cost - {lowest:.7g}, px²", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
