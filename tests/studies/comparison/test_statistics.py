"""Statistics of a comparison are medians and largest values that are worked out here from the runs themselves."""

import csv
import io as text_io
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ba.model.rotation import so3
from ba.model.similarity import Similarity
from ba.options import Config
from ba.solve.result import Iteration
from ba.studies.comparison import measure, results
from ba.studies.comparison.conclusions import conclude
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import best_cost, course, profile, ranked, seconds_to, spreads, steps_to
from ba.studies.comparison.results import Summary, distance, summaries, write
from ba.studies.comparison.table import print_summary
from tests.support.outcomes import OFF, RUN


def seeds(label: str = "so3_left", n: int = 5) -> list[Outcome]:
    """Runs that differ in every number, none symmetrically about its median."""
    spread = [1.0, 2.0, 3.0, 30.0, 300.0]
    return [
        replace(
            RUN,
            label=label,
            seed=seed,
            cost=(1000.0, *[10.002] * seed, 10.0),
            seconds=tuple(spread[seed] * k for k in range(seed + 2)),
            condition=1e5 * spread[seed],
            distance_from_so3=1e-15 * spread[seed],
            difference=1e-9 * spread[seed],
            truth_error=1e-3 * spread[seed],
        )
        for seed in range(n)
    ]


def test_a_row_has_medians_over_the_seeds_and_the_largest_distance_from_so3() -> None:
    (row,) = summaries(seeds())
    assert row.condition == 3e5
    assert row.distance_from_so3 == pytest.approx(3e-13)
    assert row.difference == pytest.approx(3e-9)
    assert row.truth_error == pytest.approx(3e-3)
    assert (row.free_numbers, row.free_directions, row.of) == (48, 7, 5)
    # At a share of 1e-3 the first step arrives with every seed; at 1e-4 the last of each, which is step seed + 1.
    assert row.steps == (1.0, 1.0, 1.0, 3.0, 3.0, 3.0)
    firsts = np.median([1.0, 2.0, 3.0, 30.0, 300.0])
    lasts = np.median([1.0, 4.0, 9.0, 120.0, 1500.0])
    assert row.seconds == (firsts, firsts, firsts, lasts, lasts, lasts)


def test_failures_are_counted_at_a_ten_thousandth_and_apart_from_the_unranked() -> None:
    helper = seeds("helper")
    found = [
        replace(run, label="x", cost=(1000.0, 10.0 * (1.0 + share)), seconds=(0.0, 1.0))
        for run, share in zip(helper, (0.9e-4, 1.1e-4, 5e-4, 2e-3, 0.0), strict=True)
    ]
    found[4] = replace(found[4], flags=("another problem",))
    row = summaries(helper + found)[1]
    assert (row.failures, row.unranked, row.of) == (3, 1, 5)
    spread = spreads(helper + found, seconds_to, 1e-4)[RUN.dataset, "x"]
    assert (spread.median, spread.low, spread.high, spread.failures) == (math.inf, 1.0, math.inf, 3)


def test_a_spread_has_the_smallest_the_median_and_the_largest() -> None:
    spread = spreads(seeds(), seconds_to, 1e-6)[RUN.dataset, "so3_left"]
    assert (spread.low, spread.median, spread.high) == (1.0, 9.0, 1500.0)


@pytest.mark.parametrize(("off", "may"), [(0.9e-6, True), (2e-8, True), (1.1e-6, False)])
def test_a_millionth_off_so3_may_not_be_ranked(off: float, may: bool) -> None:
    run = replace(RUN, distance_from_so3=off)
    assert ranked(run) is may
    lower = replace(run, cost=(1000.0, 5.0))
    assert best_cost([RUN, lower])[RUN.dataset, RUN.seed] == (5.0 if may else 10.0)


def test_arrival_is_within_a_share_of_the_best_and_at_its_own_time() -> None:
    run = replace(RUN, cost=(900.0, 330.0, 303.0, 300.0), seconds=(0.0, 1.5, 4.0, 9.0))
    assert [steps_to(run, 300.0, share) for share in (2.0, 0.1, 0.011, 1e-3)] == [0, 1, 2, 3]
    assert seconds_to(run, 300.0, 0.0) == 9.0
    assert steps_to(run, 300.0, 0.0) == 3
    assert seconds_to(run, 300.0, 0.1) == 1.5
    assert seconds_to(run, 299.0, 1e-9) == math.inf


