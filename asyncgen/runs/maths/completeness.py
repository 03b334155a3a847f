"""What is missing of the solutions of one model: questions without any, and questions with too few.

Knows what a run asks for, and the rows of an original file. Does not know where solutions lie (`solution_set`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.errors import InputError
from asyncgen.export.solutions import Row, row_index, truth_of
from asyncgen.runs.maths.faults import Fault
from asyncgen.runs.maths.places import ROW
from asyncgen.runs.places import placed
from asyncgen.store.line import line_reason
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import read_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncgen.runs.maths.solution_set import SolutionSet
    from asyncgen.source.base import Source


class Original:
    """The dataset's own rows, by index."""

    def __init__(self, path: Path) -> None:
        """Raises InputError, also where two rows have one index."""
        from asyncgen.source.opening import open_source

        self._source = open_source(str(path))
        self._positions: dict[int, int] = {}
        for position in range(self._source.rows):
            index = row_index(self._source.read(position).data, position)
            if index in self._positions:
                raise InputError(
                    f"{path}: rows {self._positions[index]} and {position} have the index {index}; give each its own"
                )
            self._positions[index] = position

    def __contains__(self, index: int) -> bool:
        return index in self._positions

    @property
    def indexes(self) -> list[int]:
        """Of all rows, sorted."""
        return sorted(self._positions)

    def position(self, index: int) -> int:
        """Its number in the file. Raises KeyError."""
        return self._positions[index]

    def row(self, index: int) -> Row:
        """Raises KeyError."""
        return self._source.read(self._positions[index]).data


def check_complete(found: SolutionSet, *, rollouts: int | None, original: Original | None) -> None:
    """Put what is missing into the report, and questions without an answer to the others. `rollouts`: solutions that a
    question is to have, by default what the runs ask for, else as many as most have. Raises InputError, DataError."""
    runs = [read_run(directory) for path in found.runs for directory in run_directories(path)]
    reasons = _reasons(found.runs)
    asked = rollouts if rollouts is not None else _asked(found, runs)
    found.report.rollouts = _usual(found) if asked is None else asked
    _note_numbers(found, reasons, most=found.report.rollouts if asked is None else None)
    if original:  # it knows better what is missing than the places in chunk files
        found.report.drop(Fault.MISSING, lambda index: index not in original or not truth_of(original.row(index)))
    lacking = _Lacking(found)
    if original:
        for index in original.indexes:
            if index not in lacking.known:
                lacking.note(original.row(index), index, "", "", original.position(index))
        return
    for path in found.runs:
        _note_missing(path, found, lacking, reasons)


def _usual(found: SolutionSet) -> int:
    """As many solutions as most questions have that have any; of two numbers that are as frequent the larger."""
    numbers = [number for number in found.numbers if number]
    return max(numbers, key=lambda number: (found.numbers[number], number), default=0)


def _note_numbers(found: SolutionSet, reasons: Mapping[int, Counter[str]], *, most: int | None) -> None:
    """Questions with fewer solutions than they are to have, at least with none though they have an answer; and with
    more than `most`."""
    wanted = found.report.rollouts
    if min(found.numbers, default=wanted) >= max(wanted, 1) and (most is None or max(found.numbers) <= most):
        return
    for group in found.places.groups():
        first = group.counted[0]
        if group.solutions < max(wanted, 1) and (group.solutions or found.read(group).truth):
            kind = Fault.SHORT
        elif most is not None and group.solutions > most:
            kind = Fault.LONG
        else:
            continue
        how_many = f"{group.solutions} of {wanted} solutions" if wanted else "no solutions"
        text = f"{how_many}{_because(reasons.get(first.position))}"
        if kind is Fault.LONG:
            text = f"{group.solutions} solutions; most questions have {wanted}"
        row = None if first.position == ROW else first.position
        found.report.add(kind, text, index=group.index, file=str(first.path), row=row)


class _Lacking:
    """Which questions have no solutions: each is told once."""

    def __init__(self, found: SolutionSet) -> None:
        self.known = {*found.indexes.tolist(), *found.report.indexes(Fault.MISSING)}
        """By index; those that are told too."""
        self._found = found

    def note(self, row: Row, index: int, because: str, file: str, position: int) -> None:
        """A row; one that has no answer is not asked for any."""
        if index in self.known:
            return
        self.known.add(index)
        if truth_of(row):
            text = f"it has no solutions{because}"
            self._found.report.add(Fault.MISSING, text, index=index, file=file, row=position)
        else:
            self._found.add_unanswered(row, index=index, position=position, file=file)


