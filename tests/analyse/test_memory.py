"""The forecast of a run's memory is what runs take, and a run that would not fit is refused before it is solved."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ba import cli
from ba.analyse import memory
from ba.errors import UserError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.camera import CAMERAS
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.options import Camera
from ba.solve.options import Solver
from ba.solve.reduced import Eliminator, choose, make_structure
from ba.system import limits, reading
from scripts.memory import TOLERANCE, Order, measure
from tests.support.machines import config, growth, machine, refusal
from tests.support.scenes import random_problem

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("street_loop", "schur, sparse"),
        ("street_loop", "schur, cg"),
        ("street_loop", "scipy, preconditioner schur"),
        ("internet", "schur, cg"),
    ],
)
def test_the_forecast_is_what_a_run_takes(kind: str, way: str) -> None:
    found = measure(Order(kind, 300_000, way))
    assert abs(found.error) <= TOLERANCE, found


def test_parts_are_the_bytes_of_the_arrays_that_they_name() -> None:
    problem = condition(random_problem(np.random.default_rng(1), tuple(CAMERAS), n_points=30)).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    J, sizes = linearization.csr(), memory.measured(problem, 3)
    structure = make_structure(problem, 3)
    eliminate = Eliminator(structure, 1, explicit=choose(structure, None)[1])
    points = eliminate.inverse, eliminate.point_gradient, eliminate.point_diagonal
    schur = memory.forecast(sizes, Solver(backend="schur"))
    plain = memory.forecast(sizes, Solver(preconditioner="none"))
    blocks = linearization.residual, linearization.camera_blocks, linearization.point_blocks
    columns = linearization.columns.reduced, linearization.columns.points
    assert schur["blocks r, A, B"] == plain["blocks r, A, B"] == sum(part.nbytes for part in blocks)
    assert plain["Jacobian as CSR"] == J.data.nbytes + 4 * (J.indices.size + J.indptr.size)
    assert plain["columns of each observation"] == sum(part.nbytes for part in columns)
    assert schur["S, once for each part"] == sum(part.nbytes for part in [*eliminate.blocks, *eliminate.sums])
    assert schur["points' blocks, inverted"] == sum(part.nbytes for part in points)


@pytest.mark.parametrize("scene", [Scene(images=300, points=4000, kind="street"), Scene(shared_camera=True)])
def test_the_bound_that_needs_no_structure_is_one(scene: Scene) -> None:
    problem = generate(scene)
    least, most = memory.measured(condition(problem).problem, 3), memory.bounded(problem, 3)
    for name, bytes_needed in memory.ways(least, Solver()).items():
        assert bytes_needed <= memory.ways(most, Solver())[name], name
    assert sum(memory.forecast(least, Solver(backend="schur")).values()) <= sum(
        memory.forecast(most, Solver(backend="schur")).values()
    )


# --- limits -----------------------------------------------------------------------------------------------------------


def group(root: Path, version: int, path: str, limit: str, used: int, files: int) -> None:
    names = {1: ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"), 2: ("max", "current", "inactive_file")}
    folder = root / "sys/fs/cgroup" / ("memory" if version == 1 else "") / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names[version][:2], (limit, used), strict=True):
        (folder / f"memory.{name}").write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[version][2]} {files}\n")
    line = f"5:cpu,memory:/{path}\n" if version == 1 else f"0::/{path}\n"
    (root / "proc/self/cgroup").write_text("3:pids:/\n" + line)


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_cgroup_leaves_is_its_limit_less_what_cannot_be_dropped(version: int, tmp_path: Path) -> None:
    root = machine(tmp_path)
    group(root, version, "outer", "900000", 800_000, 300_000)
    group(root, version, "outer/own", "max" if version == 2 else str(2**63 - 4096), 10, 0)
    first = limits.limits(root=root)[0]
    assert (first.left, first.whole) == (400_000, 900_000)
    assert "/sys/fs/cgroup" in first.name
    assert "outer/memory." in first.name
    assert limits.most_in_memory(root) == 900_000


def test_a_container_that_sees_its_own_cgroup_as_the_topmost_is_held_by_it(tmp_path: Path) -> None:
    root = machine(tmp_path)
    group(root, 2, "", "5000", 1000, 0)
    (root / "proc/self/cgroup").write_text("0::/somewhere/of/the/host\n")
    assert limits.limits(root=root)[0].left == 4000


def test_a_file_may_fill_half_of_what_the_cgroup_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(bytes(3000))
    monkeypatch.setattr(limits, "most_in_memory", lambda: 5000)
    with pytest.raises(UserError, match="more than half of this machine's memory"):
        reading.read_bytes(path)


# --- the refusal ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street() -> Problem:
    return generate(Scene(kind="street", images=60, points=20_000))


def test_a_run_that_fits_is_not_refused(street: Problem, tmp_path: Path) -> None:
    memory.check(street, config(), machine(tmp_path))


def test_the_refusal_names_what_fits_and_the_limit(street: Problem, tmp_path: Path) -> None:
    plain, cg = growth(street, "scipy, preconditioner none"), growth(street, "schur, sparse")
    told = refusal(street, config(preconditioner="none"), machine(tmp_path, (plain + cg) // 2 // 1024))
    assert told.startswith(f"memory: scipy, preconditioner none on {street.num_observations:,} observations needs")
    assert "are left (MemAvailable of /proc/meminfo)" in told
    assert "; --set solver.backend=schur --set solver.linear=sparse needs about" in told


def test_where_no_way_fits_the_refusal_tells_how_many_observations_would(street: Problem, tmp_path: Path) -> None:
    half = growth(street, "schur, sparse") // 2
    told = refusal(street, config(backend="schur", linear="sparse"), machine(tmp_path, half // 1024))
    fitting = int(told.rsplit("; about ", 1)[1].split(" ")[0].replace(",", ""))
    assert 0.4 * street.num_observations < fitting <= 0.5 * street.num_observations


def test_bounds_leave_no_other_way(street: Problem, tmp_path: Path) -> None:
    asked = config(preconditioner="none").model_copy(update={"camera": Camera(bounds={"fx": (1.0, 1e5)})})
    needed = growth(street, "scipy, preconditioner none")
    assert "--set" not in refusal(street, asked, machine(tmp_path, needed // 2 // 1024))


def test_where_nothing_is_left_nothing_would_fit(street: Problem, tmp_path: Path) -> None:
    assert refusal(street, config(), machine(tmp_path, 0)).endswith("; nothing would fit")


LIMITED = """
import resource, sys
from pathlib import Path
from ba import cli
from ba.analyse import memory

