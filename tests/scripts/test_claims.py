"""README and docstrings say what the benchmarks measured, and the tests of that can fail."""

import json
import re
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from ba import io, pipeline
from ba.model.rotation import ROTATIONS
from ba.options import load
from ba.solve import solve
from scripts.benchmarks import everything
from scripts.benchmarks.claims import Claim, faults, rewritten, spans
from scripts.benchmarks.digests import alignment, check, comparison
from scripts.benchmarks.provenance import RESULTS, keep, without_places
from scripts.benchmarks.quoted import README, Race, claims, listed, short, times
from tests import ROOT

TEXT = "It takes 3.0 s\nand 40 MB, as it did."
SENTENCE = "It takes {seconds} s and {memory} MB,"

FIGURE = re.compile(
    r"(?<![\w.^-])\d[\d.,]*(?:e-?\d+)?(?: ?(?:px|ms|s|GB|MB|%|x|times|steps|degrees|seeds)\b| of \d+)(?!\()"
)
NOT_MEASURED = (
    "5 degrees, 5 % position and 10 % point noise",  # what is asked for, or how a thing is defined
    "cost is 0.5 times the sum of rho",
    "up to 179 degrees away",
    "150, 170 and 179 degrees",
    "| to 10 %, and a factor",
    "above 10 %",
    "more than 15 % slower",
    "from 10 px to 0.66 px RMS reprojection error in seven steps",  # held by test_the_quickstart_goes_as_said
    "needs 4 to 16 iterations",
    "5 % are mismatches, so the RMS over all stays at 146 px",  # held by test_the_mismatches_are_looked_past_as_said
    "the inliers, 0.70 px on 92 % of the observations",
)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: f"{claim.file}: {claim.text[:40]}")
def test_the_text_says_what_was_measured(claim: Claim) -> None:
    assert list(faults([claim])) == []


def test_every_figure_of_the_readme_is_held() -> None:
    content = (ROOT / README).read_text()
    held = spans(claims(), README)
    held += [match.span() for text in NOT_MEASURED for match in re.finditer(re.escape(text), content)]
    held += [match.span() for match in re.finditer(r"^```.*?^```", content, re.MULTILINE | re.DOTALL)]
    loose = [m.group() for m in FIGURE.finditer(content) if not any(a <= m.start() and m.end() <= b for a, b in held)]
    assert loose == []


def test_the_number_of_rotations_is_that_of_the_registry() -> None:
    assert re.search(rf"compares\s+{len(ROTATIONS)}\s+ways to write a rotation", (ROOT / README).read_text())


def test_the_quickstart_goes_as_said() -> None:
    problem = io.load(ROOT / "datasets" / "dubrovnik-16-22106-pre.txt.xz")
    solution = solve(problem)
    first, last = (sqrt(2.0 * cost / problem.num_observations) for cost in (solution.initial_cost, solution.final_cost))
    said = rf"from\s+{first:.0f}\s+px\s+to\s+{last:.2f}\s+px\s+RMS\s+reprojection\s+error\s+in\s+seven\s+steps"
    assert solution.iterations[-1].iteration == 7
    assert re.search(said, (ROOT / README).read_text())


def test_the_mismatches_are_looked_past_as_said(tmp_path: Path) -> None:
    config = load(ROOT / "configs" / "synthetic.yaml", ["output.picture=false"])
    summary = pipeline.run(config, tmp_path / "run").summary
    share = summary["num_inliers"] / summary["num_observations"]
    rms, inlier_rms = summary["final_rms_px"], summary["final_inlier_rms_px"]
    said = (
        f"{config.data.scene.outliers:.0%} are mismatches, so the RMS over all stays at {rms:.0f} px; "
        f"the row that counts is that of the inliers, {inlier_rms:.2f} px on {share:.0%} of the observations"
    ).replace("%", " %")
    assert said in " ".join((ROOT / README).read_text().split())


def test_a_command_is_kept_without_the_places_of_a_machine() -> None:
    command = f"scripts/bench {ROOT}/build/scene.npz --ceres-binary /opt/ceres/bin/bundle_adjuster --ceres-built '-O3'"
    kept = "scripts/bench build/scene.npz --ceres-binary bundle_adjuster --ceres-built '-O3'"
    assert without_places(command) == kept


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path: Path) -> None:
    taken = json.loads(path.read_text())["taken"]
    assert {"command", "date", "machine", "versions"} <= set(taken)
    assert {"cpu", "cores", "memory_gb", "python"} <= set(taken["machine"])


