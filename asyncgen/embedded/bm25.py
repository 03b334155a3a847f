"""An index of passages on disk, and the passages in it that answer a query best, by BM25.

Knows tantivy (BM25 with k1 = 1.2, b = 0.75), which maps the files into memory. A query is plain text and has no syntax.
Does not know which corpus the passages are of, nor when an index is out of date (`index_folder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import orjson
import tantivy

from asyncgen.core.errors import DataError, InputError, TemporaryError
from asyncgen.core.text import repaired
from asyncgen.embedded.corpus import Passage
from asyncgen.embedded.words import analyzer, spaced, terms

HEAP_BYTES = 96 << 20
"""What the writer holds before it writes a segment."""
TITLE_TIMES = 2
"""A title's words count as if it stood so often before the text: passages on London come before those that mention it
once, and not before one of the same length that speaks of it all the time."""
QUERY_CHARACTERS = 4000
"""What a query has behind them is not looked at."""
QUERY_TERMS = 64
"""The rarest so many are looked for."""
FEW_PLACES = 20_000
"""A query whose terms have no more places in the index than this is scored as a whole; for others see `choose`."""
LEAST_PLACES = 20
"""For each hit that is wanted: what the selecting terms have at least,"""
MOST_PLACES = 1000
"""and where no further one is taken."""
RANKING_TERMS = 16
"""So many of the others, the rarest, help to rank."""
DENSE = 0.1
"""The share of all passages from which on it is faster to read through a term's places than to look passages up."""
DIGITS = 4
"""Scores that agree to so many are equal: tantivy adds up what a passage's terms give in no fixed order."""
TIES = 4096
"""Hits that are looked through for those of equal score."""

_WORDS, _ROW, _DOCUMENT = "words", "row", "document"
_ANALYZER = "passage"

Ranked: TypeAlias = tuple[float, tantivy.DocAddress]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that answers a query."""

    document: bytes
    """JSON: `{"id", "contents", "title", "text"}`, see `Passage`."""
    score: float
    """Over 0, in DIGITS digits."""


def build_index(passages: Iterable[Passage], directory: Path) -> Index:
    """Write an index of the passages into `directory`, which is made if it is missing.

    Passages are ranked in their order where scores are equal. Memory: HEAP_BYTES and as much again, however many there
    are. Raises InputError where there is an index already, TemporaryError when the disk takes no more.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if tantivy.Index.exists(str(directory)):
        raise InputError(f"{directory} has an index already; give a folder without one")
    written = partial(_written, directory)
    index = written(lambda: tantivy.Index(_schema(), path=str(directory), reuse=False))
    index.register_tokenizer(_ANALYZER, analyzer())
    writer = written(lambda: index.writer(HEAP_BYTES, 1))
    try:
        for document in _documents(passages):
            written(partial(writer.add_document, document))
        written(writer.commit)
    finally:
        written(writer.wait_merging_threads)  # its threads write files until then
    return Index(directory)


def _written(directory: Path, step: Callable[[], T]) -> T:
    """The boundary to tantivy, whose own errors are ValueErrors."""
    try:
        return step()
    except (ValueError, OSError) as error:
        raise TemporaryError(
            f"the index {directory} cannot be written ({error}): make room, or give another"
        ) from error


def _documents(passages: Iterable[Passage]) -> Iterator[tantivy.Document]:
    for row, passage in enumerate(passages):
        words = spaced(f"{passage.title}\n" * TITLE_TIMES + passage.text)
        yield tantivy.Document(**{_WORDS: words, _ROW: row, _DOCUMENT: document_of(passage)})


