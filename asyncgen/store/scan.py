"""Reading shards line by line: what is whole in a sealed shard, its problems, and how far an open one is whole.

Knows lines in files. Changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from asyncgen.core.errors import DataError
from asyncgen.store.line import check_line, has_mark, line_key

_NO_END = "the line has no end"
_JOINT = re.compile(rb',"crc":"[0-9a-f]{8}"\}[^\n](?=\{"id":")')
"""The end of a line, and another byte in the place of its LF, before the start of the next."""
_BUFFER = 1 << 20
"""Bytes read at once: three times as fast as the default on lines of a few KB."""


def pack(index: int, rollout: int) -> int:
    """`(index, rollout)` as one 64-bit key; keys sort as the pairs do."""
    return index << 16 | rollout


def keyed_lines(path: Path) -> Iterator[tuple[tuple[int, int], bytes]]:
    """((index, rollout), line) of a sealed shard: every checksum is computed, nothing is parsed.

    Raises DataError with file:line for a line that is not whole.
    """
    with path.open("rb", buffering=_BUFFER) as shard:
        for number, line in enumerate(shard, 1):
            if not (line.endswith(b"\n") and check_line(line)):
                raise _bad(path, number, _problem(line))
            try:
                key = line_key(line)
            except ValueError as error:
                raise _bad(path, number, str(error)) from None
            yield key, line


def _bad(path: Path, number: int, problem: str) -> DataError:
    return DataError(
        f"{path}:{number}: {problem}; asyncgen verify DIR --salvage takes such lines out, and a run does them again"
    )


def verify_shard(path: Path) -> Iterator[tuple[int, int, str]]:
    """(line from 1, byte offset, problem) of every line of a sealed shard that is not whole: all checksums computed."""
    offset = 0
    with path.open("rb", buffering=_BUFFER) as shard:
        for number, line in enumerate(shard, 1):
            problem = _problem(line)
            if problem:
                yield number, offset, problem
            offset += len(line)


def split_lines(path: Path) -> Iterator[tuple[bytes, str]]:
    """(line, what is wrong with it or `""`) of every line of a shard; the next one too where a line has lost its LF."""
    with path.open("rb", buffering=_BUFFER) as shard:
        for line in shard:
            problem = _problem(line)
            while problem and (end := _lost_end(line)):
                yield line[:end], _NO_END
                line = line[end:]  # noqa: PLW2901  # what is left of it
                problem = _problem(line)
            yield line, problem


def _lost_end(line: bytes) -> int:
    """Where, in two lines that are one, the second begins; 0 if it is not so. In a trace no text looks like that: its
    quotes have backslashes."""
    found = _JOINT.search(line)
    return found.end() if found else 0


def _problem(line: bytes) -> str:
    if not line.endswith(b"\n"):
        return _NO_END
    if not has_mark(line):
        return "the line has no checksum"
    if not check_line(line):
        return "the checksum is wrong"
    try:
        line_key(line)
    except ValueError as error:
        return str(error)
    return ""


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines of an open shard up to the first that is torn, zeroed or altered."""
    with path.open("rb", buffering=_BUFFER) as part:
        for line in part:
            if _problem(line):
                return
            yield line
