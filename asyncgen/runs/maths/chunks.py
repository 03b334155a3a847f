"""Chunk files of a run's solutions: so many rows of the dataset each, in the form of the scripts that made such files.

Knows which row is in which chunk, and which chunks are whole. Does not know how solutions are read (`solution_set`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.files import prepare_folder
from asyncgen.export.json_array import whole_array
from asyncgen.export.solutions import chunk_row
from asyncgen.runs.maths.completeness import check_complete
from asyncgen.runs.maths.faults import Fault, Report
from asyncgen.runs.maths.places import ROW, Group
from asyncgen.runs.maths.solution_set import CHUNK_NAME, SolutionSet, read_solutions
from asyncgen.runs.reading import in_a_run


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """What the export wrote."""

    out: str
    files: int
    questions: int
    left_out: Sequence[int]
    """Chunks that are not whole and were not asked for."""
    partial: Sequence[int]
    """Chunks that are not whole and were written."""
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
        written, left_out, questions = [], [], 0
        groups = sorted(found.places.groups(), key=_row)
        for chunk, members in groupby(groups, key=lambda group: _row(group) // size):
            if (torn is None or chunk in torn) and not partial:
                left_out.append(chunk)
                continue
            questions += _write(found, list(members), out, chunk, size)
            written.append(chunk)
    if torn is not None:
        left_out += sorted(torn - {*written, *left_out})
    return Chunks(
        out=str(out),
        files=len(written),
        questions=questions,
        left_out=sorted(left_out),
        partial=[chunk for chunk in written if torn is None or chunk in torn],
        leftover=len(before - {_name(found.model, chunk) for chunk in written}),
    )


def _row(group: Group) -> int:
    """In the dataset."""
    position = group.counted[0].position
    return group.index if position == ROW else position


def _torn(report: Report, size: int) -> set[int] | None:
    """Chunks that lack something; None where that cannot be told, and any may."""
    lacking = [fault for fault in report.faults if fault.kind in {Fault.MISSING, Fault.SHORT}]
    if any(fault.row is None for fault in lacking):
        return None
    return {fault.row // size for fault in lacking if fault.row is not None}


def _write(found: SolutionSet, groups: Sequence[Group], out: Path, chunk: int, size: int) -> int:
    with whole_array(out / _name(found.model, chunk)) as file:
        for group in groups:
            file.add(chunk_row(found.read(group), chunk, _row(group) % size))
    return file.elements


def _name(model: str, chunk: int) -> str:
    """A model's name may be a path; what no file name should have becomes `_`, as `/` does."""
    return f"{re.sub(r'[^A-Za-z0-9._+@=-]', '_', model).lstrip('.') or 'model'}_chunk_{chunk:03d}.json"
