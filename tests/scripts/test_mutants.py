"""The mutations of scripts/mutations still apply and name tests that exist, and the script tells their fates apart."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import mutants
from tests import ROOT

MUTATIONS = mutants.load()
AREAS = sorted({mutation.area for mutation in MUTATIONS})


@pytest.mark.parametrize("area", AREAS)
def test_every_mutation_applies_and_names_tests_that_exist(area: str) -> None:
    for mutation in MUTATIONS:
        if mutation.area != area:
            continue
        mutation.applied((ROOT / mutation.file).read_text())
        assert mutation.tests, mutation.id
        for test in mutation.tests:
            name, _, function = test.partition("::")
            assert (ROOT / name).is_file(), (mutation.id, test)
            assert not function or f"def {function.split('[')[0]}(" in (ROOT / name).read_text(), (mutation.id, test)


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len(MUTATIONS) >= 220
    twice = [key for key, count in Counter((m.file, m.old, m.new) for m in MUTATIONS).items() if count > 1]
    assert twice == []


def test_few_are_accepted_and_each_with_a_reason() -> None:
    accepted = [mutation for mutation in MUTATIONS if mutation.accepted]
    assert len(accepted) <= mutants.MOST_ACCEPTED * len(MUTATIONS)
    assert all(len(mutation.accepted) > 20 for mutation in accepted)


def test_ids_and_areas_are_chosen_and_a_name_that_is_neither_is_refused() -> None:
    one = MUTATIONS[0]
    assert mutants.chosen(MUTATIONS, []) == MUTATIONS
    assert mutants.chosen(MUTATIONS, [one.id]) == [one]
    assert {m.area for m in mutants.chosen(MUTATIONS, ["loss", "noise"])} == {"loss", "noise"}
    with pytest.raises(ValueError, match="'nonsense' is no id and no area; areas are alignment"):
        mutants.chosen(MUTATIONS, ["nonsense"])


@pytest.mark.parametrize(
    ("text", "said"), [("x = 1\n", "0 times"), ("y = 2\ny = 2\n", "2 times"), ("if True:\n    y = 2\n", None)]
)
def test_a_mutation_applies_where_its_text_stands_once(text: str, said: str | None) -> None:
    mutation = mutants.Mutation("m", "a", "f.py", "y = 2", "y = 3", ("t.py",))
    if said is None:
        assert "y = 3" in mutation.applied(text)
    else:
        with pytest.raises(ValueError, match=said):
            mutation.applied(text)


def test_lists_that_are_not_well_formed_are_refused(tmp_path: Path) -> None:
    entry = "- {id: one, old: a, new: b, tests: [t.py]}\n"
    for name, text, said in (
        ("twice", f"file: f.py\nmutations:\n{entry}{entry}", "one is the id of two"),
        ("surplus", "file: f.py\nmutations:\n- {id: one, old: a, new: b, test: t.py}\n", "'test'"),
        ("missing", "file: f.py\nmutations:\n- {id: one, old: a}\n", "right"),
    ):
        (tmp_path / "list.yaml").write_text(text)
        with pytest.raises(ValueError, match=said):
            mutants.load(tmp_path)
        assert name


FATES = {
    "killed": mutants.Mutation("k", "a", "ba/sums.py", "a + b", "a - b", ("tests/test_sums.py",)),
    "survived": mutants.Mutation("s", "a", "ba/sums.py", "a + b", "b + a", ("tests/test_sums.py",)),
    "accepted": mutants.Mutation("e", "a", "ba/sums.py", "a + b", "b + a", ("tests/test_sums.py",), "sums commute"),
    "timeout": mutants.Mutation("t", "a", "ba/sums.py", "a + b", "plus(a, b)", ("tests/test_sums.py",)),
    "does not apply": mutants.Mutation("d", "a", "ba/sums.py", "a * b", "a", ("tests/test_sums.py",)),
}


@pytest.mark.slow
def test_killed_surviving_endless_and_stale_mutations_are_told_apart(tmp_path: Path) -> None:
    """On a tree of one function and one test; afterwards it is as it was."""
    source = tmp_path / "source"
    (source / "ba").mkdir(parents=True)
    (source / "tests").mkdir()
    (source / "ba" / "__init__.py").write_text("")
    text = "def plus(a, b):\n    return a + b\n"
    (source / "ba" / "sums.py").write_text(text)
    (source / "tests" / "test_sums.py").write_text(
        "from ba.sums import plus\n\n\ndef test_two_and_three():\n    assert plus(2, 3) == 5\n"
    )
    endless = FATES["timeout"]
    fates = FATES | {"timeout": replace(endless, new="(lambda: [0 for _ in iter(int, 1)])()")}
    tree = mutants.make_tree(source, tmp_path / "copy")
    try:
        assert mutants.baseline([tree], list(fates.values())) == ""
        for fate, mutation in fates.items():
            found = mutants.try_out(tree, mutation, 3.0 if fate == "timeout" else 60.0)
            assert found.outcome == fate, found
            if fate == "killed":
                assert found.by == "tests/test_sums.py::test_two_and_three"
        assert (tree.root / "ba" / "sums.py").read_text() == text
    finally:
        tree.stop()
    assert mutants.is_good([mutants.Outcome("k", "a", "killed", "", 1.0)] * 3)
    for bad in ("survived", "does not apply"):
        assert not mutants.is_good([mutants.Outcome("k", "a", bad, "", 1.0)])


@pytest.mark.slow
def test_a_tree_whose_tests_fail_already_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source" / "tests").mkdir(parents=True)
    (tmp_path / "source" / "tests" / "test_no.py").write_text("def test_no():\n    assert False\n")
    tree = mutants.make_tree(tmp_path / "source", tmp_path / "copy")
    try:
        mutation = mutants.Mutation("m", "a", "f.py", "x", "y", ("tests/test_no.py",))
        assert "test_no" in mutants.baseline([tree], [mutation])
    finally:
        tree.stop()
