"""Which queries a retrieval client sends next, in what sizes, and which answers it still knows.

Knows queries and times. No I/O: `retrieval` asks, and carries out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from asyncgen.tools.hits import Hit

WINDOW = 0.004
"""Seconds that a query waits for others."""
GROWTH = 4
"""A batch may be so many times larger while all requests are open."""
LONE = 3
"""Queries of one batch that are refused alone while none passes: then it is not the queries."""
CHARACTERS = 64 * 2**20
"""Of hits that are kept."""

Key: TypeAlias = tuple[str, int]
"""A query and its topk."""


class Answers:
    """The hits of the latest queries, at most `limit`; those that were used least recently go first."""

    def __init__(self, limit: int, characters: int = CHARACTERS) -> None:
        self._limit = limit
        self._characters = characters
        self._held = 0
        self._hits: OrderedDict[Key, tuple[Hit, ...]] = OrderedDict()

    def get(self, key: Key) -> tuple[Hit, ...] | None:
        """None: not known."""
        hits = self._hits.get(key)
        if hits is not None:
            self._hits.move_to_end(key)
        return hits

    def put(self, key: Key, hits: tuple[Hit, ...]) -> None:
        """Keep them for a while."""
        self._drop(key)
        self._hits[key] = hits
        self._held += _weight(key, hits)
        while self._hits and (len(self._hits) > self._limit or self._held > self._characters):
            self._drop(next(iter(self._hits)))

    def _drop(self, key: Key) -> None:
        hits = self._hits.pop(key, None)
        if hits is not None:
            self._held -= _weight(key, hits)


def _weight(key: Key, hits: Sequence[Hit]) -> int:
    return len(key[0]) + sum(len(hit.title) + len(hit.text) for hit in hits)


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries that go as one request."""

    queries: list[str]
    topk: int


@dataclass(slots=True)
class _Group:
    """Queries of one topk."""

    since: float
    """When its first query came, or it was last taken from."""
    queries: deque[str] = field(default_factory=deque[str])


class Queue:
    """Queries that wait to be sent. Times are monotonic seconds."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._groups: dict[int, _Group] = {}
        self._most = batch * GROWTH
        """Less after a batch that was too slow."""

    def add(self, query: str, topk: int, now: float) -> None:
        """One more."""
        self._groups.setdefault(topk, _Group(now)).queries.append(query)

    def due_in(self, now: float) -> float | None:
        """Seconds until a batch is to go, 0 for at once; None: nothing waits."""
        return min((self._due(group) - now for group in self._groups.values()), default=None)

    def _due(self, group: _Group) -> float:
        return group.since if len(group.queries) >= self._batch else group.since + WINDOW

    def take(self, now: float, *, free: int) -> Batch:
        """The batch that has been due for the longest. `free`: requests that may be sent now, this one among them; the
        fewer they are for what waits, the larger it is.

        Only while something waits.
        """
        topk = min(self._groups, key=lambda one: self._due(self._groups[one]))
        group = self._groups.pop(topk)
        share = -(-len(group.queries) // free)
        limit = min(max(share, self._batch), self._batch * GROWTH, self._most)
        queries = [group.queries.popleft() for _ in range(min(limit, len(group.queries)))]
        if group.queries:
            group.since = now  # another topk comes first
            self._groups[topk] = group
        return Batch(queries, topk)

    def too_slow(self, count: int) -> None:
        """A request with so many queries reached its deadline: the next ones have half as many."""
        self._most = max(1, count // 2)

    def passed(self, count: int) -> None:
        """A request with so many queries was answered."""
        if count >= self._most:
            self._most = min(self._batch * GROWTH, 2 * self._most)


class Halves:
    """What of one batch is to be sent, until the query at fault stands alone.

    Parts are taken from both ends in turn: a server that refuses everything shows after a few requests.
    """

    def __init__(self, queries: Sequence[str]) -> None:
        self._parts = deque([list(queries)])
        self._from_left = True
        self._lone = 0
        self.any_passed = False

    def next(self) -> list[str]:
        """The next part; empty: that was all. The caller tells `passed`, `refused` or `lost` of it."""
        if not self._parts:
            return []
        return self._parts.popleft() if self._from_left else self._parts.pop()

    def passed(self) -> None:
        """The part was answered."""
        self.any_passed = True

    def refused(self, part: list[str]) -> list[str]:
        """The queries that fail by it: none while the part can be halved, else the one, or all that are left."""
        if len(part) == 1:
            self._lone += 1
            self._from_left = not self._from_left
            return part if self.any_passed or self._lone < LONE else self.lost(part)
        left, right = part[: len(part) // 2], part[len(part) // 2 :]
        if self._from_left:
            self._parts.extendleft((right, left))
        else:
            self._parts.extend((left, right))
        self._from_left = not self._from_left
        return []

    def lost(self, part: list[str]) -> list[str]:
        """The part, and all that are left: nothing of the batch is sent any more."""
        lost = [*part, *(query for rest in self._parts for query in rest)]
        self._parts.clear()
        return lost