def limited(*arguments, check=memory.check):
    used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("{field}"))
    limit = used + {room}
    resource.setrlimit(resource.{limit}, (limit, limit))
    check(*arguments)
memory.check = limited
sys.exit(cli.main(sys.argv[1:]))
"""


@linux
@pytest.mark.parametrize(("limit", "field"), [("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")])
def test_a_run_under_a_ulimit_is_refused_and_leaves_nothing(limit: str, field: str, tmp_path: Path) -> None:
    code = LIMITED.format(field=field, limit=limit, room=1_000_000)
    command = [sys.executable, "-c", code, "run", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]
    (tmp_path / "c.yaml").write_text("data: {scene: {images: 20, points: 20000}}\noutput: {picture: false}\n")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("ba: error: memory: scipy, preconditioner schur on ")
    assert f"({limit}, `ulimit -" in run.stderr
    assert run.stderr.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["c.yaml"]


def test_a_check_tells_the_memory_of_every_way(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: {scene: {images: 6, points: 40}}\nsolver: {backend: schur}\n")
    assert cli.main(["check", str(tmp_path / "c.yaml"), "--states", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    section = lines[lines.index("memory of a run") + 1 :]
    assert [line[4:].rsplit("  ", 1)[0].strip() for line in section[: len(memory.WAYS)]] == list(memory.WAYS)
    assert [line[:4] for line in section[: len(memory.WAYS)]].count("  * ") == 1
