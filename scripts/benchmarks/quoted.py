"""Every sentence of README and of docstrings that says what was measured, and where its figures come from.

To quote a figure: write the sentence, and one `Claim` here. `scripts/bench claims` tells what is not as measured, and
`scripts/bench claims --update` mends it.
"""

from collections.abc import Callable, Iterable, Mapping
from math import ceil, floor, log10
from typing import Any

from scripts.benchmarks.claims import Claim
from scripts.benchmarks.provenance import kept

README = "README.md"
DUBROVNIK, LADYBUG, CUT = "dubrovnik-16-22106-pre", "ladybug-49-7776-pre", "ladybug-49-7776-pre-in-front"
PEERS = ("ceres", "ceres-native", "gtsam")
ROW = "{ba} | {ceres} | {ceres_native} | {gtsam} |"
NOT_RUN = "not run"
MORE = 1.25
"""Times as many steps or seconds as `so3_left` that are worth a word."""


def claims() -> list[Claim]:
    """All of them. Raises OSError or KeyError where a file of results is missing or lacks what is quoted."""
    return [*_opening(), *_comparison(), *_alignment(), *_check(), *_sensitivity(), *_scipy(), *_peers(), *_phases(),
            *_scaling(), *_starts(), *_linear(), *_in_docstrings()]  # fmt: skip


def short(number: float) -> str:
    """Two figures of it, three from a hundred."""
    digits = 0 if number >= 10.0 else 1 if number >= 1.0 else 2 if number >= 0.1 else 3
    return f"{number:.{digits}f}"


def times(number: float) -> str:
    return f"{number:.1f}" if number < 20.0 else f"{number:.0f}"


def listed(words: Iterable[str]) -> str:
    """a, b and c."""
    *rest, last = list(words) or ["none"]
    return f"{', '.join(rest)} and {last}" if rest else last


def place(taken: Mapping[str, Any]) -> str:
    """The machine, and the day."""
    machine = taken["machine"]
    return f"{machine['cores']} cores of an {machine['cpu']}, {taken['date']}"


class Race:
    """What one call of `scripts/bench race` left in its file of results."""

    def __init__(self, name: str, file: str) -> None:
        content = kept(name)
        self.taken, entry = content["taken"], content["results"][file]
        self.observations, self.contenders = entry["observations"], entry["contenders"]

    def seconds(self, who: str, share: str) -> float | None:
        return self.contenders[who]["seconds"][share] if who in self.contenders else None

    def ratio(self, who: str, share: str) -> str:
        theirs, ours = self.seconds(who, share), self.seconds("ba-schur", share)
        return times(theirs / ours) if theirs and ours else NOT_RUN

    def cell(self, who: str, share: str) -> str:
        if who not in self.contenders:
            return NOT_RUN
        theirs = self.seconds(who, share)
        return f"{short(theirs)} ({self.ratio(who, share)}x)" if theirs else "never"

    def row(self, share: str) -> dict[str, str]:
        """The cells of a row of README's table."""
        ours = self.seconds("ba-schur", share)
        return {"ba": short(ours) if ours else NOT_RUN} | {
            who.replace("-", "_"): self.cell(who, share) for who in PEERS
        }

    def said(self, who: str, name: str) -> str:
        """A version or a setting of a contender."""
        found = self.contenders.get(who, {"settings": {}, "versions": {}})
        return str((found["settings"] | found["versions"]).get(name, NOT_RUN))


def _opening() -> Iterable[Claim]:
    race = Race("bench-bal", DUBROVNIK)
    yield Claim(
        README,
        "by a Schur solver of its own that is {wheel} times as fast on Dubrovnik-16 as the PyPI wheel of Ceres "
        "({native} a Ceres built for the machine);",
        {
            "wheel": race.ratio("ceres", "0.0001"),
            "native": "not compared with"
            if (ratio := race.ratio("ceres-native", "0.0001")) == NOT_RUN
            else f"{ratio} times as fast as",
        },
    )


