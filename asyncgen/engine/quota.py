"""How many rollouts a sample still needs, while several of them are under way.

Knows one sample. Pure: outcomes in, the next rollout out. Does not know what makes a trace acceptable.

A sample is worked on by *chains*, as many as accepted traces are wanted. A chain does one rollout after the other, each
time the next one that `take` gives it. `accepted + under way` never exceeds `wanted`, so no rollout is asked for that
could turn out not to have been needed; and a rollout that is not accepted is followed by another one at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from itertools import islice
from typing import Protocol


class Outcome(Enum):
    """What came of a rollout."""

    RIGHT = auto()
    """An accepted trace."""
    WRONG = auto()
    """A trace that is not accepted."""
    TRUNCATED = auto()
    """The same, and it was cut off at its length: it tells nothing."""
    FAILED = auto()
    """No trace."""


class Rollouts(Protocol):
    """The rollouts of one sample that may be used, as those who use them see them."""

    @property
    def unused(self) -> tuple[int, ...]:
        """Those that come next and may share a request, in order."""

    @property
    def left(self) -> int:
        """How many may be used at most."""

    @property
    def chains(self) -> int:
        """How many may be started."""

    def take(self) -> int | None:
        """The next rollout, which is under way from now on; None when no more are needed, or there are none."""

    def give(self, outcome: Outcome) -> int:
        """A rollout is over. Returns how many more of the job's episodes are not needed since."""


class Quota:
    """The rollouts of one sample that may be used, shared by its chains."""

    __slots__ = ("_unused", "accepted", "under_way", "wanted")

    def __init__(self, unused: Iterable[int], wanted: int = 1) -> None:
        """`unused`: numbers of rollouts, in the order in which they are to be done; `wanted`: so many accepted traces
        more than there are. One rollout and one wanted is an episode that is done once, whatever comes of it.
        """
        self._unused = deque(unused)
        self.wanted = wanted
        self.accepted = 0
        self.under_way = 0

    @property
    def unused(self) -> tuple[int, ...]:
        """Rollouts that are not used yet, in order; of those no more than are needed, whatever comes of them."""
        return tuple(islice(self._unused, self.wanted - self.accepted - self.under_way))

    @property
    def left(self) -> int:
        """Rollouts that are not used yet."""
        return len(self._unused)

    @property
    def chains(self) -> int:
        """How many may be started."""
        return min(self.wanted, len(self._unused))

    def take(self) -> int | None:
        """The next rollout, which is under way from now on; None when no more are needed, or there are none."""
        if not self._unused or self.accepted + self.under_way >= self.wanted:
            return None
        self.under_way += 1
        return self._unused.popleft()

    def give(self, outcome: Outcome) -> int:
        """A rollout is over. Returns how many unused ones are not needed any more: all of them, once, when enough are
        accepted.
        """
        accepted = outcome is Outcome.RIGHT
        self.under_way -= 1
        self.accepted += accepted
        return len(self._unused) if accepted and self.accepted == self.wanted else 0
