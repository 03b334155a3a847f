"""The forms in which calls stand in text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.endpoint.dialects import DIALECTS

SEARCH = DIALECTS["search"]


def queries(text: str) -> list[str]:
    return [json.loads(call.arguments)["query_list"][0] for call in SEARCH.scan(text, turn=2)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I look it up. <search> capital of France </search>", ["capital of France"]),
        ("<search>a</search> and <search>b</search>", ["a", "b"]),
        ("<search>cut off by the stop str", ["cut off by the stop str"]),
        ("<search>outer <search>inner</search>", ["inner"]),
        ('<search>"quoted"\nlines\t首都</search>', ['"quoted"\nlines\t首都']),
        ("<search>  </search>", []),
        ("</search> alone", []),
        ("<search>", []),
        ("no tags", []),
    ],
)
def test_a_search_block_is_a_call_with_its_query(text: str, found: list[str]) -> None:
    assert queries(text) == found


def test_calls_of_search_blocks_have_a_name_and_ids_of_their_turn() -> None:
    calls = SEARCH.scan("<search>a</search><search>b</search>", turn=3, first=2)
    assert [(call.id, call.name, call.native) for call in calls] == [
        ("call_3_2", "search", False),
        ("call_3_3", "search", False),
    ]


def test_text_without_search_blocks_keeps_what_stands_around_them() -> None:
    assert SEARCH.without("before <search>x</search> after <search>y") == "before  after"
    assert SEARCH.without("<answer>Paris</answer>") == "<answer>Paris</answer>"


def test_results_stand_in_the_tags_of_their_dialect() -> None:
    assert SEARCH.results("Doc 1", ()) == ["<information>", "\n", "Doc 1", "\n</information>\n"]
    assert DIALECTS["tool_call"].results("seen", ()) == ["<tool_response>", "\n", "seen", "\n</tool_response>\n"]


@given(st.text(st.sampled_from("<>/search \nq"), max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text_is_split_into_calls_and_the_rest(text: str) -> None:
    assert all(query.strip() == query and query for query in queries(text))
    assert len(SEARCH.without(text)) <= len(text)
