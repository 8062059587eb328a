"""Laws of a comparison's statistics, page and pictures: failures count, and who may not be ranked wins nothing."""

import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ba.studies.comparison import charts, report
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import (
    MEASURES,
    SHARES,
    best_cost,
    course,
    profile,
    ranked,
    seconds_to,
    spreads,
    steps_to,
)
from tests.support.outcomes import OFF, RUN
from tests.support.pages import Page

SLOW = replace(RUN, label="euler_xyz", cost=(1000.0, 500.0, 20.0, 11.0, 10.5, 10.0), seconds=(0, 1, 2, 3, 4, 5))
STUCK = replace(RUN, label="cayley", cost=(1000.0, 90.0), seconds=(0.0, 9.0), status="max_iterations", message="200")
RUNS = [RUN, SLOW, STUCK, OFF]
costs = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=8).map(lambda values: tuple(sorted(values, reverse=True)))


@dataclass(frozen=True)
class Stress:
    parameterization: str
    stress: str
    reached: int
    of: int
    median_steps: float
    why: str


STRESS = [
    Stress("so3_left", "near pi", 20, 20, 7.0, ""),
    Stress("euler_xyz", "near pi", 13, 20, 31.0, "the middle angle is at <90> degrees"),
]


def seeds(run: Outcome, *changes: dict) -> list[Outcome]:
    return [replace(run, seed=seed, **change) for seed, change in enumerate(changes)]


def made(runs: list[Outcome]) -> list[Outcome]:
    """Runs with seconds to match their costs, and a label each."""
    return [
        replace(run, label=f"{i}", seconds=tuple(np.arange(len(run.cost)) * (i + 1.0))) for i, run in enumerate(runs)
    ]


def test_the_best_cost_is_the_lowest_of_those_that_may_be_ranked():
    other = replace(RUN, seed=1, cost=(1000.0, 7.0))
    assert best_cost([*RUNS, other]) == {("dubrovnik", 0): 10.0, ("dubrovnik", 1): 7.0}


@pytest.mark.parametrize("change", [{"flags": ("other free numbers",)}, {"flags": (), "distance_from_so3": 2e-6}])
def test_flags_and_matrices_that_are_no_rotations_keep_a_run_from_being_ranked(change):
    run = replace(RUN, cost=(1000.0, 1.0), **change)
    assert not ranked(run)
    assert math.isnan(best_cost([run])["dubrovnik", 0])
    assert best_cost([run, RUN])["dubrovnik", 0] == 10.0


def test_a_run_arrives_at_its_first_cost_within_the_share():
    assert [steps_to(RUN, 10.0, share) for share in (1e2, 1.0, 0.05, 0.049, 0.0)] == [0, 1, 2, 3, 3]
    assert seconds_to(RUN, 10.0, 0.05) == 1.0
    assert steps_to(STUCK, 10.0, 1e-1) == seconds_to(STUCK, 10.0, 1e-1) == math.inf


@given(costs)
def test_a_smaller_share_never_comes_sooner(cost):
    run = replace(RUN, cost=cost, seconds=tuple(map(float, range(len(cost)))))
    for measure in MEASURES.values():
        needed = [measure(run, cost[-1], share) for share in SHARES]
        assert needed == sorted(needed)
        assert needed[-1] < math.inf


def test_a_failure_counts_as_taking_for_ever_in_the_median():
    good = {"cost": (1000.0, 10.0)}
    bad = {"cost": (1000.0, 999.0)}
    helper = seeds(replace(RUN, label="helper"), *[{}] * 4)
    found = spreads(helper + seeds(RUN, good, good, good, bad), steps_to, 1e-6)["dubrovnik", "so3_left"]
    assert (found.median, found.low, found.high, found.failures, found.of) == (1.0, 1.0, math.inf, 1, 4)
    found = spreads(helper + seeds(RUN, good, bad, bad, bad), steps_to, 1e-6)["dubrovnik", "so3_left"]
    assert (found.median, found.low, found.failures, found.unranked) == (math.inf, 1.0, 3, 0)


def test_a_run_that_may_not_be_ranked_is_no_failure_and_has_no_time():
    found = spreads(RUNS, steps_to, 1e-4)["dubrovnik", "matrix9"]
    assert (found.median, found.failures, found.unranked, found.of) == (math.inf, 0, 1, 1)


def test_a_profile_is_the_share_of_problems_within_each_ratio():
    second = [replace(run, seed=1) for run in (RUN, replace(STUCK, label="euler_xyz"), STUCK, OFF)]
    curves = profile(RUNS + second, steps_to, 1e-6)
    assert [list(values) for values in curves["so3_left"]] == [[1.0, 1.0], [0.5, 1.0]]
    assert [list(values) for values in curves["euler_xyz"]] == [[5.0 / 3.0], [0.5]]
    assert len(curves["cayley"][0]) == len(curves["matrix9"][0]) == 0


@given(st.lists(costs, min_size=1, max_size=5), st.sampled_from(sorted(MEASURES)), st.sampled_from(SHARES))
def test_profiles_rise_from_a_winner_to_at_most_everything(all_costs, name, share):
    runs = made([replace(RUN, cost=cost) for cost in all_costs])
    curves = profile(runs, MEASURES[name], share)
    assert list(curves) == [run.label for run in runs]
    for ratios, fractions in curves.values():
        assert np.all(ratios >= 1.0)
        assert np.all(np.diff(ratios) >= 0.0)
        assert np.all(np.diff(fractions) > 0.0)
        assert np.all(fractions <= 1.0)
    arrivals = [MEASURES[name](run, best_cost(runs)["dubrovnik", 0], share) for run in runs]
    if min(arrivals) > 0.0:
        assert min(curve[0][0] for curve in curves.values() if len(curve[0])) == 1.0


