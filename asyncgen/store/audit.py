"""What is wrong with a stored line: its checksum, its id, its keys.

Knows the schema. Does not know files, nor which lines there ought to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from asyncgen.core.errors import DataError
from asyncgen.core.trace import CallRecord, ImageRecord, MessageRecord, ToolCallRecord, Trace, TurnRecord
from asyncgen.core.types import Usage
from asyncgen.store.card import METADATA
from asyncgen.store.layout import Kind
from asyncgen.store.line import parse_line


def _names(kind: type) -> list[str]:
    return [one.name for one in fields(kind)]


_KEYS: Mapping[Kind, list[str]] = {
    "traces": [*_names(Trace), "crc"],
    "failed": [*_names(Trace), "reason", "error", "crc"],
}
_TURN, _MESSAGE, _USAGE = _names(TurnRecord), _names(MessageRecord), _names(Usage)
_IMAGE, _CALL, _CALLED = _names(ImageRecord), _names(ToolCallRecord), _names(CallRecord)
_METADATA = list(METADATA)


class Said(NamedTuple):
    """What a whole line says of itself."""

    name: str
    """The job's, from its id."""
    config_id: str
    problem: str
    """`""`: it is as it should be."""


def audit(line: bytes, key: tuple[int, int], kind: Kind) -> Said:
    """Look at a line whose checksum is right and whose id says `key`."""
    try:
        trace = parse_line(line)
    except DataError as error:
        return Said("", "", str(error))
    name = str(trace["id"]).partition("/")[0]
    return Said(name, str(trace.get("config_id", "")), _foreign(trace, key) or _misshapen(trace, kind))


def _foreign(trace: Mapping[str, Any], key: tuple[int, int]) -> str:
    """Why the id is not the trace's own. A trace without a config comes from a folder of trace_*.json: the number of
    its file need not be its row's."""
    index, rollout = key
    if trace.get("rollout") != rollout:
        return f"the id {trace['id']} has another rollout than `rollout`, {trace.get('rollout')!r}"
    if trace.get("config_id") and trace.get("sample_index") != index:
        return f"the id {trace['id']} has another index than `sample_index`, {trace.get('sample_index')!r}"
    return ""


def _misshapen(trace: Mapping[str, Any], kind: Kind) -> str:
    """Which keys are not those of the schema, or not in its order."""
    if problem := _differs(trace, _KEYS[kind], "a line"):
        return problem
    try:
        for turn in trace["conversation_history"]:
            if list(turn) != _TURN or list(turn["usage"]) != _USAGE:
                return _differs(turn, _TURN, "a turn") or _differs(turn["usage"], _USAGE, "usage")
            for message in turn["messages"]:
                if list(message) != _MESSAGE:
                    return _differs(message, _MESSAGE, "a message")
        for image in trace["images"]:
            if list(image) != _IMAGE:
                return _differs(image, _IMAGE, "an image")
        for call in trace["tool_calls"]:
            if list(call) != _CALL or list(call["tool_call"]) != _CALLED:
                return _differs(call, _CALL, "a tool call") or _differs(call["tool_call"], _CALLED, "tool_call")
        metadata = list(trace["metadata"])
    except (TypeError, KeyError) as error:
        return f"a value has another shape than the schema's: {type(error).__name__}: {error}"
    if metadata[: len(_METADATA)] != _METADATA:
        return _differs({key: 0 for key in metadata if key in METADATA}, _METADATA, "metadata")
    return ""


def _differs(found: Mapping[str, Any], wanted: Sequence[str], what: str) -> str:
    """In words; `""` where they are the same."""
    names = list(found)
    if names == list(wanted):
        return ""
    missing = [name for name in wanted if name not in found]
    more = [name for name in names if name not in wanted]
    if missing or more:
        words = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(more)}"] * bool(more)
        return f"{what} {' and '.join(words)}"
    return f"{what} whose keys are not in the schema's order"
