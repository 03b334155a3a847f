"""The solutions of one model, wherever they lie: run directories, merged files, chunk files, folders of those.

Knows the kinds of paths, and reads each twice: once for where what stands, once by index. What is wrong with a file
goes into the report. Never locks, never writes.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asyncgen.core.errors import DataError, InputError
from asyncgen.export.json_array import TornError, parse_element, read_elements
from asyncgen.export.solutions import (
    CHUNK_ID,
    CHUNK_INDEX,
    MODEL_NAME,
    MODEL_RESULTS,
    MODEL_SOLUTIONS,
    Solutions,
    has_results,
    row_index,
    solutions_of_row,
    solutions_of_traces,
    texts_of,
)
from asyncgen.runs.lineage import refuse_two_datasets, sources_of
from asyncgen.runs.maths.chunk_files import ChunkFile, Family
from asyncgen.runs.maths.faults import REPORT, Fault, Report, beside, read_report
from asyncgen.runs.maths.places import ROW, Group, PlaceIndex, Where
from asyncgen.runs.places import Place, Places, placed
from asyncgen.store.layout import RUN_FILE
from asyncgen.store.line import parse_line
from asyncgen.store.read import run_directories

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_NAME = re.compile(r".+_chunk_(\d+)\.json")
GIVE = "give a run directory of the math job, a merged .json file, a chunk file, or a folder of *_chunk_NNN.json"
_OPEN = 32
"""Files of rows that are open at most."""


class SolutionSet:
    """Solutions by index. `with` closes its files."""

    def __init__(self, label: str = "") -> None:
        self.report = Report(label=label)
        self.places = PlaceIndex()
        self.runs: list[Path] = []
        """Those of its paths that are run directories, or folders of partitions."""
        self.positions: set[int] = set()
        """Rows of the dataset that those runs have traces of."""
        self.chunks: list[ChunkFile] = []
        self.unanswered: dict[int, Solutions] = {}
        """By index, questions that nobody is asked, since their answer is not known, and that no file has."""
        self.numbers: Counter[int] = Counter()
        """How many questions have so many solutions."""
        self.asked: list[int] = []
        """Of merged files, how many solutions a question was to have, as the reports beside them say; 0: different
        numbers."""
        self.judges = True
        """Every row says which of its solutions are right."""
        self._models: dict[str, Path] = {}
        """Name → where it stands first."""
        self._stack = ExitStack()
        self._lines = self._stack.enter_context(Places())
        self._files = self._stack.enter_context(_Files())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def indexes(self) -> NDArray[Any]:
        """Of all questions, sorted."""
        return self.places.indexes()

    @property
    def model(self) -> str:
        """Its name; `""` where nothing says."""
        return next(iter(self._models), "")

    def __iter__(self) -> Iterator[Solutions]:
        """By index, each question once. Raises DataError where a file has changed meanwhile."""
        left = sorted(self.unanswered, reverse=True)
        for group in self.places.groups():
            while left and left[-1] < group.index:
                yield self.unanswered[left.pop()]
            yield self.read(group)
        yield from (self.unanswered[index] for index in reversed(left))

    def read(self, group: Group) -> Solutions:
        """What lies at the places of one question. Raises DataError where a file has changed meanwhile."""
        first = group.counted[0]
        if first.rollout == ROW:
            try:
                row = parse_element(self._files.read(first))
                return solutions_of_row(
                    row, index=group.index, position=group.index, model=self.model, file=str(first.path)
                )
            except ValueError as error:
                raise DataError(
                    f"{first.path} has changed while it was read ({error}); run the command again"
                ) from error
        traces = [parse_line(self._lines.line(Place(0, one.path, one.offset, one.length))) for one in group.counted]
        return solutions_of_traces(traces, index=group.index, model=self.model, file=str(first.path))

    def add_file(self, path: Path) -> None:
        """A merged file or a chunk file. Raises InputError where it is neither."""
        name = CHUNK_NAME.fullmatch(path.name)
        chunk = ChunkFile(path=path, chunk=int(name[1])) if name else None
        number = 0
        try:
            for element in read_elements(path):
                self._add_row(
                    path, number, Where(path, element.offset, element.length, ROW, ROW, 0), element.value, chunk
                )
                number += 1
        except TornError as error:
            if not number and not chunk:
                raise InputError(f"{path} is no file of solutions ({error}); {GIVE}") from error
            self.report.add(Fault.TORN, f"{error}; the {number} rows before count", file=str(path))
            if chunk:
                chunk.torn = True
        else:
            if not number:
                self._note_empty(path, chunk)
        if chunk:
            self.chunks.append(chunk)
        elif type(asked := read_report(beside(path, REPORT)).get("rollouts")) is int:
            self.asked.append(asked)

    def _note_empty(self, path: Path, chunk: ChunkFile | None) -> None:
        """An array without rows. Raises InputError for a merged file."""
        if not chunk:
            raise InputError(f"{path} is an empty array, it has no solutions yet; {GIVE}")
        chunk.torn = True
        self.report.add(Fault.TORN, "it is an empty array: it has no row", file=str(path))

    def _add_row(self, path: Path, number: int, where: Where, row: Mapping[str, Any], chunk: ChunkFile | None) -> None:
        texts = texts_of(row)
        if texts is None:
            if not number and not chunk:
                raise InputError(f"{path}: its first row has no list of texts {MODEL_SOLUTIONS!r}; {GIVE}")
            index = row_index(row, ROW if chunk else number)
            what = f"row {number} has no {MODEL_SOLUTIONS!r}"
            self.report.add(Fault.TORN, what, index=None if index == ROW else index, file=str(path))
            return
        index, place = row_index(row, ROW), number
        if chunk:
            place = _number(row, CHUNK_INDEX, number)
            chunk.chunk = _number(row, CHUNK_ID, chunk.chunk)
            chunk.note(place, None if index == ROW else index, len(self.places))
        self.judges = self.judges and has_results(row)
        self._note_model(str(row.get(MODEL_NAME) or ""), path)
        self.places.add(place if index == ROW else index, where._replace(solutions=len(texts)))

    def add_run(self, path: Path) -> None:
        """A run directory, or a folder of partitions. Raises InputError, also for a run of another job; DataError."""
        (source,) = sources_of([path])
        if not all(map(is_math_run, source.runs)):
            raise InputError(f"{path} is a run of the job {source.name!r}, which has no solutions; {GIVE}")
        for run in source.runs:
            endpoints = run.get("config", {}).get("endpoints") or [{}]
            self._note_model(str(endpoints[0].get("model") or ""), path)
        self.runs.append(path)
        indexes: dict[int, int] = {}
        for one in placed([path], doubles=True):
            position, rollout = one.key
            if position not in indexes:
                trace = one.trace()
                indexes[position] = row_index(trace["sample_data"], position)
                if not self._models and trace["conversation_history"]:  # the server listed just one
                    self._note_model(str(trace["conversation_history"][-1]["model"]), path)
            where = Where(one.place.path, one.place.offset, one.place.length, position, rollout, 1)
            self.places.add(indexes[position], where)
        self.positions.update(indexes)

    def _note_model(self, name: str, path: Path) -> None:
        if name:
            self._models.setdefault(name, path)

    def settle(self, model: str = "") -> None:
        """All paths are there: chunks get their numbers, and faults their names. `model`: its name, whatever the files
        say. Raises InputError for several models, or several datasets."""
        if not len(self.places) and self.report.is_complete:
            raise InputError(f"{self.report.label or 'what was given'} has no solutions yet; {GIVE}")
        if model:
            self._models = {model: Path()}
        if len(self._models) > 1:
            (one, at), (two, there) = list(self._models.items())[:2]
            raise InputError(
                f"{at} has solutions of {one!r} and {there} of {two!r}: give one model's files, or --model-name NAME"
            )
        refuse_two_datasets(sources_of(self.runs))
        if self.chunks:
            family = Family(self.chunks, self._run_chunks())
            for number, by in family.relative():
                self.places.move(number, by)
            family.name_faults(lambda: set(self.indexes.tolist()), self.report)
        self.report.models = list(self._models)
        for group in self.places.groups():
            self.report.questions += 1
            self.report.solutions += group.solutions
            self.numbers[group.solutions] += 1
            if group.left_out:
                self._note_doubles(group)

    def _run_chunks(self) -> dict[int, int]:
        """Chunk → its size, of the runs that are one."""
        datasets = [run.get("config", {}).get("dataset", {}) for one in sources_of(self.runs) for run in one.runs]
        return {one["chunk_id"]: one["chunk_size"] for one in datasets if one.get("chunk_id") is not None}

    def add_unanswered(self, row: Mapping[str, Any], *, index: int, position: int, file: str) -> None:
        """A question without an answer that is not there yet: it has no solutions, and is to have none."""
        if index not in self.unanswered:
            found = {**row, MODEL_SOLUTIONS: [], MODEL_RESULTS: []}
            self.unanswered[index] = solutions_of_row(
                found, index=index, position=position, model=self.model, file=file
            )
            self.report.questions += 1

    def _note_doubles(self, group: Group) -> None:
        by_file: dict[Path, int] = {}
        for one in group.left_out:
            by_file[one.path] = by_file.get(one.path, 0) + 1
        first = group.counted[0]
        for path, count in by_file.items():
            what = (
                "the question is there before" if first.rollout == ROW else f"{count} of its solutions are there before"
            )
            text = f"{what}, in {first.path}, which counts"
            self.report.add(Fault.DUPLICATE, text, index=group.index, file=str(path))


def is_math_run(run: Mapping[str, Any]) -> bool:
    """Whether a run file is of a job whose traces are solutions."""
    return run.get("task") == "math" or ("truncated" in run.get("scores", {}) and run.get("task") != "critique")


def read_solutions(paths: Sequence[Path], label: str = "", *, model: str = "") -> SolutionSet:
    """The solutions of one model, to be closed by the caller. Raises InputError, DataError, OSError."""
    found = SolutionSet(label)
    try:
        for path in paths:
            _add(found, path)
        found.settle(model)
    except BaseException:
        found.__exit__()
        raise
    return found


def _add(found: SolutionSet, path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist; {GIVE}")
    if path.is_file():
        found.add_file(path)
    elif chunks := chunk_files(path):
        for file in chunks:
            found.add_file(file)
    else:
        try:
            run_directories(path)
        except InputError as error:
            raise InputError(f"{error}, and has no *_chunk_NNN.json; {GIVE}") from None
        found.add_run(path)


def chunk_files(folder: Path) -> list[Path]:
    """The chunk files in a folder that is no run, by name."""
    if not folder.is_dir() or (folder / RUN_FILE).exists():
        return []
    return sorted(path for path in folder.iterdir() if CHUNK_NAME.fullmatch(path.name) and path.is_file())


def paths_of(text: str) -> list[Path]:
    """A path, or those that a pattern names, sorted. Raises InputError where it names none."""
    if Path(text).exists() or not glob.has_magic(text):
        return [Path(text)]
    found = sorted(map(Path, glob.glob(text)))  # noqa: PTH207  # a pattern may be an absolute path
    if not found:
        raise InputError(f"{text!r} names no file; {GIVE}")
    return found


def _number(row: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number from 0 on."""
    value = row.get(name)
    return value if type(value) is int and 0 <= value < 1 << 40 else default


class _Files:
    """Rows by their places; those read last stay open."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, where: Where) -> bytes:
        """Its bytes. Raises OSError."""
        if where.path not in self._open:
            self._open[where.path] = os.open(where.path, os.O_RDONLY | os.O_CLOEXEC)
            if len(self._open) > _OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(where.path)
        return os.pread(self._open[where.path], where.length, where.offset)
