"""Thinking and calls in text, arguments."""

from __future__ import annotations

import pytest

from asyncgen.core.thinking import split_thinking
from asyncgen.endpoint.arguments import canonical_arguments, parse_arguments
from asyncgen.endpoint.text_calls import scan_calls, without_calls


@pytest.mark.parametrize(
    ("content", "thinking", "visible"),
    [
        ("plain", "", "plain"),
        ("<think>a</think>b", "a", "b"),
        ("<think>a</think>b<think>c</think>d", "a\nc", "bd"),
        ("a</think>b", "a", "b"),
        ("<think>a", "a", ""),
        ("x<think>a", "a", "x"),
        ("<think>see <think> here</think>b", "see <think> here", "b"),
        ("a</think>b</think>c", "a\nb", "c"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("<思考>想</思考>答", "想", "答"),
        ("<think></think>b", "", "b"),
        ("", "", ""),
    ],
)
def test_thinking_is_kept_apart(content: str, thinking: str, visible: str):
    assert split_thinking(content) == (thinking, visible)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('<tool_call>{"name": "zoom", "arguments": {"a": 1}}</tool_call>', "zoom", '{"a": 1}'),
        ('<tool_call>\n{"name": "zoom", "arguments": {"a":1.50}}\n</tool_call>', "zoom", '{"a":1.50}'),
        ('<tool_call>{"name": "zoom", "parameters": {"a": 1}}</tool_call>', "zoom", '{"a": 1}'),
        ('<tool_call>{"function": {"name": "zoom", "arguments": {"a": 1}}}</tool_call>', "zoom", '{"a": 1}'),
        ('<tool_call>{"name": "zoom", "arguments": "{\\"a\\": 1}"}</tool_call>', "zoom", '{"a": 1}'),
        ('<tool_call>```json\n{"name": "zoom", "arguments": {}}\n```</tool_call>', "zoom", "{}"),
        ('<tool_call>{"name": "zoom"}</tool_call>', "zoom", "{}"),
        ('<tool_call>x<tool_call>{"name": "zoom", "arguments": {}}</tool_call>', "zoom", "{}"),
        ('<tool_call>{"name": "zoom", "arguments": {}}', "zoom", "{}"),
        ('<tool_call>{"name": "zoom", "argum', "", '{"name": "zoom", "argum'),
        ("<tool_call>{'name': 'zoom'}</tool_call>", "", "{'name': 'zoom'}"),
        ('<tool_call>{"name": 7, "arguments": {}}</tool_call>', "", '{"name": 7, "arguments": {}}'),
        ("<tool_call></tool_call>", "", ""),
        ("<tool_call>[1]</tool_call>", "", "[1]"),
    ],
)
def test_a_block_is_a_call_or_a_nameless_call_with_its_text(text: str, name: str, arguments: str):
    (call,) = scan_calls(text, turn=3)
    assert (call.id, call.name, call.arguments, call.native) == ("call_3_1", name, arguments, False)


def test_calls_keep_their_order_and_are_numbered_from_first():
    text = 'a <tool_call>{"name":"x"}</tool_call> b <tool_call>{"name":"y"}</tool_call> c'
    calls = scan_calls(text, turn=2, first=4)
    assert [(call.id, call.name) for call in calls] == [("call_2_4", "x"), ("call_2_5", "y")]
    assert without_calls(text) == "a  b  c"


def test_text_without_an_opening_tag_has_no_call():
    assert scan_calls("a </tool_call> b", turn=1) == ()
    assert without_calls("a </tool_call> b") == "a </tool_call> b"


def test_a_call_nested_a_hundred_thousand_deep_is_malformed():
    (call,) = scan_calls('<tool_call>{"name":"x","arguments":' + "[" * 100_000 + "</tool_call>", turn=1)
    assert call.name == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("[1]", None),
        ('"text"', None),
        ("1", None),
        ('{"a": NaN}', None),
        ('{"a": 1', None),
    ],
)
def test_arguments_are_an_object_or_nothing(text: str, value: dict[str, object] | None):
    assert parse_arguments(text) == value


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{ "a" : 1 }', '{"a":1}'),
        ('{"a": 1', "{}"),
        ('"scalar"', "{}"),
        ('"{\\"a\\": 1}"', '{"a":1}'),
        ('{"a":' + "[" * 400 + "]" * 400 + "}", "{}"),
    ],
)
def test_arguments_go_back_to_the_server_as_an_object_that_parses(text: str, sent: str):
    assert canonical_arguments(text) == sent
