"""A row's values as JSON can hold them.

Knows Python, numpy and Arrow's scalar types. Does not know where a row came from.
"""

from __future__ import annotations

import base64
import math
from datetime import date, time
from typing import Any

import numpy as np
import pyarrow as pa

from asyncgen.core.text import repaired
from asyncgen.core.types import Json

MAX_DEPTH = 100
"""orjson writes 254 levels; a row stands some levels deep in its trace, and no honest row nests so far."""
SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""What orjson writes as a number."""
PICTURE_KEYS = {"bytes", "path"}
"""The storage of a picture or a sound in `datasets`."""


def json_ready(value: Any, depth: int = 0) -> Json:
    """Dates in ISO form, bytes as base64, NaN and infinity as None, whatever JSON has no word for as its `str`.

    A picture inside a struct keeps its path only: a trace has no picture's bytes.
    Raises ValueError for a value nested deeper than MAX_DEPTH.
    """
    if isinstance(value, (np.generic, np.ndarray)):
        plain = value.tolist()
        value = str(plain) if isinstance(plain, np.generic) else plain  # longdouble stays numpy's own
    if isinstance(value, (dict, list, tuple, set)):
        if depth >= MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            kept = {"path": value["path"]} if value.keys() == PICTURE_KEYS else value
            return {repaired(str(key)): json_ready(one, depth + 1) for key, one in kept.items()}
        return [json_ready(one, depth + 1) for one in value]
    return _scalar(value)


def _scalar(value: Any) -> Json:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return repaired(value)
    if isinstance(value, int):
        return value if SMALLEST <= value <= LARGEST else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return repaired(str(value))


def sql_kind(kind: pa.DataType) -> str:
    """The SQL type of a column after `json_ready`; `""` for lists and mappings, which are no scalars."""
    if isinstance(kind, pa.BaseExtensionType):
        return sql_kind(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return sql_kind(kind.value_type)
    if pa.types.is_nested(kind):
        return ""
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "BIGINT"
    return "DOUBLE" if pa.types.is_floating(kind) else "VARCHAR"
