"""Arrow types for JSON values, found by looking at all of them: one type for what stands at one place in every row.

Knows which values share a type. What do not is kept as JSON text, and so is a mapping with more names than columns can
have. Does not know what the values are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from asyncgen.core.types import Json
from asyncgen.store.line import dump

MAX_NAMES = 500
"""Of one mapping; one with more is a dictionary rather than a row."""
MAX_DEPTH = 16
"""Levels of nesting; readers of parquet refuse some forty."""
_EXACT = 1 << 53
"""Whole numbers beyond that are no exact floats."""
_LARGEST = 1 << 63
_TOGETHER = {
    frozenset({"int", "float"}): "float",
    frozenset({"int", "long"}): "long",
}
"""Which two kinds of scalars share a type."""


class UnfitError(ValueError):
    """A value is of another type than all that were looked at."""


class Kind:
    """What has stood at one place so far. Show it every value with `note`; then it has a type, and `fit` turns each of
    the same values into what pyarrow takes for that type."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._scalar = ""
        self._names: dict[str, Kind] | None = None
        self._element: Kind | None = None
        self._as_text = False

    def note(self, value: Json) -> None:
        """Take up one value."""
        if value is None or self._as_text:
            return
        if isinstance(value, dict):
            self._note_mapping(value)
        elif isinstance(value, list):
            self._element = self._element or Kind(self._depth + 1)
            for one in value:
                self._element.note(one)
        else:
            kind = _scalar_kind(value)
            known = self._scalar or kind
            self._scalar = kind if known == kind else _TOGETHER.get(frozenset({known, kind}), "text")
        shapes = (self._scalar != "") + (self._names is not None) + (self._element is not None)
        if shapes > 1 or self._scalar == "text" or (self._depth >= MAX_DEPTH and not self._scalar):
            self._as_text = True

    def _note_mapping(self, value: dict[str, Json]) -> None:
        names = self._names = {} if self._names is None else self._names
        for name, one in value.items():
            names.setdefault(name, Kind(self._depth + 1)).note(one)
            if len(names) > MAX_NAMES:
                self._as_text = True
                return

    def texts(self, path: str) -> Iterator[str]:
        """The places that are kept as JSON text, `path` being this one."""
        if self._as_text:
            yield path
            return
        for name, kind in (self._names or {}).items():
            yield from kind.texts(f"{path}.{name}")
        if self._element is not None:
            yield from self._element.texts(f"{path}[]")

    def arrow(self) -> Any:
        """The pyarrow type. Where only nulls and empty mappings stood it is `null`: parquet has no empty mapping."""
        import pyarrow as pa

        if self._as_text:
            return pa.string()
        if self._names:
            return pa.struct([(name, kind.arrow()) for name, kind in self._names.items()])
        if self._element is not None:
            return pa.list_(self._element.arrow())
        scalars = {"bool": pa.bool_(), "int": pa.int64(), "long": pa.int64(), "float": pa.float64(), "str": pa.string()}
        return scalars.get(self._scalar, pa.null())

    def fit(self, value: Json) -> Json:
        """The value as its type has it. Raises UnfitError for one that was not noted."""
        if value is None:
            return None
        if self._as_text:
            return dump(value).decode()
        if isinstance(value, dict):
            if self._names is None or not value.keys() <= self._names.keys():
                raise UnfitError
            return {name: self._names[name].fit(one) for name, one in value.items()} if self._names else None
        if isinstance(value, list):
            if self._element is None:
                raise UnfitError
            return [self._element.fit(one) for one in value]
        kind = _scalar_kind(value)
        if kind != self._scalar and _TOGETHER.get(frozenset({kind, self._scalar})) != self._scalar:
            raise UnfitError
        return float(value) if self._scalar == "float" else value


def _scalar_kind(value: Json) -> str:
    """`text` for a whole number of more than 64 bits."""
    if type(value) is not int:
        return type(value).__name__
    if abs(value) <= _EXACT:
        return "int"
    return "long" if -_LARGEST <= value < _LARGEST else "text"
