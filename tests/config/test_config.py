"""A configuration means what it says, says everything when it is dumped, and every mistake in it is named."""

import contextlib
import json
import math
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ba import options
from ba.config import schema
from ba.config.reading import check_names, dump
from ba.config.source import read
from ba.config.yamltext import dotted, parse, write
from ba.errors import UserError
from ba.io.options import Data, Scene
from ba.options import Config, load
from ba.prepare.options import Camera, Noise
from ba.solve.options import Solver
from tests import ROOT
from tests.support.bad_configs import BAD_CONFIGS, BadConfig

CONFIGS = {path: read(path)[0] for path in sorted((ROOT / "configs").glob("*.yaml"))}
SHIPPED = [path for path, keys in CONFIGS.items() if "data" in keys and "kind" not in keys]
KEYS = [key for key, _ in schema.walk(schema.root(Config))]
LEAVES = [key for key, inner in schema.walk(schema.root(Config)) if not schema.section_of(inner)]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc1-:#. ", min_size=1), inner, max_size=3),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str, name: str = "config.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def message_of(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize("bad", BAD_CONFIGS, ids=lambda bad: bad.name)
def test_a_mistake_is_named_with_place_key_and_reason_in_one_line(bad: BadConfig, folder: Path) -> None:
    Path(bad.file).write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    message = message_of(Path(bad.file), *bad.overrides)
    assert bad.expected in message
    assert message.startswith((bad.file, "--set"))
    assert "\n" not in message


def test_names_in_the_table_are_distinct() -> None:
    assert len({bad.name for bad in BAD_CONFIGS}) == len(BAD_CONFIGS)


@pytest.mark.parametrize("key", KEYS, ids=dotted)
def test_a_key_with_a_letter_missing_is_answered_with_the_right_one(key: tuple[str, ...], folder: Path) -> None:
    misspelt = dotted((*key[:-1], key[-1][:1] + key[-1][2:]))
    assert re.search(rf"did you mean .*\b{re.escape(dotted(key))}\b", message_of(shortest(folder), f"{misspelt}=1"))


@pytest.mark.parametrize("key", KEYS, ids=dotted)
def test_every_key_refuses_what_it_cannot_hold_and_says_what_it_can(key: tuple[str, ...], folder: Path) -> None:
    message = message_of(shortest(folder), f"{dotted(key)}=[[[true]]]")
    assert re.search(rf"{re.escape(dotted(key))}\S*: \[+true\]+ found, .+ expected", message)


@pytest.mark.parametrize("key", KEYS, ids=dotted)
def test_every_key_has_help(key: tuple[str, ...]) -> None:
    assert (schema.at(key, Config) or {})["description"]


@pytest.mark.parametrize("key", LEAVES, ids=dotted)
def test_setting_a_key_to_its_default_changes_nothing(key: tuple[str, ...], folder: Path) -> None:
    in_scene = key[:2] == ("data", "scene")
    path = written(folder, "data: {scene: {}}") if in_scene else shortest(folder)
    before = load(path)
    value = yaml.safe_dump(schema.value_at(before.model_dump(mode="json"), key), default_flow_style=True)
    after = load(path, [f"{dotted(key)}={value.removesuffix('...' + chr(10)).strip()}"])
    assert after == before


def shortest(folder: Path) -> Path:
    (folder / "x.txt").touch()
    return written(folder, "data: {path: x.txt}\n")


def test_a_file_with_only_a_path_is_complete(folder: Path) -> None:
    assert load(shortest(folder)) == Config(data=Data(path=folder / "x.txt"))


NUMBERS = {"1e-8": 1e-8, "1E5": 1e5, "-.5": -0.5, "3.": 3.0, "+2": 2, "010": 10, "0x1f": 31, "0o17": 15}
INFINITE = {".inf": math.inf, "-.INF": -math.inf, "1" * 5000: math.inf}
WORDS = {"~": None, "": None, "True": True, "'1'": "1"}
TEXTS = {text: text for text in ("no", "on", "2024-01-31", "12:30", "1_000", "1e", "e5", ".")}


@pytest.mark.parametrize(("text", "value"), (NUMBERS | INFINITE | WORDS | TEXTS).items())
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert parse(f"a: {text}", "text")[0] == {"a": value}


@given(data=DATA)
def test_what_is_written_reads_back_equal(data: object) -> None:
    assert parse(write({"data": data}), "text")[0] == {"data": data}


@given(data=DATA)
def test_what_is_written_means_the_same_to_other_yaml_readers(data: object) -> None:
    assert yaml.safe_load(write({"data": data})) == {"data": data}


