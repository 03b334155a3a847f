"""What a job that stops when right and wrong are both there still has to do, by what lies in its directory.

Knows which rollouts are used, and which rows are decided; from that the bank of saved rollouts is worked out anew at
each start. A wave that was interrupted is done to its end, also where the row is decided by now: so a run that was
killed has the rollouts that it would have had without. Rows without anything stored are counted, not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncgen.engine.feeder import Chain
from asyncgen.engine.mixed import WAVE, Bank, MixedQuota, most_rollouts, whole
from asyncgen.store.sides import Sides
from asyncgen.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = slice | NDArray[Any]
    """Places in the selection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where one row stands."""

    index: int
    right: bool
    wrong: bool
    seen: bool
    """It has any trace."""
    base: list[int]
    """Of its own rollouts those that are still wanted; of a decided row only those of an interrupted wave."""
    begun: list[int]
    """Of the rollouts that it drew those that are not used: their wave was interrupted."""
    extras: list[int]
    """Those that it may still draw, in whole waves."""
    saved: int
    """Of its own rollouts those that others may have, in whole waves."""
    lost: int
    """Those that are not wanted, and too few for a wave."""
    drawn: int
    """Rollouts beyond its own that are used."""
    failed: int
    """Of its own rollouts."""
    failed_extras: int

    @property
    def decided(self) -> bool:
        """Right and wrong are both there."""
        return self.right and self.wrong


class Tally(NamedTuple):
    """Episodes of the selection."""

    failed: int
    left: int
    """Those that rows may still ask for, as far as something is there for them."""
    skipped: int
    bank: int
    """Rollouts that may be drawn."""
    claims: int
    """Those that undecided rows may draw."""
    reserved: frozenset[tuple[int, int]]
    """Of interrupted waves that were drawn: they are not in the bank any more."""


class Undecided:
    """The rows of a selection."""

    def __init__(
        self,
        indexes: NDArray[Any],
        rollouts: int | NDArray[Any],
        store: Store,
        is_over: Callable[[tuple[int, int]], bool],
        sides: Sides,
    ) -> None:
        """`rollouts`: of every row, or of each in turn; `is_over`: an episode failed, and is not tried again."""
        self._indexes = indexes
        self._rollouts = rollouts
        self._store = store
        self._is_over = is_over
        self._sides = sides

    def tally(self) -> Tally:
        """Where the selection stands."""
        import numpy as np

        stored = [index.samples()[0] for index in (self._store.done, self._store.failed)]
        touched = np.isin(self._indexes, np.concatenate(stored))
        fresh = np.broadcast_to(np.asarray(self._rollouts, dtype=np.int64), (len(self._indexes),))[~touched]
        left, claims = int(fresh.sum()), int((fresh // WAVE * WAVE).sum())
        failed = failed_extras = saved = lost = drawn = 0
        begun: list[tuple[int, int]] = []
        for row in self._rows(touched):
            left += len(row.base)
            claims += len(row.extras)
            failed += row.failed
            failed_extras += row.failed_extras
            saved += row.saved
            lost += row.lost
            drawn += row.drawn
            begun += [(row.index, rollout) for rollout in row.begun]
        counted = min(drawn, saved)  # what a job of more rollouts has done before is stored, and nobody asked for it
        reserved = frozenset(begun[: saved - counted])
        free = saved - counted - len(reserved)
        bank = free // WAVE * WAVE
        return Tally(
            failed=failed + min(failed_extras, counted),
            left=left + len(reserved) + min(bank, claims),
            skipped=lost + free - min(bank, claims),
            bank=bank,
            claims=claims,
            reserved=reserved,
        )

    def chains(self, bank: Bank) -> Iterator[Chain]:
        """Of the rows that have something to do, in order. Those that may only draw wait in the `bank`, which is opened
        here; those of them for which choices came before the run was interrupted are the first that it gives to."""
        tally = self.tally()
        bank.open(tally.bank, tally.claims)
        for row in self._rows(slice(None)):
            quota = MixedQuota(
                row.index,
                () if row.decided else row.base,
                row.extras,
                bank,
                wave=self._interrupted(row, tally.reserved),
                right=row.right,
                wrong=row.wrong,
                seen=row.seen,
            )
            if quota.waits:
                bank.park(quota, first=self._store.has_past((row.index, row.extras[0])))
            elif quota.left:
                yield row.index, quota

    def _interrupted(self, row: Row, reserved: frozenset[tuple[int, int]]) -> list[int]:
        """What is left of a wave that has to come first. One of its own that an undecided row has begun does anyway."""
        drawn = [rollout for rollout in row.begun if (row.index, rollout) in reserved]
        return [*row.base, *drawn] if row.decided else drawn

    def wanted(self, rows: Rows) -> Iterator[tuple[int, int]]:
        """(index, rollout) of what these rows may still ask for."""
        for row in self._rows(rows):
            for rollout in (*row.base, *row.begun, *row.extras):
                yield row.index, rollout

    def _rows(self, rows: Rows) -> Iterator[Row]:
        """Where each of them stands. Lazy: a row is looked up when its turn comes."""
        import numpy as np

        indexes = self._indexes[rows]
        many = np.broadcast_to(np.asarray(self._rollouts, dtype=np.int64), (len(self._indexes),))[rows]
        missing = self._store.done.missing(indexes, many + many // WAVE * WAVE)
        groups = groupby(missing, key=itemgetter(0))
        at, keys = next(groups, (-1, iter(())))
        for index, rollouts in zip(indexes.tolist(), many.tolist(), strict=True):
            if index == at:
                yield self._row(index, rollouts, [rollout for _, rollout in keys])
                at, keys = next(groups, (-1, iter(())))
            else:
                yield self._row(index, rollouts, [])

    def _row(self, index: int, rollouts: int, missing: list[int]) -> Row:
        """`missing`: rollouts without a trace."""
        over = {rollout for rollout in missing if self._is_over((index, rollout))}
        base = [rollout for rollout in missing if rollout < rollouts and rollout not in over]
        extras = [rollout for rollout in missing if rollout >= rollouts and rollout not in over]
        failed = sum(rollout < rollouts for rollout in over)
        right, wrong = self._sides.of(index)
        whole_waves = whole(extras, rollouts)
        saved = lost = 0
        drawn = most_rollouts(rollouts) - rollouts - len(extras)
        seen = len(missing) < most_rollouts(rollouts)
        wanted = base
        if right and wrong:
            wanted = _rest_of_last_wave(base, rollouts)
            others = [rollout for rollout in base if rollout not in wanted]
            saved = len(whole(others))
            lost = len(others) - saved
        hopeless = not base and not seen
        return Row(
            index=index,
            right=right,
            wrong=wrong,
            seen=seen,
            base=wanted,
            begun=[rollout for rollout in extras if rollout not in whole_waves],
            extras=[] if hopeless or (right and wrong) else whole_waves,
            saved=saved,
            lost=lost,
            drawn=drawn,
            failed=failed,
            failed_extras=len(over) - failed,
        )


def _rest_of_last_wave(unused: list[int], rollouts: int) -> list[int]:
    """Of the latest wave that has used rollouts, those that are not."""
    used = set(range(rollouts)).difference(unused)
    return [rollout for rollout in unused if used and rollout // WAVE == max(used) // WAVE]
