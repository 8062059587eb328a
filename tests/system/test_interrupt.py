"""Signals end a run alike, are deferred and never dropped, and leave a library's user his own handlers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ba import pipeline
from ba.cli import main
from ba.show import products, runfolder
from ba.solve.result import Iteration
from ba.system import interrupt

TINY = "data: {scene: {images: 4, points: 24}}\nnoise: {points: 0.01}\noutput: {picture: false}\n"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A configuration in the working folder; handlers are afterwards what they were."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    before = [signal.getsignal(number) for number in CODES]
    yield "tiny.yaml"
    assert [signal.getsignal(number) for number in CODES] == before


def sending(number: int, real: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(number)
        return real(*arguments, **options)

    return call


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_loading_leaves_nothing(
    number: signal.Signals, tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(pipeline, "load_start", sending(number, pipeline.load_start))
    assert main(["run", tiny, "--out", "runs/here"]) == CODES[number]
    assert capsys.readouterr().err == f"ba: ended by {NAMES[number]}: before there was a result\n"
    assert [path.name for path in Path().iterdir()] == [tiny]


@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_solving_saves_the_best_state_and_still_tells(
    number: signal.Signals, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logging(self: Any, observer: Any, real: Any = runfolder.RunFolder.logging) -> Any:
        log = real(self, observer)

        def pressed(iteration: Iteration) -> None:
            log(iteration)
            if iteration.iteration == 2:
                signal.raise_signal(number)

        return pressed

    monkeypatch.setattr(runfolder.RunFolder, "logging", logging)
    assert main(["run", tiny, "--out", "here"]) == CODES[number]
    assert '"status": "interrupted"' in Path("here", "summary.json").read_text()
    assert Path("here", "report.html").exists()


@pytest.mark.parametrize("where", ["summarize", "write_report", "_write_residuals", "_draw"])
@pytest.mark.parametrize("number", CODES)
def test_a_signal_while_writing_costs_nothing_and_is_not_forgotten(
    where: str, number: signal.Signals, tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("ba.show.view.screenshot", lambda *_: None)
    monkeypatch.setattr(products, where, sending(number, getattr(products, where)))
    assert main(["run", tiny, "--out", "here", "--set", "output.picture=true"]) == CODES[number]
    assert Path("here", "report.html").exists()
    assert '"status": "converged"' in Path("here", "summary.json").read_text()
    if where == "write_report":
        assert capsys.readouterr().err == f"ba: ended by {NAMES[number]}: the result stands in here\n"


def test_a_second_signal_while_one_waits_changes_nothing() -> None:
    heard = []
    with interrupt.heard(), pytest.raises(KeyboardInterrupt), interrupt.allowed(), interrupt.uninterrupted():  # noqa: PT012
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        heard.append(interrupt.pending())
    assert heard == [True]
    assert interrupt.exit_code() == 143


def test_a_part_of_a_block_can_be_cut_short_and_hears_what_waits() -> None:
    done = []
    with interrupt.heard(), interrupt.uninterrupted():
        with pytest.raises(KeyboardInterrupt), interrupt.allowed():  # noqa: PT012
            signal.raise_signal(signal.SIGHUP)
            done.append("not reached")
        signal.raise_signal(signal.SIGHUP)
        done.append("written")
    assert done == ["written"]


def test_what_a_destructor_swallows_is_raised_again(capsys: Capture) -> None:
    class Deaf:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with interrupt.heard(), interrupt.allowed():
        Deaf()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    assert capsys.readouterr().err == ""


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt.heard(), interrupt.allowed():
            signal.raise_signal(signal.SIGHUP)
        assert interrupt.exit_code() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_handler_of_a_librarys_user_is_called_when_the_block_ends() -> None:
    calls: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append("heard"))
    others = signal.getsignal(signal.SIGTERM)
    try:
        with interrupt.uninterrupted():
            assert signal.getsignal(signal.SIGTERM) is others
            signal.raise_signal(signal.SIGINT)
            calls.append("written")
        assert calls == ["written", "heard"]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt), interrupt.uninterrupted():  # noqa: PT012
            signal.raise_signal(signal.SIGINT)
            calls.append("written")
        assert calls[2:] == ["written"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_left_alone() -> None:
    seen = []

    def work() -> None:
        with interrupt.heard(), interrupt.uninterrupted():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_an_interrupt_that_was_caught_leaves_the_exit_code_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import sys
from ba.system import interrupt
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    if sys.argv[1] == "settled":
        interrupt.settled()
sys.exit(143)
"""
    (tmp_path / "caught.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(interrupt.__file__).parents[2])]))
    command = [sys.executable, "-m", "caught"]
    codes = [subprocess.run([*command, how], check=False).returncode for how in ("settled", "not")]
    assert codes == [143, -signal.SIGINT]
