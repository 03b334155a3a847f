"""Rollouts of a question until right and wrong are both there, and what that saves for questions still undecided.

Knows outcomes, in waves of WAVE rollouts: whether a question is decided is looked at between waves only, so that the
choices of a request, which are paid for, are all carried out. Pure. Does not know what makes a trace right.

A question has its own rollouts, 0 … n-1, and may ask for as many again, n … 2n-1, as far as decided questions have left
whole waves of theirs in the Bank. An episode counts as not needed once nobody can claim it: what lies in the Bank
beyond all that undecided questions may still ask for. So that number only grows, and a drawn rollout is never counted
twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

from asyncgen.engine.quota import Outcome

WAVE = 2
"""Rollouts of a question between two looks at it."""


def most_rollouts(rollouts: int) -> int:
    """That a question with so many of its own may have: whole waves of others come on top."""
    return rollouts + rollouts // WAVE * WAVE


def waves(unused: Sequence[int], start: int = 0) -> list[list[int]]:
    """These rollouts, ascending, by wave; the first wave begins at `start`. One that was interrupted is not whole."""
    return [list(wave) for _, wave in groupby(unused, key=lambda rollout: (rollout - start) // WAVE)]


def whole(unused: Sequence[int], start: int = 0) -> list[int]:
    """Those of them whose wave is whole."""
    return [rollout for wave in waves(unused, start) if len(wave) == WAVE for rollout in wave]


class Bank:
    """Rollouts that decided questions have left, and the questions that wait for some."""

    __slots__ = ("_claims", "_parked", "_saved")

    def __init__(self, saved: int = 0, claims: int = 0) -> None:
        """`saved`: rollouts that are there; `claims`: those that undecided questions may ask for. Whole waves."""
        self._parked: deque[MixedQuota] = deque()
        self.open(saved, claims)

    def open(self, saved: int, claims: int) -> None:
        """Begin with this, and nobody waits."""
        self._saved = saved
        self._claims = claims
        self._parked.clear()

    @property
    def saved(self) -> int:
        """Rollouts that may be drawn."""
        return self._saved

    @property
    def idle(self) -> int:
        """Those of them that nobody can claim any more."""
        return max(0, self._saved - self._claims)

    def save(self, rollouts: int) -> None:
        """A question does not need them."""
        self._saved += rollouts

    def draw(self, most: int) -> int:
        """Take so many, or none: an undecided question claims them."""
        if self._saved < most:
            return 0
        self._saved -= most
        self._claims -= most
        return most

    def waive(self, rollouts: int) -> None:
        """A question does not claim them any more."""
        self._claims -= rollouts

    def park(self, quota: MixedQuota, *, first: bool = False) -> None:
        """It waits for a wave; `first`: before all others."""
        if first:
            self._parked.appendleft(quota)
        else:
            self._parked.append(quota)

    def due(self) -> tuple[int, MixedQuota] | None:
        """The question that has waited longest, with a wave drawn for it; None where none waits, or nothing is there
        for it."""
        if self._parked and self._parked[0].draw():
            quota = self._parked.popleft()
            return quota.index, quota
        return None


class MixedQuota:
    """The rollouts of one question that may be used, by one chain."""

    __slots__ = ("_bank", "_base", "_extras", "_right", "_seen", "_wave", "_wrong", "index")

    def __init__(
        self,
        index: int,
        base: Sequence[int],
        extras: Sequence[int],
        bank: Bank,
        *,
        wave: Sequence[int] = (),
        right: bool = False,
        wrong: bool = False,
        seen: bool = False,
    ) -> None:
        """`base`: its own rollouts that are not used yet, `extras`: those that it may draw, in whole waves; of a
        question that is decided both are empty. `wave`: what is left of a wave that was interrupted. `right`, `wrong`:
        there is such a trace; `seen`: there is any.
        """
        self.index = index
        self._bank = bank
        self._wave = wave
        self._base = base
        self._extras = extras
        self._right = right
        self._wrong = wrong
        self._seen = seen

    @property
    def unused(self) -> tuple[int, ...]:
        """What is left of the wave."""
        return tuple(self._wave)

    @property
    def left(self) -> int:
        """Rollouts that may still be used."""
        return len(self._wave) + len(self._base) + len(self._extras)

    @property
    def chains(self) -> int:
        """One: its waves come one after the other."""
        return min(1, self.left)

    @property
    def waits(self) -> bool:
        """It has nothing of its own left, and may draw."""
        return bool(self._extras) and not self._wave and not self._base

    def take(self) -> int | None:
        """The next rollout, which is under way from now on; None when no more are needed, or none is there for now:
        then it is parked in the bank."""
        if not self._wave:
            self._begin_wave()
        if not self._wave:
            return None
        rollout, self._wave = self._wave[0], self._wave[1:]
        return rollout

    def _begin_wave(self) -> None:
        if self._base:
            size = len(waves(self._base)[0])
            self._wave, self._base = self._base[:size], self._base[size:]
        elif self._extras and not self.draw():
            self._bank.park(self)

    def draw(self) -> bool:
        """Take a wave from the bank; whether it had one."""
        if not self._bank.draw(WAVE):
            return False
        self._wave, self._extras = self._extras[:WAVE], self._extras[WAVE:]
        return True

    def give(self, outcome: Outcome) -> int:
        """A rollout is over. Returns how many more episodes of the job are not needed since: once it is decided, those
        that nobody can claim. A question of which every rollout failed claims none: no other would do better.
        """
        self._right |= outcome is Outcome.RIGHT
        self._wrong |= outcome is Outcome.WRONG
        self._seen |= outcome is not Outcome.FAILED
        hopeless = not self._base and not self._seen
        if self._wave or not (hopeless or (self._right and self._wrong)):
            return 0
        idle, saved = self._bank.idle, len(whole(self._base))
        single = len(self._base) - saved  # too few for a wave: nobody gets them
        self._bank.save(saved)
        self._bank.waive(len(self._extras))
        self._base = self._extras = ()
        return self._bank.idle - idle + single