def test_every_part_has_a_file_of_results_and_every_file_a_part() -> None:
    assert {path.stem for path in RESULTS.glob("*.json")} == set(everything.PARTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.md").write_text(TEXT)
    return tmp_path


def said(seconds: str, memory: str = "40") -> Claim:
    return Claim("page.md", SENTENCE, {"seconds": seconds, "memory": memory})


def test_a_sentence_with_the_measured_figures_has_no_fault(folder: Path) -> None:
    assert list(faults([said("3.0")], folder)) == []
    assert list(rewritten([said("3.0")], folder)) == []


def test_another_figure_is_a_fault_that_names_the_line_and_is_put_right(folder: Path) -> None:
    (fault,) = faults([said("2.9")], folder)
    assert fault == "page.md, line 1: seconds is '2.9' by the results, not '3.0'"
    ((path, content),) = rewritten([said("2.9", "41")], folder)
    assert path == folder / "page.md"
    assert content == "It takes 2.9 s\nand 41 MB, as it did."


def test_a_figure_ends_with_its_paragraph_and_its_cell(folder: Path) -> None:
    (folder / "page.md").write_text("It takes long.\n\nThat s and 40 MB,\n| It takes | 3.0 s and 40 MB, |")
    assert "stands there 0 times" in next(faults([said("3.0")], folder))


@pytest.mark.parametrize("text", ["", TEXT + TEXT])
def test_a_sentence_that_is_missing_or_stands_twice_is_a_fault(folder: Path, text: str) -> None:
    (folder / "page.md").write_text(text)
    assert "once is right" in next(faults([said("3.0")], folder))


def test_what_is_kept_has_machine_day_command_and_versions(tmp_path: Path) -> None:
    keep(tmp_path / "some.json", "scripts/some", {"seconds": 1.0}, packages=("numpy", "no-such-package"))
    content = json.loads((tmp_path / "some.json").read_text())
    assert content["results"] == {"seconds": 1.0}
    assert content["taken"]["command"] == "scripts/some"
    assert set(content["taken"]["versions"]) == {"numpy"}


def test_numbers_are_rounded_to_what_a_reader_needs() -> None:
    assert [short(x) for x in (0.0701, 0.724, 2.77, 28.3, 133.2)] == ["0.070", "0.72", "2.8", "28", "133"]
    assert [times(x) for x in (10.42, 39.7)] == ["10.4", "40"]
    assert [listed(words) for words in ([], ["a"], ["a", "b", "c"])] == ["none", "a", "a, b and c"]


def test_a_race_without_a_peer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ours: dict[str, Any] = {"seconds": {"0.0001": 0.1}, "settings": {}, "versions": {}}
    theirs = {"seconds": {"0.0001": None}, "settings": {"ceres": "2.2.0"}, "versions": {}}
    results = {"file": {"observations": 5, "contenders": {"ba-schur": ours, "ceres": theirs}}}
    monkeypatch.setattr("scripts.benchmarks.quoted.kept", lambda name: {"taken": {}, "results": results})
    cells = {"ba": "0.10", "ceres": "never", "ceres_native": "not run", "gtsam": "not run"}
    assert Race("bench-bal", "file").row("0.0001") == cells
    assert Race("bench-bal", "file").said("ceres", "ceres") == "2.2.0"


def test_a_comparison_is_digested_to_medians_and_counts(tmp_path: Path) -> None:
    lines = ["dataset,label,distance_from_so3,steps_to_1e-04,steps_to_1e-06,seconds_to_1e-06"]
    lines += [
        "a,rotation=x,0,3,5,0.5",
        "a,rotation=x,0,4,inf,inf",
        "a,rotation=x,0,3,7,0.7",
        "a,rotation=y,0.1,inf,inf,inf",
    ]
    (tmp_path / "results.csv").write_text("\n".join(lines))
    found = comparison(tmp_path)["a"]
    assert found["x"] == {
        "runs": 3, "stays_rotation": True, "steps": 7.0, "seconds": 0.7, "never_reached": 0, "never_near": 1
    }  # fmt: skip
    assert found["y"]["steps"] is None
    assert not found["y"]["stays_rotation"]
    assert found["y"]["never_reached"] == 1


def test_a_rotation_alignment_is_digested_to_steps_and_shares(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("rotation,residual,iterations,to_closed_form\nx,norm,12,1e-10\n")
    (tmp_path / "starts.csv").write_text("rotation,residual,degrees,reached,of\nx,norm,150.0,11,20\n")
    found = alignment(tmp_path)
    assert found == {
        "steps": {"norm": {"x": 12}},
        "to_closed_form": {"norm": {"x": 1e-10}},
        "reached": {"norm": {"x": {"150": 0.55}}},
    }


def test_of_a_check_the_table_is_kept() -> None:
    text = (
        "data\n    analytic against    s\n    central   0.1  \n    0 outside are not zero; inside, none are zero\nend"
    )
    assert check(text)["table"] == [*text.splitlines()[1:2], "    central   0.1", text.splitlines()[3]]
