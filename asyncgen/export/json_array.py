"""JSON arrays of objects, element by element: files of any size in the memory of one element and one block.

Knows JSON's brackets, strings and blanks. Does not know what an element is for. Written with an element a line, whole
or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.export.files import whole_file
from asyncgen.store.line import dump

BLOCK = 4 << 20
"""Bytes that are read at once."""
BOM = b"\xef\xbb\xbf"
_LARGE = 1 << 63
"""Integers up to here, and twice as far from 0 on, are orjson's."""
_WRITTEN = 1 << 20
"""Bytes that are written at once."""
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]|"', re.DOTALL)
"""A whole string, a bracket outside strings, or the quote of a string that goes on after the block."""
_FIRST_KEY = re.compile(rb'\{\s*+"(?:[^"\\]|\\.)*+"', re.DOTALL)


class Element(NamedTuple):
    """One object of an array, and where it stands."""

    offset: int
    """Of its first byte in the file."""
    length: int
    value: dict[str, Any]


class TornError(ValueError):
    """The array has no proper end; `str()` says where and why."""


def read_elements(path: Path) -> Iterator[Element]:
    """The objects of a JSON array, or of a file with one object a line, in order.

    Raises OSError; TornError where the file ends, or is no JSON, before the array does: what came before is whole.
    """
    with path.open("rb", buffering=0) as file:
        window = _Window(file)
        if window.read_on(0) and window.data.startswith(BOM):
            window.drop(len(BOM))
        if window.next_byte(0) != b"[":
            yield from _lines(window)
            return
        window.drop(window.skip_blanks(0) + 1)
        yield from _array(window)


def parse_element(text: bytes) -> dict[str, Any]:
    """orjson where it can; Python's own parser takes NaN and lone surrogates, which many writers leave, and integers of
    any size.

    Raises ValueError, also for JSON that is no object or too deep.
    """
    try:
        value = _exact(orjson.loads(text), text)
    except ValueError:
        try:
            value = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"it is a JSON {type(value).__name__}, not an object")  # noqa: TRY004  # content, not a type
    return value


def _exact(value: Any, text: bytes) -> Any:
    """What orjson made of this text; again by Python's own parser where it may have made floats of large integers."""
    if not _has_large_float(value):
        return value
    try:
        return json.loads(text)
    except (RecursionError, ValueError):  # of thousands of digits
        return value


def _has_large_float(value: Any) -> bool:
    parts = [value]
    while parts:
        part = parts.pop()
        kind = type(part)
        if kind is str:
            continue
        if kind is dict:
            parts += part.values()
        elif kind is list:
            parts += part
        elif kind is float and abs(part) >= _LARGE:
            return True
    return False


def _encoded(value: Mapping[str, Json]) -> bytes:
    """As `store.line.dump`, but that integers keep all their digits."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        try:
            return orjson.dumps(_with_digits(value))
        except (orjson.JSONEncodeError, RecursionError):
            return dump(value)


def _with_digits(value: Any) -> Any:
    """Large integers as pieces of JSON, texts as they can be written. Raises RecursionError where it is too deep."""
    if type(value) is str:
        return repaired(value)
    if type(value) is int and not -_LARGE <= value < 2 * _LARGE:
        return orjson.Fragment(str(value))
    if type(value) is list:
        return [_with_digits(part) for part in value]
    return {repaired(key): _with_digits(part) for key, part in value.items()} if type(value) is dict else value


class ArrayWriter:
    """Adds objects to an open file, each on a line of its own; `close` ends the array."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pieces: list[bytes] = []
        self._size = 0
        self.elements = 0

    def add(self, value: Mapping[str, Json]) -> None:
        """One object. Raises OSError."""
        text = _encoded(value)
        self._pieces += (b",\n" if self.elements else b"[\n", text)
        self._size += len(text)
        self.elements += 1
        if self._size >= _WRITTEN:
            self._write()

    def close(self) -> None:
        """The closing bracket. Raises OSError."""
        self._pieces.append(b"\n]\n" if self.elements else b"[]\n")
        self._write()

    def _write(self) -> None:
        self._file.write(b"".join(self._pieces))
        self._pieces, self._size = [], 0