def test_a_profile_counts_what_no_label_but_another_solves() -> None:
    first = [replace(RUN, seed=seed, label="a", cost=(100.0, 10.0), seconds=(0.0, 2.0)) for seed in range(3)]
    second = [
        replace(run, label="b", cost=(100.0, end), seconds=(0.0, time))
        for run, end, time in zip(first, (10.0, 10.0, 50.0), (1.0, 6.0, 1.0), strict=True)
    ]
    curves = profile(first + second, seconds_to, 1e-6)
    assert [values.tolist() for values in curves["a"]] == [[1.0, 1.0, 2.0], [1 / 3, 2 / 3, 1.0]]
    assert [values.tolist() for values in curves["b"]] == [[1.0, 3.0], [1 / 3, 2 / 3]]


def test_a_course_has_medians_of_gaps_and_of_seconds_and_the_median_length() -> None:
    runs = [
        replace(RUN, seed=seed, cost=cost, seconds=seconds)
        for seed, (cost, seconds) in enumerate(
            [
                ((40.0, 11.0), (0.0, 1.0)),
                ((40.0, 20.0, 10.0), (0.0, 2.0, 8.0)),
                ((40.0, 39.0, 35.0, 10.0), (0.0, 9.0, 50.0, 70.0)),
            ]
        )
    ]
    found = course(runs, {(RUN.dataset, seed): 10.0 for seed in range(3)})
    assert found.steps.tolist() == [0, 1, 2]
    assert found.gaps == pytest.approx([3.0, 1.0, 0.1])
    assert found.seconds.tolist() == [0.0, 2.0, 8.0]


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_files_hold_what_the_rows_hold(tmp_path: Path) -> None:
    found = seeds()
    write(found, summaries(found), tmp_path)
    rows, (total,) = read(tmp_path / "results.csv"), read(tmp_path / "summary.csv")
    for run, row in zip(found, rows, strict=True):
        assert float(row["final_cost"]) == run.cost[-1]
        assert float(row["best_cost"]) == 10.0
        assert float(row["steps_to_1e-06"]) == len(run.cost) - 1
        assert float(row["seconds_to_1e-06"]) == run.seconds[-1]
        assert float(row["seconds_to_1e-01"]) == run.seconds[1]
    assert float(total["condition"]) == np.median([float(row["condition"]) for row in rows])
    assert float(total["difference"]) == pytest.approx(np.median([float(row["difference"]) for row in rows]))
    assert float(total["truth_error"]) == pytest.approx(np.median([float(row["truth_error"]) for row in rows]))
    assert float(total["distance_from_so3"]) == max(float(row["distance_from_so3"]) for row in rows)
    assert float(total["seconds_to_1e-04"]) == np.median([float(row["seconds_to_1e-04"]) for row in rows])


def test_a_distance_is_the_rms_after_alignment_over_the_rms_extent() -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(500, 3)) * [1.0, 2.0, 3.0] + [100.0, 0.0, 0.0]
    errors = 0.01 * rng.normal(size=(500, 3)) * np.geomspace(0.1, 5.0, 500)[:, None]
    moved = Similarity(4.0, so3.exp(np.array([0.3, 1.0, -0.2])), np.array([7.0, 8.0, 9.0])).apply(reference + errors)
    extent = np.sqrt(np.mean(np.sum((reference - reference.mean(axis=0)) ** 2, axis=1)))
    right = np.sqrt(np.mean(np.sum(errors**2, axis=1))) / extent
    assert distance(moved, reference) == pytest.approx(right, rel=0.02)
    assert distance(reference, reference) < 1e-12


@pytest.mark.parametrize(("times", "counts"), [(9.0, True), (11.0, False), (19.0, False)])
@pytest.mark.parametrize("of", ["points", "reference"])
def test_points_beyond_ten_median_distances_have_run_off(of: str, times: float, counts: bool) -> None:
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(501, 3))
    moved = reference.copy()
    one = moved if of == "points" else reference
    one[7] = 0.0
    middle = np.median(one, axis=0)
    size = np.median(np.linalg.norm(one - middle, axis=1))
    one[7] = middle + times * size * np.array([0.6, 0.8, 0.0])
    assert (distance(moved, reference) > 1e-6) is counts


def flags_of(**changes: object) -> tuple[str, ...]:
    reference = replace(RUN, free_numbers=60, free_directions=7)
    found = results._flagged([reference, replace(reference, label="other", **changes)])
    return found[1].flags


def test_flags_say_what_a_run_minimized_over() -> None:
    assert flags_of() == ()
    assert flags_of(free_numbers=70, free_directions=17) == ()
    assert flags_of(free_numbers=72, free_directions=17) == ("2 more directions to move in",)
    assert flags_of(free_numbers=69, free_directions=17) == ("1 fewer directions to move in",)
    assert flags_of(distance_from_so3=1e-3, cost=(1000.0, 9.0)) == ("lower cost off SO(3)",)
    assert flags_of(distance_from_so3=1e-3, cost=(1000.0, 11.0)) == ("ended off SO(3)",)


