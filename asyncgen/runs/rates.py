"""Rates and the time left, from marks: counters at moments of the past.

Knows differences and how they vary. Does not know whose counters they are.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WINDOW = 600.0
"""Seconds of history behind the rate and the time left."""
NOW = 60.0
"""Seconds behind the rate of now."""
MARK_EVERY = 1.0
"""Seconds between two marks at least."""
MIN_DONE = 30
"""Episodes before a time left is shown: fewer say little."""
PARTS = 10
"""Parts of the window whose rates are compared."""
Z80 = 1.28
"""Standard deviations between the mean and p90 of a normal distribution: p10 to p90 is four times out of five."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Counters at one moment."""

    time: float
    """Monotonic seconds."""
    finished: int
    """Episodes, failed ones too."""
    tokens: int
    requests: Sequence[int]
    """By endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Differences to marks of the past; all 0.0 at the first mark, which has nothing before it."""

    window: float
    """Episodes a minute, over WINDOW."""
    now: float
    """Episodes a minute, over NOW."""
    tokens: float
    """A second, over WINDOW."""
    requests: Sequence[float]
    """A minute, over NOW, by endpoint."""
    spread: float | None
    """By how much of itself `window` may be off, four times out of five; None where nobody can tell yet."""

    def seconds_left(self, left: int, finished: int) -> tuple[float | None, float | None]:
        """Until `left` episodes are finished, when `finished` are, and plus or minus how much of it."""
        if finished < MIN_DONE or not self.window > 0:
            return None, None
        seconds = 60 * left / self.window
        return seconds, None if self.spread is None else self.spread * seconds


class History:
    """Marks of the window, one each MARK_EVERY seconds and no more."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()

    def rates(self, mark: Mark) -> Rates:
        """Up to this mark, which is kept if it is time for one."""
        self._keep(mark)
        first, minute = self._marks[0], self._ago(mark.time, NOW)
        window, recent = mark.time - first.time, mark.time - minute.time
        return Rates(
            window=_a_minute(mark.finished - first.finished, window),
            now=_a_minute(mark.finished - minute.finished, recent),
            tokens=_a_minute(mark.tokens - first.tokens, window) / 60,
            requests=[
                _a_minute(count - before, recent) for count, before in zip(mark.requests, minute.requests, strict=True)
            ],
            spread=relative_spread(_of_parts(self._marks, mark)),
        )

    def _keep(self, mark: Mark) -> None:
        """The first one is the youngest that is as old as the window, so that rare looks have one too."""
        if not self._marks or mark.time - self._marks[-1].time >= MARK_EVERY:
            self._marks.append(mark)
        while len(self._marks) > 1 and mark.time - self._marks[1].time >= WINDOW:
            self._marks.popleft()

    def _ago(self, now: float, seconds: float) -> Mark:
        """The youngest mark that is at least so old, or the oldest."""
        return next((mark for mark in reversed(self._marks) if now - mark.time >= seconds), self._marks[0])


def _a_minute(count: int, seconds: float) -> float:
    return 60 * count / seconds if seconds > 0 else 0.0


def _of_parts(marks: Iterable[Mark], last: Mark) -> list[float]:
    """The rates of about PARTS equal parts of the window, from mark to mark; [] while there are too few marks."""
    borders: list[Mark] = []
    step = 0.0
    for mark in (*marks, last):
        if not borders:
            borders.append(mark)
            step = (last.time - mark.time) / PARTS
        elif mark.time - borders[-1].time >= step > 0:
            borders.append(mark)
    if step < MARK_EVERY:
        return []
    return [
        _a_minute(after.finished - before.finished, after.time - before.time)
        for before, after in itertools.pairwise(borders)
    ]


def relative_spread(rates: Sequence[float]) -> float | None:
    """Z80 standard errors of the mean of these rates, as a share of it.

    None for fewer than two rates, or where nothing was finished.
    """
    if len(rates) < 2 or not (mean := statistics.fmean(rates)) > 0:
        return None
    return Z80 * statistics.stdev(rates) / math.sqrt(len(rates)) / mean