@contextmanager
def whole_array(path: Path) -> Iterator[ArrayWriter]:
    """A JSON array that stands under its name only when the block has ended well; an older file is replaced.

    Its folder is made. Raises OSError; then nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        writer = ArrayWriter(file)
        yield writer
        writer.close()


class _Window:
    """Part of a file in memory, from the byte that is looked at."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.data = b""
        self.base = 0
        """Offset in the file of the first byte of `data`."""
        self.at_end = False

    def read_on(self, keep: int) -> bool:
        """Forget what stands before `keep`, read at least a block more; whether there was more."""
        self.drop(keep)
        more = self._file.read(max(BLOCK, len(self.data)))  # twice as much each time: no element is quadratic
        self.at_end = not more
        self.data += more
        return bool(more)

    def drop(self, count: int) -> None:
        """Forget the first so many bytes."""
        self.data = self.data[count:]
        self.base += count

    def skip_blanks(self, at: int) -> int:
        """Where the next byte stands that is no blank; the end of `data` where all are."""
        blanks = _BLANKS.match(self.data, at)
        return blanks.end() if blanks else at

    def next_byte(self, at: int) -> bytes:
        """The first byte from `at` on that is no blank; `b""` at the end of the file. Nothing before `at` is lost."""
        while (at := self.skip_blanks(at)) == len(self.data):
            if not self.read_on(0):
                return b""
        return self.data[at : at + 1]


def _lines(window: _Window) -> Iterator[Element]:
    """One object a line."""
    at = number = 0
    while window.next_byte(at):
        at = window.skip_blanks(at)
        while (end := window.data.find(b"\n", at)) < 0 and not window.at_end:
            window.read_on(at)
            at = 0
        text = window.data[at : end if end >= 0 else len(window.data)]
        try:
            yield Element(window.base + at, len(text), parse_element(text))
        except ValueError as error:
            raise TornError(f"line {number + 1}, at byte {window.base + at}: {error}") from error
        at += len(text)
        number += 1
    if not number:
        raise TornError("it is empty")


def _array(window: _Window) -> Iterator[Element]:
    """The elements after the opening bracket."""
    at = number = 0
    between = b""
    """What stood between the first two elements, from the one's closing brace to the other's first key: it cannot stand
    in a string, and in most files no object within an element has the same before it."""
    while (byte := window.next_byte(at)) != b"]":
        at = window.skip_blanks(at)
        if number and byte == b",":
            byte = window.next_byte(at + 1)
            at = window.skip_blanks(at + 1)
        elif number and byte:
            byte = b"?"
        if byte != b"{":
            what = "there is no comma or object" if byte else "the file ends"
            raise TornError(f"after {number} elements, at byte {window.base + at}: {what}")
        if number and not between:
            between = _between(window, at)
        at, element = _element(window, at, between, number)
        yield element
        at += element.length
        number += 1
        if at > BLOCK // 2:
            window.drop(at)
            at = 0
    at = window.skip_blanks(at) + 1
    if window.next_byte(at):
        raise TornError(f"after the array's end, at byte {window.base + window.skip_blanks(at)}: there is more")


def _between(window: _Window, at: int) -> bytes:
    """From the brace that closed the element before to the first key of the one that begins here."""
    start = window.data.rfind(b"}", 0, at)
    key = _FIRST_KEY.match(window.data, at)
    return window.data[start : key.end()] if start >= 0 and key else b""


def _element(window: _Window, at: int, between: bytes, number: int) -> tuple[int, Element]:
    """The object that begins at `at`, and where it begins in the window by now."""
    if between and (guess := window.data.find(between, at)) >= 0:
        text = window.data[at : guess + 1]
        try:
            return at, Element(window.base + at, len(text), _exact(orjson.loads(text), text))
        except ValueError:
            pass  # another object ends like this, or it has what only Python's parser takes
    while (end := _closing(window.data, at)) < 0:
        if not window.read_on(at):
            raise TornError(f"after {number} elements, at byte {window.base}: the file ends within an object")
        at = 0
    text = window.data[at:end]
    try:
        return at, Element(window.base + at, len(text), parse_element(text))
    except ValueError as error:
        raise TornError(f"element {number}, at byte {window.base + at}: {error}") from error


def _closing(data: bytes, at: int) -> int:
    """Where the object that begins at `at` ends; -1: not in these bytes."""
    depth = 0
    for token in _TOKEN.finditer(data, at):
        kind = data[token.start()]
        if kind in b"{[":
            depth += 1
        elif kind in b"}]":
            depth -= 1
            if not depth:
                return token.end()
        elif token.end() - token.start() == 1:
            return -1
    return -1
