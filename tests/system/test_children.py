"""Processes that the program starts end with it, even where it was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ba.system import children
from tests import ROOT

LONG_S = 20.0
PARENT = """
import multiprocessing, os, subprocess, sys, time
from ba.system import children
from ba.studies.comparison.execute import _pool
if __name__ == "__main__":
    if sys.argv[1] == "worker":
        with _pool(1) as pool:
            print(pool.submit(os.getpid).result(), flush=True)
            time.sleep(60)
    code = "import os, time, ba.system.children as c; c.end_with_parent(); print(os.getpid(), flush=True)"
    code += "; time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], env=os.environ | children.environment())
"""


def ends_with_its_parent(kind: str, folder: Path) -> bool:
    """Kill a process that has a child, and see whether that ends."""
    script = folder / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, script, kind], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + LONG_S
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_alive(child)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_drawing_process_ends_with_a_killed_run(tmp_path: Path) -> None:
    assert ends_with_its_parent("program", tmp_path)


def test_a_worker_of_a_comparison_ends_with_a_killed_one(tmp_path: Path) -> None:
    assert ends_with_its_parent("worker", tmp_path)


def test_a_child_whose_parent_has_gone_before_it_asks_ends_at_once() -> None:
    code = "from ba.system.children import end_with_parent\nend_with_parent(1)\nprint('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_process_that_was_not_told_of_a_parent_goes_on() -> None:
    code = "from ba.system.children import end_with_parent\nend_with_parent()\nprint('lives')"
    environment = {name: value for name, value in os.environ.items() if name != children.PARENT}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "lives\n"
