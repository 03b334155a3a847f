"""JSONL files and JSON arrays: a row is a line, found by its byte offset and parsed when it is read.

Several files are one run of bytes, in the order given. Knows lines and JSON. A line that is no JSON object costs its
own row only. Blank lines are no rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from asyncgen.core.types import Json
from asyncgen.source.rows import json_ready

SCAN_BYTES = 4 * 2**20
ROWS_FOR_COLUMNS = 100
"""The columns are the keys of the first so many rows."""
ROWS_AT_ONCE = 1024
BOM = b"\xef\xbb\xbf"
BLANK = b" " * len(BOM)
JSON_BLANKS = b" \t\r\n"
"""White space to JSON (RFC 8259); Python's `strip` takes form feeds too."""


class JsonCells:
    """Rows that are lines. `offsets` has where each begins, and at last where they end: 8 bytes a row in memory."""

    def __init__(self, read: Callable[[int, int], bytes], offsets: NDArray[np.int64]) -> None:
        self._read = read
        self._offsets = offsets
        self.rows: int = max(0, len(offsets) - 1)
        self.columns: tuple[str, ...] = tuple(self._first_keys())

    def row(self, index: int, columns: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002  # a line is parsed as a whole
        """All of the line's keys, also those that the first rows have not. Raises ValueError, RecursionError."""
        return parse_line(self._read(int(self._offsets[index]), int(self._offsets[index + 1])))

    def count(self, index: int, column: str) -> int | None:
        """How many images a cell holds."""
        value = self.row(index, ()).get(column)
        if value is None:
            return None
        return len(value) if isinstance(value, list) else 1

    def image(self, index: int, column: str, position: int) -> Any:
        """One image of a cell as stored."""
        value = self.row(index, ()).get(column)
        return value[position] if isinstance(value, list) else value

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Those columns over all rows, in memory; a pass over the file that keeps nothing else."""
        pieces: dict[str, list[pa.Array]] = {name: [] for name in columns}
        for first in range(0, self.rows, ROWS_AT_ONCE):
            found = [_lenient(line) for line in self._lines(first, first + ROWS_AT_ONCE)]
            for name, arrays in pieces.items():
                arrays.append(_array([_cell(row.get(name)) for row in found]))
        return pa.table({name: _joined(arrays) for name, arrays in pieces.items()})

    @property
    def schema(self) -> pa.Schema:
        """By the first rows. What is a whole number there need not be one later: numbers are floats."""
        found = [_lenient(line) for line in self._lines(0, min(self.rows, ROWS_FOR_COLUMNS))]
        types = {name: _array([_cell(row.get(name)) for row in found]).type for name in self.columns}
        return pa.schema([(name, pa.float64() if pa.types.is_integer(kind) else kind) for name, kind in types.items()])

    def _lines(self, first: int, end: int) -> Iterator[bytes]:
        offsets = self._offsets[first : end + 1].tolist()
        block = self._read(offsets[0], offsets[-1])
        for start, stop in pairwise(offsets):
            yield block[start - offsets[0] : stop - offsets[0]]

    def _first_keys(self) -> dict[str, None]:
        first = min(self.rows, ROWS_FOR_COLUMNS)
        return dict.fromkeys(key for index in range(first) for key in _lenient(next(self._lines(index, index + 1))))


def open_jsonl(files: Sequence[Path]) -> JsonCells:
    """Files of one JSON object a line, row numbers over all of them. Raises OSError."""
    found = [line_offsets(file) for file in files]
    ends = np.cumsum([int(offsets[-1]) if len(offsets) else 0 for offsets in found], dtype=np.int64)
    begins = np.concatenate([offsets[:-1] + end - offsets[-1:] for offsets, end in zip(found, ends, strict=True)])
    offsets = np.append(begins, ends[-1:]) if len(begins) else begins
    return JsonCells(partial(_read_files, tuple(files), ends), offsets)


def open_json(files: Sequence[Path]) -> JsonCells:
    """JSON arrays, held in memory as one line an element, row numbers over all of them; or JSONL in a .json file.

    Raises OSError; ValueError and RecursionError when an array does not parse.
    """
    lines: list[bytes] = []
    for file in files:
        text = file.read_bytes().removeprefix(BOM).lstrip()
        if not text.startswith(b"["):
            return open_jsonl(files)
        lines += [_line(element) for element in _parse(text)]
    offsets = np.cumsum([0, *map(len, lines)], dtype=np.int64)
    held = b"".join(lines)
    return JsonCells(lambda start, end: held[start:end], offsets)


def line_offsets(file: Path) -> NDArray[np.int64]:
    """Where each line that is not blank begins, and the file's size; empty for a file without one.

    A row reaches to the next row's begin: blank lines between are white space to JSON.
    """
    position, at_start = 0, True
    begins, doubtful = [], []
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(SCAN_BYTES):
            codes = np.frombuffer(block, dtype=np.uint8)
            found = np.flatnonzero(codes == ord("\n")) + 1
            found = np.concatenate(([0], found)) if at_start else found
            at_start = block.endswith(b"\n")
            found = found[found < len(block)]
            begins.append(found + position)
            doubtful.append(codes[found] <= ord(" "))
            position += len(block)
    if not begins:
        return np.zeros(0, dtype=np.int64)
    offsets = np.append(np.concatenate(begins), position).astype(np.int64)
    return _without_blank(file, offsets, np.flatnonzero(np.concatenate(doubtful)))


def _without_blank(file: Path, offsets: NDArray[np.int64], doubtful: NDArray[np.intp]) -> NDArray[np.int64]:
    """`doubtful` are the lines that begin with white space: only those are looked at."""
    with file.open("rb") as stream:
        lines = doubtful.tolist()
        if stream.read(len(BOM)) == BOM:
            offsets[0] += len(BOM)
            lines = [0, *lines]
        blank = [line for line in lines if _is_blank(stream.seek, stream.read, offsets, line)]
    return np.delete(offsets, blank)


def _is_blank(seek: Callable[[int], int], read: Callable[[int], bytes], offsets: NDArray[np.int64], line: int) -> bool:
    seek(int(offsets[line]))
    return not read(int(offsets[line + 1] - offsets[line])).strip(JSON_BLANKS)


def _read_files(files: Sequence[Path], ends: NDArray[np.int64], start: int, end: int) -> bytes:
    """Bytes of all files as if they were one; `ends` has where each file ends.

    Opened for each row: 10 µs, and nothing to share between threads or to close.
    """
    found = b""
    number = int(np.searchsorted(ends, start, side="right"))
    while start < end:
        stop = min(end, int(ends[number]))
        base = int(ends[number - 1]) if number else 0
        with files[number].open("rb", buffering=0) as stream:
            stream.seek(start - base)
            piece = stream.read(stop - start)
        # a row reaches to the next row's begin, so a byte order mark in between must be white space
        found += BLANK + piece[len(BOM) :] if start == base and piece.startswith(BOM) else piece
        start, number = stop, number + 1
    return found


def parse_line(line: bytes) -> dict[str, Any]:
    """The line's JSON object. Raises ValueError, RecursionError."""
    row = _parse(line)
    if not isinstance(row, dict):
        raise ValueError(f"it is a JSON {type(row).__name__}, not an object")  # noqa: TRY004  # content, not a type
    return row


def _parse(text: bytes) -> Any:
    """orjson where it can; Python's own parser takes NaN and lone surrogates, which many writers leave."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def _line(element: Any) -> bytes:
    try:
        return orjson.dumps(element)
    except TypeError:  # lone surrogates, huge integers, deep nesting
        return json.dumps(element).encode()


def _lenient(line: bytes) -> dict[str, Any]:
    """A line that cannot be read has no columns here; `row` says what is wrong with it."""
    try:
        return parse_line(line)
    except (ValueError, RecursionError):
        return {}


def _cell(value: Any) -> Json:
    try:
        return json_ready(value)
    except ValueError:
        return None


def _array(values: list[Json]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):  # types mixed, or an integer over 64 bits
        return _texts(values)


def _joined(arrays: list[pa.Array]) -> pa.ChunkedArray:
    """The pieces in one type: numbers as the widest, anything else mixed as JSON text."""
    try:
        schemas = [pa.schema([("", array.type)]) for array in arrays]
        widest = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
        return pa.chunked_array([array.cast(widest, safe=False) for array in arrays], type=widest)
    except pa.ArrowException:
        return pa.chunked_array([_texts(array.to_pylist()) for array in arrays], type=pa.string())


def _texts(values: list[Json]) -> pa.Array:
    return pa.array(
        [value if value is None or isinstance(value, str) else orjson.dumps(value).decode() for value in values],
        type=pa.string(),
    )
