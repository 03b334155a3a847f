"""One trace as readable text, and the block a sample of `--log-samples`.

Knows the keys of a trace line. Whatever a model, a tool or a row wrote is cleaned and indented, so that it can neither
steer the terminal nor pass for a line of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.thinking import split_thinking
from asyncgen.core.types import Json
from asyncgen.endpoint.text_calls import without_calls
from asyncgen.view.terminal import clean, one_line

_IMAGE = re.compile(r"<image:(\d{1,6})>", re.ASCII)
_TRUTH = ("lat", "lon", "answer")
_LONGEST_VALUE = 500
"""Characters of a truth value that the header shows."""


def render_trace(
    trace: Mapping[str, Json], *, turn: int | None = None, raw: bool = False, truth: Sequence[str] = ()
) -> str:
    """The trace (or a line of `failed/`) as text: header, turns, scores.

    `truth`: the columns to show beside the answer, by default those of the built-in tasks. `turn` shows that one
    alone; `raw` shows each response as received, thinking and tool calls in their place. Raises
    InputError for a turn that the trace does not have.
    """
    history = trace["conversation_history"]
    if turn is not None:
        history = [entry for entry in history if entry["turn"] == turn]
        if not history:
            raise InputError(f"--turn {turn}: {trace['id']} has {len(trace['conversation_history'])} turns, from 1")
    lines = list(_header(trace, truth))
    for entry in history:
        calls = [call for call in trace["tool_calls"] if call["turn"] == entry["turn"]]
        lines += ["", f"── turn {entry['turn']} ──", *_turn(entry, calls, trace["images"], raw=raw)]
    return "\n".join([*lines, "", f"scores: {_scores(trace['reward_score'])}"])


def render_block(number: int, total: int, trace: Mapping[str, Json], *, saved_to: str = "") -> str:
    """The block of one finished sample, the `number`-th of `total`, in the tool-distillation document's form, and the
    id to `show` it by.

    A line without a value in this trace is left out; a failed episode and an unreadable answer say so.
    """
    data, scores, metadata = trace["sample_data"], trace["reward_score"], trace["metadata"]
    lines = [f"[Sample {number}/{total}]"]
    if _is_number(data.get("locatability_score")):
        lines.append(f"  Locatability score: {data['locatability_score']:.4f}")
    if _is_number(data.get("lat")) and _is_number(data.get("lon")):
        lines.append(f"  Ground truth: lat={data['lat']:.4f}, lon={data['lon']:.4f}")
    if isinstance(data.get("country"), str):
        lines.append(f"  Country: {one_line(data['country'])}")
    if "reason" in trace:
        lines.append(f"  [FAILED] {one_line(trace['id'])}: {trace['reason']}: {one_line(trace['error'])}")
        return "\n".join(lines)
    parsed = scores.get("parse_success", True)
    lines.append("  [SUCCESS] Generated trace" if parsed else "  [PARSE FAILED] Generated trace")
    lines.append(f"    Turns: {metadata['total_turns']}")
    lines.append(f"    Tool calls: {metadata['num_tool_calls']}")
    if "parse_success" in scores:
        lines.append(f"    Parse success: {parsed}")
    if parsed and _is_number(scores.get("distance@km")):  # without an answer the distance is a stand-in
        lines.append(f"    Distance: {scores['distance@km']:.2f} km")
    if _is_number(scores.get("score")):
        lines.append(f"    Score: {scores['score']:.4f}")
    if saved_to:
        lines.append(f"    Saved to: {one_line(saved_to)}")
        lines.append(f"    Id: {one_line(trace['id'])}")
    return "\n".join(lines)


def _header(trace: Mapping[str, Json], columns: Sequence[str]) -> Iterator[str]:
    metadata, data = trace["metadata"], trace["sample_data"]
    yield one_line(trace["id"])
    stop, turns, calls = metadata["stop"], metadata["total_turns"], metadata["num_tool_calls"]
    ended = [f"stop: {one_line(stop)}"] if stop else []
    yield "   ".join([*ended, f"turns: {turns}", f"tool calls: {calls}"])
    if "reason" in trace:
        yield f"failed: {trace['reason']}: {one_line(trace['error'])}"
    truth = truth_text(data, columns)
    yield f"answer: {one_line(trace['answer']) or 'none'}" + (f"   truth: {truth}" if truth else "")
    yield f"scores: {_scores(trace['reward_score'])}"


def truth_text(data: Mapping[str, Json], columns: Sequence[str]) -> str:
    """`lat=1, lon=2` of the columns that there are; of none: those of the built-in tasks."""
    return ", ".join(f"{one_line(key)}={value_text(data[key])}" for key in columns or _TRUTH if key in data)


def _turn(entry: Mapping[str, Json], calls: Iterable[Json], images: Json, *, raw: bool) -> Iterator[str]:
    for message in entry["messages"]:
        yield f"{one_line(message['role'])}:"
        yield from _indented(_IMAGE.sub(lambda mark: _image(int(mark[1]), images), message["content"]))
    thinking, visible = split_thinking(entry["response"])
    thoughts = [entry["reasoning"]] if raw else [entry["reasoning"], thinking]
    if text := "\n".join(filter(None, thoughts)):
        yield "thinking:"
        yield from _indented(text)
    if text := entry["response"] if raw else without_calls(visible):
        yield "response:"
        yield from _indented(text)
    for call in calls:
        yield _call(call)
    if known := ", ".join(_cost(entry)):
        yield f"[{known}]"


def _cost(entry: Mapping[str, Json]) -> Iterator[str]:
    """What is known: files of others may not say."""
    usage, attempts = entry["usage"], entry["attempts"]
    if usage["prompt_tokens"] or usage["completion_tokens"]:
        yield f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"
    elif usage["total_tokens"]:
        yield f"{usage['total_tokens']} tokens"
    if entry["seconds"]:
        yield f"{entry['seconds']:.2f} s"
    if attempts:
        yield "1 attempt" if attempts == 1 else f"{attempts} attempts"
    yield from filter(None, (one_line(entry["finish_reason"]), one_line(entry["model"])))


def _call(entry: Mapping[str, Json]) -> str:
    call = entry["tool_call"]
    error = one_line(entry["error"])
    result = "ok" if entry["success"] else f"error: {error}" if error else "error"
    took = f", {entry['seconds']:.2f} s" if entry["seconds"] else ""
    return f"call {one_line(call['name'])} {one_line(call['arguments'])} → {result}{took}"


def _image(number: int, images: Json) -> str:
    """What picture N shows: where it comes from and its size as the model saw it."""
    image: Mapping[str, Any] | None = next((image for image in images if image["image"] == number), None)
    if image is None:
        return f"[image {number}]"
    origin = f"sample '{image['column']}'" if image["source"] == "sample" else f"{image['op']} {image['arguments']}"
    return f"[image {number}: {origin} {image['width']}x{image['height']}]"


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in clean(text).split("\n"))


def _scores(scores: Mapping[str, Json]) -> str:
    return ", ".join(f"{one_line(name)} {value_text(value)}" for name, value in scores.items()) or "none"


def value_text(value: Json) -> str:
    """A score or a column's value, short and on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return one_line(text[:_LONGEST_VALUE])


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
