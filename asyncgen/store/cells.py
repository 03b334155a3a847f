"""JSON values as the cells of a column: its SQL type, and its values of that type.

Knows four types: whole numbers stay so where all are, numbers where all are numbers; a column of two other types is
text, and so are lists and mappings, as JSON. Does not know files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncgen.core.types import Json
from asyncgen.store.line import dump

BOOLEAN, BIGINT, DOUBLE, VARCHAR, NULL = "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "NULL"
_KINDS = {bool: BOOLEAN, int: BIGINT, float: DOUBLE, type(None): NULL}
_NUMBERS = {BIGINT, DOUBLE}
_PLAIN: Mapping[str, set[type]] = {
    BOOLEAN: {bool, type(None)},
    BIGINT: {int, type(None)},
    DOUBLE: {int, float, type(None)},
    VARCHAR: {str, type(None)},
}
"""What a column of a type takes as it is."""
_WIDEST = 2**63
_EXACT = 2.0**53


def kind_of(values: Sequence[Json]) -> str:
    """The SQL type of a column of these values; NULL where all are null. What is over 64 bits counts as a float."""
    kind = NULL
    for one in set(map(type, values)):
        kind = both(kind, _KINDS.get(one, VARCHAR))
    if kind == BIGINT and not all(map(_is_narrow, values)):
        return DOUBLE
    return kind


def both(one: str, other: str) -> str:
    """The type of a column that has values of both."""
    kinds = {one, other} - {NULL}
    if len(kinds) < 2:
        return kinds.pop() if kinds else NULL
    return DOUBLE if kinds == _NUMBERS else VARCHAR


def cells_of(values: Sequence[Json], kind: str) -> Sequence[Json]:
    """As values of the type; null for null, and for what does not fit. NaN becomes null when it is written."""
    if _PLAIN[kind].issuperset(map(type, values)) and (kind not in _NUMBERS or all(map(_is_narrow, values))):
        return values
    return [_cell(value, kind) for value in values]


def _is_narrow(value: float | None) -> bool:
    """Whether it is sure to fit 64 bits, as a whole number too."""
    return value is None or -_WIDEST <= value < _WIDEST


def _cell(value: Json, kind: str) -> Json:
    own = _KINDS.get(type(value), VARCHAR)
    if own == NULL:
        return None
    if kind == VARCHAR:
        return text_of(value)
    if kind == DOUBLE and own in _NUMBERS:
        return _float(value)
    if kind == BIGINT and own == DOUBLE and value.is_integer():
        value, own = int(value), BIGINT
    fits = own == kind and (own != BIGINT or -_WIDEST <= value < _WIDEST)
    return value if fits else None


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:  # an integer of over 308 digits
        return None


def text_of(value: Json) -> str:
    """The same text whether a number was stored as whole or as a float: the other rows of its batch decide that."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        value = int(value)
    return dump(value).decode()
