"""The folder of compiled kernels is ours alone, one process compiles, and compiling is told of and not counted."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ba.engine import kernelcache
from ba.engine.jit import COMPILATION
from ba.solve import solve
from ba.solve.result import Iteration
from tests.support.solving import perturbed

KERNEL = """
import sys
from ba.engine import jit, kernelcache

@jit.kernel
def add(a, b):
    return a + b

assert add(1, 2) == 3
print(sum(add.stats.cache_misses.values()), kernelcache.compile_seconds() > 0.0, jit.COMPILATION._depth)
"""

HOLDER = """
import time
from ba.engine import jit

jit.COMPILATION.begin()
print("holds", flush=True)
time.sleep(600)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A program with one kernel; numba keeps kernels of files alone."""
    path = tmp_path / "one.py"
    path.write_text(KERNEL)
    return path


def start(cache: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    variables = {key: value for key, value in os.environ.items() if key != kernelcache.QUIET}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=variables | {"NUMBA_CACHE_DIR": str(cache)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        assert kernelcache.prepare(tmp_path / "a" / "b") is None
    finally:
        os.umask(before)
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o722])
@pytest.mark.parametrize("part", ["a", "a/b"])
def test_a_folder_that_others_can_write_is_refused(part: str, mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o700)
    (tmp_path / part).chmod(mode)
    reason = kernelcache.prepare(folder)
    assert reason is not None
    assert reason.startswith(f"{(tmp_path / part).resolve()} can be written by others")


def test_a_link_into_such_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "inner").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "inner")
    assert "can be written by others" in str(kernelcache.prepare(tmp_path / "link"))


def test_a_sticky_folder_above_is_fit_and_a_sticky_one_itself_is_not(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True, mode=0o700)
    (tmp_path / "a").chmod(0o1777)
    assert kernelcache.prepare(tmp_path / "a" / "b") is None
    assert kernelcache.prepare(tmp_path / "a") is not None


def test_the_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert kernelcache.prepare(tmp_path) == f"{tmp_path.resolve()} belongs to another user"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written (Not a directory)" in str(kernelcache.prepare(tmp_path / "file" / "cache"))


def test_a_refused_folder_is_not_read_and_not_written(script: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    for _ in range(2):
        out, err = start(cache, str(script)).communicate()
        assert out == "1 True 0\n"
        assert "for this process alone" in err
        assert f"{cache.resolve()} can be written by others" in err
    assert not list(cache.rglob("*.nb?"))


def test_the_first_process_announces_and_the_second_has_nothing_to_compile(script: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert start(cache, str(script)).communicate() == ("1 True 0\n", f"ba: {kernelcache.COMPILING} ...\n")
    assert start(cache, str(script)).communicate() == ("0 False 0\n", "")


def test_nothing_is_announced_where_it_shall_be_quiet(script: Path, tmp_path: Path) -> None:
    assert start(tmp_path / "cache", str(script), BA_QUIET="1").communicate()[1] == ""


@pytest.mark.slow
def test_eight_processes_at_once_compile_once(script: Path, tmp_path: Path) -> None:
    processes = [start(tmp_path / "cache", str(script)) for _ in range(8)]
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, answers
    assert sum(int(out.split()[0]) for out, _ in answers) == 1
    assert sum(kernelcache.COMPILING in err for _, err in answers) == 1


def test_a_holder_that_is_killed_frees_the_others(script: Path, tmp_path: Path) -> None:
    holder = start(tmp_path / "cache", "-c", HOLDER)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    waiting = start(tmp_path / "cache", str(script))
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == f"ba: {kernelcache.WAITING} ...\n"
    assert waiting.poll() is None
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert waiting.communicate()[0] == "1 True 0\n"


def test_a_kernel_that_does_not_compile_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(
        "from ba.engine import jit\nfrom numba.core.errors import TypingError\n\n@jit.kernel\ndef wrong(a):\n"
        "    return a.nothing\n\ntry:\n    wrong(1)\nexcept TypingError:\n    print(jit.COMPILATION._depth)\n"
    )
    assert start(tmp_path / "cache", str(path)).communicate()[0] == "0\n"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["scipy", "schur"])
def test_compiling_is_no_solving(backend: str) -> None:
    pause = 0.3

    def compile(record: Iteration) -> None:
        if record.iteration == 1:
            COMPILATION.begin()
            time.sleep(pause)
            COMPILATION.end()

    compiled, began = kernelcache.compile_seconds(), time.perf_counter()
    solution = solve(perturbed(), options={"backend": backend}, observer=compile)
    assert kernelcache.compile_seconds() - compiled >= pause
    assert solution.solve_seconds <= time.perf_counter() - began - pause
