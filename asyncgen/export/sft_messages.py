"""The messages of a trace for supervised finetuning: roles, texts, and calls in a field of their own.

Knows how a conversation was held, natively or in text, and undoes what only the text form needed. No text that anybody
wrote is changed. Does not know files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

import orjson

from asyncgen.core.thinking import split_thinking
from asyncgen.core.types import Json, ToolMode
from asyncgen.endpoint.arguments import canonical_arguments, sent_name
from asyncgen.endpoint.dialects import DIALECTS
from asyncgen.endpoint.text_calls import content_without_calls
from asyncgen.endpoint.wire import tools_prompt

Message: TypeAlias = dict[str, Any]
"""`role`, `content`; an assistant's with calls also `tool_calls`."""

_TOOL_CALL = "tool_call"
"""The dialect whose calls and results have a place in the layout."""
_OPEN, _CLOSE = "<tool_response>", "\n</tool_response>"
_EXAMPLE: Mapping[str, Json] = {"name": "example", "arguments": {}}


@dataclass(frozen=True, slots=True)
class Form:
    """How the conversations of one config were held."""

    schemas: Sequence[Mapping[str, Json]] = ()
    dialect: str = _TOOL_CALL


def form_of(config: Mapping[str, Json]) -> Form:
    """Of an entry of `configs` in a run file; of none, a conversation without tools."""
    dialect = (config.get("task_options") or {}).get("dialect", _TOOL_CALL)
    return Form(schemas=config.get("tools") or (), dialect=dialect if dialect in DIALECTS else _TOOL_CALL)


def schemas_of(trace: Mapping[str, Json], form: Form) -> Sequence[Mapping[str, Json]]:
    """The tools that a student is to be shown; none where calls stay text of another form."""
    return () if _stays_text(trace, form) else form.schemas


def messages_of(trace: Mapping[str, Json], form: Form) -> list[Message]:
    """The whole conversation, in order. Calls that were written as `<tool_call>` become calls, and their
    `<tool_response>` blocks tool messages, unless one of the turn has no name, or a result cannot be told from the
    next: that turn stays text."""
    history = trace["conversation_history"]
    found: list[Message] = []
    arriving = [_plain(one) for one in history[0]["messages"]] if history else []
    if trace["metadata"].get("tool_mode") == ToolMode.TEXT and form.schemas and form.dialect == _TOOL_CALL:
        arriving = list(_without_schemas(arriving, form.schemas))
    for turn, following in zip_longest(history, history[1:]):
        found += arriving
        calls = [] if _has_no_tools(trace) else [one for one in trace["tool_calls"] if one["turn"] == turn["turn"]]
        arriving = [_plain(one) for one in following["messages"]] if following else []
        said, arriving = _turn(turn, calls, arriving, form, last=following is None)
        found.append(said)
    return found


def _has_no_tools(trace: Mapping[str, Json]) -> bool:
    """A call all the same was never answered, and never went back to the model."""
    return bool(trace["metadata"].get("tool_mode") == ToolMode.NONE)


def _stays_text(trace: Mapping[str, Json], form: Form) -> bool:
    return form.dialect != _TOOL_CALL and trace["metadata"].get("tool_mode") == ToolMode.TEXT


def _plain(message: Mapping[str, Json]) -> Message:
    return {"role": message["role"], "content": message["content"]}


def _turn(
    turn: Mapping[str, Json], calls: Sequence[Mapping[str, Json]], arriving: list[Message], form: Form, *, last: bool
) -> tuple[Message, list[Message]]:
    """The model's message, and those that came in answer to it, as they stand in the layout."""
    response = turn["response"]
    written = len(DIALECTS[form.dialect].scan(split_thinking(response)[1], turn=1)) if calls else 0
    native = max(0, len(calls) - written)  # native ones come first
    if written and form.dialect == _TOOL_CALL and all(one["tool_call"]["name"] for one in calls[native:]):
        answered = arriving if last else _answered(arriving, written)
        if answered is not None:
            response, arriving, native = content_without_calls(response), answered, len(calls)
    said: Message = {"role": "assistant", "content": _with_reasoning(turn["reasoning"], response)}
    if native:
        said["tool_calls"] = [_call(one["tool_call"]) for one in calls[:native]]
    return said, arriving


def _with_reasoning(reasoning: str, response: str) -> str:
    """As a model writes it where no server parses its thinking: servers differ in which line breaks they leave."""
    if not reasoning:
        return response
    thought, visible = reasoning.strip("\n"), response.lstrip("\n")
    return f"<think>\n{thought}\n</think>\n\n{visible}"


def _call(call: Mapping[str, Json]) -> Message:
    """Name and arguments as the model wrote them; what went back to it where it wrote no object, or no name."""
    written = call["arguments"]
    arguments = written if _is_object(written) else canonical_arguments(written)
    return {"type": "function", "function": {"name": sent_name(call["name"]), "arguments": arguments}}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _answered(arriving: Sequence[Message], written: int) -> list[Message] | None:
    """The messages with so many `<tool_response>` blocks of the first user message as tool messages, and what stands
    after them as a user message; None where it has another number of blocks."""
    at = next((number for number, one in enumerate(arriving) if one["role"] == "user"), None)
    if at is None:
        return None
    text = arriving[at]["content"]
    end = text.rfind(_CLOSE)
    if end < 0 or not text.startswith(_OPEN):
        return None
    inner, rest = text[len(_OPEN) : end], text[end + len(_CLOSE) :].removeprefix("\n\n")
    # A result may hold such tags itself: then one block is still one, and of several nobody knows where they part.
    blocks = inner.split(f"{_CLOSE}\n{_OPEN}") if written > 1 else [inner]
    if len(blocks) != written or any(block and not block.startswith("\n") for block in blocks):
        return None
    results = [{"role": "tool", "content": block.removeprefix("\n")} for block in blocks]
    asked = [{"role": "user", "content": rest}] if rest else []
    return [*arriving[:at], *results, *asked, *arriving[at + 1 :]]


def _without_schemas(opening: Sequence[Message], schemas: Sequence[Mapping[str, Json]]) -> Iterator[Message]:
    """The opening without the part of the system message that describes the tools; without that message where it says
    nothing else."""
    for message in opening:
        text = message["content"]
        if message["role"] == "system" and (place := _schemas_place(text, schemas)):
            before, after = text[: place[0]].removesuffix("\n\n"), text[place[1] :]
            text = before + (after if before else after.removeprefix("\n\n"))
            if not text:
                continue
        yield {**message, "content": text}


def _schemas_place(text: str, schemas: Sequence[Mapping[str, Json]]) -> tuple[int, int] | None:
    """Where that part begins and ends. Of its example only the line is known, not the values."""
    prompt = tools_prompt(schemas, {"function": {"name": _EXAMPLE["name"]}})
    head, _, tail = prompt.rpartition(json.dumps(_EXAMPLE))
    start = text.rfind(head)
    end = text.find(tail, start + len(head))
    if start < 0 or end < 0 or "\n" in text[start + len(head) : end]:
        return None
    return start, end + len(tail)
