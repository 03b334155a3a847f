"""How a critique set is made up: right and wrong by model, by subject, by level and by the solution's length.

Knows both forms of its rows. Does not know how figures are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

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
        self._lengths: list[int] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """A row of the critique set, or of its training form."""
        target, extra = str(row["target"]), row["extra_info"]
        length = len(str(extra.get("solution", row.get("solution", ""))))
        values = (extra.get("model_source"), row.get("subject"), row.get("level"), length_class(length))
        self._targets[target] += 1
        for name, value in zip(BY, values, strict=True):
            self._by[name][NONE if value in {None, ""} else str(value), target] += 1
        self._lengths.append(length)

    def json(self) -> dict[str, Json]:
        """All of it: what has most rows first, lengths in order."""
        lengths = sorted(self._lengths)
        middle = lengths[len(lengths) // 2] if lengths else 0
        return {
            "rows": self._targets.total(),
            "right": self._targets[RIGHT],
            "wrong": self._targets[WRONG],
            "characters": {"median": middle, "longest": lengths[-1] if lengths else 0},
            **{f"by_{name}": _shares(name, counts) for name, counts in self._by.items()},
        }


def length_class(length: int) -> str:
    """`500-999`, as the edges say."""
    low = 0
    for edge in LENGTHS:
        if length < edge:
            return f"{low}-{edge - 1}"
        low = edge
    return f"{low}+"


def _shares(name: str, counts: Counter[tuple[str, str]]) -> list[dict[str, Json]]:
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
