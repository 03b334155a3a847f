"""Which rollouts of a run are done, which failed and why: from catalogs, or the shards; kept up as lines are written.

Knows keys and reasons. Does not know what is asked next.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from asyncgen.store.catalog import read_catalogs
from asyncgen.store.index import DoneIndex
from asyncgen.store.keys import Keys, keys_of
from asyncgen.store.layout import Kind, sealed_shards
from asyncgen.store.line import line_key, line_reason
from asyncgen.store.scan import keyed_lines, pack
from asyncgen.store.totals import Totals


class Ledger:
    """Everything sealed is in it from the start. Raises DataError at a bad line of a shard without a catalog."""

    def __init__(self, directory: Path) -> None:
        self.totals = Totals()
        """What the episodes of the starts before have cost."""
        self.scanned = 0
        """Shards that were read line by line, for want of a catalog."""
        self.done = DoneIndex(keys.packed for keys in self._keys(directory, "traces"))
        reasons = dict(chain.from_iterable(keys.each() for keys in self._keys(directory, "failed")))
        for packed in self.done.among(reasons):
            del reasons[packed]
        self._reasons = reasons
        self.failed = DoneIndex([array("Q", reasons)] if reasons else ())
        """Keys that have a line in `failed/` and no trace."""
        self.failed_reasons = Counter(reasons.values())
        """Over `failed`: each id once, with its latest reason."""

    def _keys(self, directory: Path, kind: Kind) -> Iterator[Keys]:
        """Of each sealed shard."""
        shards = sealed_shards(directory, kind)
        catalogs = read_catalogs(shards, keys_only=True)
        for shard in shards:
            self.scanned += shard not in catalogs
            keys = catalogs[shard].keys if shard in catalogs else keys_of(keyed_lines(shard), kind)
            self.totals += keys.totals
            yield keys

    def reason(self, key: tuple[int, int]) -> str | None:
        """The latest reason of a key of `failed`."""
        return self._reasons.get(pack(*key)) if self._reasons else None

    def note(self, kind: Kind, line: bytes) -> None:
        """A line was written."""
        key = line_key(line)
        if kind == "failed":
            self._failure(key, line_reason(line))
            return
        self.done.add(*key)
        if self.failed.discard(*key):
            self._drop_reason(pack(*key))

    def _failure(self, key: tuple[int, int], reason: str) -> None:
        if key in self.done:
            return
        packed = pack(*key)
        if not self.failed.add(*key):
            self._drop_reason(packed)
        self._reasons[packed] = reason
        self.failed_reasons[reason] += 1

    def _drop_reason(self, packed: int) -> None:
        reason = self._reasons.pop(packed)
        self.failed_reasons[reason] -= 1
        if not self.failed_reasons[reason]:
            del self.failed_reasons[reason]
