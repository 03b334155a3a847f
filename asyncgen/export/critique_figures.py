"""How a critique set is made up: right and wrong by model, by subject, by level and by the solution's length.

Knows both forms of its rows. Does not know how figures are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.export.solutions import RIGHT, WRONG

LENGTHS: Final = (500, 1000, 2000, 4000, 8000)
"""Edges of the classes of length, in characters of the solution."""
BY: Final = ("model", "subject", "level", "length")
NONE: Final = "-"
"""Stands where a row has no such value."""


class Figures:
    """Add rows, then ask."""

    def __init__(self) -> None:
        self._targets: Counter[str] = Counter()
        self._by: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in BY}
        """(value, target)."""
        self._lengths: Counter[int] = Counter()
        """Of solutions, rounded (`rounded`): some thousands of numbers, however many rows."""
        self._longest = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """A row of the critique set, or of its training form."""
        target, extra = str(row["target"]), row["extra_info"]
        length = len(str(extra.get("solution", row.get("solution", ""))))
        values = (extra.get("model_source"), row.get("subject"), row.get("level"), length_class(length))
        self._targets[target] += 1
        for name, value in zip(BY, values, strict=True):
            self._by[name][NONE if value in {None, ""} else repaired(str(value)), target] += 1
        self._lengths[rounded(length)] += 1
        self._longest = max(self._longest, length)

    def json(self) -> dict[str, Json]:
        """All of it: what has most rows first, lengths in order. The median of the lengths is rounded (`rounded`)."""
        return {
            "rows": self._targets.total(),
            "right": self._targets[RIGHT],
            "wrong": self._targets[WRONG],
            "characters": {"median": self._median(), "longest": self._longest},
            **{f"by_{name}": _right_and_wrong(name, counts) for name, counts in self._by.items()},
        }

    def _median(self) -> int:
        """The upper one of two; 0 of none."""
        left = self._lengths.total() // 2
        for length, count in sorted(self._lengths.items()):
            if count > left:
                return length
            left -= count
        return 0


def rounded(length: int) -> int:
    """Down to three digits: exact below 1000, from there on at most 1 % less."""
    unit: int = 10 ** max(0, len(str(length)) - 3)
    return length // unit * unit


def length_class(length: int) -> str:
    """`500-999`, as the edges say."""
    low = 0
    for edge in LENGTHS:
        if length < edge:
            return f"{low}-{edge - 1}"
        low = edge
    return f"{low}+"


def _right_and_wrong(name: str, counts: Counter[tuple[str, str]]) -> list[dict[str, Json]]:
    """Of each value."""
    found: list[dict[str, Json]] = [
        {
            "value": value,
            "rows": counts[value, RIGHT] + counts[value, WRONG],
            "right": counts[value, RIGHT],
            "wrong": counts[value, WRONG],
        }
        for value in dict.fromkeys(value for value, _ in counts)
    ]
    if name == "length":
        return sorted(found, key=lambda one: int(str(one["value"]).rstrip("+").partition("-")[0]))
    return sorted(found, key=lambda one: (-one["rows"], one["value"]))
