"""Which rollouts of a run are done, which failed and why: read from the shards, kept up as lines are written.

Knows keys and reasons. Does not know what is asked next.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import Kind, sealed_shards
from asyncgen.store.line import line_key, line_reason
from asyncgen.store.scan import pack, shard_keys, shard_reasons


class Ledger:
    """Everything sealed is in it from the start. Raises DataError at a bad sealed line."""

    def __init__(self, directory: Path) -> None:
        self.done = DoneIndex(shard_keys(path) for path in sealed_shards(directory, "traces"))
        self.failed = DoneIndex()
        """Keys that have a line in `failed/` and no trace."""
        self.failed_reasons: Counter[str] = Counter()
        """Over `failed`: each id once, with its latest reason."""
        self._reasons: dict[int, str] = {}
        for path in sealed_shards(directory, "failed"):
            for packed, reason in shard_reasons(path):
                self._failure((packed >> 16, packed & 0xFFFF), reason)

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
