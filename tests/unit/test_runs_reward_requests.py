"""Bodies of the reward service: which are refused whole, and which cost one item."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from asyncgen.runs.reward_requests import LARGEST, LONGEST, BadBodyError, Item, read_get_reward, read_score


def get_reward(most: int = 10, **body: Any) -> list[Item | str]:
    return read_get_reward(json.dumps(body).encode(), most)


def score(*items: Any) -> list[Item | str]:
    return read_score(json.dumps({"items": items}).encode(), 10)


def test_prompts_and_labels_go_with_their_queries():
    assert get_reward(query=["a", "b"], prompts=["p", [{"role": "user"}]], labels=["x", {"lat": 1}]) == [
        Item(response="a", prompt="p", label="x", decoded=True),
        Item(response="b", prompt=[{"role": "user"}], label={"lat": 1}, decoded=True),
    ]
    assert get_reward(query=["a"], labels=[7]) == [Item(response="a", label=7, decoded=True)]
    assert get_reward(query=[], prompts=[]) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "query is missing"),
        ({"query": "a", "prompts": ["p"]}, 'query is "a": it must be a list'),
        ({"query": ["a"]}, "prompts and labels are missing"),
        ({"query": ["a"], "prompts": {"a": 1}}, "prompts is"),
        ({"query": ["a", "b"], "prompts": ["p"]}, "query has 2 items and prompts has 1"),
        ({"query": ["a"], "prompts": ["p"], "labels": []}, "query has 1 items and labels has 0"),
        ({"query": ["a"] * 11, "prompts": ["p"] * 11}, "query has 11 items: it may have 10"),
    ],
)
def test_a_body_that_is_wrong_as_a_whole_is_refused(body, says):
    with pytest.raises(BadBodyError, match=says):
        get_reward(**body)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"items": 5}'])
def test_a_body_that_is_no_such_object_is_refused(raw):
    for read in (read_get_reward, read_score):
        with pytest.raises(BadBodyError):
            read(raw, 10)


def test_a_wrong_item_costs_itself_alone():
    queries = ["a", None, 5, ["x"], {"y": 1}, "b" * (LONGEST + 1), "c"]
    found = get_reward(query=queries, prompts=["p"] * 6 + [9])
    assert isinstance(found[0], Item)
    assert found[1:] == [
        "query is null: it must be a string",
        "query is 5: it must be a string",
        'query is ["x"]: it must be a string',
        'query is {"y": 1}: it must be a string',
        f"query has {LONGEST + 1} characters: it may have {LONGEST}",
        "prompts is 9: it must be a string or a list of chat messages",
    ]


def test_a_prompt_label_or_row_that_is_too_large_costs_its_item_alone_and_is_not_repeated():
    large = "x" * (LARGEST + 1)
    found = get_reward(query=["a"] * 4, prompts=["p", large, "p", "p"], labels=["x", "x", large, [[0] * LARGEST]])
    assert isinstance(found[0], Item)
    assert found[1:] == [
        f"{name} is larger than {LARGEST} characters" for name in ("prompts", "the label", "the label")
    ]
    assert score({"response": "a", "row": {large: 1}}) == [f"row is larger than {LARGEST} characters"]
    assert get_reward(query=[{"a": large}], prompts=["p"]) == ["query is an object of 1: it must be a string"]


def test_a_large_body_that_is_no_json_is_refused_at_once():
    with pytest.raises(BadBodyError, match="not JSON: unexpected end of data"):
        read_score(b'{"items":[' + b'{"a":1},' * (1 << 18), 10)
    with pytest.raises(BadBodyError, match="no JSON object"):
        read_score(b"[" + b'{"a":1},' * (1 << 18), 10)


def test_items_of_score_say_what_they_are_scored_against():
    assert score(
        {"response": "a", "row": {"answer": "x"}, "reasoning": "r"},
        {"response": "b", "label": 0},
        {"response": "c", "prompt": "p"},
    ) == [
        Item(response="a", reasoning="r", row={"answer": "x"}),
        Item(response="b", label=0),
        Item(response="c", prompt="p"),
    ]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (None, "the item is null: it must be an object"),
        ({}, "response is null: it must be a string"),
        ({"response": 1}, "response is 1"),
        ({"response": "a", "row": [1]}, r"row is \[1\]: it must be an object"),
        ({"response": "a", "reasoning": 1}, "reasoning is 1"),
        ({"response": "a", "prompt": 1}, "prompt is 1"),
    ],
)
def test_what_is_wrong_with_an_item_is_said(item, says):
    fine, wrong = score({"response": "a"}, item)
    assert isinstance(fine, Item)
    assert isinstance(wrong, str)
    assert re.match(says, wrong)


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    (item,) = read_get_reward(rb'{"query": ["a\ud83d"], "prompts": ["\udc00"]}', 10)
    assert isinstance(item, Item)
    assert (item.response, item.prompt) == ("a\ufffd", "\ufffd")


def test_a_wrong_value_is_shown_short_and_in_ascii():
    (wrong,) = get_reward(query=[list(range(10_000))], prompts=["p"])
    assert wrong == "query is a list of 10000: it must be a string"
    with pytest.raises(BadBodyError) as caught:
        get_reward(query="\ud800" * 500)
    assert str(caught.value).encode().startswith(b'query is "')
    assert len(str(caught.value)) < 200