def _peers() -> Iterable[Claim]:
    bal, ladybug, cut = (Race("bench-bal", DUBROVNIK), Race("bench-bal", LADYBUG), Race("bench-in-front", CUT))
    street, internet = Race("bench-street-2000", "solution"), Race("bench-internet-2000", "solution")
    yield Claim(
        README,
        "of the lowest cost, two threads, on {place}:\n\n| data |",
        {"place": place(bal.taken)},
    )
    rows = [
        (f"| {name}, to {word} | {ROW}", race.row(share))
        for name, race in (("Dubrovnik-16", bal), ("Ladybug-49", ladybug), ("Ladybug-49 in front", cut))
        for word, share in (("1e-4", "0.0001"), ("1e-6", "1e-06"))
    ]
    for name, race in (("street", street), ("internet", internet)):
        link = f"[{name}-2000](configs/{name}-2000.yaml)"
        rows.append((f"| {link}, {race.observations:,} observations, to 1e-4 | {ROW}", race.row("0.0001")))
    yield from (Claim(README, text, row) for text, row in rows)
    yield Claim(
        README,
        "The PyPI wheels are pyceres {pyceres} with pycolmap {pycolmap} (Ceres {ceres}) and gtsam {gtsam}; the native "
        "Ceres ({native}) is its own example bundle_adjuster.",
        {
            "pyceres": bal.said("ceres", "pyceres"),
            "pycolmap": bal.said("ceres", "pycolmap"),
            "ceres": bal.said("ceres", "ceres"),
            "gtsam": bal.said("gtsam", "gtsam"),
            "native": ", ".join(dict.fromkeys(bal.said("ceres-native", name) for name in ("ceres", "built"))),
        },
    )


def _scipy() -> Iterable[Claim]:
    content = kept("scipy")
    for way, text in (
        ("schur", "| `preconditioner: schur` | {seconds} | {ratio} |"),
        ("none", "| `preconditioner: none` (plain LSMR on the analytic Jacobian) | {seconds} | {ratio} |"),
        ("cookbook", "| the SciPy cookbook (finite differences with `jac_sparsity`) | {seconds} | {ratio} |"),
    ):
        row = content["results"][way]
        yield Claim(README, text, {"seconds": short(row["seconds"]), "ratio": f"{row['ratio']:.0f}"})
    yield Claim(README, "lowest cost known, 18033.9035, on {place}:", {"place": place(content["taken"])})


def _phases() -> Iterable[Claim]:
    ms = kept("kernels")["results"]
    yield Claim(
        README,
        "A step on Dubrovnik-16 takes {derivatives} ms for residuals and derivatives and {elimination} ms to eliminate "
        "the points.",
        {name: short(ms[kernel]["2"]) for name, kernel in
         (("derivatives", "linearization"), ("elimination", "elimination"))},
    )  # fmt: skip
    yield Claim(
        "ba/model/residual.py",
        "Dubrovnik's 84 k take {one} ms on one thread and {two} ms on two",
        {name: short(ms["linearization"][threads]) for name, threads in (("one", "1"), ("two", "2"))},
    )


def _scaling() -> Iterable[Claim]:
    found = kept("scaling")["results"]
    largest = found["sizes"]["10000000"]
    yield Claim(
        README,
        "On streets, time a step grows as observations^{power} from 10^5 to 10^7; 10^7 observations take {step} s a "
        "step, {memory} GB, and are within 1e-3 of the noise floor after {near} s.",
        {
            "power": f"{found['powers']['step_seconds']:.2f}",
            "step": short(largest["step_seconds"]),
            "memory": f"{largest['peak_mb'] / 1e3:.1f}",
            "near": short(largest["near_seconds"]),
        },
    )


def _starts() -> Iterable[Claim]:
    found = kept("starts")["results"]["reached"]
    counts = {(who, kind): by_kind[kind] for who, by_kind in found.items() for kind in by_kind}
    yield Claim(
        README,
        "Of {new} seeds that nothing was tuned on: `schur` {schur}, the default `scipy` {scipy}, Ceres {ceres}. Of the "
        "{tuned} seeds by which the first damping of `schur` was chosen: {schur_tuned}, {scipy_tuned} and "
        "{ceres_tuned}.",
        {
            "new": str(counts["ba-schur", "new"][1]),
            "schur": str(counts["ba-schur", "new"][0]),
            "scipy": str(counts["ba-scipy", "new"][0]),
            "ceres": str(counts["ceres", "new"][0]),
            "tuned": str(counts["ba-schur", "tuned"][1]),
            "schur_tuned": str(counts["ba-schur", "tuned"][0]),
            "scipy_tuned": str(counts["ba-scipy", "tuned"][0]),
            "ceres_tuned": str(counts["ceres", "tuned"][0]),
        },
    )


