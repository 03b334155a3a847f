"""Columns of cells as a file of JSON lines, for DuckDB to read.

Knows the file. Does not know what the columns mean, nor their types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from asyncgen.core.errors import TemporaryError
from asyncgen.core.types import Json


def write_rows(columns: Mapping[str, Sequence[Json]], path: Path) -> int:
    """One file of JSON lines, a row each; the bytes of its longest line. DuckDB reads them as fast as we parse a trace,
    and needs no other library for it. Raises TemporaryError where the disk takes it not."""
    names, longest = list(columns), 0
    try:
        with path.open("wb") as file:
            for row in zip(*columns.values(), strict=True):
                line = orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
                file.write(line)
                longest = max(longest, len(line))
    except OSError as error:
        raise TemporaryError(
            f"{path.parent} takes no temporary file: {error.strerror or error}; set TMPDIR to a folder with room"
        ) from error
    return longest
