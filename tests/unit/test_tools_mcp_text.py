"""What of an MCP server reaches the model and the user."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from asyncgen.config.schema import McpSpec
from asyncgen.tools.mcp_text import (
    MAX_RESULT,
    bounded,
    description_of,
    last_lines,
    name_for,
    result_text,
    shown_server,
    unfit_schema,
)


@pytest.mark.parametrize(
    ("prefix", "name", "made"),
    [("", "lookup", "lookup"), ("x_", "a.b/c d", "x_a_b_c_d"), ("", "中文", "__"), ("x_", "n" * 90, "x_" + "n" * 62)],
)
def test_a_name_is_made_of_what_servers_take(prefix: str, name: str, made: str):
    assert name_for(prefix, name) == made


def test_texts_are_joined_and_what_is_no_text_is_named():
    parts: list[Any] = [
        TextContent(text="one"),
        ImageContent(data="AAAA", mime_type="image/png"),
        AudioContent(data="AAAA", mime_type="audio/<wav>"),
        ResourceLink(name="page", uri="http://127.0.0.1/a"),
        EmbeddedResource(resource=TextResourceContents(uri="file:///a", text="inside")),
        EmbeddedResource(resource=BlobResourceContents(uri="file:///b", blob="AAAA")),
    ]
    assert result_text(parts, None).splitlines() == [
        "one",
        "[image/png left out: only text is shown]",
        "[audio/wav left out: only text is shown]",
        "[page: http://127.0.0.1/a]",
        "inside",
        "[file:///b: not a text]",
    ]


def test_a_structured_result_counts_where_there_is_no_other():
    assert result_text([], {"people": 7, "of": "中"}) == '{"people": 7, "of": "中"}'
    assert result_text([TextContent(text="seven")], {"people": 7}) == "seven"
    assert result_text([], None) == ""


def test_a_long_text_is_cut_and_says_so():
    assert bounded("abc", 3) == "abc"
    assert bounded("abcdef", 4) == "abcd\n[cut off here: 2 more characters]"
    assert len(result_text([TextContent(text="x" * (MAX_RESULT + 5))], None)) < MAX_RESULT + 100
    assert len(description_of("d" * 10_000)) < 9_000
    assert description_of(None) == ""


def test_half_of_a_surrogate_pair_cannot_stop_a_request():
    assert result_text([TextContent.model_construct(type="text", text="a\ud800")], None) == "a\ufffd"


@pytest.mark.parametrize(
    ("mcp", "shown"),
    [
        ("http://me:hunter2@h:1/mcp?api_key=abc&a=b", "http://***@h:1/mcp?api_key=***&a=b"),
        ("sse:http://me:hunter2@h:1/sse", "sse:http://***@h:1/sse"),
        ("server --api-key abc --token=abc -v", "server --api-key '***' '--token=***' -v"),
        ("env API_KEY=abc MODE=fast server", "env 'API_KEY=***' MODE=fast server"),
        ("server http://me:hunter2@h/", "server 'http://***@h/'"),
        ("'my server' --port 1", "'my server' --port 1"),
    ],
)
def test_a_server_is_shown_without_passwords_and_keys(mcp: str, shown: str):
    assert shown_server(McpSpec(mcp=mcp)) == shown


def test_the_last_words_of_a_process_cannot_move_the_cursor():
    assert last_lines("a\n\nb\nc\x1b[31mred\x1b[0m\nd\x07\n") == "b / cred / d"
    assert last_lines("") == ""


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": True, "b": {"$ref": "#/$defs/B"}}, "$defs": {"B": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": False},
    ],
)
def test_a_schema_of_an_object_is_taken_as_it_is(schema: dict[str, Any]):
    assert unfit_schema(schema) == ""


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "of the type None, not object"),
        ({"type": "string"}, "of the type string, not object"),
        ({"type": "object", "properties": {"a": {"type": "nonsense"}}}, "no JSON schema"),
        ({"type": "object", "properties": {"a": {"examples": {"b": 1}}}}, "no JSON schema"),
        ({"type": "object", "required": "a"}, "no JSON schema"),
    ],
)
def test_any_other_schema_is_refused_with_its_reason(schema: dict[str, Any], why: str):
    assert why in unfit_schema(schema)
