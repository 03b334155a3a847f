"""Whether the traces that a run has are like the samples that it lost: failed episodes against finished ones.

Knows the rows' difficulty and their text columns with few values, such as a country. Which failures have no trace is
the caller's to know.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asyncgen.core.types import Json
from asyncgen.export.groups import EDGES, by_band
from asyncgen.export.measures import finite, mean, median

if TYPE_CHECKING:
    from asyncgen.export.measures import Column

MAX_COLUMNS = 3
"""That are told of."""
_MAX_CANDIDATES = 20
_MAX_VALUES = 300
"""A column with more is no category."""
_MAX_LENGTH = 60
MAX_SHOWN = 20
"""Values of a column, those with the most failures first."""


class Lost:
    """Add the rows of traces and of failures, then ask for the difference."""

    def __init__(self, difficulty: str, edges: Sequence[float] = EDGES) -> None:
        """`edges`: of the bands of the difficulty."""
        self._difficulty = difficulty
        self._edges = edges
        self._failed = array("d")
        self._values: dict[str, Counter[tuple[str, bool]]] = {}
        """By column: how often a value, in a failure or not."""
        self._refused: set[str] = set()

    def add(self, data: Mapping[str, Json], *, failed: bool) -> None:
        """The columns of one row."""
        if failed:
            self._failed.append(finite(data.get(self._difficulty)))
        for name, value in data.items():
            if type(value) is str and name not in self._refused:
                self._count(name, value, failed=failed)

    def _count(self, name: str, value: str, *, failed: bool) -> None:
        counts = self._values.get(name)
        if counts is None:
            if len(self._values) + len(self._refused) >= _MAX_CANDIDATES:
                return
            counts = self._values[name] = Counter()
        counts[value, failed] += 1
        if len(counts) > 2 * _MAX_VALUES or len(value) > _MAX_LENGTH:
            del self._values[name]
            self._refused.add(name)

    def result(self, difficulty: Column) -> dict[str, Json] | None:
        """Against the traces' `difficulty`; None where nothing failed."""
        import numpy as np

        failed = np.array(self._failed)
        if not len(failed):
            return None
        both = {"traces": difficulty, "failed": failed}
        return {
            "column": self._difficulty,
            **{
                name: {"n": len(values), "mean_difficulty": mean(values), "median_difficulty": median(values)}
                for name, values in both.items()
            },
            "bands": _bands(difficulty, failed, self._edges),
            "columns": {name: _shares(self._values[name]) for name in self._categories(len(difficulty) + len(failed))},
        }

    def _categories(self, rows: int) -> list[str]:
        """The first columns whose values come back: at least twice each, in the mean."""
        distinct = {name: len({value for value, _ in counts}) for name, counts in self._values.items()}
        found = [name for name, count in distinct.items() if 1 < count <= min(_MAX_VALUES, rows // 2)]
        return found[:MAX_COLUMNS]


def _bands(difficulty: Column, failed: Column, edges: Sequence[float]) -> list[dict[str, Json]]:
    import numpy as np

    rows = by_band(np.concatenate([difficulty, failed]), edges)
    kept = {band: int((numbers < len(difficulty)).sum()) for band, numbers in rows.items()}
    return [_share(band, kept[band], len(numbers) - kept[band]) for band, numbers in rows.items()]


def _shares(counts: Counter[tuple[str, bool]]) -> list[dict[str, Json]]:
    values = dict.fromkeys(value for value, _ in counts)
    shares = [_share(value, counts[value, False], counts[value, True]) for value in values]
    return sorted(shares, key=lambda share: (-share["failed"], -share["traces"]))[:MAX_SHOWN]


def _share(group: str, traces: int, failed: int) -> dict[str, Json]:
    whole = traces + failed
    return {"group": group, "traces": traces, "failed": failed, "failed_share": failed / whole if whole else None}
