"""Between our types and OpenAI's chat completion JSON.

Knows how a request is written; answers are read in answer.py, whose functions are offered here too. Knows nothing of
connections, and never joins a request: a message is encoded once in its life, and a body is the list of those chunks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, MutableMapping, Sequence

import orjson

from asyncgen.core.text import repaired
from asyncgen.core.types import Json, Message, Picture, ToolCall
from asyncgen.endpoint.answer import parse_completions, parse_models
from asyncgen.endpoint.arguments import canonical_arguments, sent_name

__all__ = [
    "encode_message",
    "encode_picture",
    "encode_text",
    "parse_completions",
    "parse_models",
    "prompt_chunks",
    "request_chunks",
    "tools_prompt",
]

_TOOLS_PROMPT = """# Tools

You may call one or more of these functions. Each line below is the JSON schema of one:
<tools>
{schemas}
</tools>

To call a function, write its name and arguments as one JSON object between these tags, one block for each call:
<tool_call>
{{"name": "<function-name>", "arguments": {{<argument>: <value>}}}}
</tool_call>

For example:
<tool_call>
{example}
</tool_call>

Then stop: the results come back in <tool_response> blocks."""


def encode_picture(picture: Picture) -> bytes:
    """The picture's file in base64."""
    return base64.b64encode(picture.data)


def encode_message(message: Message, cache: MutableMapping[str, bytes] | None = None) -> list[bytes]:
    """The message as JSON, in chunks whose concatenation is the object; a picture's base64 is a chunk of its own.

    `cache` keeps base64 by the picture's SHA-256, so that a picture is encoded once however often it is sent.
    """
    cache = {} if cache is None else cache
    parts = message.parts
    pictures = any(not isinstance(part, str) for part in parts)
    head: dict[str, Json] = {"role": message.role}
    if not pictures:
        head["content"] = repaired(message.text)
    rest: dict[str, Json] = {}
    if message.name:
        rest["name"] = sent_name(message.name)
    if message.tool_call_id:
        rest["tool_call_id"] = repaired(message.tool_call_id)
    if message.tool_calls:
        rest["tool_calls"] = [_encode_call(call) for call in message.tool_calls]
    if not pictures:
        return [orjson.dumps({**head, **rest})]
    chunks = [orjson.dumps(head)[:-1] + b',"content":[']
    for number, part in enumerate(parts):
        chunks.extend([b","] if number else [])
        chunks.extend(_encode_part(part, cache))
    chunks.append(b"]" + (b"," + orjson.dumps(rest)[1:] if rest else b"}"))
    return chunks


def encode_text(text: str) -> bytes:
    """A text as it stands inside a JSON string, without the quotes."""
    return orjson.dumps(repaired(text))[1:-1]


def prompt_chunks(texts: Sequence[bytes], *, model: str, sampling: Mapping[str, Json]) -> list[bytes]:
    """The body of a request for the continuation of one text: the encoded texts in a row, then as `request_chunks`."""
    given = {name: value for name, value in sampling.items() if value is not None}
    return [b'{"prompt":"', *texts, b'",' + orjson.dumps({"model": model, **given})[1:]]


def request_chunks(
    messages: Sequence[Sequence[bytes]], *, model: str, sampling: Mapping[str, Json], tools_json: bytes | None
) -> list[bytes]:
    """The body of a request, in chunks: encoded messages, then model, sampling without its None values, tools."""
    chunks = [b'{"messages":[']
    for number, message in enumerate(messages):
        chunks.extend([b","] if number else [])
        chunks.extend(message)
    given = {name: value for name, value in sampling.items() if value is not None}
    chunks.append(b"]," + orjson.dumps({"model": model, **given})[1:-1])
    chunks.extend([b',"tools":', tools_json] if tools_json is not None else [])
    chunks.append(b"}")
    return chunks


def tools_prompt(schemas: Sequence[Mapping[str, Json]], exemplar: Mapping[str, Json] | None = None) -> str:
    """The system prompt's part that describes `schemas` (as `tools` has them) to a model that writes calls as text.

    `exemplar`: the first of them with `examples` in it, for a call that makes sense.
    """
    function = (exemplar or schemas[0])["function"]
    example = {"name": function["name"], "arguments": _example(function.get("parameters", {}))}
    lines = "\n".join(_spaced(schema) for schema in schemas)
    return _TOOLS_PROMPT.format(schemas=lines, example=_spaced(example))


def _encode_part(part: object, cache: MutableMapping[str, bytes]) -> list[bytes]:
    if isinstance(part, str):
        return [orjson.dumps({"type": "text", "text": repaired(part)})]
    if not isinstance(part, Picture):
        raise TypeError(f"a message to be sent has {type(part).__name__} in it: open it as a Picture first")
    encoded = cache.get(part.sha256)
    if encoded is None:
        encoded = cache[part.sha256] = encode_picture(part)
    url = orjson.dumps(f"data:{part.mime};base64,")[:-1]
    return [b'{"type":"image_url","image_url":{"url":' + url, encoded, b'"}}']


def _encode_call(call: ToolCall) -> dict[str, Json]:
    function = {"name": sent_name(call.name), "arguments": canonical_arguments(call.arguments)}
    return {"id": repaired(call.id), "type": "function", "function": function}


def _spaced(value: Json) -> str:
    # The spacing of Python's json, in which models saw schemas in training; orjson has only the compact one.
    return json.dumps(value, ensure_ascii=False)


def _example(schema: Json) -> Json:
    """A value that fits the schema: its own example where it has one, of an object only what is required."""
    if not isinstance(schema, Mapping):  # `true` is a schema too
        return "..."
    for given in (schema.get("examples"), schema.get("enum")):
        if given:
            return given[0]
    match schema.get("type"):
        case "array":
            return [_example(schema.get("items", {}))] * min(8, max(1, schema.get("minItems", 1)))
        case "number" | "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return "..."
    properties = schema.get("properties", {})
    return {name: _example(properties[name]) for name in schema.get("required", properties) if name in properties}
