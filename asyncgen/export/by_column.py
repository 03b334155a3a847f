"""`--by COL`: traces grouped by the values of one column.

Knows how a name finds its column in a trace, as in every condition over traces: a bare name is the first of
`reward_score`, `metadata`, `sample_data` that has it, and `reward.`, `meta.`, `data.` say which. A value is 12 bytes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.groups import Section, section
from asyncgen.export.measures import finite
from asyncgen.store.line import dump

if TYPE_CHECKING:
    from asyncgen.export.measures import Column, Columns, Rows

MAX_GROUPS = 1000
"""The largest; the traces of all others are one group."""
MAX_EXACT = 50
"""A column with more different numbers goes into bins."""
BINS = 10
"""Of about as many traces each."""
NO_VALUE, OTHER = "(none)", "(other)"
_PARTS: Final = {"reward": "reward_score", "meta": "metadata", "data": "sample_data"}
_TOP: Final = ("id", "sample_index", "rollout", "answer", "config_id", "dataset_path")
_MAX_NAMES = 100_000
_MAX_LENGTH = 200
_MAX_KNOWN = 60
_EXACT = 1 << 53
"""Beyond it a float would make one of two whole numbers, and ids can be that long: they are texts."""
_NUMBER, _NONE = -1, -2


class ByColumn:
    """Add traces one by one; then their groups."""

    def __init__(self, name: str) -> None:
        self._asked = name
        prefix, dot, rest = name.partition(".")
        self._parts = (_PARTS[prefix.lower()],) if dot and prefix.lower() in _PARTS else tuple(_PARTS.values())
        bare = rest if len(self._parts) == 1 else name
        self._name = bare[1:-1].replace('""', '"') if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
        self._codes: dict[str, int] = {}
        self._rows = array("i")
        """The number of a text among `_codes`, or one of the two below zero."""
        self._values = array("d")
        self._known: dict[str, None] = {}
        """The names that the traces have, until one of them has ours."""
        self._found = False

    def add(self, trace: Mapping[str, Json]) -> None:
        """Another row."""
        value = self._value(trace)
        number = math.nan if isinstance(value, int) and abs(value) > _EXACT else finite(value)
        self._values.append(number)
        if number == number:  # noqa: PLR0124  # NaN is not
            self._rows.append(_NUMBER)
        elif value is None or isinstance(value, float):
            self._rows.append(_NONE)
        else:
            self._rows.append(self._code(_text(value)))

    def _code(self, text: str) -> int:
        if text not in self._codes and len(self._codes) >= _MAX_NAMES:
            text = OTHER
        return self._codes.setdefault(text, len(self._codes))

    def _value(self, trace: Mapping[str, Json]) -> Json:
        places = [trace[part] for part in self._parts]
        if len(places) > 1:
            places.append({name: trace[name] for name in _TOP})
        for exact in (True, False):
            for place in places:
                if (name := self._spelt(place, exact=exact)) is not None:
                    self._found = True
                    return place[name]
        if not self._found and len(self._known) < _MAX_KNOWN:
            self._known.update(dict.fromkeys(name for place in places for name in place))
        return None

    def _spelt(self, place: Mapping[str, Json], *, exact: bool) -> str | None:
        """The column's own spelling: SQL ignores case."""
        if exact:
            return self._name if self._name in place else None
        return next((name for name in place if name.lower() == self._name.lower()), None)

    def section(self, columns: Columns) -> Section:
        """The groups: numbers ascending, texts the largest first. Raises InputError for a column that no trace has."""
        import numpy as np

        if len(self._rows) and not self._found:
            known = [name for name in self._known if name.isprintable() and len(name) <= _MAX_LENGTH]
            raise InputError(f"--by {self._asked}: no trace has such a column{nearest(self._name, known)}")
        numbers, codes = np.array(self._values), np.array(self._rows)
        texts = list(self._codes)
        places, bins = _bins(numbers)
        labels = np.where(codes == _NUMBER, places + len(texts), codes)
        groups = _grouped(labels, [*texts, *bins])
        return section(columns, self._asked, _largest(groups) if texts else groups)


def _bins(numbers: Column) -> tuple[Rows, list[str]]:
    """The number of each value's group, and the groups' names: the value itself, or the bin's least and greatest."""
    import numpy as np

    values, place = np.unique(numbers, return_inverse=True)  # NaN is last, and once
    values, place = values[~np.isnan(values)], place.reshape(-1)
    if len(values) <= MAX_EXACT:
        return place, [f"{value:.17g}" if value.is_integer() else f"{value:.15g}" for value in values]
    edges = np.unique(np.nanquantile(numbers, np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, values, side="right")
    used, bins = np.unique(bins, return_inverse=True)
    inside = [values[bins == number] for number in range(len(used))]
    return np.append(bins, 0)[place], [_range(part[0], part[-1]) for part in inside]


def _range(least: float, greatest: float) -> str:
    return _short(least) if least == greatest else f"{_short(least)} to {_short(greatest)}"


def _short(value: float) -> str:
    """Enough to tell the edges of bins."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.10g}"


def _text(value: Json) -> str:
    """What is no text is JSON."""
    text = value if isinstance(value, str) else dump(value).decode()
    return text[:_MAX_LENGTH]


def _grouped(labels: Rows, names: Sequence[str]) -> list[tuple[str, Rows]]:
    """The rows of each label, in one sort; those without a value last."""
    import numpy as np

    order = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[order], return_index=True)
    pieces = np.split(order, starts[1:]) if len(found) else []
    groups = [(names[label], rows) for label, rows in zip(found, pieces, strict=True) if label >= 0]
    return groups + [(NO_VALUE, rows) for label, rows in zip(found, pieces, strict=True) if label < 0]


def _largest(groups: Sequence[tuple[str, Rows]]) -> list[tuple[str, Rows]]:
    """By number of traces; beyond the limit, and what could not be told apart, together at the end."""
    import numpy as np

    named = sorted((one for one in groups if one[0] != OTHER), key=lambda one: -len(one[1]))
    rest = [rows for name, rows in groups if name == OTHER] + [rows for _, rows in named[MAX_GROUPS:]]
    return named[:MAX_GROUPS] + ([(OTHER, np.sort(np.concatenate(rest)))] if rest else [])
