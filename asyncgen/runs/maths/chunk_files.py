"""Chunk files as a family: which of them do not go together, and which question a row is that has no index of its own.

Knows chunks, their numbers and sizes. Reads no file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
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
    """It ends too early, or has no row."""
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


class Family:
    """The chunk files of one model, and the chunks of it that are runs."""

    def __init__(self, files: Sequence[ChunkFile], runs: Mapping[int, int]) -> None:
        """`files`: one or more. `runs`: chunk → its size, of run directories."""
        self._files = files
        self._runs = runs
        self._first: dict[int, ChunkFile] = {}
        """By chunk."""
        for file in files:
            self._first.setdefault(file.chunk, file)
        self._last = max([*self._first, *runs])
        self._tell = all(len(one.starts) <= 1 and (one.chunk or not one.starts - {0}) for one in files)
        """Indexes are positions: in each file they rise with the places, and the first chunk begins at 0."""
        self._size = self._most_frequent_size()

    def relative(self) -> Iterator[tuple[int, int]]:
        """(place, what its index lacks) of rows without an index."""
        return ((number, file.chunk * self._size) for file in self._files for number in file.relative)

    def name_faults(self, indexes: Callable[[], AbstractSet[int]], report: Report) -> None:
        """What is wrong with these files, into the report. `indexes`: of all questions that there are, wherever they
        lie, as they are by now."""
        for file in self._files:
            before = self._first[file.chunk]
            if before is not file:
                text = f"chunk {file.chunk} has another file, {before.path}, which counts"
                report.add(Fault.CHUNK_TWICE, text, file=str(file.path))
        for file in self._files:
            self._check_size(file, report)
        absent = [chunk for chunk in range(self._last) if chunk not in self._first and chunk not in self._runs]
        known = indexes() if self._tell else frozenset[int]()
        for chunk in absent:
            if not self._tell or not set(range(chunk * self._size, (chunk + 1) * self._size)) <= known:
                last = self._first.get(self._last)
                there = f"one of {self._last}{f': {last.path}' if last else ''}"
                report.add(Fault.CHUNK_MISSING, f"there is no file of chunk {chunk}, and {there}")
        if self._tell:
            self._name_missing(known, report)
        else:
            self._name_holes(report)

    def _most_frequent_size(self) -> int:
        """Questions of a chunk: what most chunks say, by where they begin, else by their length; of two that are said
        as often the larger. The last chunk may be shorter, and a torn one has lost its end."""
        said = list(self._runs.values())
        for file in self._files:
            if self._tell and file.chunk and file.starts:
                said.append(min(file.starts) // file.chunk)
            elif file.chunk != self._last and not file.torn:
                said.append(file.length)
        longest = max(file.length for file in self._files)
        counts = Counter(size for size in said if size > 0) or Counter({max(longest, 1): 1})
        return max(counts, key=lambda size: (counts[size], size))

    def _check_size(self, file: ChunkFile, report: Report) -> None:
        """A file that is too long, or begins elsewhere, or is too short and not the last."""
        begins_elsewhere = self._tell and not file.starts <= {file.chunk * self._size}
        if file.length > self._size or begins_elsewhere:
            begins = f" from question {min(file.starts)} on" if self._tell and file.starts else ""
        elif file.length < self._size and file.chunk != self._last and not file.torn:
            begins = ""
        else:
            return
        text = f"chunk {file.chunk} has {file.length} questions{begins}; {_OTHER} {self._size}"
        report.add(Fault.CHUNK_SIZE, text, file=str(file.path))

    def _name_missing(self, known: AbstractSet[int], report: Report) -> None:
        """Questions that no row is of, where indexes are positions. What a run lacks, the run says."""
        ends = [self._last * self._size]
        ends += [min(one.starts, default=one.chunk * self._size) + one.length for one in self._files]
        for index in range(max(ends)):
            chunk = index // self._size
            if index in known or chunk in self._runs:
                continue
            file = self._first.get(chunk)
            where = "no file of its chunk" if file is None else "it is not in the file of its chunk"
            report.add(Fault.MISSING, where, index=index, file=str(file.path) if file else "")

    def _name_holes(self, report: Report) -> None:
        """Places that no row of a chunk has, where its rows have indexes of another order."""
        places: defaultdict[int, set[int]] = defaultdict(set)
        for file in self._files:
            places[file.chunk] |= file.places
        for chunk, found in sorted(places.items()):
            for place in range(max(found, default=-1)):
                if place not in found:
                    text = f"chunk {chunk} has no row with the chunk_index {place}"
                    report.add(Fault.CHUNK_HOLE, text, file=str(self._first[chunk].path))
