"""Quantities by cases: how far `ba` is from the oracle, for each number that a run leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.oracle import checks, files, iterations, page, summary
from tests.oracle.case import Case
from tests.oracle.known import Known, known
from tests.oracle.printed import Printed


@dataclass(frozen=True)
class Difference:
    """A number of `ba` and the oracle's.

    share: relative difference beyond what rounding or the printed digits leave open; raw: with that; hidden: how large
    a share rounding may hide; said: what `ba` says, and the oracle.
    """

    place: str
    share: float
    raw: float
    said: str
    hidden: float = 0.0


Compared = Callable[[Case], Iterator[Difference]]


def _summary(key: str, case: Case) -> Iterator[Difference]:
    found = dict(summary.flat(case.last.summary))
    if key in found:
        right = summary.SUMMARY[key](case)
        if right is not NotImplemented:
            yield of_known(key, found[key], known(right))


def _iterations(name: str, case: Case) -> Iterator[Difference]:
    for step, line in enumerate(case.last.iterations):
        yield of_known(f"{name}, step {step}", line[name], known(iterations.ITERATION[name](case, step)))


def _file(name: str, case: Case) -> Iterator[Difference]:
    pair = files.FILES[name](case)
    yield Difference(name, files.difference(pair), files.raw(pair), "an array")


def _page(part: str, case: Case) -> Iterator[Difference]:
    return of_printed(page.PARTS[part](page.page_of(case), case))


def _check(name: str, case: Case) -> Iterator[Difference]:
    if case.checked is not None:
        line = checks.data_lines(case.checked)[name]
        yield from of_printed(checks.printed(name, line, checks.survey_of(case)))


def of_printed(cells: Iterable[Printed]) -> Iterator[Difference]:
    for cell in cells:
        yield Difference(cell.place, cell.difference(), cell.raw(), f"{cell.text!r}, not {cell.known}")


def of_known(place: str, found: object, right: Known) -> Difference:
    said = f"{found!r}, not {right}"
    return Difference(place, right.difference(found), right.raw(found), said, right.sharpness)


QUANTITIES: dict[str, Compared] = {
    **{f"summary.json: {key}": partial(_summary, key) for key in summary.SUMMARY},
    **{f"iterations.jsonl: {name}": partial(_iterations, name) for name in iterations.ITERATION},
    **{name: partial(_file, name) for name in files.FILES},
    **{f"report.html: {part}": partial(_page, part) for part in page.PARTS},
    **{f"check: {name}": partial(_check, name) for name in checks.DATA},
}
