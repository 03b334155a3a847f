"""The keys of a shard's lines, and what counts of each: whether a trace is accepted, why an episode failed. And their
totals.

12 bytes a line, without numpy. Knows lines, parsed by nobody. Does not know files.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import compress
from typing import NamedTuple

from asyncgen.store.layout import Kind
from asyncgen.store.line import line_accepted, line_reason
from asyncgen.store.scan import pack
from asyncgen.store.totals import Totals, add_line

ACCEPTED = "accepted"
"""The mark of a trace that is; the other is `""`."""


class Keys(NamedTuple):
    """Of the lines of a shard, in order."""

    packed: array[int]
    """`pack(index, rollout)`, 64 bits each."""
    codes: array[int]
    """Places in `marks`, 32 bits each."""
    marks: Sequence[str]
    """Of failures their reasons; of traces `accepted` and `""`."""
    totals: Totals = Totals()

    def marked(self, mark: str) -> array[int]:
        """The packed keys of the lines that have it."""
        if mark not in self.marks:
            return array("Q")
        code = self.marks.index(mark)
        return array("Q", compress(self.packed, map(code.__eq__, self.codes)))

    def each(self) -> Iterator[tuple[int, str]]:
        """(packed key, mark) of every line."""
        return zip(self.packed, map(self.marks.__getitem__, self.codes), strict=True)


class KeyList:
    """Add lines one by one; then their keys."""

    def __init__(self, kind: Kind) -> None:
        self._mark = line_reason if kind == "failed" else _accepted
        self._keys = Keys(array("Q"), array("I"), [])
        self._codes: dict[str, int] = {}
        self._kind: Kind = kind
        self._sums = list(astuple(Totals()))

    def add(self, key: tuple[int, int], line: bytes) -> None:
        """The next line."""
        self._keys.packed.append(pack(*key))
        self._keys.codes.append(self._codes.setdefault(self._mark(line), len(self._codes)))
        add_line(self._sums, line, self._kind)

    def keys(self) -> Keys:
        """Of the lines so far."""
        return self._keys._replace(marks=list(self._codes), totals=Totals(*self._sums))


def keys_of(lines: Iterable[tuple[tuple[int, int], bytes]], kind: Kind) -> Keys:
    """Of these ((index, rollout), line)."""
    found = KeyList(kind)
    for key, line in lines:
        found.add(key, line)
    return found.keys()


def _accepted(line: bytes) -> str:
    return ACCEPTED if line_accepted(line) else ""
