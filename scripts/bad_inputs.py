"""Run `ba run` on every wrong file and every wrong configuration of the tests, and show what it answers.

Ends with 1 if any of them ends with another exit code than 2, with a traceback, or with a message that lacks what the
table expects.
"""

import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ba.cli import main
from scripts import ROOT
from tests.support.bad_configs import BAD_CONFIGS
from tests.support.bad_files import BAD_FILES


def cases() -> Iterator[tuple[str, list[str], str]]:
    """Name, arguments of `ba`, expected part of the message; the files lie in the working folder."""
    for bad in BAD_CONFIGS:
        Path(bad.file).write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
        yield bad.name, ["run", bad.file, *(f"--set={override}" for override in bad.overrides)], bad.expected
    for number, file in enumerate(BAD_FILES):
        folder = Path(f"data-{number}").absolute()
        folder.mkdir()
        Path("config.yaml").write_text(f"data: {{path: {file.write(folder)}}}\n")
        yield file.name, ["run", "config.yaml"], file.expected


def answer(arguments: list[str]) -> tuple[int, str]:
    """Exit code and what was printed to stderr; 1 and a traceback for a crash."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(arguments)
        except Exception:  # noqa: BLE001 (a crash is what this looks for)
            code = 1
            traceback.print_exc()
    return code, said.getvalue().strip()


def show() -> int:
    table = Table("", "case", "exit", "message", title="ba run on wrong input", show_lines=False)
    failures = 0
    for name, arguments, expected in cases():
        code, said = answer(arguments)
        good = code == 2 and expected in said and "Traceback" not in said
        failures += not good
        message = Text(said.removeprefix("ba: error: ") if good else f"{said}\nexpected: {expected}")
        table.add_row(Text("ok", "green") if good else Text("WRONG", "bold red"), Text(name), str(code), message)
    console = Console()
    console.print(table)
    console.print(f"{table.row_count} cases, {failures} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        code = show()
        os.chdir(ROOT)
    sys.exit(code)
