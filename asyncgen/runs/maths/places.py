"""Where solutions lie: rows of files and traces of runs by the index of their question, 44 bytes each.

Knows indexes and places, and which of several places of one question count. Reads nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AT_ONCE = 8192
"""Places that are in memory as objects."""
ROW = -1
"""The position and the rollout of a place that is a whole row: all solutions of one question."""


class Where(NamedTuple):
    """A row or a trace in a file."""

    path: Path
    offset: int
    length: int
    """In bytes."""
    position: int
    """Of a trace the row number in its dataset, else ROW."""
    rollout: int
    """Of a trace, else ROW."""
    solutions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What there is of one question."""

    index: int
    counted: Sequence[Where]
    """One row, or the traces of one row of the dataset, one a rollout, in order."""
    left_out: Sequence[Where]
    """What came later and is there already, or is of another row of the dataset."""

    @property
    def solutions(self) -> int:
        """How many count."""
        return sum(one.solutions for one in self.counted)


class PlaceIndex:
    """Add places in the order in which they lie; then read them by index."""

    def __init__(self) -> None:
        self._indexes = array("q")
        self._positions = array("q")
        self._offsets = array("q")
        self._lengths = array("q")
        self._rollouts = array("i")
        self._solutions = array("i")
        self._files = array("i")
        self._paths: list[Path] = []

    def __len__(self) -> int:
        return len(self._indexes)

    def add(self, index: int, where: Where) -> None:
        """The next one."""
        if not self._paths or self._paths[-1] != where.path:
            self._paths.append(where.path)
        self._indexes.append(index)
        self._positions.append(where.position)
        self._offsets.append(where.offset)
        self._lengths.append(where.length)
        self._rollouts.append(where.rollout)
        self._solutions.append(where.solutions)
        self._files.append(len(self._paths) - 1)

    def move(self, number: int, by: int) -> None:
        """The place that came as this number has a larger index."""
        self._indexes[number] += by

    def indexes(self) -> NDArray[Any]:
        """Of all questions, sorted, each once."""
        import numpy as np

        return np.unique(np.frombuffer(self._indexes, np.int64)) if self._indexes else np.empty(0, np.int64)

    def groups(self) -> Iterator[Group]:
        """Each question once, by index. While this is read, nothing may be added."""
        import numpy as np

        if not self._indexes:
            return
        order = np.argsort(np.frombuffer(self._indexes, np.int64), kind="stable")
        for index, numbered in groupby(self._sorted(order), key=itemgetter(0)):
            yield _group(index, [place for _, place in numbered])

    def _sorted(self, order: NDArray[Any]) -> Iterator[tuple[int, Where]]:
        """(index, place) in that order."""
        import numpy as np

        columns = (
            self._indexes,
            self._files,
            self._offsets,
            self._lengths,
            self._positions,
            self._rollouts,
            self._solutions,
        )
        arrays = [np.frombuffer(column, f"i{column.itemsize}") for column in columns]
        for start in range(0, len(order), _AT_ONCE):
            numbers = order[start : start + _AT_ONCE]
            indexes, files, *rest = (column[numbers].tolist() for column in arrays)
            for index, file, place in zip(indexes, files, zip(*rest, strict=True), strict=True):
                yield index, Where(self._paths[file], *place)


def _group(index: int, places: Sequence[Where]) -> Group:
    """Of places in the order in which they came: the first row of the dataset counts, of that the first of each
    rollout."""
    if len(places) == 1:
        return Group(index=index, counted=places, left_out=())
    counted: dict[int, Where] = {}
    left_out: list[Where] = []
    for one in places:
        if one.position == places[0].position and one.rollout not in counted:
            counted[one.rollout] = one
        else:
            left_out.append(one)
    return Group(index=index, counted=[counted[rollout] for rollout in sorted(counted)], left_out=left_out)
