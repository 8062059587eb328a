"""Configurations that are wrong, and what the message about each must say: one table for tests and for showing."""

from dataclasses import dataclass

SCENE = "data: {scene: {}}\n"
"""The source of every case that is about something else; the case's own text begins in line 2."""


@dataclass(frozen=True)
class BadConfig:
    """`text` stands in a file `file`, `overrides` are what `--set` gives; `expected` is a part of the message."""

    name: str
    text: str | bytes
    expected: str
    overrides: tuple[str, ...] = ()
    file: str = "bad.yaml"


def scene(name: str, text: str, expected: str) -> BadConfig:
    return BadConfig(name, SCENE + text, expected)


def override(name: str, override: str, expected: str) -> BadConfig:
    return BadConfig(name, SCENE, expected, (override,))


NOT_YAML = [
    BadConfig("empty file", "", "bad.yaml: is empty"),
    BadConfig("comments only", "# data:\n", "bad.yaml: no key is given; the shortest configuration is `data: {path: "),
    BadConfig("unclosed bracket", "data: {path: x\nseed: 1\n", "bad.yaml, line 2, column"),
    BadConfig("indented by a tab", "data:\n\tpath: x\n", "line 2, column 1: not valid YAML"),
    BadConfig("two colons", "data: path: x\n", "line 1, column 11: not valid YAML, mapping values are not allowed"),
    BadConfig("text only", "dubrovnik\n", 'bad.yaml: "dubrovnik" found, lines `key: value` expected'),
    BadConfig("a list", "- data\n", 'bad.yaml: ["data"] found, lines `key: value` expected'),
    BadConfig("not UTF-8", b"data: {path: caf\xe9.txt}\n", "bad.yaml, line 1: byte 0xe9 is not UTF-8"),
    BadConfig("control character", "data:\n  path: x\0\n", "line 2: not valid YAML, control characters"),
    BadConfig("nested deeply", "[" * 100_000, "line 1: nested too deeply"),
    BadConfig("too large", "# " + "x" * 1_000_000, "bad.yaml: larger than 1 MB"),
    BadConfig("python object", "data: !!python/object/apply:os.getcwd []\n", "line 1: the tag"),
    BadConfig("alias", "data: &a {scene: *a}\n", "line 1: the anchor or alias 'a' is not supported"),
    BadConfig("list as a key", SCENE + "? [a]\n: 1\n", "line 2: a list, section or alias stands where the name"),
    BadConfig("two documents", SCENE + "---\n" + SCENE, "line 2: a second document begins"),
    BadConfig("data file", "3 7 19\n0 0 -385.99 387.12\n", "only `data: {path: x.asc}` is a complete", file="x.asc"),
    BadConfig("binary data file", b"\x89PNG\r\n\x1a\n\xff", "x.png, line 1: byte 0x89 is not UTF-8", file="x.png"),
    BadConfig("archive", b"\xfd7zXZ\0", "only `data: {path: x.yaml.xz}` is a complete", file="x.yaml.xz"),
]  # fmt: skip

WRONG_KEYS = [
    scene("given twice", "seed: 1\nseed: 2\n", "line 3: seed: given twice, first in line 2"),
    scene("misspelt key", "solver:\n  maxiter: 3\n", "line 3: solver.maxiter: no such key; did you mean solver.max_"),
    scene("misspelt section", "sovler: {ftol: 1}\n", "line 2: sovler: no such key; did you mean solver?"),
    scene("key outside its section", "ftol: 1e-6\n", "line 2: ftol: no such key; did you mean solver.ftol?"),
    scene("nothing like it", "loss: {zzz: 1}\n", "loss.zzz: no such key; the keys here are loss.name, loss.scale"),
    scene("key in camelCase", "solver: {maxIterations: 1}\n", "did you mean solver.max_iterations?"),
    scene("two wrong keys", "solver: {a: 1, b: 2}\n", "(and 1 more)"),
]  # fmt: skip

WRONG_VALUES = [
    scene("text for a number", "solver:\n  ftol: small\n", 'line 3: solver.ftol: "small" found, a number >= 0'),
    scene("number with a unit", "noise: {position: 3 m}\n", 'noise.position: "3 m" found, a number >= 0 expected'),
    scene("negative", "noise: {points: -1}\n", "noise.points: -1 found, a number >= 0 expected"),
    scene("infinite", "loss: {scale: .inf}\n", "loss.scale: Infinity found, a number > 0 expected"),
    scene("not a number", "loss: {scale: .nan}\n", "loss.scale: NaN found, a number > 0 expected"),
    scene("fraction for a count", "solver: {max_iterations: 2.5}\n", "2.5 found, a whole number >= 0 expected"),
    scene("truth for a count", "seed: true\n", "line 2: seed: true found, a whole number >= 0"),
    scene("beyond 64 bits", f"seed: {10**30}\n", "line 2: seed: 1000000000000000000000000000000 found, a whole number"),
    scene("text for a truth", "output: {picture: 'no'}\n", 'output.picture: "no" found, true or false expected'),
    scene("YAML 1.1's no", "output: {picture: no}\n", 'output.picture: "no" found, true or false expected'),
    scene("number for a section", "solver: 5\n", "line 2: solver: 5 found, a section with keys among backend, method"),
    scene("section left empty", "solver:\n", "line 2: solver: null found, a section with keys among backend, method"),
    scene("section for a value", "seed: {a: 1}\n", "line 2: seed: a section found, a whole number"),
    scene("not one of few", "gauge: fixed\n", '"fixed" found, free or two_cameras or three_points expected'),
    scene("neither word nor list", "fix: {poses: some}\n", 'fix.poses: "some" found, none or all, or a list'),
    scene("deep in a list", "fix:\n  poses:\n  - 0\n  - -1\n", "line 5: fix.poses[1]: -1 found, a whole number >= 0"),
    scene("bound without a partner", "camera: {bounds: {f: [1]}}\n", "camera.bounds.f: [1] found, [a number, "),
    scene("bounds that cross", "camera: {bounds: {f: [2, 1]}}\n", "camera.bounds.f: [2.0, 1.0] is empty"),
    BadConfig("too few images", "data:\n  scene:\n    images: 1\n", "line 3: data.scene.images: 1 found, a whole"),
    BadConfig("data as text", "data: x.txt\n", 'data: "x.txt" found, a section with keys among path, format, scene'),
]  # fmt: skip