def document_of(passage: Passage) -> bytes:
    """The passage as it goes out; kept as such, so that to answer is to copy bytes."""
    parts = {"id": passage.id, "contents": passage.contents, "title": passage.title, "text": passage.text}
    return orjson.dumps({name: repaired(part) for name, part in parts.items()})


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(_WORDS, tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_integer_field(_ROW, fast=True)
    builder.add_bytes_field(_DOCUMENT, stored=True)
    return builder.build()


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a query's terms, the rarest first."""

    select: int
    """So many say which passages are looked at: those with one of them or more."""
    rank: int
    """So many after those count for a passage that is looked at."""


def choose(frequencies: Sequence[int], hits: int, passages: int) -> Choice:
    """How to ask for the best `hits` of so many passages. `frequencies`: in how many of them each term is, ascending.

    A question's "what is the … of" is in almost every passage and hardly tells them apart, but to read through all of
    its places is most of the work. So the rarest terms select passages, and those after them are looked up for what is
    selected. On 118,000 paragraphs of documentation, with stretches of 4, 8 and 15 words as queries: half to two thirds
    of the time of scoring all (a fifth where words are as frequent as Zipf has them), the best passage is always the
    same, of the best three 99, 97 and 95 in a hundred.
    """
    whole = Choice(len(frequencies), 0)
    if sum(frequencies) <= FEW_PLACES:
        return whole
    select = places = 0
    for frequency in frequencies:
        if places >= LEAST_PLACES * hits and places + frequency > MOST_PLACES * hits:
            break
        places += frequency
        select += 1
    return whole if places > DENSE * passages else Choice(select, min(RANKING_TERMS, len(frequencies) - select))


class Index:
    """An index that is open for queries. Safe to use from many threads; tantivy searches without the GIL."""

    def __init__(self, directory: Path) -> None:
        """Raises DataError when there is no whole index."""
        try:
            index = tantivy.Index.open(str(directory))
            index.config_reader("manual")  # it does not change, so there is nothing to watch for
            self._searcher = index.searcher()
        except (ValueError, OSError) as error:
            raise DataError(f"{directory} is no index, or a damaged one ({error}): remove it") from error
        self._schema = index.schema
        self.passages: int = self._searcher.num_docs

    def search(self, query: str, hits: int) -> list[Found]:
        """The best `hits` passages (1 or more), the best first, those of equal score in their order.

        Fewer where fewer have any of the query's terms. Whatever the text, there is no error.
        """
        rarest = self._rarest(query)
        if not rarest or hits < 1:
            return []
        choice = choose([frequency for frequency, _ in rarest], hits, self.passages)
        names = [term for _, term in rarest]
        ranked = self._best(self._query(names, choice), hits)
        if len(ranked) < hits and choice.select < len(names):
            ranked = self._best(self._query(names, Choice(len(names), 0)), hits)
        return [Found(self._document(address), score) for score, address in ranked]

    def _rarest(self, query: str) -> list[tuple[int, str]]:
        """The query's terms that are in the index at all: in how many passages, and the term; the rarest first."""
        counted = ((self._searcher.doc_freq(_WORDS, term), term) for term in terms(query[:QUERY_CHARACTERS]))
        return sorted(one for one in counted if one[0])[:QUERY_TERMS]

    def _query(self, names: Sequence[str], choice: Choice) -> tantivy.Query:
        either, must = tantivy.Occur.Should, tantivy.Occur.Must
        single = [tantivy.Query.term_query(self._schema, _WORDS, name, "freq") for name in names]
        query = tantivy.Query.boolean_query([(either, one) for one in single[: choice.select]])
        for one in single[choice.select : choice.select + choice.rank]:
            # one inside the other: tantivy would read through all of them if they stood side by side
            query = tantivy.Query.boolean_query([(must, query), (either, one)])
        return query

    def _best(self, query: tantivy.Query, hits: int) -> list[Ranked]:
        """More are asked for, until none shares the last one's score: tantivy orders those as they lie."""
        limit = hits + 8
        while True:
            ranked = [(round(score, DIGITS), at) for score, at in self._searcher.search(query, limit, count=False).hits]
            if len(ranked) < limit or ranked[hits - 1][0] > ranked[-1][0] or limit >= TIES:
                return self._in_order(ranked)[:hits]
            limit *= 8

    def _in_order(self, ranked: list[Ranked]) -> list[Ranked]:
        """By score and then by row."""
        if len({score for score, _ in ranked}) == len(ranked):
            return ranked
        rows = self._searcher.fast_field_values(_ROW, [address for _, address in ranked])
        order = sorted(range(len(ranked)), key=lambda place: (-ranked[place][0], rows[place] or 0))
        return [ranked[place] for place in order]

    def _document(self, address: tantivy.DocAddress) -> bytes:
        found: bytes = self._searcher.doc(address).get_first(_DOCUMENT)  # type: ignore[assignment]  # bytes went in
        return found
