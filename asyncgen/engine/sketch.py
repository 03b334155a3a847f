"""A distribution in a fixed number of bins: quantiles of millions of numbers within one per cent.

Knows logarithms. Does not know what the numbers are.
"""

from __future__ import annotations

import math
from array import array

ERROR = 0.01
"""Largest relative error of a quantile."""
SMALLEST = 1e-6
"""What is smaller, negative or none at all counts as 0."""
LARGEST = 1e9
"""What is larger counts as this."""
_LOG_WIDTH = math.log((1 + ERROR) / (1 - ERROR))
"""Of a bin: its ends differ by the factor (1 + ERROR) / (1 - ERROR), so a value within it is at most ERROR away from
every number in it (Masson, Rim, Lee: DDSketch, 2019)."""
BINS = math.ceil(math.log(LARGEST / SMALLEST) / _LOG_WIDTH) + 2
"""One for 0 below all others."""


class Sketch:
    """Counts of numbers from SMALLEST to LARGEST by their logarithm."""

    __slots__ = ("_bins", "count")

    def __init__(self) -> None:
        self._bins = array("Q", bytes(8 * BINS))
        self.count = 0

    def add(self, number: float) -> None:
        """Count one number."""
        self._bins[_bin(number)] += 1
        self.count += 1

    def quantile(self, share: float) -> float | None:
        """The number below which so large a share (0 to 1) of the others lies, with linear interpolation between
        neighbours as numpy has it; None before the first."""
        if not self.count:
            return None
        place = share * (self.count - 1)
        low = math.floor(place)
        lower, upper = self._at(low), self._at(min(low + 1, self.count - 1))
        return lower + (place - low) * (upper - lower)

    def _at(self, rank: int) -> float:
        """The number of this rank, from 0."""
        seen = 0
        for position, count in enumerate(self._bins):
            seen += count
            if seen > rank:
                return _value(position)
        raise IndexError(f"rank {rank} of {self.count} numbers")


def _bin(number: float) -> int:
    if not number >= SMALLEST:  # NaN too
        return 0
    return 1 + int(math.log(min(number, LARGEST) / SMALLEST) / _LOG_WIDTH)


def _value(position: int) -> float:
    """Equally far, relatively, from both ends of the bin."""
    if position == 0:
        return 0.0
    lower = SMALLEST * math.exp((position - 1) * _LOG_WIDTH)
    return lower * (1 + ERROR)