def _in_docstrings() -> Iterable[Claim]:
    counts = kept("starts")["results"]["reached"]["ba-schur"].values()
    yield Claim(
        "ba/solve/levenberg_marquardt.py",
        "From {of} hard starts of Dubrovnik-16",
        {"of": str(sum(of for _, of in counts))},
    )
    yield Claim(
        "ba/solve/levenberg_marquardt.py",
        "and 0.02 times the share from {home}.",
        {"home": str(sum(home for home, _ in counts))},
    )


def _linear() -> Iterable[Claim]:
    found = kept("linear")["results"]
    by = {name: {linear: short(value) for linear, value in found[name]["seconds"].items()}
          for name in ("street-50", "street-300", "street-2000", "internet-2000")}  # fmt: skip
    product, unformed = (f"{1e3 * found['products'][f'{how}_product']:.0f}" for how in ("formed", "unformed"))
    small, middle, large, internet = by["street-50"], by["street-300"], by["street-2000"], by["internet-2000"]
    streets = {"a": small["dense"], "b": small["sparse"], "c": middle["dense"], "d": middle["sparse"]}
    streets |= {"e": large["sparse"], "f": large["cg"]}
    yield Claim(README, "street, 450 numbers: `dense` {a} s, `sparse` {b} s |", streets)
    yield Claim(README, "street, 2700: `dense` {c} s, `sparse` {d} s; 18,000: `sparse` {e} s, `cg` {f} s |", streets)
    yield Claim(
        README,
        "internet, 2000 images, {share} % of the blocks: `sparse` {sparse} s, `cg` {cg} s |",
        {"share": f"{100 * found['internet-2000']['blocks']:.0f}", "sparse": internet["sparse"], "cg": internet["cg"]},
    )
    yield Claim(
        README,
        "internet, 2000 images: {elimination} s to eliminate and {unformed} ms a product, not {made} s and {product} "
        "ms |",
        {
            "elimination": short(found["products"]["unformed_elimination"]),
            "unformed": unformed,
            "made": short(found["products"]["formed_elimination"] + found["products"]["formed_preparation"]),
            "product": product,
        },
    )
    yield Claim(
        "ba/solve/reduced/choice.py",
        "450 numbers dense {a} s, sparse {b} s; 2700 numbers {c} s and {d} s; 18000 numbers sparse {e} s, conjugate "
        "gradients {f} s.",
        streets,
    )
    yield Claim(
        "ba/solve/reduced/choice.py",
        "takes 160: {sparse} s to within 1e-4 of the minimum, where conjugate gradients take {cg} s.",
        {"sparse": internet["sparse"], "cg": internet["cg"]},
    )
    yield Claim(
        "ba/solve/reduced/choice.py",
        "forming it takes {formed} s, its two triangles {triangles} s and a product {product} ms; without it the "
        "elimination takes {elimination} s and a product {unformed} ms.",
        {
            "formed": short(found["products"]["formed_elimination"]),
            "triangles": short(found["products"]["formed_preparation"]),
            "product": product,
            "elimination": short(found["products"]["unformed_elimination"]),
            "unformed": unformed,
        },
    )
    yield Claim(
        "ba/solve/reduced/sparse.py",
        "a solve takes {superlu} s with SuperLU and {blocks} s with this.",
        {name: short(value) for name, value in found["factors"].items()},
    )


def _sensitivity() -> Iterable[Claim]:
    found = kept("sensitivity")["results"]
    (least, most), (lowest, highest) = found["gauss_newton"], found["curvature"]
    yield Claim(
        README,
        "on Dubrovnik-16 the exact operators are off by {exact} at most, those of Gauss-Newton by {least} to {most}; "
        "the Hessian is between {below} % below its matrix and {above} % above.",
        {
            "exact": _bound(found["exact"], ceil),
            "least": _bound(least, floor),
            "most": _bound(most, ceil),
            "below": f"{-100 * lowest:.0f}",
            "above": f"{100 * highest:.0f}",
        },
    )


def _bound(number: float, rounded: Callable[[float], int]) -> str:
    """One digit and the power of ten, on the side that keeps what is said of all numbers true."""
    power = floor(log10(number))
    return f"{rounded(number / 10.0**power)}e{power}"


def _check() -> Iterable[Claim]:
    table = "\n".join(kept("check")["results"]["table"])
    yield Claim(README, "`ba check configs/quickstart.yaml`:\n\n```text\n{table}\n```", {"table": table})


