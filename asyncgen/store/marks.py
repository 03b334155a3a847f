"""Which of the traces of a run are accepted: a count for each sample, and how many in all.

Knows sealed shards, whose checksums the ledger has computed already. Holds two arrays, and no object a sample.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.store.catalog import read_catalogs
from asyncgen.store.index import DoneIndex
from asyncgen.store.keys import ACCEPTED
from asyncgen.store.layout import sealed_shards
from asyncgen.store.line import line_accepted, line_key
from asyncgen.store.scan import pack

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BUFFER = 1 << 20
"""Bytes read at once."""


class Marks:
    """What the traces were marked with when they were saved; those that come later are not in it."""

    def __init__(self, directory: Path) -> None:
        """Reads catalogs; of a shard that has none every line, and parses none."""
        shards = sealed_shards(directory, "traces")
        catalogs = read_catalogs(shards, keys_only=True)
        accepted = DoneIndex(
            catalogs[shard].keys.marked(ACCEPTED) if shard in catalogs else array("Q", _accepted_keys(shard))
            for shard in shards
        )
        self.total = len(accepted)
        self._indexes, self._counts = accepted.samples()

    def counts(self, indexes: NDArray[Any]) -> NDArray[Any]:
        """How many traces of each of these rows are accepted."""
        import numpy as np

        if not len(self._indexes):
            return np.zeros(len(indexes), dtype=np.uint64)
        wanted = np.asarray(indexes, dtype=np.uint64)
        at = np.minimum(self._indexes.searchsorted(wanted), len(self._indexes) - 1)
        return np.where(self._indexes[at] == wanted, self._counts[at], np.uint64(0))

    def of(self, index: int) -> int:
        """The same of one row."""
        at = int(self._indexes.searchsorted(self._indexes.dtype.type(index)))  # of numpy's own type: an int is slow
        return int(self._counts[at]) if at < len(self._indexes) and int(self._indexes[at]) == index else 0


def _accepted_keys(path: Path) -> Iterator[int]:
    with path.open("rb", buffering=_BUFFER) as shard:
        for line in shard:
            if line_accepted(line):
                yield pack(*line_key(line))
