"""Folders of `trace_*.json`, one JSON object a file, as parsed trace lines: ours, and those that other scripts wrote.

Knows both shapes of `trace_json` and the keys that differ between their writers. What a file does not say gets a
neutral value (`""`, 0, an empty list). The files are others' work: a value of the wrong type counts as not said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from asyncgen.core.errors import DataError, InputError
from asyncgen.core.trace import TRACE_VERSION
from asyncgen.core.types import Json, ToolMode
from asyncgen.endpoint.lenient import loads
from asyncgen.export.trace_json import FILE_NAME
from asyncgen.rewards.text import answer_tag, last_boxed

JOB = "trace"
"""The job's name in ids of traces that were read from such a folder: a file does not say its job."""
_TOOL_MODES = {"api_parameter": ToolMode.NATIVE, "prompt_based": ToolMode.TEXT}
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens")


def read_trace_json(folder: Path) -> Iterator[dict[str, Json]]:
    """The folder's traces by row and rollout, with the keys of a trace line but `crc`; ids come from the files' names.

    Raises InputError if there is no such file, DataError naming a file that holds no trace.
    """
    return (read_trace_file(path, index, rollout) for index, rollout, path in trace_files(folder))


def trace_files(folder: Path, pattern: str = "trace_*.json") -> list[tuple[int, int, Path]]:
    """(row, rollout, file) by row and rollout. Raises InputError if there is none."""
    found = [(match, path) for path in folder.glob(pattern) if (match := FILE_NAME.fullmatch(path.name))]
    if not found:
        raise InputError(
            f"{folder} has no files named trace_00000.json: give a run directory or a folder of such files"
        )
    return sorted((int(match["index"]), int(match["rollout"] or 0), path) for match, path in found)


def read_trace_file(path: Path, index: int, rollout: int) -> dict[str, Json]:
    """One file as a trace line. Raises DataError if it holds none."""
    try:
        value = loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from None
    return trace_line(value, index=index, rollout=rollout, name=str(path))


def trace_line(value: Json, *, index: int, rollout: int, name: str) -> dict[str, Json]:
    """A document of any of the shapes → a trace line. Raises DataError naming `name` for anything else."""
    document = _mapping(value)
    if not document.keys() & {"conversation_history", "conversation_log", "api_response"}:
        raise DataError(f"{name} holds no trace: it has none of conversation_history, conversation_log, api_response")
    history = _history(document)
    scores = _scalars(document.get("reward_score"))
    calls = [_call(entry) for entry in _mappings(document.get("tool_calls") or document.get("tool_calls_log"))]
    response = _text(document.get("final_response")) or (history[-1]["response"] if history else "")
    return {
        "id": f"{JOB}/{index}/{rollout}",
        "version": TRACE_VERSION,
        "config_id": "",
        "rollout": rollout,
        "dataset_path": _text(document.get("dataset_path")),
        "sample_index": _whole(document.get("sample_index"), index),
        "sample_data": _mapping(document.get("sample_data")),
        "conversation_history": history,
        "images": [],
        "final_response": response,
        "answer": _answer(document, response),
        "reward_score": scores,
        "tool_calls": calls,
        "metadata": _metadata(document, history, calls),
    }


def _answer(document: Mapping[str, Json], response: str) -> str:
    """What the file says; else what the response has in a box or in an answer tag."""
    if isinstance(said := document.get("answer"), str):
        return said
    boxed = last_boxed(response)
    return (answer_tag(response) or "") if boxed is None else boxed


def _metadata(document: Mapping[str, Json], history: Sequence[Json], calls: Sequence[Json]) -> dict[str, Json]:
    """What follows from the turns, under what the file says itself where that has the right type."""
    mode = _text(_mapping(document.get("initial_prompt")).get("tools_mode"))
    counted = {
        "total_turns": len(history),
        "num_tool_calls": len(calls),
        "stop": "",
        "tool_mode": ToolMode.NONE.value if "api_response" in document else str(_TOOL_MODES.get(mode, mode)),
        "accepted": True,
        "prompt_tokens": sum(turn["usage"]["prompt_tokens"] for turn in history),
        "completion_tokens": sum(turn["usage"]["completion_tokens"] for turn in history),
        "seconds": sum((turn["seconds"] for turn in history), 0.0),
        "resumed_at_turn": 0,
        "attempts": sum(turn["attempts"] for turn in history),
    }
    said = _scalars(document.get("metadata"))
    return counted | {key: value for key, value in said.items() if type(value) is type(counted.get(key, value))}


def _history(document: Mapping[str, Json]) -> list[dict[str, Json]]:
    if "api_response" in document:
        return [_only_turn(_mapping(document["api_response"]), document)]
    turns = _mappings(document.get("conversation_history") or document.get("conversation_log"))
    history: list[dict[str, Json]] = []
    before: list[Mapping[str, Json]] = []
    images = 0
    for number, turn in enumerate(turns, 1):
        messages = _mappings(turn.get("messages"))
        if number == 1 and not messages:
            messages = _opening(_mapping(document.get("initial_prompt")))
        new = []
        for message in _new_messages(messages, before):
            content, images = _content(message.get("content"), images)
            new.append(_message(message, content))
        before = messages
        history.append(_turn(turn, number, new))
    return history


def _new_messages(messages: list[Mapping[str, Json]], before: list[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Some versions store the whole conversation so far in each turn: then what came after the last answer."""
    at = len(before)
    if before and messages[:at] == before and messages[at:] and messages[at].get("role") == "assistant":
        return [message for message in messages[at:] if message.get("role") != "assistant"]
    return messages


def _opening(prompt: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [{"role": role, "content": prompt[role]} for role in ("system", "user") if prompt.get(role)]


def _content(content: Json, images: int) -> tuple[str, int]:
    """A message's content as text with `<image:N>` for the pictures, and how many pictures there are by then."""
    if not isinstance(content, list):
        return _text(content), images
    texts = []
    for part in content:
        text = part if isinstance(part, str) else _text(_mapping(part).get("text"))
        if not text and str(_mapping(part).get("type", "")).startswith("image"):
            text = f"<image:{images}>"
            images += 1
        texts.append(text)
    return "".join(texts), images


def _message(message: Mapping[str, Json], content: str) -> dict[str, Json]:
    role, call_id, name = (_text(message.get(key)) for key in ("role", "tool_call_id", "name"))
    return {"role": role, "content": content, "tool_call_id": call_id, "name": name}


def _turn(turn: Mapping[str, Json], number: int, messages: list[dict[str, Json]]) -> dict[str, Json]:
    return {
        "turn": _whole(turn.get("turn"), number),
        "messages": messages,
        "response": _text(turn.get("response")),
        "reasoning": _text(turn.get("reasoning") or turn.get("reasoning_content")),
        "finish_reason": _text(turn.get("finish_reason")),
        "usage": {key: _whole(_mapping(turn.get("usage")).get(key)) for key in _TOKENS},
        "endpoint": _text(turn.get("endpoint")),
        "model": _text(turn.get("model")),
        "request_id": _text(turn.get("request_id")),
        "seconds": _number(turn.get("seconds")),
        "attempts": _whole(turn.get("attempts")),
    }


def _only_turn(response: Mapping[str, Json], document: Mapping[str, Json]) -> dict[str, Json]:
    choice = next(iter(_mappings(response.get("choices"))), {})
    message = _mapping(choice.get("message"))
    turn = {
        "response": message.get("content") or document.get("response_text"),
        "reasoning": message.get("reasoning_content") or message.get("reasoning"),
        "finish_reason": choice.get("finish_reason"),
        "usage": response.get("usage"),
        "model": response.get("model"),
        "request_id": response.get("id"),
    }
    return _turn(turn, 1, [])


def _call(entry: Mapping[str, Json]) -> dict[str, Json]:
    call = _mapping(entry.get("tool_call")) or {
        "name": entry.get("tool_name"),
        "arguments": entry.get("tool_arguments"),
    }
    arguments = call.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else orjson.dumps(arguments).decode()
    return {
        "turn": _whole(entry.get("turn")),
        "tool_call": {"id": _text(call.get("id")), "name": _text(call.get("name")), "arguments": arguments},
        "success": entry.get("success") is True,
        "error": _text(entry.get("error")),
        "seconds": _number(entry.get("seconds")),
    }


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Json, otherwise: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _number(value: Json) -> float:
    try:
        return float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:  # an integer of over 308 digits
        return 0.0


def _mapping(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Json) -> list[Mapping[str, Json]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _scalars(value: Json) -> dict[str, Json]:
    """The members that a column can hold; no null."""
    return {key: entry for key, entry in _mapping(value).items() if isinstance(entry, bool | int | float | str)}
