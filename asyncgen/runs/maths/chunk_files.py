"""Chunk files as a family: which of them do not go together, and which question a row is that has no index of its own.

Knows chunks, their numbers and sizes. Reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncgen.runs.maths.faults import Fault, Report

_OTHER = "other chunk files have"


@dataclass(kw_only=True)
class ChunkFile:
    """One file, as its rows tell."""

    path: Path
    chunk: int
    """Its number."""
    rows: int = 0
    places: set[int] = field(default_factory=set[int])
    """`chunk_index` of its rows."""
    starts: set[int] = field(default_factory=set[int])
    """Index less `chunk_index`, of its rows that have an index: one number where indexes are positions."""
    torn: bool = False
    """It ends too early."""
    relative: list[int] = field(default_factory=list[int])
    """Places, by their number in the place index, of rows without one."""

    def note(self, place: int, index: int | None, number: int) -> None:
        """A row. `number`: of its place."""
        self.rows += 1
        self.places.add(place)
        if index is None:
            self.relative.append(number)
        else:
            self.starts.add(index - place)

    @property
    def length(self) -> int:
        """Questions that the chunk has at least, as `chunk_index` tells."""
        return max(self.places, default=-1) + 1


def chunk_faults(files: Sequence[ChunkFile], report: Report) -> Iterator[tuple[int, int]]:
    """Name what is wrong with these files of one model; (place, what its index lacks) of rows without an index."""
    if not files:
        return
    size, tell = _size(files), _tell(files)
    first: dict[int, ChunkFile] = {}
    for file in files:
        before = first.setdefault(file.chunk, file)
        if before is not file:
            text = f"chunk {file.chunk} has another file, {before.path}, which counts"
            report.add(Fault.CHUNK_TWICE, text, file=str(file.path))
        for number in file.relative:
            yield number, file.chunk * size
    last = max(first)
    for file in files:
        _check_size(file, size, tell=tell, is_last=file.chunk == last, report=report)
    for chunk in range(last):
        if chunk not in first:
            report.add(Fault.CHUNK_MISSING, f"there is no file of chunk {chunk}, and one of {last}: {first[last].path}")
    if all(file.starts <= {file.chunk * size} for file in files):
        _name_missing(first, size, last, report)


def _size(files: Sequence[ChunkFile]) -> int:
    """Questions of a chunk: what the indexes of most files say, where they tell, else the length of the longest."""
    said = [start // file.chunk for file in files if file.chunk for start in file.starts] if _tell(files) else ()
    return max(set(said), key=lambda size: (said.count(size), size)) if said else max(file.length for file in files)


def _tell(files: Sequence[ChunkFile]) -> bool:
    """Whether indexes are positions: in each file they rise with the places."""
    return all(len(file.starts) <= 1 for file in files)


def _check_size(file: ChunkFile, size: int, *, tell: bool, is_last: bool, report: Report) -> None:
    """A file that is too long, or begins elsewhere, or is too short and not the last."""
    if file.length > size or (tell and not file.starts <= {file.chunk * size}):
        begins = f" from question {min(file.starts)} on" if tell and file.starts else ""
        text = f"chunk {file.chunk} has {file.length} questions{begins}; {_OTHER} {size}"
        report.add(Fault.CHUNK_SIZE, text, file=str(file.path))
    elif file.length < size and not is_last and not file.torn:
        text = f"chunk {file.chunk} has {file.length} questions; {_OTHER} {size}"
        report.add(Fault.CHUNK_SIZE, text, file=str(file.path))


def _name_missing(first: dict[int, ChunkFile], size: int, last: int, report: Report) -> None:
    """Questions that no row is of, where indexes are positions."""
    for chunk in range(last + 1):
        file = first.get(chunk)
        length = size if chunk < last or file is None else file.length
        for place in range(length):
            if file is None or place not in file.places:
                where = "no file of its chunk" if file is None else "it is not in the file of its chunk"
                index = chunk * size + place
                report.add(Fault.MISSING, where, index=index, file=str(file.path) if file else "")
