"""The index: what is found, in which order, and that no query does harm."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from asyncgen.core.errors import DataError, InputError, TemporaryError
from asyncgen.embedded.bm25 import Choice, Index, build_index, choose, document_of
from asyncgen.embedded.corpus import Passage


def index_of(folder: Path, texts: Iterable[str]) -> Index:
    return build_index((Passage(str(row), "", text) for row, text in enumerate(texts)), folder)


def found(index: Index, query: str, hits: int = 3) -> list[str]:
    return [json.loads(one.document)["id"] for one in index.search(query, hits)]


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Index:
    return build_index(
        [
            Passage("london", "London", "The capital of England, with the Thames running through it."),
            Passage("thames", "River", "The Thames is a river that runs through London to the sea."),
            Passage("tokyo", "東京", "東京は日本の首都である。人口は約1400万人。"),
            Passage("seoul", "서울", "서울은 대한민국의 수도이다."),
            Passage("bangkok", "กรุงเทพ", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
            Passage("zurich", "Zürich", "Zürich has 443037 inhabitants."),
        ],
        tmp_path_factory.mktemp("places") / "index",
    )


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("London", "london"),
        ("a river in London", "thames"),
        ("capitals of england", "london"),
        ("日本の首都", "tokyo"),
        ("人口", "tokyo"),
        ("京", "tokyo"),
        ("수도", "seoul"),
        ("ประเทศไทย", "bangkok"),
        ("zurich", "zurich"),
        ("ZÜRICH?", "zurich"),
        ("443037", "zurich"),
    ],
)
def test_the_passage_that_is_meant_comes_first(places, query, best):
    assert found(places, query)[0] == best


def test_a_passage_comes_back_as_it_was(places):
    (one,) = places.search("zurich", 1)
    text = "Zürich has 443037 inhabitants."
    assert json.loads(one.document) == {
        "id": "zurich", "contents": f'"Zürich"\n{text}', "title": "Zürich", "text": text,
    }  # fmt: skip
    assert one.score > 0


@pytest.mark.parametrize("query", ["", " \n\t", "?!", "🙂", "nowhere", "x" * 100_000, "\ud800", "\x00"])
def test_a_query_without_a_known_term_finds_nothing(places, query):
    assert places.search(query, 3) == []


@pytest.mark.parametrize(
    "query",
    ['"London', "London AND (", "title:London", "London^2 ~1 *", "+London -Thames", "[a TO b] London", "London\n\n]:{"],
)
def test_what_would_be_syntax_elsewhere_is_text(places, query):
    assert set(found(places, query)) == {"london", "thames"}


def test_a_long_query_is_answered_by_its_rarest_terms(places):
    assert found(places, "the capital of " * 7000)[0] == "london"
    assert found(places, " ".join(f"word{number}" for number in range(300)) + " 東京")[0] == "tokyo"


def test_equal_scores_come_in_the_order_of_the_passages(tmp_path):
    index = index_of(tmp_path / "index", ["the same words", "another text", *["the same words"] * 40])
    assert found(index, "same words", 5) == ["0", "2", "3", "4", "5"]
    assert len({one.score for one in index.search("same words", 5)}) == 1
    assert found(index, "same another", 3) == ["1", "0", "2"]


def test_common_terms_rank_what_rare_ones_select(tmp_path):
    filler = ["common usual words here", "quite another text there"] * 15_000
    index = index_of(
        tmp_path / "index", [*filler, "rare one two three", "rare common usual three", "rare one two four"]
    )
    assert found(index, "usual common rare", 1) == ["30001"]
    assert found(index, "usual common rare", 3) == ["30001", "30000", "30002"]


def test_there_are_as_many_hits_as_there_are_passages_with_any_term(tmp_path):
    index = index_of(tmp_path / "index", [*["common words"] * 21_000, "rare"])
    assert found(index, "rare common", 4) == ["21000", "0", "1", "2"]
    assert found(index, "rare", 4) == ["21000"]


def test_terms_that_have_few_places_all_select():
    assert choose([], 3, 10**5) == Choice(0, 0)
    assert choose([5, 500, 19_000], 3, 10**5) == Choice(3, 0)


def test_terms_after_enough_places_only_rank():
    assert choose([70, 900, 2500, 60_000], 3, 10**5) == Choice(2, 2)
    assert choose([10, 60_000, 70_000], 3, 10**6) == Choice(2, 1)
    assert choose([100] * 10 + [40_000] * 30, 1, 10**5) == Choice(10, 16)


def test_all_terms_select_where_the_rarest_are_in_many_passages():
    assert choose([10, 60_000, 70_000], 3, 10**5) == Choice(3, 0)


def test_whatever_order_things_lie_in_two_builds_answer_alike(tmp_path):
    texts = [f"word{row % 7} word{row % 11} word{row % 13}" for row in range(500)]
    first, second = (index_of(tmp_path / name, texts) for name in ("a", "b"))
    for query in ("word1", "word3 word5", "word1 word2 word12"):
        assert first.search(query, 20) == second.search(query, 20)


def test_an_index_without_passages_finds_nothing(tmp_path):
    index = index_of(tmp_path / "index", [])
    assert index.passages == 0
    assert index.search("anything", 3) == []


def test_half_a_surrogate_pair_in_a_passage_is_replaced():
    assert json.loads(document_of(Passage("1", "", "a\ud83d")))["text"] == "a\N{REPLACEMENT CHARACTER}"


def test_what_is_no_index_is_said_so(tmp_path):
    with pytest.raises(DataError, match="is no index"):
        Index(tmp_path)


def test_a_folder_that_has_an_index_is_not_written_into(tmp_path):
    index_of(tmp_path / "index", ["a"])
    with pytest.raises(InputError, match="has an index already"):
        index_of(tmp_path / "index", ["b"])


def test_a_folder_that_takes_no_files_ends_the_build_for_now(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "meta.json.lock").write_text("")
    (folder / ".tantivy-writer.lock").mkdir()
    with pytest.raises(TemporaryError, match="make room, or give another"):
        index_of(folder, ["a"])
