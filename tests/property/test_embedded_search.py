"""Whatever a model writes as a query, and whatever a corpus has, there is an answer and no error."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.embedded.bm25 import Index, build_index, choose
from asyncgen.embedded.corpus import Passage, split_contents
from asyncgen.embedded.words import terms

ANY = st.text(st.characters(codec=None), max_size=200)
"""Lone surrogates and control codes among it."""
ROWS = [
    "the capital of France is Paris",
    "東京は日本の首都である",
    "AND OR NOT title:x [a TO b]",
    "naïve café 42",
    "กรุงเทพ",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Index:
    passages = [Passage(str(row), "Title", text) for row, text in enumerate(ROWS)]
    return build_index(passages, tmp_path_factory.mktemp("any") / "index")


@settings(max_examples=100, deadline=None)
@given(ANY)
def test_any_text_is_a_query(index, query):
    found = index.search(query, 3)
    assert len(found) <= 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(one.score > 0 for one in found)


@settings(max_examples=100, deadline=None)
@given(ANY, st.sampled_from(ROWS))
def test_a_passage_is_found_by_its_own_words_whatever_stands_around_them(index, noise, text):
    hits = index.search(f"{noise[:100]} {text}", len(ROWS))
    assert text in [json.loads(one.document)["text"] for one in hits]


@settings(max_examples=100, deadline=None)
@given(ANY)
def test_terms_are_distinct_and_can_be_written(text):
    found = terms(text)
    assert len(found) == len(set(found))
    assert all(term and term.encode() for term in found)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(ANY, ANY), min_size=1, max_size=5))
def test_any_passage_can_be_indexed(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    index = build_index((Passage(str(row), *parts) for row, parts in enumerate(rows)), Path(folder) / "index")
    assert index.passages == len(rows)


@settings(max_examples=100, deadline=None)
@given(st.text().filter(str.strip), st.text())
def test_what_is_written_in_wiki_18s_form_is_read_back(text, title):
    title = " ".join(title.split())
    assert split_contents(Passage("0", title, text).contents) == (title, text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 10**7), max_size=64).map(sorted), st.integers(1, 100))
def test_some_term_always_selects_and_enough_places_are_looked_at(frequencies, hits):
    choice = choose(frequencies, hits, 10**7)
    assert 0 <= choice.select + choice.rank <= len(frequencies)
    selected = sum(frequencies[: choice.select])
    assert choice.select == len(frequencies) or selected >= 20 * hits
