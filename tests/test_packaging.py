"""What is declared in pyproject.toml is what is installed, pinned and said elsewhere."""

import re
import tomllib
from importlib.metadata import version

import ba
from tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower()


def test_the_version_is_one() -> None:
    assert ba.__version__ == PROJECT["version"] == version("ba")


def test_every_direct_requirement_is_pinned_exactly() -> None:
    pins = {_name(pin): pin for pin in EXTRAS["pinned"]}
    assert {_name(direct) for direct in [*PROJECT["dependencies"], *EXTRAS["test"]]} <= set(pins)
    assert all("==" in pin for pin in pins.values())


def test_pins_are_sorted_and_name_no_address() -> None:
    assert EXTRAS["pinned"] == sorted(EXTRAS["pinned"], key=str.lower)
    assert not any("@" in pin or "/" in pin for pin in EXTRAS["pinned"])