def _alignment() -> Iterable[Claim]:
    found = kept("rotation-alignment")["results"]
    vector, norm = ({name: steps for name, steps in found["steps"][kind].items() if name != "matrix9"}
                    for kind in ("vector", "norm"))  # fmt: skip
    distances = found["to_closed_form"]
    worst = max(value for by in distances.values() for name, value in by.items() if name != "matrix9")
    yield Claim(
        README,
        "every rotation ends within {worst} rad of the closed form, in {least} to {most} steps; with its norm, which "
        "has the same cost but a third of the Gauss-Newton matrix, it takes {least_norm} to {most_norm}. `matrix9` "
        "leaves SO(3): its nearest rotation is {off} rad off.",
        {
            "worst": _up(worst),
            "least": str(min(vector.values())),
            "most": str(max(vector.values())),
            "least_norm": str(min(norm.values())),
            "most_norm": str(max(norm.values())),
            "off": _bound(distances["vector"]["matrix9"], round),
        },
    )
    yield Claim(
        README,
        "From 150, 170 and 179 degrees away all rotations always reach the optimum but {vector}; with the norm, but "
        "{norm}.",
        {kind: listed(_shares(found["reached"][kind])) for kind in ("vector", "norm")},
    )


def _up(number: float) -> str:
    """The next power of ten."""
    return f"1e{int(f'{number:e}'.split('e')[1]) + 1}"


def _shares(by_rotation: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    for name, by_angle in by_rotation.items():
        shares = [by_angle[angle] for angle in ("150", "170", "179")]
        if min(shares) < 1.0:
            yield f"`{name}` ({', '.join(f'{100 * share:.0f}' for share in shares)} %)"


def _comparison() -> Iterable[Claim]:
    content = kept("compare")
    found = content["results"]
    ladybug = {name: row for name, row in found["ladybug-49"].items() if row["stays_rotation"]}
    best = {dataset: by["so3_left"] for dataset, by in found.items()}
    yield Claim(
        README,
        "On {place}, the medians to within 1e-6 of the lowest cost are, with `so3_left`, {d_steps} steps and "
        "{d_seconds} s on Dubrovnik-16, {l_steps} and {l_seconds} s on Ladybug-49. A quarter more steps or worse take "
        "{steps}; a quarter more time or worse {seconds}. Never within 1e-4 of the lowest cost come {failed}, of "
        "{runs} runs each; all others always do. Within 1e-6 {near} of {of} runs on Ladybug-49 never come. {off} "
        "leaves SO(3).",
        {
            "place": place(content["taken"]),
            "d_steps": f"{best['dubrovnik-16']['steps']:.0f}",
            "d_seconds": short(best["dubrovnik-16"]["seconds"]),
            "l_steps": f"{best['ladybug-49']['steps']:.0f}",
            "l_seconds": short(best["ladybug-49"]["seconds"]),
            "steps": listed(_slower(found, "steps")),
            "seconds": listed(_slower(found, "seconds")),
            "failed": listed(_failed(found)),
            "runs": str(sum(by["so3_left"]["runs"] for by in found.values())),
            "near": str(sum(row["never_near"] for row in ladybug.values())),
            "of": str(sum(row["runs"] for row in ladybug.values())),
            "off": listed(f"`{name}`" for name, row in found["ladybug-49"].items() if not row["stays_rotation"]),
        },
    )


def _slower(found: Mapping[str, Any], measure: str) -> Iterable[str]:
    """Each rotation that takes MORE times what `so3_left` takes on one of the datasets, with the most that it takes."""
    for name, row in found["ladybug-49"].items():
        if name != "so3_left" and row["stays_rotation"]:
            factors = {at: _factor(by[name][measure], by["so3_left"][measure]) for at, by in found.items()}
            at = max(factors, key=lambda dataset: factors[dataset])
            if factors[at] >= MORE:
                yield (
                    f"`{name}` (" + (f"{times(factors[at])}x" if factors[at] < float("inf") else "never") + f" on {at})"
                )


def _factor(theirs: float | None, ours: float) -> float:
    return float("inf") if theirs is None else theirs / ours


def _failed(found: Mapping[str, Any]) -> Iterable[str]:
    for name in found["ladybug-49"]:
        rows = [by[name] for by in found.values()]
        if rows[0]["stays_rotation"] and (count := sum(row["never_reached"] for row in rows)):
            yield f"`{name}` ({count})"
