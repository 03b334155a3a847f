"""Requests as they are written, answers as they are read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from asyncgen.core.types import Completion, ImageRef, Message, Picture, ToolCall
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.transport import ModelInfo, Target
from asyncgen.endpoint.wire import encode_message, parse_completions, parse_models, request_chunks, tools_prompt


def picture(data: bytes = b"jpeg bytes") -> Picture:
    return Picture(
        image=0, source="sample", width=1, height=1, full_width=1, full_height=1, sha256="5" * 64, data=data
    )  # fmt: skip


def sent(message: Message) -> Any:
    return json.loads(b"".join(encode_message(message)))


def answer(*messages: Any, finish: str | None = "stop", **more: Any) -> bytes:
    listed = [{"index": n, "message": message, "finish_reason": finish} for n, message in enumerate(messages)]
    return json.dumps({"id": "r1", "model": "m", "choices": listed, **more}).encode()


def read(body: bytes) -> list[Completion]:
    completions = parse_completions(body)
    assert not isinstance(completions, Fault), completions
    return completions


def fault(body: bytes) -> FaultKind:
    completions = parse_completions(body)
    assert isinstance(completions, Fault)
    return completions.kind


def test_a_text_message_has_its_content_as_a_string():
    assert sent(Message("user", "né\n")) == {"role": "user", "content": "né\n"}
    assert sent(Message("user", ["a", "b"])) == {"role": "user", "content": "ab"}


def test_a_message_with_pictures_has_parts_in_order_and_base64_in_a_chunk_of_its_own():
    encoded = base64.b64encode(b"jpeg bytes")
    message = Message("user", ["look: ", picture(), " well?"], name="n")
    assert encoded in encode_message(message)
    assert sent(message) == {
        "role": "user",
        "content": [
            {"type": "text", "text": "look: "},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + encoded.decode()}},
            {"type": "text", "text": " well?"},
        ],
        "name": "n",
    }


def test_a_picture_is_encoded_once_in_its_life():
    cache: dict[str, bytes] = {}
    first = encode_message(Message("user", [picture()]), cache)
    second = encode_message(Message("user", [picture(b"not read again")]), cache)
    assert first == second
    assert any(chunk is cache["5" * 64] for chunk in second)


def test_an_unopened_image_cannot_be_sent():
    with pytest.raises(TypeError, match="open it as a Picture first"):
        encode_message(Message("user", [ImageRef(column="image", load=lambda: b"")]))


def test_an_assistant_message_keeps_empty_content_and_sends_arguments_that_parse():
    calls = (ToolCall(id="a", name="zoom", arguments='{"x": 1, '), ToolCall(id="b", name="zoom", arguments='{ "x":1}'))
    message = sent(Message("assistant", "", tool_calls=calls))
    assert message["content"] == ""
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ["{}", '{"x":1}']
    assert message["tool_calls"][0]["type"] == "function"


@pytest.mark.parametrize(
    ("name", "sent_as"),
    [("zoom_in-2", "zoom_in-2"), ("image zoom.in", "image_zoom_in"), ("", "unnamed"), ("x" * 99, "x" * 64)],
)
def test_a_call_goes_back_with_a_name_that_strict_servers_take(name: str, sent_as: str):
    message = sent(Message("assistant", "", tool_calls=(ToolCall(id="a", name=name, arguments="{}"),)))
    assert message["tool_calls"][0]["function"]["name"] == sent_as
    if name:
        assert sent(Message("tool", "no", tool_call_id="a", name=name))["name"] == sent_as


def test_a_tool_message_names_its_call_and_others_carry_no_empty_keys():
    assert sent(Message("tool", "done", tool_call_id="a")) == {"role": "tool", "content": "done", "tool_call_id": "a"}
    assert sent(Message("assistant", "x")) == {"role": "assistant", "content": "x"}


def test_lone_surrogates_are_repaired_before_they_are_sent():
    assert sent(Message("user", "a\ud800b")) == {"role": "user", "content": "a\ufffdb"}


def test_a_request_is_messages_model_sampling_and_tools():
    messages = [encode_message(Message("system", "s")), encode_message(Message("user", "u"))]
    sampling = {"temperature": 0.5, "top_p": None, "max_tokens": 7}
    chunks = request_chunks(messages, model="m", sampling=sampling, tools_json=b'[{"type":"function"}]')
    assert json.loads(b"".join(chunks)) == {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 7,
        "tools": [{"type": "function"}],
    }
    bare = request_chunks(messages, model="m", sampling={}, tools_json=None)
    assert "tools" not in json.loads(b"".join(bare))


def test_an_answer_is_read_with_all_that_the_server_said():
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    body = answer({"content": "hi", "reasoning": "hm"}, usage={**usage, "prompt_tokens_details": {"cached_tokens": 5}})
    (completion,) = read(body)
    assert (completion.content, completion.reasoning, completion.finish_reason) == ("hi", "hm", "stop")
    assert (completion.model, completion.request_id) == ("m", "r1")
    assert (completion.usage.prompt_tokens, completion.usage.total_tokens, completion.usage.cached_tokens) == (9, 13, 5)


@pytest.mark.parametrize(
    ("message", "content", "reasoning"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", ""),
        ({"content": "a", "reasoning_content": "r"}, "a", "r"),
        ({"content": "a", "reasoning": None, "reasoning_content": "r"}, "a", "r"),
        ({"content": "a", "reasoning": "r", "reasoning_content": "r"}, "a", "r"),
        ({"content": None, "refusal": "I cannot."}, "I cannot.", ""),
    ],
)
def test_content_and_reasoning_are_read_in_every_dialect(message: dict[str, Any], content: str, reasoning: str):
    (completion,) = read(answer(message))
    assert (completion.content, completion.reasoning) == (content, reasoning)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "z", "arguments": '{"x":'}}]},
            ("a", "z", '{"x":'),
        ),
        ({"tool_calls": [{"function": {"name": "z", "arguments": {"x": 1}}}]}, ("", "z", '{"x":1}')),
        ({"tool_calls": [{"id": None, "function": {"name": "z"}}]}, ("", "z", "")),
        ({"function_call": {"name": "z", "arguments": "{}"}}, ("", "z", "{}")),
    ],
)
def test_native_calls_are_read_in_every_dialect(message: dict[str, Any], call: tuple[str, str, str]):
    (completion,) = read(answer({"content": None, **message}, finish="tool_calls"))
    (got,) = completion.tool_calls
    assert (got.id, got.name, got.arguments) == call
    assert completion.content == ""
    assert got.native


@pytest.mark.parametrize(
    "usage", [None, {}, "x", {"prompt_tokens": -1}, {"prompt_tokens": 10**15}, {"prompt_tokens": True}]
)
def test_absurd_usage_counts_as_none(usage: object):
    (completion,) = read(answer({"content": "a"}, usage=usage))
    assert completion.usage.total_tokens == 0


def test_choices_come_in_the_order_of_their_index_and_usage_adds_up():
    body = json.loads(answer({"content": "a"}, {"content": "b"}, {"content": "c"}))
    body["choices"].reverse()
    body["usage"] = {"prompt_tokens": 10, "completion_tokens": 8}
    completions = read(json.dumps(body).encode())
    assert [completion.content for completion in completions] == ["a", "b", "c"]
    assert [completion.usage.prompt_tokens for completion in completions] == [10, 0, 0]
    assert sum(completion.usage.completion_tokens for completion in completions) == 8


def test_of_several_choices_only_the_whole_ones_count():
    body = json.loads(answer({"content": "a"}, {"content": ""}, {"content": "c"}))
    body["choices"].append({"index": 3, "finish_reason": "abort", "message": {"content": "cut"}})
    completions = read(json.dumps(body).encode())
    assert [completion.content for completion in completions] == ["a", "c"]
    assert {completion.choices for completion in completions} == {4}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>hello</html>", FaultKind.BAD_ANSWER),
        (b"", FaultKind.BAD_ANSWER),
        (b'{"choices": [{"mess', FaultKind.BAD_ANSWER),
        (b"[" * 100_000, FaultKind.BAD_ANSWER),
        (b'{"a":NaN,"b":' + b"[" * 100_000, FaultKind.BAD_ANSWER),
        (b"[1]", FaultKind.BAD_ANSWER),
        (b"{}", FaultKind.BAD_ANSWER),
        (b'{"choices": []}', FaultKind.BAD_ANSWER),
        (b'{"choices": [{"index": 0}]}', FaultKind.BAD_ANSWER),
        (answer({"content": "half"}, finish="abort"), FaultKind.BAD_ANSWER),
        (answer({"content": None, "reasoning": "all of it"}), FaultKind.EMPTY),
        (answer({"content": " \n"}), FaultKind.EMPTY),
        (answer({"content": "", "tool_calls": []}), FaultKind.EMPTY),
        (b'{"error": {"message": "upstream", "code": 502}}', FaultKind.SERVER),
        (b'{"object": "error", "message": "maximum context length is 5", "code": 400}', FaultKind.OVERFLOW),
    ],
)
def test_an_answer_that_is_none_is_a_fault(body: bytes, kind: FaultKind):
    assert fault(body) is kind


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_an_empty_answer_that_would_stay_empty_is_an_answer(finish: str):
    (completion,) = read(answer({"content": None}, finish=finish))
    assert (completion.content, completion.finish_reason) == ("", finish)


def test_a_missing_finish_reason_is_a_stop():
    assert read(answer({"content": "a"}, finish=None))[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b"\xef\xbb\xbf" + answer({"content": "a"}), "a"),
        (answer({"content": "a"}, logprob=float("nan")), "a"),
        (answer({"content": "caf#"}).replace(b"#", b"\xe9"), "café"),
        (b'{"choices":[{"message":{"content":"a\\ud800b"}}]}', "a\ufffdb"),
        (b'{"choices":[{"message":{"content":"\\ud83d\\ude00\\udc00"}}]}', "😀\ufffd"),
        (b'{"choices":[{"message":{"content":"\\\\ud800 \\ud800"}}]}', "\\ud800 \ufffd"),
        (b'{"choices":[{"message":{"content":"a\tb"}}]}', "a\tb"),
    ],
)
def test_json_that_is_almost_right_is_read(body: bytes, content: str):
    assert read(body)[0].content == content


def test_the_list_of_models_is_read_with_context_lengths():
    body = b'{"data": [{"id": "a", "max_model_len": 4096}, {"id": "b"}, {"id": 7}, "x"]}'
    assert parse_models(body) == [ModelInfo("a", 4096), ModelInfo("b", None)]
    for wrong in (b"<html>", b"{}", b"7"):
        assert isinstance(parse_models(wrong), Fault)


def test_a_target_does_not_show_its_key():
    assert "secret" not in repr(Target("http://h/v1", api_key="secret"))


def test_the_tools_prompt_has_a_schema_a_line_and_an_example_that_the_scanner_reads():
    from asyncgen.endpoint.text_calls import scan_calls

    properties = {"bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4}, "label": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["bbox"]}
    schemas = [
        {"type": "function", "function": {"name": "zoom", "description": "d", "parameters": parameters}},
        {"type": "function", "function": {"name": "rotate", "description": "{x}", "parameters": {"type": "object"}}},
    ]
    text = tools_prompt(schemas)
    listed = text.split("<tools>\n")[1].split("\n</tools>")[0].splitlines()
    assert [json.loads(line) for line in listed] == schemas
    example = scan_calls(text, turn=1)[-1]
    assert (example.name, json.loads(example.arguments)) == ("zoom", {"bbox": [1, 1, 1, 1]})
