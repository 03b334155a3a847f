"""Whatever the model or the server writes, reading it never breaks."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.thinking import split_thinking
from asyncgen.core.types import Completion, Message
from asyncgen.endpoint.arguments import canonical_arguments
from asyncgen.endpoint.faults import Fault, classify
from asyncgen.endpoint.text_calls import scan_calls, without_calls
from asyncgen.endpoint.wire import encode_message, parse_completions, request_chunks

TAGS = st.sampled_from([
    "<think>", "</think>", "<thinking>", "</思考>", "<tool_call>", "</tool_call>", "```json", "```", '{"name": "x"',
    "}", '"arguments": ', "\ud800", "\\", '"', "[", "\n",
])  # fmt: skip
TEXTS = st.lists(st.one_of(TAGS, st.text(st.characters(), max_size=8))).map("".join)


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.text(st.characters(exclude_characters="<")))
def test_what_follows_the_last_closing_tag_is_visible_and_nothing_is_made_up(content: str, answer: str):
    thinking, visible = split_thinking(f"{content}</think>{answer}")
    assert visible.endswith(answer.strip())
    assert len(thinking) + len(visible) <= len(content) + len(answer)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_any_text_has_calls_with_distinct_ids_and_canonical_arguments(content: str):
    calls = scan_calls(content, turn=1)
    assert len({call.id for call in calls}) == len(calls)
    assert all(isinstance(json.loads(canonical_arguments(call.arguments)), dict) for call in calls)
    assert (without_calls(content) == content.strip()) or calls


@settings(max_examples=20, deadline=None)
@given(TAGS, TAGS)
def test_half_a_megabyte_of_any_two_repeated_tags_is_scanned(first: str, second: str):
    # Quadratic work would take minutes here, and run into the suite's time limit.
    text = "<tool_call>" + (first + second) * 40_000
    split_thinking(text)
    assert scan_calls(text, turn=1)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200), st.integers(300, 599), st.dictionaries(st.sampled_from(["Retry-After", "Date"]), st.text())
)
def test_any_error_is_classified_with_a_short_readable_text(body: bytes, status: int, headers: dict[str, str]):
    fault = classify(status, headers, body, wall=0.0)
    assert fault.text.isprintable()
    assert len(fault.text) <= 300
    assert fault.retry_after is None or 0 <= fault.retry_after <= 600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "error": JSON,
        "usage": JSON,
        "choices": JSON | st.lists(st.fixed_dictionaries({}, optional={
            "index": JSON, "finish_reason": JSON,
            "message": st.fixed_dictionaries({}, optional={"content": JSON, "tool_calls": JSON, "function_call": JSON}),
        }), max_size=3),
    },
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(ANSWERS)
def test_any_answer_is_completions_of_the_right_types_or_a_fault(answer: dict[str, object]):
    read = parse_completions(json.dumps(answer).encode())
    if isinstance(read, Fault):
        return
    for completion in read:
        assert isinstance(completion, Completion)
        completion.content.encode()  # no lone surrogate is left
        assert isinstance(completion.finish_reason, str)
        assert all(isinstance(call.arguments, str) for call in completion.tool_calls)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), max_size=5), st.none() | st.integers()
)
def test_the_chunks_of_any_conversation_join_to_valid_json(turns: list[tuple[str, str]], seed: int | None):
    encoded = [encode_message(Message(role, text)) for role, text in turns]
    sampling = {"temperature": 0.7, "seed": None if seed is None else seed % 2**32}
    body = json.loads(b"".join(request_chunks(encoded, model="m", sampling=sampling, tools_json=b"[]")))
    assert [message["role"] for message in body["messages"]] == [role for role, _ in turns]
    assert ("seed" in body) == (seed is not None)
