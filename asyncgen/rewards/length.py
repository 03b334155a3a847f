"""How long a model thought, as a score.

Knows which characters count. Does not know what was thought.
"""

from __future__ import annotations

import math
import string
import unicodedata
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Final

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores
from asyncgen.rewards.tags import thinking_of

_ASCII_MARKS: Final = frozenset(string.punctuation)
_WIDE_MARKS: Final = frozenset(chr(ord(mark) + 0xFEE0) for mark in string.punctuation)
"""The same in full width: some of them are symbols to Unicode."""


def counted(text: str, most: int) -> int:
    """Characters that are neither blank nor punctuation (ASCII's, its full-width forms, and Unicode's P categories); at
    most `most`, from which on nothing is looked at."""
    return sum(1 for _ in islice(filter(_counts, text), most))


def _counts(character: str) -> bool:
    if character.isalnum():
        return True
    if character.isspace() or character in _ASCII_MARKS or character in _WIDE_MARKS:
        return False
    return not unicodedata.category(character).startswith("P")


@dataclass(frozen=True)
class LengthReward:
    """`length`: `per_char` for each character of the thinking of all turns that counts, at most `cap`."""

    per_char: float = 0.001
    cap: float = 1.0

    failure: ClassVar[Scores] = {"length": 0.0}
    """To be joined to a task's `scores`."""
    without_answer: ClassVar[bool] = True
    """It has something to say of a trace without an answer, too."""

    def __post_init__(self) -> None:
        """Raises InputError for what gives no score."""
        for name, value in (("per_char", self.per_char), ("cap", self.cap)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"length: {name} {value!r}: give a number above 0")

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """`length`."""
        enough = math.ceil(min(self.cap / self.per_char, 1e9))
        return {"length": min(self.cap, self.per_char * counted(thinking_of(trace), enough))}
