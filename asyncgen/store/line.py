"""One line of a shard: a trace or a failure as JSON, with its checksum last.

    {"id":"<job>/<index>/<rollout>", … ,"crc":"9f3a12c0"}\\n

`crc` is CRC-32 (zlib) of all bytes before its comma: a checksum and a commit mark in one. A line whose tail is torn,
zeroed or flipped does not have it. Knows bytes. Does not know files.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

from asyncgen.core.errors import DataError
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import Json

MAX_INDEX = (1 << 48) - 1
"""Largest row number: `(index, rollout)` packs into 64 bits."""
MAX_ROLLOUT = (1 << 16) - 1

_ID = re.compile(rb'\{"id":"[A-Za-z0-9._-]+/([0-9]{1,15})/([0-9]{1,5})"')
_CRC_START = b',"crc":"'
_TAIL = len(_CRC_START) + 8 + len(b'"}')
_REASON = b',"reason":"'
_ACCEPTED = b',"accepted":'
_MAX_DEPTH = 100  # orjson stops at 254 levels, and the trace around a sample has some of its own


def encode_trace(trace: Trace) -> bytes:
    """The line of a trace, LF included. Raises ValueError if its id is not `<job>/<index>/<rollout>`."""
    return _sealed(dump(trace)[:-1])


def encode_failure(failure: Failure) -> bytes:
    """The line of a failed episode: the trace's keys, `reason`, `error`, `crc`. Raises ValueError as `encode_trace`."""
    why = dump({"reason": failure.reason, "error": failure.error})
    return _sealed(dump(failure.trace)[:-1] + b"," + why[1:-1])


def encode_line(trace: Mapping[str, Json]) -> bytes:
    """The line of a parsed trace or failure that was changed: a new `crc` in the place of its own. Raises ValueError as
    `encode_trace`."""
    return _sealed(dump({key: trace[key] for key in trace if key != "crc"})[:-1])


def sealed_line(value: Mapping[str, Json]) -> bytes:
    """The line of anything with an `id` as a trace has it: not looked at."""
    body = dump(value)[:-1]
    return b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def _sealed(body: bytes) -> bytes:
    line_key(body)
    return body + _tail(body) + b"\n"


def _tail(body: bytes) -> bytes:
    return b'%s%08x"}' % (_CRC_START, zlib.crc32(body))


def check_line(line: bytes) -> bool:
    """Whether the line (with or without its LF) is whole: its checksum is there and right."""
    line = line.removesuffix(b"\n")
    return line[-_TAIL:] == _tail(line[:-_TAIL])


def line_crc(line: bytes) -> str:
    """The `crc` of a whole line, LF included."""
    return line[-11:-3].decode()


def has_mark(line: bytes) -> bool:
    """Whether the line ends as a committed one does, checksum not computed: a cheap look."""
    return line[-19:-11] == _CRC_START and line[-3:] == b'"}\n'


def line_key(line: bytes) -> tuple[int, int]:
    """`(index, rollout)` from the line's first bytes, the rest unread. Raises ValueError if it has no such id."""
    match = _ID.match(line)
    if match is None:
        raise ValueError(f'no id "<job>/<index>/<rollout>" at the start of {line[:60]!r}')
    index_digits, rollout_digits = match.groups()
    index, rollout = int(index_digits), int(rollout_digits)
    if index > MAX_INDEX or rollout > MAX_ROLLOUT:
        raise ValueError(f"the id in {line[:60]!r} is over index {MAX_INDEX} or rollout {MAX_ROLLOUT}")
    return index, rollout


def id_key(text: str) -> tuple[int, int]:
    """`(index, rollout)` of an id as written in a trace. Raises ValueError if it is none."""
    if '"' in text:
        raise ValueError(f"a quote in the id {text!r}")
    return line_key(b'{"id":"%s"' % text.encode())


def line_reason(line: bytes) -> str:
    """The `reason` of a line in `failed/`, unparsed; `""` if it has none.

    The last `,"reason":"` is the line's own: within a JSON string its quotes would be escaped, and after it come only
    `error` and `crc`, both strings.
    """
    start = line.rfind(_REASON)
    if start < 0:
        return ""
    start += len(_REASON)
    return line[start : line.index(b'"', start)].decode()


def line_accepted(line: bytes) -> bool:
    """Whether a trace is marked as accepted, unparsed. The last `,"accepted":` is that of `metadata`, after which only
    `crc` comes; within a JSON string its quotes would be escaped."""
    start = line.rfind(_ACCEPTED)
    return start >= 0 and line.startswith(b"true", start + len(_ACCEPTED))


def parse_line(line: bytes) -> dict[str, Any]:
    """The line as a dict, `crc` among its keys. Raises DataError if it is no JSON object."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not a JSON line ({error}): {line[:60]!r}") from None
    if not isinstance(value, dict):
        raise DataError(f"not a JSON object: {line[:60]!r}")
    return value


def dump(value: Json) -> bytes:
    """JSON of anything: what orjson refuses is repaired, never lost, and never raised about.

    Lone surrogates become U+FFFD, integers over 64 bits and what JSON has no word for become text, keys become text,
    what is nested over 100 levels deep becomes its own JSON as text, non-finite floats become null.
    """
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        return orjson.dumps(_plain(value, 0))


def _default(value: object) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):  # a subclass
        return float(value)
    return str(value)


def _plain(value: Json, depth: int) -> Json:
    """The value in types and texts that orjson takes."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping | list | tuple):
        if depth >= _MAX_DEPTH:
            return _deep_text(value)
        if isinstance(value, Mapping):
            return {_leaf_text(key): _plain(part, depth + 1) for key, part in value.items()}
        return [_plain(part, depth + 1) for part in value]
    return _leaf(value)


def _leaf(value: Json) -> Json:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 64:
        return int(value)
    return _leaf_text(value)


def _leaf_text(value: object) -> str:
    try:
        text = str(value)
    except ValueError:  # an integer over sys.get_int_max_str_digits()
        text = hex(value) if isinstance(value, int) else repr(type(value))
    # UTF-16 joins a surrogate pair and makes one U+FFFD of a lone half; UTF-8 would break the pairs.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Written(str):
    """A piece of JSON text, as it stands."""

    __slots__ = ()


def _deep_text(value: Json) -> str:
    """JSON text of a value nested however deep: a stack of our own, where recursion would end."""
    pieces: list[str] = []
    stack: list[Json] = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, _Written):
            pieces.append(top)
        elif isinstance(top, Mapping):
            inside: list[Json] = []
            for key, part in top.items():
                inside += [_Written("," if inside else ""), _Written(_json(_leaf_text(key)) + ":"), part]
            stack += reversed([_Written("{"), *inside, _Written("}")])
        elif isinstance(top, list | tuple):
            inside = []
            for part in top:
                inside += [_Written("," if inside else ""), part]
            stack += reversed([_Written("["), *inside, _Written("]")])
        else:
            pieces.append(_json(_leaf(top)))
    return "".join(pieces)


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
