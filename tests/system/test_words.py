"""Counts agree with their nouns, and no name of a file, dataset or image can move the cursor of a terminal."""

import gc
import io
import json
import weakref
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ba
from ba import cli
from ba.analyse.undetermined import image_name
from ba.model.problem import Problem
from ba.options import load
from ba.prepare.noise import note_of_second_noise
from ba.show import page
from ba.show.progress import print_summary
from ba.show.report import write_report
from ba.system.words import counted, printable, unknown
from tests.support.summaries import SUMMARY, printed

EVIL = "a\x1b[2J\x07b\r\x9bc\u202e\udc80\nd"
SHOWN = r"a\x1b[2J\x07b\r\x9bc\u202e\udc80\nd"
TINY = {"data": {"scene": {"images": 4, "points": 24}}, "output": {"picture": False, "report": False}}


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 iterations"), (1, "1 iteration"), (2, "2 iterations"), (22106, "22,106 iterations")]
)
def test_a_count_agrees_with_its_noun(number: int, text: str) -> None:
    assert counted(number, "iteration") == text
    assert f"  {text}, " in printed(SUMMARY | {"iterations": number})


def test_a_page_counts_one_iteration(tmp_path: Path) -> None:
    summary = SUMMARY | {"iterations": 1, "num_images": 1}
    write_report(tmp_path / "a.html", summary, [], np.zeros((1, 2)), None, "")
    text = (tmp_path / "a.html").read_text()
    assert "1 iteration," in text
    assert "1 image," in text
    assert "1 iterations" not in text


@given(st.text())
def test_what_is_shown_can_be_printed_on_one_line_and_read_back(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert text.isprintable() == (shown == text)


def test_what_is_kept_is_kept() -> None:
    assert printable("a\nb\t", keep="\n") == "a\nb\\t"
    assert printable(EVIL) == SHOWN


def test_what_ends_a_command_has_no_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "no\x1b[31msuch\nfile.yaml"]) == 2
    assert capsys.readouterr().err.startswith(r"ba: error: no\x1b[31msuch\nfile.yaml: no such file")


def test_the_summary_of_a_run_shows_names_as_escapes() -> None:
    stream = io.StringIO()
    print_summary(SUMMARY | {"message": EVIL}, Path(EVIL), (EVIL,), stream)
    assert stream.getvalue().count(SHOWN) == 3
    assert printable(stream.getvalue(), keep="\n") == stream.getvalue()


def test_the_name_of_an_image_is_shown(dubrovnik_cut: Problem) -> None:
    from dataclasses import replace

    named = replace(dubrovnik_cut, image_names=(EVIL, "b", "c"))
    assert image_name(named, 0) == f"image 0 ({SHOWN})"


def test_a_page_shows_control_characters() -> None:
    text = page.document(EVIL, f"<p>{EVIL}</p>")
    HTMLParser().feed(text)
    assert printable(text, keep="\n") == text
    assert r"\x1b[2J\x07b" in text


def test_the_closest_name_is_told() -> None:
    assert unknown("huber", ["huber"], "loss") is None
    assert unknown("hubre", ["huber", "cauchy"], "loss") == (
        '"hubre" is not known (loss); did you mean huber? There are: huber, cauchy'
    )


def test_no_solution_is_kept_alive_by_its_summary(tmp_path: Path) -> None:
    result = ba.run(TINY, out=tmp_path / "here")
    solution = weakref.ref(result.solution)
    del result
    gc.collect()
    assert solution() is None


def test_noise_on_the_solution_of_a_run_with_noise_is_told(tmp_path: Path) -> None:
    noisy = TINY | {"noise": {"points": 0.01}}
    first = ba.run(noisy, out=tmp_path / "first")
    assert not any("noise" in note for note in first.notes)
    again = load(tmp_path / "first" / "config.yaml", [f"data.path={tmp_path}/first/solution.npz", "data.scene=null"])
    second = ba.run(again, out=tmp_path / "second")
    told = [note for note in second.notes if note.startswith("noise was applied to a solution: ")]
    assert len(told) == 1
    assert json.loads((tmp_path / "second" / "summary.json").read_text())["notes"] == list(second.notes)
    silent = ba.run(again, ["noise={}"], out=tmp_path / "third")
    assert not any("noise" in note for note in silent.notes)
    assert silent.solution.initial_cost == pytest.approx(first.solution.final_cost, rel=1e-9)


def test_noise_on_the_solution_of_a_run_without_is_what_was_asked(tmp_path: Path) -> None:
    ba.run(TINY, out=tmp_path / "first")
    data = ba.Data(path=tmp_path / "first" / "solution.npz")
    noisy = ba.Config(data=data, noise=ba.Noise(points=0.01))
    assert note_of_second_noise(noisy) is None
    (tmp_path / "first" / "config.yaml").write_text("noise: {points: 1.0")
    assert note_of_second_noise(noisy) is None