WRONG_NAMES = [
    scene("misspelt rotation", "rotation: quaternoin\n", 'line 2: rotation: "quaternoin" is not known'),
    scene("misspelt loss", "loss:\n  name: hubert\n", "line 3: loss.name: "),
    scene("unknown backend", "solver: {backend: ceres}\n", 'solver.backend: "ceres" is not known (which solver)'),
    scene("misspelt solver", "solver: {linear: spares}\n", 'solver.linear: "spares" is not known'),
    scene("misspelt preconditioner", "solver: {cg_preconditioner: pover}\n", "did you mean power? There are: jacobi,"),
    scene("misspelt intrinsic", "camera: {refine: [f, k3]}\n", 'camera.refine[1]: "k3" is not known'),
    scene("bound of what is not there", "camera: {bounds: {g: [1, 2]}}\n", 'camera.bounds.g: "g" is not known'),
    BadConfig("unknown format", "data: {path: x, format: ball}\n", 'data.format: "ball" is not known'),
    BadConfig("unknown camera", "data: {scene: {camera: fish}}\n", 'data.scene.camera: "fish" is not known'),
]  # fmt: skip

WRONG_TOGETHER = [
    BadConfig("no data", "seed: 1\n", "bad.yaml: data: missing, a section with keys among path, format"),
    BadConfig("data without a source", "data: {}\n", "data.path: nothing to read"),
    BadConfig("two sources", "data:\n  path: x\n  scene: {}\n", "line 3: data.scene: data.path is given too"),
    BadConfig("no such data", "data:\n  path: nowhere.txt\n", "line 2: data.path: "),
    BadConfig("format of a scene", "data: {scene: {}, format: bal}\n", "data.format: bal is for data.path"),
    BadConfig(
        "covariance not symmetric",
        "data:\n  scene:\n    covariance_px2: [[1, 2], [3, 4]]\n",
        "line 3: data.scene.covariance_px2: [[1.0, 2.0], [3.0, 4.0]] is not symmetric",
    ),
    BadConfig("covariance negative", "data: {scene: {covariance_px2: [[1, 2], [2, 1]]}}\n", "a negative eigenvalue"),
    BadConfig(
        "weights of exact observations",
        "data: {scene: {covariance_px2: [[0, 0], [0, 0]], use_covariance: true}}\n",
        "data.scene.use_covariance: weights need an invertible covariance_px2",
    ),
    scene("schur with dogbox", "solver: {method: dogbox, preconditioner: schur}\n", "schur works with solver.method"),
    scene("lm with a loss", "loss: {name: huber}\nsolver: {method: lm}\n", "line 2: loss.name: lm knows no huber"),
    scene("lm with bounds", "camera: {bounds: {f: [1, 2]}}\nsolver: {method: lm}\n", "camera.bounds: lm knows none"),
    scene(
        "schur with bounds",
        "camera: {bounds: {f: [1, 2]}}\nsolver: {preconditioner: schur}\n",
        "line 3: solver.preconditioner: schur cannot keep camera.bounds",
    ),
]  # fmt: skip

WRONG_OVERRIDES = [
    override("no value", "seed", "--set seed: not KEY=VALUE"),
    override("no key", "=3", "--set =3: not KEY=VALUE"),
    override("empty part", "solver..ftol=3", "--set solver..ftol=3: not KEY=VALUE"),
    override("misspelt override", "solver.maxiter=3", "--set solver.maxiter=3: solver.maxiter: no such key"),
    override("below a value", "seed.x=3", "--set seed.x=3: seed: a section found, a whole number >= 0"),
    override("wrong type in an override", "seed=x", '--set seed=x: seed: "x" found, a whole number >= 0'),
    override("wrong name in an override", "rotation=euler", '--set rotation=euler: rotation: "euler" is not known'),
    override("not YAML in an override", "fix.poses=[1", "--set fix.poses=[1, line 2, column 1: not valid YAML"),
    override("a second source", "data.path=x", "data.scene: data.path is given too"),
    override("nothing", "seed=", "--set seed=: seed: null found, a whole number >= 0"),
]  # fmt: skip

BAD_CONFIGS: list[BadConfig] = [
    *NOT_YAML,
    *WRONG_KEYS,
    *WRONG_VALUES,
    *WRONG_NAMES,
    *WRONG_TOGETHER,
    *WRONG_OVERRIDES,
]
