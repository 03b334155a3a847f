"""Chunk files of a run's solutions: so many rows of the dataset each, in the form of the scripts that made such files.

Knows which row is in which chunk, and which chunks are whole. Does not know how solutions are read (`solution_set`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.files import prepare_folder
from asyncgen.export.json_array import whole_array
from asyncgen.export.solutions import Solutions, chunk_row
from asyncgen.runs.maths.completeness import check_complete
from asyncgen.runs.maths.faults import Fault, Report, of_kind
from asyncgen.runs.maths.places import ROW, Group
from asyncgen.runs.maths.solution_set import CHUNK_NAME, SolutionSet, read_solutions
from asyncgen.runs.reading import in_a_run
from asyncgen.store.layout import file_name


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """What the export wrote."""

    out: str
    files: int
    questions: int
    """In those files. One without an answer is among them, with no solutions: it is asked for none."""
    left_out: Sequence[int]
    """Questions that are in no file, by index: they, or others of their chunk, lack solutions."""
    left_out_chunks: Sequence[int]
    """Chunks that are not whole and were not asked for."""
    partial: Sequence[int]
    """Chunks that are not whole and were written."""
    unnamed: Sequence[str]
    """What else is missing, where nobody can say which questions."""
    leftover: int
    """Chunk files of an earlier export that stand beside the new ones, untouched."""

    def json(self) -> dict[str, Json]:
        """All of it."""
        return asdict(self)


def write_chunks(paths: Sequence[Path], out: Path, *, size: int, partial: bool) -> Chunks:
    """`MODEL_chunk_000.json` and so on in the folder `out`; those that are not whole only where `partial` is asked for.

    A chunk is whole when each of its rows that the run takes has all its solutions. Raises InputError, DataError,
    OSError.
    """
    if size < 1:
        raise InputError(f"--chunk-size {size}: give 1 or more")
    if in_a_run(out):
        raise InputError(f"{out} lies in a run directory, which holds only what the run itself wrote; give another -o")
    with read_solutions(paths) as found:
        if not found.runs:
            raise InputError(f"{paths[0]} is no run: chunks are made of run directories of the math job")
        check_complete(found, rollouts=None, original=None)
        torn = _torn(found.report, size)
        prepare_folder(out, CHUNK_NAME)
        before = {path.name for path in out.iterdir()}
        written, chunks_left, questions, lost = [], [], 0, found.report.indexes(Fault.MISSING)
        all_questions: list[Group | Solutions] = [*found.places.groups(), *found.unanswered.values()]
        for chunk, grouped in groupby(sorted(all_questions, key=_row), key=lambda one: _row(one) // size):
            members = list(grouped)
            if (torn is None or chunk in torn) and not partial:
                chunks_left.append(chunk)
                lost += [one.index for one in members]
                continue
            questions += _write(found, members, out, chunk, size)
            written.append(chunk)
    if torn is not None:
        chunks_left += sorted(torn - {*written, *chunks_left})
    return Chunks(
        out=str(out),
        files=len(written),
        questions=questions,
        left_out=sorted(lost),
        left_out_chunks=sorted(chunks_left),
        partial=[chunk for chunk in written if torn is None or chunk in torn],
        unnamed=[str(one) for one in of_kind(found.report.faults, Fault.MISSING) if one.index is None],
        leftover=len(before - {_name(found.model, chunk) for chunk in written}),
    )


def _row(question: Group | Solutions) -> int:
    """In the dataset."""
    position = question.position if isinstance(question, Solutions) else question.counted[0].position
    return question.index if position == ROW else position


def _torn(report: Report, size: int) -> set[int] | None:
    """Chunks that lack something; None where that cannot be told, and any may."""
    lacking = [fault for fault in report.faults if fault.kind in {Fault.MISSING, Fault.SHORT}]
    if any(fault.row is None for fault in lacking):
        return None
    return {fault.row // size for fault in lacking if fault.row is not None}


def _write(found: SolutionSet, questions: Sequence[Group | Solutions], out: Path, chunk: int, size: int) -> int:
    with whole_array(out / _name(found.model, chunk)) as file:
        for one in questions:
            solutions = one if isinstance(one, Solutions) else found.read(one)
            file.add(chunk_row(solutions, chunk, _row(one) % size))
    return file.elements


def _name(model: str, chunk: int) -> str:
    return f"{file_name(model)}_chunk_{chunk:03d}.json"
