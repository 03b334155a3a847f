"""Which episodes a run still has to do.

Knows the selection, what is done, what failed and what is accepted. Holds an array or two of row numbers and the index
of what is done; chains are made when their turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncgen.engine.feeder import Chain
from asyncgen.engine.mixed import Bank
from asyncgen.engine.quota import Quota
from asyncgen.runs.undecided import Undecided
from asyncgen.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncgen.store.marks import Marks
    from asyncgen.store.sides import Sides


class Counts(NamedTuple):
    """Episodes of the selection; they add up to its total."""

    done: int
    failed: int
    left: int
    skipped: int
    """Not needed: enough of the sample's traces are accepted, or of the directory's; or right and wrong are there."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The episodes of one start."""

    indexes: NDArray[Any]
    """Row numbers, in the order in which they are to be done."""
    rollouts: int | NDArray[Any]
    """Of every row, or of each in turn."""
    store: Store
    retry: Callable[[str], bool]
    """Whether an episode that failed for this reason is tried again."""
    until_accepted: int | None = None
    """Accepted traces of a sample after which it needs no other rollout."""
    stop_after_accepted: int | None = None
    """Accepted traces of the directory after which it needs no other episode."""
    choices: int = 1
    """Rollouts of a sample that one request may ask for: they are done one after the other then."""
    marks: Marks | None = None
    """Of the stored traces; there where one of the former two is."""
    sides: Sides | None = None
    """Of the stored traces; there where a sample's rollouts end when right and wrong are both there."""
    bank: Bank = field(default_factory=Bank)
    """Of what that saves; chains that wait for it become `due` there."""

    @property
    def total(self) -> int:
        """Episodes of the selection."""
        return len(self.indexes) * self.rollouts if isinstance(self.rollouts, int) else int(self.rollouts.sum())

    @property
    def accepted(self) -> int:
        """Traces of the directory that are accepted, where somebody wants to know."""
        return self.marks.total if self.marks else 0

    def pending(self) -> Iterator[Chain]:
        """Chains of what is neither done nor failed for good, nor superfluous; sample by sample, in order."""
        if self.sides is not None:
            yield from self._undecided(self.sides).chains(self.bank)
            return
        unused = (key for key in self._missing(self._rows(sated=False)) if not self._is_over(key))
        if self.until_accepted is None and self.choices == 1:
            for index, rollout in unused:
                yield index, Quota((rollout,))
            return
        if self.until_accepted is None:
            for index, keys in groupby(unused, key=itemgetter(0)):
                rollouts = [rollout for _, rollout in keys]
                yield index, Quota(rollouts, len(rollouts))
            return
        for index, keys in groupby(unused, key=itemgetter(0)):
            accepted = self.marks.of(index) if self.marks else 0
            quota = Quota([rollout for _, rollout in keys], self.until_accepted - accepted)
            for _ in range(quota.chains if self.choices == 1 else 1):  # those that share requests take turns
                yield index, quota

    def counts(self) -> Counts:
        """Where the selection stands."""
        if self.sides is not None:
            tally = self._undecided(self.sides).tally()
            done = self.total - tally.left - tally.skipped - tally.failed
            return Counts(done=done, failed=tally.failed, left=tally.left, skipped=tally.skipped)
        left, failed = self._tally(self._rows(sated=False))
        skipped, others = self._tally(self._rows(sated=True))
        failed += others
        done = self.total - left - skipped - failed
        if self.stop_after_accepted is not None and self.accepted >= self.stop_after_accepted:
            left, skipped = 0, skipped + left
        return Counts(done=done, failed=failed, left=left, skipped=skipped)

    def wants(self, keys: Collection[tuple[int, int]]) -> int:
        """How many of these episodes are still to be done; a handful, of the many that there may be."""
        import numpy as np

        if not keys:
            return 0
        rows = np.isin(self.indexes, [index for index, _ in keys]).nonzero()[0]
        if self.sides is not None:
            return len({*keys}.intersection(self._undecided(self.sides).wanted(rows)))
        many = np.broadcast_to(np.asarray(self.rollouts), (len(self.indexes),))
        rollouts = dict(zip(self.indexes[rows].tolist(), many[rows].tolist(), strict=True))
        return sum(rollout < rollouts.get(index, 0) and not self._is_over((index, rollout)) for index, rollout in keys)

    def _rows(self, *, sated: bool) -> slice | NDArray[Any]:
        """Places in `indexes`: those of the samples of which enough traces are accepted, or all others."""
        if self.until_accepted is None or self.marks is None:
            return slice(0) if sated else slice(None)
        enough = self.marks.counts(self.indexes) >= self.until_accepted
        return enough if sated else ~enough

    def _missing(self, rows: slice | NDArray[Any]) -> Iterator[tuple[int, int]]:
        """(index, rollout) of what has no trace."""
        rollouts = self.rollouts if isinstance(self.rollouts, int) else self.rollouts[rows]
        return self.store.done.missing(self.indexes[rows], rollouts)

    def _undecided(self, sides: Sides) -> Undecided:
        return Undecided(self.indexes, self.rollouts, self.store, self._is_over, sides)

    def _is_over(self, key: tuple[int, int]) -> bool:
        """It failed, and is not tried again."""
        reason = self.store.reason(key)
        return reason is not None and not self.retry(reason)

    def _tally(self, rows: slice | NDArray[Any]) -> tuple[int, int]:
        """(unused, failed for good) of what has no trace."""
        unused = failed = 0
        for key in self._missing(rows):
            over = self._is_over(key)
            failed += over
            unused += not over
        return unused, failed
