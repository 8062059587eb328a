"""Which modules decide how a run ends, found from their imports: a list would be forgotten when one is added."""

import ast
from collections.abc import Iterator
from pathlib import Path

import ba
from ba.solve.backends import SOLVERS

PACKAGE = Path(ba.__file__).parent

ROOTS = ("ba.studies.comparison.measure", "ba.io", "ba.io.synthetic", "ba.prepare.select", "ba.prepare.noise")
"""What carries out a run, and what `ba.pipeline.load_start` makes its start of."""

OWN = "ba.studies.comparison"
"""The package of `measure`: its functions import what shows a comparison, too, and a run has no need of those."""


def sources() -> list[Path]:
    """The files of ROOTS, of the backends, and of all modules of the package that they import, and those import.

    A module's packages are imported before it. Sorted.
    """
    files: dict[str, Path] = {}
    waiting = [*ROOTS, *(backend.module for backend in SOLVERS.values())]
    while waiting:
        name = waiting.pop()
        path = path_of(name)
        if path is None or name in files:
            continue
        files[name] = path
        waiting.append(name.rpartition(".")[0])
        waiting += () if name == OWN else _imports(path)
    return sorted(files.values())


def path_of(module: str) -> Path | None:
    """The file of a module of the package; None for its root, which imports lazily, and for what is no module."""
    parts = module.split(".")
    if parts[0] != "ba" or len(parts) < 2:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Names that may be modules, of all imports: those within functions and those for type checkers, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
