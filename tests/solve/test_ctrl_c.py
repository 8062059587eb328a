"""After Ctrl-C a run ends soon: it is heard during long kernels, and what takes long is left out."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ba import pipeline
from ba.engine.parallel import parallel_map
from ba.options import Config
from ba.show import products
from ba.solve.result import Iteration

LONG = 20.0


def interrupted_run(folder: Path, **output: bool) -> pipeline.Result:
    def stop(iteration: Iteration) -> None:
        if iteration.iteration == 2:
            raise KeyboardInterrupt

    scene = {"kind": "ring", "images": 6, "points": 60}
    config = {"data": {"scene": scene}, "noise": {"points": 0.02}, "output": output, "solver": {"backend": "schur"}}
    return pipeline.run(Config.model_validate(config), folder, stop)


def test_no_picture_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(*_: Any) -> None:
        raise AssertionError("drawn after Ctrl-C")

    monkeypatch.setattr("ba.show.view.screenshot", draw)
    assert interrupted_run(tmp_path).summary["notes"] == [products.UNDRAWN]
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "residuals.npz").is_file()


def test_of_many_observations_state_log_and_summary_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "MANY", 100)
    assert interrupted_run(tmp_path, picture=False).summary["notes"] == [products.BRIEF]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"config.yaml", "iterations.jsonl", "solution.npz", "solution.ply", "summary.json", "truth.npz"}


def test_parts_at_work_hold_up_neither_ctrl_c_nor_what_comes_next() -> None:
    end, began = threading.Event(), threading.Event()

    def work(part: int) -> None:
        began.set()
        end.wait(LONG)

    def press() -> None:
        began.wait(LONG)
        time.sleep(0.2)  # until the main thread waits
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    start = time.perf_counter()
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        parallel_map(work, range(4), 2)
    assert parallel_map(lambda part: part + 1, range(4), 2) == [1, 2, 3, 4]
    assert time.perf_counter() - start < LONG
    end.set()
    finger.join()
