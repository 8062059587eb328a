"""The command line: arguments in, exit code out.

Exit codes: 0 done, 2 the configuration, the data or the arguments are wrong, 3 the solver failed or a derivative is
wrong, 4 the system refused (disk full, memory short, output closed or full), 130, 143 or 129 ended by Ctrl-C, SIGTERM
or SIGHUP, also where the best state was saved; 1, with a traceback, is a bug. Heavy modules are imported by the
commands that need them.
"""

import argparse
import atexit
import errno
import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn, TextIO

import ba
from ba.errors import CheckError, SolverError, SystemRefusal, UserError
from ba.system import interrupt, safepath
from ba.system.garbage import uncollected
from ba.system.output import Guarded, guarded
from ba.system.words import printable

REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors by which the system refuses something, whatever the program was doing."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, like every other mistake of a user."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. Arguments are those of the process if not given."""
    safepath.forget_working_folder()
    # The interpreter's last collection would walk all that numba made: 0.3 s of every run's end.
    atexit.register(gc.freeze)
    with interrupt.heard(to_the_end=argv is None), guarded() as output:
        return _exit_code(argv, output)


def _exit_code(argv: Sequence[str] | None, output: Guarded) -> int:
    """Carry out a command, tell what went wrong in one line on standard error, and return the exit code."""
    try:
        with interrupt.allowed():
            _carry_out(argv, output)
        interrupt.settled()
        return interrupt.exit_code()
    except (UserError, SolverError, CheckError, SystemRefusal) as error:
        return _report(f"ba: error: {error}", error.exit_code)
    except KeyboardInterrupt as stop:
        interrupt.settled()
        detail = f": {stop}" if str(stop) else ""
        return _report(f"ba: ended by {interrupt.name()}{detail}", interrupt.exit_code() or 130)
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        return _report(f"ba: error: memory is short{detail}; a smaller problem, or fewer threads, need less", 4)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _report(f"ba: error: {place}{error.strerror}", SystemRefusal.exit_code)


def _report(line: str, code: int) -> int:
    print(printable(line), file=sys.stderr)
    return code


def _carry_out(argv: Sequence[str] | None, output: Guarded) -> None:
    """Do what the arguments say. Raises SystemRefusal where it was done but its output could not be written."""
    help_was_asked: SystemExit | None = None
    try:
        arguments = _parser().parse_args(argv)
        arguments.command(arguments)
    except SystemExit as end:
        help_was_asked = end
    output.flush()
    if output.refusal:
        raise SystemRefusal(f"all is done, but what was to be printed could not be written: {output.refusal}")
    if help_was_asked is not None:
        raise help_was_asked


def _parser() -> Parser:
    parser = Parser(prog="ba", description="Bundle adjustment of reconstructions from photographs.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"ba {ba.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="load, solve, write a run folder", allow_abbrev=False)
    run.description = "Load, solve, and write a run folder: the result, a report, a picture. Ctrl-C keeps the best."
    run.epilog = "configs/all-keys.yaml lists every KEY with its default; a file with only data.path is complete."
    what = "configuration, a YAML file or - for standard input; or data"
    run.add_argument("config", metavar="CONFIG|DATA", type=Path, help=what)
    _add_settings(run, example="solver.max_iterations=20", out="run folder, instead of output.dir")
    run.add_argument("--overwrite", action="store_true", help="replace an earlier run in the run folder")
    run.set_defaults(command=_run)

    view = commands.add_parser("view", help="show a result or data in 3D", allow_abbrev=False)
    view.description = "Show a run folder, or a data file, in a window or as a picture."
    view.add_argument("path", metavar="RUN|DATA", type=Path, help="a run folder, or a data file")
    view.add_argument("--screenshot", metavar="PNG", type=Path, help="write a picture, without a window")
    view.add_argument("--before", action="store_true", help="draw the start too; in the window it is a switch")
    view.set_defaults(command=_view)

    compare = commands.add_parser("compare", help="the same problems under several settings", allow_abbrev=False)
    compare.description = (
        "Run every combination of the settings that CONFIG varies, from the same starts, and write tables, a report "
        "and pictures. What is done is kept: after Ctrl-C a second call goes on."
    )
    compare.add_argument("config", metavar="CONFIG", type=Path, help="comparison, as configs/compare-rotations.yaml")
    _add_settings(compare, example="seeds=[0,1]", out="folder, instead of runs/NAME")
    compare.set_defaults(command=_compare)

    check = commands.add_parser("check", help="are the data sound, are the derivatives right", allow_abbrev=False)
    check.description = "Test the data, forecast memory, and hold the derivatives to every other way to find them."
    check.epilog = "Exit code 3 where a derivative is wrong. Marks (!) on data want a look, and are no failure."
    check.add_argument("path", metavar="CONFIG|DATA", type=Path, help="configuration, a YAML file, or a data file")
    check.add_argument("--seed", metavar="N", type=_natural, default=0, help="seed of the random states")
    check.add_argument("--states", metavar="N", type=_natural, default=1, help="random states beside the start")
    check.add_argument("--out", metavar="DIR", type=Path, help="write check.txt, and the pattern of J as pattern.png")
    check.set_defaults(command=_check)
    return parser


def _add_settings(parser: argparse.ArgumentParser, example: str, out: str) -> None:
    overriding = f"override one key, as in {example}; repeatable; paths are relative to the working folder"
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=overriding)
    parser.add_argument("--out", metavar="DIR", type=Path, help=out)
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return int(text)


def _stream(arguments: argparse.Namespace) -> TextIO | None:
    """Where to print, None with --quiet, which also silences the note that kernels are being compiled."""
    if not arguments.quiet:
        return sys.stdout
    from ba.engine import kernelcache

    kernelcache.silence()
    return None


def _run(arguments: argparse.Namespace) -> None:
    with uncollected():
        from ba import pipeline
        from ba.show import progress
        from ba.studies import request

    stream = _stream(arguments)
    if module := request.module_of(arguments.config):
        import_module(module).command(arguments.config, arguments.set, arguments.out, stream, arguments.overwrite)
        return
    config = request.configuration(arguments.config, arguments.set)
    with progress.Progress(config.solver.max_iterations, stream) as observer:
        result = pipeline.run(config, arguments.out, observer=observer, overwrite=arguments.overwrite)
    if stream:
        with interrupt.uninterrupted(said=f"the result stands in {result.folder}"):
            progress.print_summary(result.summary, result.folder, result.notes, stream)


def _compare(arguments: argparse.Namespace) -> None:
    from ba import compare
    from ba.studies.comparison import table

    stream = _stream(arguments)
    try:
        with table.Progress(stream) as tick:
            findings = compare(arguments.config, arguments.set, arguments.out, tick=tick)
    except KeyboardInterrupt as stop:
        stop.args = ("what is done is kept, and the same command goes on",)
        raise
    if stream:
        table.print_summary(findings.summaries, findings.conclusions, findings.folder, stream)
        for note in findings.notes:
            print(f"note: {printable(note)}")


def _view(arguments: argparse.Namespace) -> None:
    from ba import pipeline
    from ba.show import view
    from ba.studies import request

    config = arguments.path / "config.yaml"
    if config.is_file() and (module := request.module_of(config)):
        import_module(module).show(arguments.path, arguments.screenshot)
        return
    before, after = pipeline.open_scene(arguments.path)
    if arguments.before and before is None:
        raise UserError(f"{arguments.path}: holds no start to show; a run folder does, or leave out --before")
    if arguments.screenshot is None:
        view.show(before, after)
        return
    failure = view.screenshot(before, after, arguments.screenshot, show_before=arguments.before)
    if failure:
        raise UserError(failure)
    print(printable(arguments.screenshot))


def _check(arguments: argparse.Namespace) -> None:
    from ba.check import check

    result = check(arguments.path, arguments.seed, arguments.states)
    print(printable(result.text, keep="\n"), flush=True)
    if arguments.out is not None:
        result.write(arguments.out)
    if result.failures:
        raise CheckError("; ".join(result.failures))