def _because(reasons: Counter[str] | None) -> str:
    if not reasons:
        return ""
    return f" (failed: {', '.join(f'{reason} {count}' for reason, count in reasons.most_common())})"


def _reasons(runs: Sequence[Path]) -> Mapping[int, Counter[str]]:
    """Why episodes of a row failed that have no trace."""
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for one in placed(runs, "failed"):
        found[one.key[0]][line_reason(one.line)] += 1
    return found


def _asked(found: SolutionSet, runs: Sequence[Mapping[str, Any]]) -> int | None:
    """Solutions that a question is to have; 0 where a run asks for different numbers, None where nobody says."""
    if 0 in found.asked or any(_asks_unevenly(run) for run in runs):
        return 0
    asked = [int(run.get("config", {}).get("episode", {}).get("rollouts", 1)) for run in runs]
    return max([*asked, *found.asked], default=None)


def _asks_unevenly(run: Mapping[str, Any]) -> bool:
    config = run.get("config", {})
    stops = config.get("until_accepted") or config.get("stop_when")
    return bool(stops or any(rule.get("rollouts") for rule in config.get("rules") or ()))


def _note_missing(path: Path, found: SolutionSet, lacking: _Lacking, reasons: Mapping[int, Counter[str]]) -> None:
    """Rows that a run, or all its partitions, ask for and have no trace of."""
    directories = run_directories(path)
    run = read_run(directories[0])
    if "derived" in run:  # what a copy leaves out is not missing
        return
    source = _source(run)
    if source is None:
        named = _note_failed(path, found, lacking, reasons)
        asked = sum(int(read_run(one).get("selection", {}).get("selected", 0)) for one in directories)
        if (lost := asked - len(found.positions) - named) > 0:
            gone = f"its dataset {run.get('dataset', {}).get('path')} is gone or has changed"
            found.report.add(Fault.MISSING, f"{lost} rows have no solutions, and no name: {gone}", file=str(path))
        return
    for position in _selected(run, source, whole=directories[0] != path).tolist():
        if position not in found.positions:
            row = source.read(position).data
            lacking.note(row, row_index(row, position), _because(reasons.get(position)), str(path), position)


def _note_failed(path: Path, found: SolutionSet, lacking: _Lacking, reasons: Mapping[int, Counter[str]]) -> int:
    """Rows of which there are failures and no trace, as the failures have them; how many."""
    rows: dict[int, Row] = {}
    for one in placed([path], "failed"):
        position = one.key[0]
        if position not in rows and position not in found.positions:
            rows[position] = one.trace()["sample_data"]
    for position, row in sorted(rows.items()):
        lacking.note(row, row_index(row, position), _because(reasons.get(position)), str(path), position)
    return len(rows)


def _source(run: Mapping[str, Any]) -> Source | None:
    """The run's dataset, where it is still there and as it was."""
    from asyncgen.source.opening import open_source

    dataset = run.get("config", {}).get("dataset", {})
    try:
        source = open_source(str(run["dataset"]["path"]), image_root=dataset.get("image_root"))
    except (InputError, KeyError):
        return None
    return source if source.fingerprint == run["dataset"].get("fingerprint") else None


def _selected(run: Mapping[str, Any], source: Source, *, whole: bool) -> NDArray[Any]:
    """`whole`: of all partitions, or chunks, together."""
    from asyncgen.config.schema import parse_partition
    from asyncgen.source.base import RowRule, Selection

    config = run["config"]
    dataset = config.get("dataset", {})
    chunk = dataset.get("chunk_id")
    selection = Selection(
        where=dataset.get("where") or None,
        order=dataset.get("order", "dataset"),
        order_by=dataset.get("order_by") or None,
        rules=tuple(
            RowRule(where=rule["where"], limit=rule.get("limit"), drop=rule.get("drop", False))
            for rule in config.get("rules") or ()
        ),
        num_samples=dataset.get("num_samples", -1),
        partition=None if whole else parse_partition(config.get("schedule", {}).get("partition")),
        chunk=None if whole or chunk is None else (int(chunk), int(dataset["chunk_size"])),
    )
    return source.select(selection).indexes