@given(text=st.text(st.characters(codec="utf-8")) | st.text("a:- []{}#&*!|>'\"%@\n\t"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        parse(text, "text")


def test_lines_are_those_of_the_keys() -> None:
    _, lines = parse("a: 1\n# comment\nb:\n  c:\n  - 2\n  - {d: 3}\n", "text")
    assert lines == {
        (): 1,
        ("a",): 1,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", 0): 5,
        ("b", "c", 1): 6,
        ("b", "c", 1, "d"): 6,
    }


@given(
    ftol=st.floats(0, allow_infinity=False, allow_subnormal=True),
    position=st.floats(0, allow_infinity=False),
    bounds=st.tuples(st.floats(-math.inf, 0), st.floats(1, math.inf)),
    refine=st.sampled_from(["all", "none"]) | st.lists(st.sampled_from(["f", "k1"]), unique=True),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_dumped_configuration_loads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, ftol: float, position: float, bounds: object, refine: object, seed: int
) -> None:
    config = Config(
        data=Data(scene=Scene(seed=seed)),
        camera=Camera.model_validate({"refine": refine, "bounds": {"k1": bounds}}),
        solver=Solver(ftol=ftol),
        noise=Noise(position=position),
    )
    again = load(written(tmp_path_factory.getbasetemp(), dump(config), "dumped.yaml"))
    assert again == config
    assert again.solver.ftol.hex() == ftol.hex()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_load_and_dump_to_themselves(path: Path, folder: Path) -> None:
    config = load(path)
    text = dump(config)
    assert load(written(folder, text)) == config
    assert dump(load(written(folder, text))) == text


def test_a_dump_spells_out_every_key() -> None:
    values = yaml.safe_load(dump(Config(data=Data(scene=Scene()))))
    for key in KEYS:
        assert key[-1] in schema.value_at(values, key[:-1])


def test_all_keys_lists_every_key_with_its_default() -> None:
    path = ROOT / "configs" / "all-keys.yaml"
    text = path.read_text()
    assert text == options.all_keys()
    assert load(path) == Config(data=Data(path=ROOT / "datasets" / options.EXAMPLE.name))
    with_scene = text.replace("  scene: null", "  scene:").replace("\n    # ", "\n    ")
    values = yaml.safe_load(with_scene)
    for key in KEYS:
        assert key[-1] in schema.value_at(values, key[:-1])
    values["data"]["path"] = None
    assert Config.model_validate_json(json.dumps(values)) == Config(data=Data(scene=Scene()))


def test_data_lies_beside_the_file_and_output_in_the_working_folder(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "x.txt").touch()
    config = load(written(folder / "deep", "data: {path: ../deep/x.txt}\noutput: {dir: runs/a}\n"))
    assert (config.data.path, config.output.dir) == (folder / "deep" / "x.txt", folder / "runs" / "a")


def test_a_path_on_the_command_line_is_relative_to_the_working_folder(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "y.txt").touch()
    config = load(written(folder / "deep", "data: {path: nowhere.txt}"), ["data.path=y.txt"])
    assert config.data.path == folder / "y.txt"


def test_overrides_make_the_sections_they_need_and_the_last_one_holds(folder: Path) -> None:
    path = written(folder, "data: {path: x.txt}")
    config = load(path, ["data.path=null", "data.scene.images=5", "data.scene.images=6", "camera.bounds.f=[1, 1e4]"])
    assert config.data.scene == Scene(images=6)
    assert config.camera.bounds == {"f": (1.0, 10000.0)}


@pytest.mark.parametrize(
    ("solver", "bounds", "preconditioner"),
    [
        ("{}", "{}", "schur"),
        ("{preconditioner: none}", "{}", "none"),
        ("{method: dogbox}", "{}", "none"),
        ("{method: lm}", "{}", "none"),
        ("{}", "{f: [1, 2]}", "none"),
    ],
)
def test_the_preconditioner_is_schur_wherever_it_works(
    solver: str, bounds: str, preconditioner: str, folder: Path
) -> None:
    path = written(folder, f"data: {{scene: {{}}}}\nsolver: {solver}\ncamera: {{bounds: {bounds}}}\n")
    assert load(path).solver.preconditioner == preconditioner


@pytest.mark.parametrize("name", ["nowhere.yaml", ".", "confgi.yaml"])
def test_a_missing_file_or_a_folder_is_named(name: str, folder: Path) -> None:
    written(folder, "data: {scene: {}}")
    message = message_of(Path(name))
    assert message.startswith(f"{name}: ")
    assert ("did you mean config.yaml?" in message) == (name == "confgi.yaml")


def test_names_are_checked_in_configurations_made_in_python() -> None:
    check_names(Config(data=Data(scene=Scene()), camera=Camera(refine=["f", "fx"])))
    with pytest.raises(UserError, match=r'^rotation: "so3" is not known .* did you mean so3_'):
        check_names(Config(data=Data(scene=Scene()), rotation="so3"))
    with pytest.raises(UserError, match=r'^camera\.refine\[0\]: "focal" is not known'):
        check_names(Config(data=Data(scene=Scene()), camera=Camera(refine=["focal"])))
