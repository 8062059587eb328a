import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from ba.io import load
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from tests import ROOT

if TYPE_CHECKING:
    from tests.oracle.case import Case

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> None:
    """Whoever starts the tests in the background, or under nohup, has these ignored, and children inherit that."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def dubrovnik_cut() -> Problem:
    """Three images, seven points and nineteen observations of a real reconstruction."""
    return load(ROOT / "datasets" / "dubrovnik-3-7-pre.txt")


@pytest.fixture(scope="session")
def scene() -> Problem:
    """Six images and forty points with half a pixel of noise."""
    return generate(Scene(images=6, points=40))


@pytest.fixture(scope="session")
def oracle_case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], "Case"]:
    """The runs of a recipe of `oracle_cases`, made once."""
    from tests.support.oracle_cases import make_case

    return cache(lambda name: make_case(name, tmp_path_factory.mktemp("oracle")))


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Where the modules of `tests.support.hostile` leave marks."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder
