"""One JSON file a trace: the conversation by turns, or of a single turn without tools the row and the server's answer.

Knows these two shapes and the files' names. Reading such folders is `asyncgen.export.trace_folder`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json, ToolMode
from asyncgen.endpoint.arguments import parse_arguments
from asyncgen.export.files import Counts, prepare_folder, sync_folder, whole_file

FILE_NAME = re.compile(r"trace_(?P<index>\d+)(?:_r(?P<rollout>\d+))?\.json", re.ASCII)

Shape = Callable[[Mapping[str, Json]], dict[str, Json]]
"""A parsed trace line → the object to write."""


def tools_document(trace: Mapping[str, Json]) -> dict[str, Json]:
    """The conversation by turns, arguments as objects, and what the task made of it."""
    keys = ("dataset_path", "sample_index", "sample_data")
    return {key: trace[key] for key in keys} | {
        "conversation_history": [_turn(turn) for turn in trace["conversation_history"]],
        "final_response": trace["final_response"],
        "reward_score": trace["reward_score"],
        "tool_calls": [_call(entry) for entry in trace["tool_calls"]],
        "metadata": _headline(trace["metadata"], trace["reward_score"]),
    }


def geo_document(trace: Mapping[str, Json]) -> dict[str, Json]:
    """The row, and the server's only answer as the OpenAI API gives it."""
    turn = trace["conversation_history"][-1] if trace["conversation_history"] else {}
    response = turn.get("response", "")
    message = {"role": "assistant", "content": response, "reasoning_content": turn.get("reasoning", "")}
    return {
        "sample_data": trace["sample_data"],
        "api_response": {
            "id": turn.get("request_id", ""),
            "model": turn.get("model", ""),
            "choices": [{"index": 0, "finish_reason": turn.get("finish_reason", ""), "message": message}],
            "usage": turn.get("usage", {}),
        },
        "response_text": response,
    }


def document(trace: Mapping[str, Json]) -> dict[str, Json]:
    """Row and answer for a trace of one turn in a job without tools, else the conversation by turns."""
    single = trace["metadata"].get("tool_mode") == ToolMode.NONE and len(trace["conversation_history"]) <= 1
    return geo_document(trace) if single else tools_document(trace)


def file_name(trace: Mapping[str, Json], width: int = 5) -> str:
    """`trace_00042.json`, numbered by the row; `trace_00042_r3.json` for rollout 3."""
    rollout = f"_r{trace['rollout']}" if trace["rollout"] else ""
    return f"trace_{trace['sample_index']:0{width}d}{rollout}.json"


def write_trace_json(read: Callable[[], Iterable[Mapping[str, Json]]], out: Path, *, shape: Shape = document) -> Counts:
    """Write each trace to its own file in the folder `out`: UTF-8, indented by 2, whole or not at all.

    Files of the same names are replaced. Raises InputError, before anything is written, if two traces would get the
    same name, or if `out` holds anything but such files. Reads the traces twice.
    """
    _refuse_doubles(read())
    found = prepare_folder(out, FILE_NAME)
    written = replaced = 0
    for trace in read():
        name = file_name(trace)
        replaced += (out / name).exists()
        with whole_file(out / name, durable=False) as file:  # one sync of the folder is enough for what can be redone
            file.write(orjson.dumps(shape(trace), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        written += 1
    sync_folder(out)
    return Counts(out=out, traces=written, files=written, leftover=found - replaced)


def _refuse_doubles(traces: Iterable[Mapping[str, Json]]) -> None:
    names: set[tuple[int, int]] = set()
    for trace in traces:
        key = (trace["sample_index"], trace["rollout"])
        if key in names:
            raise InputError(f"{trace['id']} would be the second {file_name(trace)}: export one job at a time")
        names.add(key)


def _turn(turn: Mapping[str, Json]) -> dict[str, Json]:
    """The keys that every reader knows first, then the others (`reasoning`, `finish_reason`, …)."""
    return {key: turn[key] for key in ("turn", "messages", "response", "usage")} | dict(turn)


def _call(entry: Mapping[str, Json]) -> dict[str, Json]:
    call = entry["tool_call"]
    arguments = parse_arguments(call["arguments"]) or {}  # only an object has a place there
    return {
        "turn": entry["turn"],
        "tool_call": {"name": call["name"], "arguments": arguments},
        "success": entry["success"],
    }


def _headline(metadata: Mapping[str, Json], scores: Mapping[str, Json]) -> dict[str, Json]:
    """Five keys, of which a job without distances has four."""
    values = {"distance_km": scores.get("distance@km")} | dict(scores) | dict(metadata)
    keys = ("total_turns", "num_tool_calls", "parse_success", "distance_km", "score")
    return {key: values[key] for key in keys if values.get(key) is not None}
