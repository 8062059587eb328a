"""A rotation alignment ends at the closed form, whatever the numbers, and says so where it cannot."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ba import cli, pipeline
from ba.analyse.derivatives import jacobian
from ba.config.reading import dump
from ba.errors import UserError
from ba.io.ply import write_vertices
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS, Parameterization, so3
from ba.model.variables import make_variables
from ba.studies.rotation_alignment import data, lab, picture, stress
from ba.studies.rotation_alignment.config import Alignment, Generated, RotationAlignment, Sets, load
from ba.studies.rotation_alignment.problem import PointSets, closed_form, cost
from ba.studies.rotation_alignment.run import PRODUCTS, run
from ba.studies.rotation_alignment.solve import RESIDUALS, make_problem, solve
from tests import ROOT

SHIPPED = ROOT / "configs" / "rotation-alignment.yaml"
SETS = data.generate(Generated())
BEST = closed_form(SETS)
START = np.eye(3)
STAYS = [name for name, parameterization in ROTATIONS.items() if parameterization.stays_rotation]
LEAVES = [name for name in ROTATIONS if name not in STAYS]
EVERY = pytest.mark.parametrize("rotation", ROTATIONS)
EITHER = pytest.mark.parametrize("residual", RESIDUALS)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("rotation", STAYS)
@EITHER
def test_every_rotation_ends_at_the_closed_form(rotation: str, residual: str) -> None:
    row, _ = lab.align(SETS, BEST, rotation, residual, START)
    assert row.status == "converged"
    assert row.to_closed_form < 1e-8
    assert row.distance_from_so3 < 1e-14


@pytest.mark.parametrize("rotation", LEAVES)
def test_numbers_that_leave_so3_end_lower_and_off_it(rotation: str) -> None:
    row, _ = lab.align(SETS, BEST, rotation, "vector", START)
    assert row.final_cost < cost(SETS, BEST)
    assert 1e-3 < row.distance_from_so3 < 0.1
    assert row.to_closed_form < 1e-3


@EVERY
def test_without_noise_the_truth_comes_back(rotation: str) -> None:
    sets = data.generate(Generated(sigma=0.0))
    row, _ = lab.align(sets, closed_form(sets), rotation, "vector", START)
    assert row.status == "converged"
    assert row.to_truth is not None
    assert row.to_truth < 1e-8


@EVERY
@EITHER
def test_derivatives_agree_with_complex_steps(rotation: str, residual: str) -> None:
    turned = so3.exp(np.array([[0.4, -0.7, 1.1]]))
    variables = make_variables(replace(make_problem(SETS, residual), rotations=turned), ROTATIONS[rotation])
    right, found = (jacobian(variables, variables.start, how).toarray() for how in ("complex_columns", "analytic"))
    assert np.abs(found - right).max() < 1e-12
    assert right.any()


def test_both_residuals_have_one_cost_and_one_gradient() -> None:
    found = []
    for name in RESIDUALS:
        problem = make_problem(SETS, name)
        variables = make_variables(problem, ROTATIONS["so3_left"])
        at = Residuals(problem).linearize(variables, variables.start)
        found.append((at.residuals @ at.residuals, at.vjp(at.residuals)))
    (r, g), (n, h) = found
    assert np.isclose(r, n, rtol=1e-14)
    assert np.allclose(g, h, rtol=1e-12)


def test_a_norm_has_a_zero_derivative_where_it_has_none() -> None:
    problem = make_problem(PointSets(np.eye(3), np.eye(3)), "norm")
    variables = make_variables(problem, ROTATIONS["so3_left"])
    at = Residuals(problem).linearize(variables, variables.start)
    assert not at.residuals.any()
    assert not at.csr().toarray().any()


@pytest.mark.parametrize("rotation", STAYS)
@EITHER
@pytest.mark.parametrize("options", [{"backend": "scipy"}, {"backend": "schur", "linear": "sparse"}])
def test_other_backends_and_linear_solvers_end_at_the_closed_form_too(
    rotation: str, residual: str, options: dict[str, str]
) -> None:
    row, _ = lab.align(SETS, BEST, rotation, residual, START, Alignment(**options))  # type: ignore[arg-type]
    assert row.status == "converged"
    assert row.to_closed_form < 1e-8


@EVERY
def test_starts_solved_together_end_as_they_do_alone(rotation: str) -> None:
    parameterization, options = ROTATIONS[rotation], Alignment(max_iterations=50)
    theta = parameterization.from_matrix(so3.exp(np.linspace(0.1, 2.5, 4)[:, None] * lab.directions(4, 0)))
    together = solve(SETS, parameterization, theta, "vector", options)
    for a, one in zip(together, theta, strict=True):
        (b,) = solve(SETS, parameterization, one[None], "vector", options)
        assert a.end.cost == b.end.cost
        assert np.array_equal(a.theta, b.theta)


@EVERY
def test_costs_never_rise(rotation: str) -> None:
    parameterization = ROTATIONS[rotation]
    starts = so3.exp(np.radians(170.0) * lab.directions(5, 3)) @ BEST
    for course in solve(
        SETS, parameterization, parameterization.from_matrix(starts), "vector", Alignment(max_iterations=100)
    ):
        assert (np.diff([step.cost for step in course.steps]) <= 0.0).all()


def test_a_limit_of_steps_is_kept_and_named() -> None:
    row, course = lab.align(SETS, BEST, "axis_angle", "vector", START, Alignment(max_iterations=2))
    assert (row.iterations, row.status) == (2, "max_iterations")
    assert len(course.steps) == 3


def test_sets_that_leave_the_rotation_undetermined_are_refused() -> None:
    line = np.outer(np.arange(1.0, 5.0), [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="undetermined"):
        closed_form(PointSets(line, line))


def test_stress_has_a_row_for_every_rotation_and_place() -> None:
    rows = stress.run(ROTATIONS, range(1))
    assert [(row.parameterization, row.stress) for row in rows] == [(r, s) for r in ROTATIONS for s in stress.STRESS]
    for row in rows:
        assert row.of == 1
        assert bool(row.why) == (row.reached < row.of)
        assert np.isnan(row.median_steps) == (row.reached == 0)


@EVERY
@pytest.mark.parametrize("place", stress.STRESS)
def test_stress_starts_where_it_says(rotation: str, place: str) -> None:
    parameterization = ROTATIONS[rotation]
    theta, optimum = stress.STRESS[place](parameterization, stress._draw(range(3)))
    start = parameterization.to_matrix(theta)
    apart = so3.norm(so3.log(optimum @ np.swapaxes(start, -1, -2)))
    expected = {"90 degrees away": np.pi / 2, "170 degrees away": np.radians(170.0)}.get(place, stress.HALF)
    assert np.allclose(apart, expected, atol=1e-4)


def test_near_2_pi_is_in_the_numbers_where_they_can_hold_it() -> None:
    theta, _ = stress.STRESS["near 2 pi"](ROTATIONS["axis_angle"], stress._draw(range(3)))
    assert np.allclose(np.linalg.norm(theta, axis=1), 2.0 * np.pi - stress.NEAR, atol=1e-6)


def written(path: Path, points: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".csv":
        path.write_text("x,y,z\n" + "".join(",".join(map(repr, row)) + "\n" for row in points.tolist()))
    else:
        write_vertices(path, points, (0, 0, 0))
    return path


@pytest.mark.parametrize("suffix", data.READERS)
def test_every_format_gives_back_what_it_holds(suffix: str, folder: Path) -> None:
    assert np.array_equal(data.read_points(written(folder / f"p{suffix}", SETS.p1)), SETS.p1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"1,2,3\n4,5\n", "a.csv, line 2: '4,5' found"),
        ("a.csv", b"x,y,z\n1,2,nan\n1,2,3\n", "point 1 is"),
        ("a.csv", b"x,y,z\n", "shape (0, 3)"),
        ("a.npy", b"none", "not an array"),
        ("a.ply", b"none", "a.ply, line 1: 'none' found, `ply` is the first line"),
        ("a.txt", b"1 2 3", "ends in .npy, .csv, .ply"),
    ],
)
def test_a_bad_set_is_named(name: str, content: bytes, said: str, folder: Path) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        data.read_points(Path(name))
    assert str(caught.value).startswith(name)


def test_sets_of_different_size_are_refused(folder: Path) -> None:
    p1, p2 = written(folder / "a.npy", SETS.p1), written(folder / "b.csv", SETS.p2[1:])
    with pytest.raises(UserError, match=r"99 points, but .* has 100"):
        data.load_sets(Sets(p1=p1, p2=p2))


def test_the_shipped_configuration_dumps_to_itself(folder: Path) -> None:
    config = load(SHIPPED)
    assert set(config.rotations) == set(ROTATIONS)
    assert config.data.generated == Generated()
    Path("again.yaml").write_text(dump(config))
    assert load("again.yaml") == config


@pytest.mark.parametrize(
    ("text", "override", "said"),
    [
        (
            "kind: rotation_alignment\nresidul: norm",
            None,
            "c.yaml, line 2: residul: no such key; did you mean residual?",
        ),
        (
            "kind: rotation_alignment\nresidual: norms",
            None,
            'c.yaml, line 2: residual: "norms" found, vector or norm or',
        ),
        (
            "kind: rotation_alignment\nrotation: [so3_left, quaternoin]",
            None,
            'line 2: rotation[1]: "quaternoin" is not',
        ),
        ("kind: rotation_alignment\ndata: {p1: a.npy}", None, "c.yaml, line 2: data.p2: missing"),
        ("kind: rotation_alignment\ndata: {p1: a.npy, p2: b.npy}", None, "c.yaml, line 2: data.p1:"),
        ("kind: rotation_alignment", "starts.cuont=3", "--set starts.cuont=3: starts.cuont: no such key; did you mean"),
        (
            "kind: rotation_alignment\nmax_iterations: 5",
            None,
            "c.yaml, line 2: max_iterations: no such key; did you mean solver.max_iterations?",
        ),
        ("kind: rotation_alignment", "max_iterations=5", "no such key; did you mean solver.max_iterations?"),
        ("kind: rotation_alignment", "rotation=none", '--set rotation=none: rotation: "none" is not known'),
        ("kind: rotation_alignmant", None, 'c.yaml, line 1: kind: "rotation_alignmant" is not known'),
        ("kind: [1]", None, "c.yaml, line 1: kind: [1] is not known"),
        ("kind: 5", None, "c.yaml, line 1: kind: 5 is not known; rotation_alignment is right"),
        ("kind: null", None, "c.yaml, line 1: kind: null is not known; rotation_alignment is right"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    text: str, override: str | None, said: str, folder: Path, capsys: Capture
) -> None:
    Path("c.yaml").write_text(text)
    assert cli.main(["run", "c.yaml", *(["--set", override] if override else [])]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ba: error: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_run_prints_its_tables_and_writes_its_folder(folder: Path, capsys: Capture) -> None:
    settings = ["starts.count=2", "starts.angles_deg=[30]", "output.picture=false"]
    assert cli.main(["run", str(SHIPPED), "--out", "here", *(f"--set={setting}" for setting in settings)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert {path.name for path in Path("here").iterdir()} == {*PRODUCTS} - {"view.png"}
    summary = json.loads(Path("here", "summary.json").read_text())
    rows = list(csv.DictReader(Path("here", "results.csv").read_text().splitlines()))
    assert len(summary["results"]) == len(rows) == len(ROTATIONS) * len(RESIDUALS)
    for name in ROTATIONS:
        assert len(re.findall(rf"^{name} ", out, re.MULTILINE)) == 2 * len(RESIDUALS)
    for name in LEAVES:
        assert f"`{name}` left SO(3)" in out


def test_sets_of_the_user_are_aligned(folder: Path) -> None:
    written(folder / "a.csv", SETS.p1)
    written(folder / "b.ply", SETS.p2)
    Path("c.yaml").write_text(
        "kind: rotation_alignment\ndata: {p1: a.csv, p2: b.ply}\nrotation: so3_left\noutput: {picture: false, dir: out}"
    )
    result = run(Path("c.yaml"))
    assert result.rows[0].to_closed_form < 1e-8
    assert np.allclose(data.read_points(Path("out", "aligned.ply")), SETS.p2 @ result.rotation.T, atol=1e-15)


def test_a_run_does_not_replace_its_input(folder: Path) -> None:
    written(folder / "aligned.ply", SETS.p1)
    config = RotationAlignment(kind="rotation_alignment", data=Sets(p1=Path("aligned.ply"), p2=Path("aligned.ply")))
    with pytest.raises(UserError, match="replace its own input"):
        run(config, Path())


def test_the_picture_has_both_sets_before_and_after(folder: Path) -> None:
    assert picture.write(SETS, START, BEST, Path("view.png")) is None
    with Image.open("view.png") as image:
        pixels = np.array(image)
    left, right = pixels[:900, :800], pixels[:900, 800:]
    for color, half in (
        (picture.TARGET, left),
        (picture.TURNED, left),
        (picture.TARGET, right),
        (picture.TURNED, right),
    ):
        assert (np.abs(half - np.array(color, float)).max(axis=-1) < 30).any()
    joined = [(np.abs(half - np.array(picture.JOIN, float)).max(axis=-1) < 20).sum() for half in (left, right)]
    assert joined[0] > 10 * joined[1]


def test_a_run_folder_is_viewed_as_it_was_drawn(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(picture, "write", lambda sets, *states: drawn.append((sets.p1, *states)))
    config = RotationAlignment(kind="rotation_alignment", rotation="so3_left", start=(0.1, 0.2, 0.3))
    run(config, Path("here"))
    assert cli.main(["view", "here", "--screenshot", "again.png"]) == 0
    assert capsys.readouterr().out == "again.png\n"
    (*before, first), (*after, second) = drawn
    assert (first.name, second.name) == ("view.png", "again.png")
    assert all(np.allclose(a, b, rtol=0.0, atol=1e-14) for a, b in zip(before, after, strict=True))


def test_the_window_lists_both_states_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(picture, "open_window", lambda title, job, entries: opened.extend(entries))
    picture.show(SETS, START, BEST)
    assert [entry["group"] for entry in opened] == ["before", "before", "after", "after"]
    assert [len(entry["geometry"].points) for entry in opened] == [2 * len(SETS.p2)] * 4


def test_other_commands_say_that_it_is_no_bundle_adjustment() -> None:
    with pytest.raises(UserError, match='line 5: kind: "rotation_alignment" is for `ba run`'):
        pipeline.run(SHIPPED)


def test_a_list_of_parameterizations_is_run_in_its_order() -> None:
    config = RotationAlignment(kind="rotation_alignment", rotation=["matrix9", "so3_left"])
    assert config.rotations == ("matrix9", "so3_left")
    assert all(isinstance(ROTATIONS[name], Parameterization) for name in config.rotations)


def test_a_name_with_a_line_feed_leaves_the_message_one_line(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text('kind: rotation_alignment\nrotation: ["qu\\naternion"]\n')
    with pytest.raises(UserError, match="did you mean quaternion") as refused:
        load(path)
    assert "\n" not in str(refused.value)