def test_a_course_is_the_median_after_each_step_and_a_run_that_ended_stays():
    runs = seeds(RUN, {"cost": (30.0, 10.0), "seconds": (0.0, 1.0)}, {}, {"cost": (20.0, 15.0, 12.0, 10.0)})
    found = course(runs, dict.fromkeys(best_cost(runs), 10.0))
    assert list(found.steps) == [0, 1, 2, 3]
    np.testing.assert_allclose(found.gaps, [2.0, 0.5, 0.05, 0.0], atol=1e-12)
    assert list(found.seconds) == [0.0, 0.5, 1.0, 1.5]


def test_stairs_pass_through_every_point_of_the_profile():
    at, share = charts.stairs((np.array([1.0, 1.5, 3.0, 99.0]), np.array([0.25, 0.5, 0.75, 1.0])), 8.0)
    assert list(at) == [1.0, 1.5, 1.5, 3.0, 3.0, 8.0]
    assert list(share) == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


@given(st.floats(1.0, charts.LONGEST_RATIO))
def test_a_profile_ends_as_high_as_its_last_arrival(ratio):
    curve = {"so3_left": (np.array([ratio]), np.array([1.0]))}
    assert f'cy="{charts.FRAME.top:.1f}"' in charts.profile_chart(curve, charts.inks([RUN]), "steps")


@given(st.floats(1e-6, 1e5), st.floats(1.5, 1e8))
def test_ticks_are_within_the_axis_and_few_enough_to_read(low, factor):
    ticks = charts.round_numbers(low, low * factor)
    assert ticks == sorted(ticks)
    assert all(low <= tick <= low * factor for tick in ticks)
    assert len(ticks) <= 10


def test_many_labels_have_different_inks_and_dashes_are_for_those_not_ranked():
    runs = [replace(RUN, label=f"{i}") for i in range(20)]
    found = charts.inks([*runs, OFF])
    assert len({(ink.colour, ink.dash) for ink in found.values()}) == 21
    assert [label for label, ink in found.items() if ink.dash == charts.UNRANKED] == ["matrix9"]


def test_lines_on_top_of_each_other_are_named_and_others_are_not():
    line = [(0.0, 0.0), (10.0, 50.0)]
    near, away, longer = [(0.0, 1.0), (10.0, 50.0)], [(0.0, 0.0), (10.0, 90.0)], [*line, (20.0, 50.0)]
    assert charts.coinciding({"a": line, "b": away, "c": near, "d": longer}) == [["a", "c"]]
    twin = replace(RUN, label="twin")
    assert "On top of each other: so3_left, twin." in charts.gap_chart([RUN, twin], charts.inks([RUN, twin]), "steps")


def test_the_page_shows_every_part_and_closes_its_tags():
    html = report.page(RUNS, ["so3_left is quickest."], STRESS, "Every run stops after at most 200 steps.")
    text = re.sub(r"\s+", " ", Page(html).text)
    for shown in (
        "4 settings on 1 dataset", "1 seed of", "3 converged, 1 max_iterations", "at most 200 steps", "quickest.",
        "Performance profiles", "matrix9 is not ranked: off SO(3)", "max_iterations: 200", "near pi", "13 of 20 (31)",
        "<90> degrees", "euler_xyz 7", "1e-1", "1e-6", "condition", "difference",
    ):  # fmt: skip
        assert shown in text, shown
    assert "from the truth" not in text, "no run knows it"


def test_nothing_outside_the_page_is_needed():
    html = report.page(RUNS, ["fine"], STRESS)
    assert not re.search(r"<script|<link|@import|url\(|(src|href)=|https?://", html)


def test_labels_datasets_and_messages_cannot_break_out_of_their_place():
    bad = "<script>alert('\"&</script>"
    runs = [replace(run, label=bad + run.label, dataset=bad, message=bad, status=bad) for run in RUNS]
    runs[-1] = replace(runs[-1], flags=(bad,))
    html = report.page(runs, [bad], [replace(STRESS[1], parameterization=bad, stress=bad, why=bad)], bad)
    assert "script" not in Page(html).tags
    assert bad not in html


def test_the_quickest_label_stands_first():
    rows = re.findall(r'<tr><td><span class="label is\d">.*?</svg>(\w+)<', report.page(RUNS[::-1], []))
    assert rows[:2] == ["so3_left", "euler_xyz"]


STRANGE = {
    "none ranked": [OFF],
    "alone": [STUCK],
    "no cost": [replace(RUN, cost=(), seconds=())],
    "no step": [replace(RUN, cost=(5.0,), seconds=(0.0,))],
    "not finite": [RUN, replace(RUN, label="b", cost=(1000.0, math.inf, math.nan), seconds=(0.0, 1.0, 2.0))],
    "zero": [replace(RUN, cost=(1e-9, 0.0), seconds=(0.0, 0.0))],
}


@pytest.mark.parametrize("runs", STRANGE.values(), ids=STRANGE)
def test_strange_runs_make_a_page(runs):
    html = report.page(runs, [])
    Page(html)
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', html)


@pytest.mark.parametrize("name", ["none ranked", "no step", "zero"])
def test_strange_runs_make_pictures(name, tmp_path):
    charts.write_pictures(STRANGE[name], tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_a_picture_for_each_dataset_and_the_profiles(tmp_path):
    report.write([*RUNS, replace(RUN, dataset="../my data")], [], [], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.html", "profiles.png", "cost-steps-dubrovnik.png", "cost-seconds-dubrovnik.png",
        "cost-steps-..-my-data.png", "cost-seconds-..-my-data.png",
    }  # fmt: skip
