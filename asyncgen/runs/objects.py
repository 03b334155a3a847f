"""A stored line, parsed, as the Trace or Failure that it was written from.

Knows the nesting of a trace. Does not know where lines lie. Keys of the line that a Trace does not have (`crc`) are
left out; a score that was stored as null stays None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from asyncgen.core.errors import DataError
from asyncgen.core.trace import CallRecord, Failure, ImageRecord, MessageRecord, ToolCallRecord, Trace, TurnRecord
from asyncgen.core.types import Json, Usage

T = TypeVar("T")

_NAMES: Mapping[Any, tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (Trace, TurnRecord, MessageRecord, Usage, ImageRecord, ToolCallRecord, CallRecord)
}


def trace_of(line: Mapping[str, Json]) -> Trace:
    """The trace of a parsed line. Raises DataError where a key is missing or holds another shape."""
    try:
        return _made(
            Trace,
            line,
            conversation_history=tuple(_turn(one) for one in line["conversation_history"]),
            images=tuple(_made(ImageRecord, one) for one in line["images"]),
            tool_calls=tuple(
                _made(ToolCallRecord, one, tool_call=_made(CallRecord, one["tool_call"])) for one in line["tool_calls"]
            ),
        )
    except (KeyError, TypeError) as error:
        name = line.get("id", "a line without an id")
        raise DataError(f"{name!r} is no whole trace: {type(error).__name__}: {error}") from error


def failure_of(line: Mapping[str, Json]) -> Failure:
    """The failed episode of a line in `failed/`. Raises DataError as `trace_of`."""
    return Failure(trace=trace_of(line), reason=str(line.get("reason", "")), error=str(line.get("error", "")))


def _turn(entry: Mapping[str, Json]) -> TurnRecord:
    return _made(
        TurnRecord,
        entry,
        messages=tuple(_made(MessageRecord, one) for one in entry["messages"]),
        usage=_made(Usage, entry["usage"]),
    )


def _made(kind: type[T], values: Mapping[str, Json], **parts: Any) -> T:
    """One of our dataclasses from a mapping; `parts` are those that are nested."""
    return kind(**{name: parts[name] if name in parts else values[name] for name in _NAMES[kind]})
