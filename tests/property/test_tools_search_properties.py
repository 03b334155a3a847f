"""Whatever a retrieval server answers, and whatever a model asks for."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.core.text import repaired
from asyncgen.tools.batches import GROWTH, Halves, Queue
from asyncgen.tools.hits import CUT, LONGEST, LONGEST_TITLE, NoHitsError, read_hits
from asyncgen.tools.search import MOST_HITS, read_queries, read_topk

NAMES = st.sampled_from(
    ["result", "results", "data", "documents", "hits", "scores", "document", "contents", "title", "text", "id", "score"]
)
TEXTS = st.text(st.characters(codec=None), max_size=20)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=4), max_leaves=20
)
DOCUMENTS = st.fixed_dictionaries({"contents": TEXTS}, optional={"title": TEXTS, "id": TEXTS})


@settings(max_examples=100, deadline=None)
@given(VALUES, st.integers(1, 3))
def test_any_answer_is_hits_for_each_query_or_a_value_error(value: Any, count: int) -> None:
    try:
        found = read_hits(value, count)
    except NoHitsError as error:
        told = str(error)
        found = [[]] * count
    else:
        told = ""
    assert "\n" not in told
    assert len(found) == count
    for hit in (hit for hits in found for hit in hits):
        assert len(hit.text) <= LONGEST + len(CUT)
        assert len(hit.title) <= LONGEST_TITLE + len(CUT)
        assert "\n" not in hit.title
        (hit.title + hit.text + hit.id).encode()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(DOCUMENTS, max_size=3), min_size=2, max_size=3))
def test_every_nesting_of_the_same_documents_gives_the_same_hits(lists: list[list[dict[str, Any]]]) -> None:
    plain = [[(hit.title, hit.text, hit.id) for hit in hits] for hits in read_hits({"result": lists}, len(lists))]
    scored = [[{"document": one, "score": 0.5} for one in some] for some in lists]
    pairs = [[[one, 0.5] for one in some] for some in lists]
    apart = [[some, [0.5] * len(some)] for some in lists]
    for value in (scored, pairs, apart, json.dumps(lists), {"data": {"result": lists}}):
        found = read_hits({"results": value}, len(lists))
        assert [[(hit.title, hit.text, hit.id) for hit in hits] for hits in found] == plain


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_query_can_be_sent_and_only_halves_of_pairs_are_changed(query: str) -> None:
    sent: str = json.loads(orjson.dumps(repaired(query)))
    try:
        query.encode()
    except UnicodeEncodeError:
        assert "\ufffd" in sent or len(sent) < len(query)
    else:
        assert sent == query


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["query", "query_list", "queries", "topk", "top_k", "x"]), VALUES))
def test_any_arguments_are_read_without_a_crash(arguments: dict[str, Any]) -> None:
    assert all(isinstance(query, str) and query.strip() for query in read_queries(arguments))
    assert 1 <= read_topk(arguments, 5) <= MOST_HITS


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 100), st.data())
def test_of_a_refused_batch_each_query_passes_or_fails_once(count: int, data: st.DataObject) -> None:
    queries = [f"q{number}" for number in range(count)]
    bad = data.draw(st.sets(st.sampled_from(queries)))
    halves, passed, failed = Halves(queries), list[str](), list[str]()
    while part := halves.next():
        if bad & set(part):
            failed += halves.refused(part)
        else:
            passed += part
            halves.passed()
    assert sorted(passed + failed) == sorted(queries)
    assert bad <= set(failed)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 16), st.lists(st.tuples(st.integers(1, 3), st.integers(0, 40), st.integers(1, 8)), max_size=20))
def test_every_query_is_taken_once_in_batches_of_bounded_size(batch: int, steps: list[tuple[int, int, int]]) -> None:
    queue, added, taken = Queue(batch), list[tuple[str, int]](), list[tuple[str, int]]()
    for now, (topk, count, free) in enumerate(steps):
        for number in range(count):
            added.append((f"{now}/{number}", topk))
            queue.add(*added[-1], float(now))
        if queue.due_in(float(now)) is not None:
            one = queue.take(float(now), free=free)
            assert 1 <= len(one.queries) <= batch * GROWTH
            taken += [(query, one.topk) for query in one.queries]
    while queue.due_in(1e9) is not None:
        one = queue.take(1e9, free=1)
        taken += [(query, one.topk) for query in one.queries]
    assert sorted(taken) == sorted(added)