def test_two_courses_are_the_same_to_a_billionth() -> None:
    assert results._is_same([10.0, 5.0], [10.0 * (1.0 + 0.5e-9), 5.0])
    assert not results._is_same([10.0, 5.0], [10.0 * (1.0 + 5e-9), 5.0])
    assert not results._is_same([10.0, 5.0], [10.0])


@pytest.mark.parametrize(
    ("ends", "solves"), [([0.6], 1), ([0.3, 0.25], 2), ([0.2, 0.11, 0.3], 3), ([0.01, 0.3, 0.02, 0.05, 0.04], 5)]
)
def test_times_are_medians_of_as_many_solves_as_half_a_second_allows(
    ends: list[float], solves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([*ends, *[9.0] * 9])
    made = 0

    def solved(*_: object) -> SimpleNamespace:
        nonlocal made
        made += 1
        end = next(left)
        records = [(0, 9.0, 0.1 * end), (1, 4.0, 0.7 * end), (2, 3.0, end)]
        return SimpleNamespace(iterations=tuple(Iteration(k, cost, 0, 0, 0, 1, at) for k, cost, at in records))

    monkeypatch.setattr(measure, "solved", solved)
    config = Config.model_validate({"data": {"scene": {"images": 3, "points": 12}}})
    found = measure.timed(None, config)  # type: ignore[arg-type]
    assert made == solves == len(ends)
    assert found["cost"] == [9.0, 4.0, 3.0]
    assert found["seconds"] == pytest.approx(np.median(np.outer(ends, [0.1, 0.7, 1.0]), axis=0))


def row(label: str, seconds: float, **changes: object) -> Summary:
    known = Summary(
        dataset="d", label=label,
        steps=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), seconds=(0.1, 0.2, 0.3, seconds / 2, 0.5, seconds),
        failures=0, unranked=0, of=5, free_numbers=1234, free_directions=7, condition=2e5, distance_from_so3=3e-15,
        difference=4e-8, truth_error=5e-3, flags=(),
    )  # fmt: skip
    return replace(known, **changes)


def test_the_printed_table_has_each_number_in_its_column() -> None:
    stream = text_io.StringIO()
    print_summary([row("a", 2.5, failures=1)], [], Path("out"), stream)
    (line,) = [line for line in stream.getvalue().splitlines() if line.split()[:1] == ["a"]]
    assert line.split() == [
        "a",
        "4",
        "1.250",
        "6",
        "2.500",
        "1",
        "of",
        "5",
        "3.0e-15",
        "2.0e+05",
        "1,234",
        "7",
        "4.0e-08",
        "5.0e-03",
    ]


def test_sentences_name_the_quickest_the_close_and_the_slowest() -> None:
    rows = [row("slow", 9.0), row("quick", 3.0), row("near", 3.5), row("rather near", 3.7), row("middle", 5.0)]
    speed, failures, ends = conclude(seeds(), rows)
    assert (
        "quick is quickest with 6 steps in 3 s, 1 of the 4 others that arrive take at most 1.2 times as long" in speed
    )
    assert "slow takes 3 times as long with 6 steps in 9 s" in speed
    assert failures.startswith("All 25 runs that may be ranked")
    assert "all 5 runs end within 1e-06 of SO(3)" in ends


def test_sentences_count_failures_among_the_ranked_and_name_the_worst_end() -> None:
    rows = [row("a", 1.0, failures=2), row("b", 1.0, unranked=2, of=5), row("c", 1.0, difference=6e-8), row("d", 2.0)]
    off = [
        replace(OFF, distance_from_so3=0.09),
        replace(OFF, seed=1, distance_from_so3=0.03, flags=("lower cost off SO(3)",)),
    ]
    _, failures, ends = conclude([*seeds(), *off], rows)
    assert failures.startswith("2 of 18 runs that may be ranked never came within 1e-4")
    assert "by at most 6.0e-08 of their extent, by the median over seeds (c on d)" in ends
    assert "up to 0.09, so its costs, lower in 1 of 2 runs" in ends


def test_tables_of_the_page_have_medians() -> None:
    from ba.studies.comparison.charts import inks
    from ba.studies.comparison.dataset_section import dataset_section, failures

    found = seeds()
    stuck = [
        replace(run, label="x", cost=(1000.0, 10.0 * (1.0 + gap)))
        for run, gap in zip(found, (1, 2, 3, 50, 90), strict=True)
    ]
    drawn = inks([*found, *stuck])
    assert ">3</td>" in failures([*found, *stuck], drawn), "the median of 1, 2, 3, 50 and 90"
    html = dataset_section(found, drawn)
    assert ">3e+05</td>" in html
    assert ">3e-09</td>" in html
    assert ">0.003</td>" in html
