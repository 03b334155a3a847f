"""The answers of retrieval servers, in every nesting that is out there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncgen.tools.hits import CUT, LONGEST, LONGEST_TITLE, Hit, NoHitsError, read_hits

WIKI = {"id": "7", "contents": '"Paris"\nParis is the capital of France.'}
PARIS = Hit("Paris", "Paris is the capital of France.", "7")
ROME = Hit("Rome", "Rome is old.", "8")
DOC = {"id": 8, "title": "Rome", "text": "Rome is old."}


def bare(lists: list[list[Hit]]) -> list[list[tuple[str, str]]]:
    return [[(hit.title, hit.text) for hit in hits] for hits in lists]


BOTH = [[("Paris", "Paris is the capital of France.")], [("Rome", "Rome is old.")]]


@pytest.mark.parametrize(
    "answer",
    [
        {"result": [[{"document": WIKI, "score": 0.5}], [{"document": DOC, "score": 0.4}]]},
        {"result": [[WIKI], [DOC]]},
        {"results": [[WIKI], [DOC]]},
        {"data": [[WIKI], [DOC]]},
        {"documents": [[WIKI], [DOC]], "scores": [[0.5], [0.4]]},
        {"passages": [[WIKI], [DOC]]},
        {"data": {"result": [[WIKI], [DOC]]}},
        [[WIKI], [DOC]],
        [[[WIKI], [0.5]], [[DOC], [0.4]]],
        {"result": [[[WIKI], [0.5]], [[DOC], [0.4]]]},
        {"result": [[[WIKI], [DOC]], [[0.5], [0.4]]]},
        {"result": [[[WIKI, 0.5]], [[DOC, 0.4]]]},
        {"results": [{"query": "a", "documents": [WIKI]}, {"query": "b", "documents": [DOC]}]},
        {"results": [{"hits": [WIKI], "scores": [0.5]}, {"hits": [DOC], "scores": [0.4]}]},
        {"result": json.dumps([[WIKI], [DOC]])},
        json.dumps({"result": [[WIKI], [DOC]]}),
        {"result": [json.dumps([WIKI]), json.dumps([DOC])]},
        {"result": [[WIKI["contents"]], ['"Rome"\nRome is old.']]},
        {"result": [WIKI["contents"], '"Rome"\nRome is old.']},
        {"result": [[None, WIKI], [DOC, None]]},
    ],
)
def test_two_queries_get_their_hits_in_every_nesting(answer: Any) -> None:
    assert bare(read_hits(answer, 2)) == BOTH


@pytest.mark.parametrize(
    "answer",
    [
        {"result": [[WIKI, DOC]]},
        {"result": [WIKI, DOC]},
        {"result": [[WIKI, 0.5], [DOC, 0.4]]},
        {"result": [[[WIKI, 0.5], [DOC, 0.4]]]},
        {"result": [[WIKI, DOC], [0.5, 0.4]]},
        {"result": [[[WIKI, DOC]], [[0.5, 0.4]]]},
        {"result": [[[WIKI, DOC], [0.5, 0.4]]]},
        {"documents": [WIKI, DOC], "scores": [0.5, 0.4]},
        {"results": [{"documents": [WIKI, DOC]}]},
        {"hits": {"hits": [{"_source": WIKI, "_score": 0.5}, {"_source": DOC, "_score": 0.4}]}},
        [WIKI, DOC],
        [[WIKI, DOC]],
    ],
)
def test_one_query_gets_its_hits_in_every_nesting(answer: Any) -> None:
    assert bare(read_hits(answer, 1)) == [[BOTH[0][0], BOTH[1][0]]]


def test_a_hit_has_title_text_id_and_score() -> None:
    assert read_hits({"result": [[{"document": WIKI, "score": 0.5}]]}, 1) == [
        [Hit("Paris", "Paris is the capital of France.", "7", 0.5)]
    ]


@pytest.mark.parametrize(
    ("document", "hit"),
    [
        (WIKI, PARIS),
        (DOC, ROME),
        ({"title": '"Rome"', "content": "Rome is old.", "id": "8"}, ROME),
        ({"title": "Rome", "passage": "Rome is old.", "docid": "8"}, ROME),
        ({"title": "Rome", "snippet": "Rome is old.", "_id": "8"}, ROME),
        ({"title": "Rome", "body": "Rome is old.", "id": "8"}, ROME),
        ({"page_content": "Rome is old.", "metadata": {"title": "Rome", "id": "8"}}, ROME),
        ({"document": "Rome is old.", "title": "Rome", "id": "8"}, ROME),
        ({"id": "8", "contents": '"Rome"\nwhat the index has', "text": "Rome is old."}, ROME),
        ({"contents": '"Rome"'}, Hit("Rome", "")),
        ({"contents": "no title\nin quotes"}, Hit("", "no title\nin quotes")),
        ({"contents": '"a" and "b"\nare two'}, Hit('a" and "b', "are two")),
        ({"title": "Rome"}, Hit("Rome", "")),
        ({"contents": ""}, Hit("", "")),
        ("plain", Hit("", "plain")),
        ('"Rome"\nRome is old.', Hit("Rome", "Rome is old.")),
    ],
)
def test_documents_in_every_form_are_hits(document: Any, hit: Hit) -> None:
    assert read_hits({"result": [[document]]}, 1) == [[hit]]


def test_no_hits_are_an_empty_list_for_each_query() -> None:
    assert read_hits({"result": [[], []]}, 2) == [[], []]
    assert read_hits({"result": [[[], []], [[], []]]}, 2) == [[], []]
    assert read_hits({"result": [None, None]}, 2) == [[], []]
    assert read_hits({"result": []}, 1) == [[]]
    assert read_hits({"result": [[]]}, 1) == [[]]
    assert read_hits({"result": ""}, 1) == [[]]


def test_a_text_for_one_query_is_one_hit() -> None:
    assert read_hits({"result": "Doc 1 (Title: Paris)"}, 1) == [[Hit("", "Doc 1 (Title: Paris)")]]


@pytest.mark.parametrize("score", [None, "high", float("nan"), float("inf"), 10**400, [1], True])
def test_a_score_that_is_no_number_is_none(score: Any) -> None:
    assert read_hits({"result": [[{"document": WIKI, "score": score}]]}, 1) == [[PARIS]]


def test_long_texts_and_titles_are_cut_with_a_mark() -> None:
    ((hit,),) = read_hits([[{"title": "t" * 10_000, "text": "x" * 1_000_000}]], 1)
    assert hit == Hit("t" * LONGEST_TITLE + CUT, "x" * LONGEST + CUT)


def test_control_characters_and_halves_of_pairs_go() -> None:
    ((hit,),) = read_hits([[{"title": "a\x00\x1b[31mb\nc", "text": "x\x07\r\ny\tz \ud83d \u2028"}]], 1)
    assert hit == Hit("a [31mb c", "x  \ny\tz \ufffd")


@pytest.mark.parametrize(
    ("answer", "count", "part"),
    [
        ({"result": [[WIKI]]}, 2, "1 lists of hits for 2 queries"),
        ({"result": []}, 2, "0 lists of hits for 2 queries"),
        ({"result": [[WIKI]] * 3}, 2, "3 lists of hits for 2 queries"),
        ({"result": [WIKI, DOC]}, 2, "no result, results, data … in the answer, but the members"),
        ({"result": None}, 1, "but null"),
        ({"result": 5}, 1, "but 5"),
        ({"result": "text"}, 2, 'but "text"'),
        ({"error": "index not loaded"}, 1, 'the members ["error"]'),
        ({"result": [[5]]}, 1, "no document in the place of a hit, but 5"),
        ({"result": [[[[WIKI]]]]}, 1, "no document in the place of a hit, but a list"),
        ({"result": [[{"url": "x"}]]}, 1, 'a document without a text, but the members ["url"]'),
        ({"result": [5, 6]}, 2, "no list of hits for a query, but 5"),
        (7, 1, "but 7"),
        ("[" * 100_000, 2, "no list of hits"),
    ],
)
def test_what_is_no_list_of_hits_is_refused_in_one_line(answer: Any, count: int, part: str) -> None:
    with pytest.raises(NoHitsError) as refused:
        read_hits(answer, count)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
