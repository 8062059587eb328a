"""Every number that a run leaves is what a second program computes from its input, its configuration and its files.

`tests/oracle` is that program; `scripts/oracle` prints the same comparison as a table.
"""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.oracle import checks, iterations, page, summary
from tests.oracle.case import Case
from tests.oracle.known import AGREEMENT, Known
from tests.oracle.printed import Printed, matched, numbers
from tests.oracle.table import QUANTITIES
from tests.support.oracle_cases import RECIPES

ORACLE = Path(__file__).parent / "oracle"
Cases = Callable[[str], Case]

SHARP = 1e-9
"""In one case at least rounding hides no larger share of a number than this."""


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_oracle_agrees(oracle_case: Cases, quantity: str, name: str) -> None:
    wrong = [one for one in QUANTITIES[quantity](oracle_case(name)) if not one.share <= AGREEMENT]
    assert not wrong, "\n".join(f"{one.place}: {one.said}" for one in wrong)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_rounding_hides_no_quantity_in_every_case(oracle_case: Cases, quantity: str) -> None:
    found = [list(QUANTITIES[quantity](oracle_case(name))) for name in RECIPES]
    assert any(found), f"no case has {quantity}"
    assert min(max(one.hidden for one in some) for some in found if some) < SHARP


@pytest.mark.parametrize("name", RECIPES)
def test_no_key_of_the_summary_is_without_an_oracle(oracle_case: Cases, name: str) -> None:
    found = {key for key, _ in summary.flat(oracle_case(name).last.summary)}
    assert found <= set(summary.SUMMARY) | set(summary.NOT_COMPUTED)


@pytest.mark.parametrize("name", RECIPES)
def test_no_field_of_an_iteration_is_without_an_oracle(oracle_case: Cases, name: str) -> None:
    for line in oracle_case(name).last.iterations:
        assert set(line) == set(iterations.ITERATION) | set(iterations.NOT_COMPUTED)


def test_what_is_not_computed_is_there_and_has_no_oracle(oracle_case: Cases) -> None:
    there = {key for name in RECIPES for key, _ in summary.flat(oracle_case(name).last.summary)}
    assert set(summary.NOT_COMPUTED) <= there - set(summary.SUMMARY)
    assert not set(iterations.NOT_COMPUTED) & set(iterations.ITERATION)


@pytest.mark.parametrize("name", RECIPES)
def test_no_table_chart_or_caption_of_the_page_is_without_an_oracle(oracle_case: Cases, name: str) -> None:
    """A row, a column or a number in the head that is new fails as it is looked up, and here what is of a new kind."""
    found = page.page_of(oracle_case(name))
    kinds = {"table": "table", "svg": "chart"}
    parts = {f"{kinds[e.tag]} {title}" for title, section in found.sections.items() for e in section.all(*kinds)}
    assert len(list(found.sections["Result"].all("table"))) == 1 + (oracle_case(name).truth is not None)
    assert parts == {part for part in page.PARTS if part.startswith(("table", "chart"))}
    assert set(found.sections) <= {part.partition(" ")[2] for part in parts} | set(page.NOT_COMPUTED)
    assert len(list(found.root.all("figcaption"))) == 1
    others = [list(section.all("table", "svg")) for title, section in found.sections.items() if title != "Result"]
    assert all(len(some) <= 1 for some in others)


@pytest.mark.parametrize("name", RECIPES)
def test_no_line_of_a_check_is_without_an_oracle(oracle_case: Cases, name: str) -> None:
    text = oracle_case(name).checked
    if text is not None:
        assert list(checks.data_lines(text)) == list(checks.DATA)


@pytest.mark.parametrize("name", RECIPES)
def test_counts_and_times_never_run_backwards(oracle_case: Cases, name: str) -> None:
    assert summary.clock_is_sound(oracle_case(name))
    assert iterations.evaluations_are_sound(oracle_case(name))


@pytest.mark.parametrize(
    ("start", "end"),
    [(key, key.replace("initial_", "final_").replace("_start", "_end").replace(".start.", ".end."))
     for key in summary.SUMMARY if key.startswith(("initial_", "truth.start.")) or key.endswith("_start")],
)  # fmt: skip
def test_the_cases_tell_a_start_from_an_end(oracle_case: Cases, start: str, end: str) -> None:
    """One that took the other's place would be seen."""
    found = [dict(summary.flat(oracle_case(name).last.summary)) for name in RECIPES]
    assert any(start in values and values[start] != values[end] for values in found)


def test_the_oracle_imports_nothing_of_what_it_judges() -> None:
    modules = sorted(ORACLE.glob("*.py"))
    assert len(modules) > 10
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.partition(".")[0] for name in names} & {"ba", "scipy", "numba", "pyarrow"}, module


def test_a_difference_beyond_rounding_is_seen() -> None:
    assert Known(2.0, 1e-9).difference(2.0 + 5e-10) == 0.0
    assert Known(2.0, 1e-9).difference(2.0 + 2e-9) > AGREEMENT
    assert Known(0.0).difference(1e-300) > AGREEMENT
    assert Known(3).difference(4) > AGREEMENT
    assert Known(3).difference("3") > AGREEMENT
    assert Known("a").difference("b") > AGREEMENT


def test_a_wrong_digit_is_seen() -> None:
    assert Printed("cell", "1,234.57", Known(1234.5678), digits=6).difference() <= AGREEMENT
    assert Printed("cell", "1,234.58", Known(1234.5678), digits=6).difference() > AGREEMENT
    assert Printed("cell", "1,235", Known(1234.5678), digits=6).difference() > AGREEMENT
    assert Printed("cell", "0.125", Known(0.1254), decimals=3).difference() <= AGREEMENT
    assert numbers("4-9 of image 3 (img_7.jpg), at -1.2e+02") == ["4", "9", "3", "-1.2e+02"]
    assert numbers("12,345 of so3_left, 5 %, 7,") == ["12,345", "5", "7"]


def test_a_number_without_an_oracle_is_seen() -> None:
    (surplus,) = matched("line", "2 of 3", [(2, None)])
    assert surplus.difference() > AGREEMENT
