"""Which episodes a run still has to do.

Knows the selection, what is done and what failed. Holds one array of row numbers and the index of what is done; keys
are made when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncgen.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The episodes of one start."""

    indexes: NDArray[Any]
    """Row numbers, in the order in which they are to be done."""
    rollouts: int
    store: Store
    retry: Callable[[str], bool]
    """Whether an episode that failed for this reason is tried again."""

    @property
    def total(self) -> int:
        """Episodes of the selection."""
        return len(self.indexes) * self.rollouts

    def pending(self) -> Iterator[tuple[int, int]]:
        """(index, rollout) of what is neither done nor failed for good; sample by sample, in order."""
        for key in self.store.done.missing(self.indexes, self.rollouts):
            reason = self.store.reason(key)
            if reason is None or self.retry(reason):
                yield key

    def counts(self) -> tuple[int, int, int]:
        """(done, failed, left) of the selection."""
        missing = failed = 0
        for key in self.store.done.missing(self.indexes, self.rollouts):
            missing += 1
            reason = self.store.reason(key)
            failed += reason is not None and not self.retry(reason)
        return self.total - missing, failed, missing - failed
