"""Answers of a server, read into our types.

Knows the shapes of chat completions and lists of models in every dialect. Knows nothing of requests and connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from asyncgen.core.types import Completion, Json, ToolCall, Usage
from asyncgen.endpoint.faults import Fault, FaultKind, classify
from asyncgen.endpoint.lenient import loads
from asyncgen.endpoint.transport import ModelInfo

ABSURD_TOKENS = 10**9
"""A count above this is a server's mistake."""
_BROKEN = ("abort", "error")
"""Finish reasons with which vLLM and SGLang give up in the middle."""
_FINAL = ("length", "content_filter")
"""Finish reasons that make an empty answer final: asked again, it would be empty again."""


def parse_completions(body: bytes) -> list[Completion] | Fault:
    """The choices of an answer with HTTP 200, in the order of their indices; empty and broken ones are left out.

    A Fault when none is left. Native calls keep an id of `""` where the server gave none. Of several choices the first
    has the prompt's tokens, and the completion's are shared out evenly: each sum is what the server counted.
    """
    try:
        answer = loads(body)
    except ValueError:
        return Fault(FaultKind.BAD_ANSWER, f"HTTP 200, but no JSON ({len(body)} bytes)", 200)
    if not isinstance(answer, dict):
        return Fault(FaultKind.BAD_ANSWER, "HTTP 200, but no JSON object", 200)
    choices = answer.get("choices")
    if not choices and (answer.get("error") or answer.get("object") == "error"):
        return classify(200, {}, body, wall=0.0)
    if not isinstance(choices, list) or not choices:
        return Fault(FaultKind.BAD_ANSWER, "HTTP 200, but no choices", 200)
    whole = [choice for choice in map(_with_message, choices) if _is_whole(choice)]
    if not whole:
        return Fault(FaultKind.BAD_ANSWER, "HTTP 200, but no whole message in any choice", 200)
    usage = _usage(answer.get("usage"))
    completions = [_completion(choice, answer, usage) for choice in sorted(whole, key=_index)]
    kept = [completion for completion in completions if not _is_empty(completion)]
    if not kept:
        return Fault(FaultKind.EMPTY, "HTTP 200, but neither content nor a tool call", 200)
    if len(choices) > 1:
        kept = [replace(completion, choices=len(choices)) for completion in kept]
    return kept if len(kept) == 1 else _shared(kept, usage)


def parse_models(body: bytes) -> list[ModelInfo] | Fault:
    """The answer of `GET /models`."""
    try:
        answer = loads(body)
    except ValueError:
        return Fault(FaultKind.BAD_ANSWER, f"list of models: no JSON ({len(body)} bytes)", 200)
    listed = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        return Fault(FaultKind.BAD_ANSWER, "list of models: no list in the answer", 200)
    return [
        ModelInfo(entry["id"], _count(entry.get("max_model_len")) or None)
        for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    ]


def _with_message(choice: Json) -> Json:
    """A choice of `/completions` has its text in place of a message."""
    if isinstance(choice, dict) and "message" not in choice and isinstance(choice.get("text"), str):
        return {**choice, "message": {"content": choice["text"]}}
    return choice


def _is_whole(choice: Json) -> bool:
    return (
        isinstance(choice, dict)
        and isinstance(choice.get("message"), dict)
        and choice.get("finish_reason") not in _BROKEN
    )


def _is_empty(completion: Completion) -> bool:
    return not (completion.content.strip() or completion.tool_calls or completion.finish_reason in _FINAL)


def _index(choice: Mapping[str, Json]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _completion(choice: Mapping[str, Json], answer: Mapping[str, Json], usage: Usage) -> Completion:
    message = choice["message"]
    return Completion(
        # A refusal of OpenAI's comes in a field of its own: it is what the model said.
        content=_text(message.get("content")) or _string(message.get("refusal")),
        reasoning=_string(message.get("reasoning")) or _string(message.get("reasoning_content")),
        tool_calls=_calls(message),
        finish_reason=_string(choice.get("finish_reason")) or "stop",
        usage=usage,
        model=_string(answer.get("model")),
        request_id=_string(answer.get("id")),
    )


def _calls(message: Mapping[str, Json]) -> tuple[ToolCall, ...]:
    listed = message.get("tool_calls")
    if isinstance(listed, list) and listed:
        return tuple(_call(entry) for entry in listed if isinstance(entry, dict))
    legacy = message.get("function_call")
    return (_call({"function": legacy}),) if isinstance(legacy, dict) else ()


def _call(entry: Mapping[str, Json]) -> ToolCall:
    function = entry.get("function")
    function = function if isinstance(function, dict) else entry
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else _dumps(arguments)
    return ToolCall(id=_string(entry.get("id")), name=_string(function.get("name")), arguments=arguments)


def _text(content: Json) -> str:
    if isinstance(content, list):
        return "".join(_string(part.get("text")) for part in content if isinstance(part, dict))
    return _string(content)


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _dumps(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return "{}"


def _shared(completions: Sequence[Completion], usage: Usage) -> list[Completion]:
    share, extra = divmod(usage.completion_tokens, len(completions))
    counted: list[Completion] = []
    for number, completion in enumerate(completions):
        tokens = share + (number < extra)
        prompt, cached = (usage.prompt_tokens, usage.cached_tokens) if number == 0 else (0, 0)
        counted.append(replace(completion, usage=Usage(prompt, tokens, prompt + tokens, cached)))
    return counted


def _usage(usage: Json) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return Usage(prompt, completion, prompt + completion, min(_count(cached), prompt))


def _count(value: Json) -> int:
    """A number of tokens; 0 for what cannot be one."""
    return value if type(value) is int and 0 <= value <= ABSURD_TOKENS else 0
