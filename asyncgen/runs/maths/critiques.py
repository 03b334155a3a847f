"""The critique set as files: from a filtered file, and into the structure of the training data.

Knows files and reports. What a row becomes is `export.critiques` and `export.critique_format`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DataError, InputError
from asyncgen.core.types import Json
from asyncgen.export.critique_figures import Figures
from asyncgen.export.critique_format import Level, NoCritiqueError, WiderError, formatted, whole_parquet
from asyncgen.export.critiques import (
    Drawing,
    candidates,
    critique_rows,
    drawn,
    has_text,
    labels_of,
    results_of,
    solutions_in,
)
from asyncgen.export.json_array import TornError, read_elements, whole_array
from asyncgen.export.solutions import RESULTS, UNKNOWN, question_of, row_index, truth_of
from asyncgen.rewards.maths import Rule
from asyncgen.rewards.maths_judge import JudgeMany, Pair
from asyncgen.runs.maths.faults import REPORT, beside, forget_report, write_report
from asyncgen.runs.maths.judging import all_judged
from asyncgen.runs.maths.merge import check_file


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTexts:
    """Of a question, what one model has in place of solutions."""

    index: int
    label: str
    solutions: Sequence[int]
    """The numbers of those that are no texts; none where the model has no solutions at all."""

    def __str__(self) -> str:
        what = f"no text: {', '.join(map(str, self.solutions))}" if self.solutions else "no solutions"
        return f"question {self.index}, {self.label}: {what}"


@dataclass(kw_only=True)
class CritiqueSet:
    """What `critique-set` did."""

    out: str
    questions: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Solutions that are neither right nor wrong, by what they are."""
    no_text: list[NoTexts] = field(default_factory=list[NoTexts])
    """Where solutions are missing: the texts beside them count."""
    no_candidate: list[int] = field(default_factory=list[int])
    """Questions none of whose solutions is right or wrong."""
    no_truth: list[int] = field(default_factory=list[int])
    """Questions without an answer, or without a text: they have no rows."""
    judged: int = 0
    judge_seconds: float = 0.0
    figures: Figures = field(default_factory=Figures)

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "out": self.out,
            "questions": self.questions,
            "rows": self.rows,
            "left_out": dict(sorted(self.left_out.items())),
            "no_text": [asdict(one) for one in self.no_text],
            "no_candidate": self.no_candidate,
            "no_truth": self.no_truth,
            "judged": self.judged,
            "judge_seconds": round(self.judge_seconds, 3),
            "figures": self.figures.json(),
        }


class UnjudgedError(Exception):
    """A solution's result stands nowhere."""


def write_critique_set(
    source: Path, out: Path, drawing: Drawing, judge: JudgeMany, rule: Rule, *, clock: Clock
) -> CritiqueSet:
    """From a filtered file; a report beside it. Raises InputError, DataError, OSError."""
    check_file(out, [source])
    try:
        found = _write_set(source, out, drawing, array("b"))
    except UnjudgedError:  # an old script's file
        started = clock.monotonic()
        numbers = array("b", map(RESULTS.index, all_judged(_unjudged(source), judge, rule)))
        seconds = clock.monotonic() - started
        found = _write_set(source, out, drawing, numbers)
        found.judged, found.judge_seconds = len(numbers), seconds
    write_report(beside(out, REPORT), found.json())
    return found


def _write_set(source: Path, out: Path, drawing: Drawing, numbers: array[int]) -> CritiqueSet:
    """`numbers`: in RESULTS, of the solutions whose results the file has not. Raises UnjudgedError where they end."""
    found, results, lacking = CritiqueSet(out=str(out)), iter(numbers), _Lacking()
    with whole_array(out) as file:
        for place, row in rows_of(source):
            labels = labels_of(row)
            if not place and not labels:
                raise InputError(f"{source}: its first row has no LABEL_solutions; give a file that filter-mixed wrote")
            index = row_index(row, place)
            found.questions += 1
            found.no_text += lacking.note(index, row, labels)
            if not truth_of(row) or not question_of(row):
                found.no_truth.append(index)
                continue
            known = {label: results_of(row, label) or _worked_out(row, label, results) for label in labels}
            choice = candidates(row, known, found.left_out)
            if not choice:
                found.no_candidate.append(index)
            for one in critique_rows(row, place, drawn(choice, index, drawing)):
                found.figures.add(one)
                file.add(one)
        found.rows = file.elements
        forget_report(beside(out, REPORT))
    return found


class _Lacking:
    """Which solutions are not there, row by row."""

    def __init__(self) -> None:
        self._indexes = array("q")
        """Of the rows so far."""
        self._labels: dict[str, None] = {}

    def note(self, index: int, row: Mapping[str, Any], labels: Sequence[str]) -> Iterator[NoTexts]:
        """Of one more row; and of those before it, where it is the first with a label."""
        for label in labels:
            if label not in self._labels:
                yield from (NoTexts(index=before, label=label, solutions=()) for before in self._indexes)
        self._labels |= dict.fromkeys(labels)
        self._indexes.append(index)
        for label in self._labels:
            solutions = solutions_in(row, label)
            numbers = [at for at, one in enumerate(solutions) if not isinstance(one, str)]
            if numbers or not solutions:
                yield NoTexts(index=index, label=label, solutions=numbers)


def _unjudged(source: Path) -> Iterator[Pair]:
    """Solutions whose results the file has not, in the order in which they are needed."""
    for _, row in rows_of(source):
        truth = truth_of(row)
        for label in labels_of(row) if truth and question_of(row) else ():
            if not results_of(row, label):
                yield from ((text, truth) for text in solutions_in(row, label) if has_text(text))


def _worked_out(row: Mapping[str, Any], label: str, results: Iterator[int]) -> list[str]:
    found = []
    for text in solutions_in(row, label):
        number = next(results, None) if has_text(text) else RESULTS.index(UNKNOWN)
        if number is None:
            raise UnjudgedError
        found.append(RESULTS[number])
    return found


@dataclass(kw_only=True)
class Formatted:
    """What `critique-format` did."""

    out: str
    parquet: str = ""
    rows: int = 0
    figures: Figures = field(default_factory=Figures)

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {"out": self.out, "parquet": self.parquet, "rows": self.rows, "figures": self.figures.json()}


def write_formatted(source: Path, out: Path, parquet: Path | None) -> Formatted:
    """From a critique set. Raises InputError, DataError for a row that is none of it, OSError."""
    check_file(out, [source])
    if parquet is None:
        with whole_array(out) as file:
            figures = _format(source, file.add)
        return Formatted(out=str(out), rows=file.elements, figures=figures)
    if parquet.suffix != ".parquet":
        raise InputError(f"--parquet {parquet}: give a file named *.parquet")
    level = Level()
    while True:
        try:
            with whole_array(out) as file, whole_parquet(parquet, level) as table:
                figures = _format(source, file.add, table.add)
        except WiderError:  # of another type than the levels before: at most twice
            continue
        return Formatted(out=str(out), parquet=str(parquet), rows=file.elements, figures=figures)


def _format(source: Path, *writers: Callable[[dict[str, Json]], None]) -> Figures:
    """Each row to each writer."""
    figures = Figures()
    for place, row in rows_of(source):
        try:
            made = formatted(row, place)
        except NoCritiqueError as error:
            raise DataError(f"{source}: row {place}: {error}; give a file that critique-set wrote") from error
        figures.add(made)
        for write in writers:
            write(made)
    return figures


def rows_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place, row) of a file of rows. Raises InputError where there is none, DataError where it is torn."""
    if not path.is_file():
        raise InputError(f"{path} is no file; give a .json file of rows")
    try:
        for place, element in enumerate(read_elements(path)):
            yield place, element.value
    except TornError as error:
        raise DataError(f"{path} is damaged: {error}; make it again") from error
