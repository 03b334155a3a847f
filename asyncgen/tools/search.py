"""`search`: the tool whose work is done by a retrieval server.

Knows how models write its arguments, and how hits are written for them. Does not know how they are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from asyncgen.core.errors import InputError, ToolError
from asyncgen.core.types import Context, Json, ToolResult
from asyncgen.tools.hits import Hit
from asyncgen.tools.retrieval import Retrieval, RetrievalClient

MOST_QUERIES = 10
"""Of one call; the others are not searched, and the result says so."""
MOST_HITS = 20
"""`topk` is 1 to this."""
NO_HITS = "[no results]"
_NAMES = ("query_list", "query", "queries")
"""What the queries may be called, whatever the schema says."""
_SIZES = ("topk", "top_k")
_PROBE = "What is the capital of France?"
_MARKS = re.compile(
    "<(?=/?(?:tool_calls?|tool_responses?|tools?|search|information|answer|think|thinking|image(?::[0-9]+)?"
    "|s|start_of_turn|end_of_turn)>|[|｜])",
    re.IGNORECASE,
)
"""The beginnings of what templates and parsers take for marks of their own, where a passage or a query has them."""


@dataclass(frozen=True)
class SearchTool:
    """A core `Tool`. Raises InputError for options that cannot be."""

    url: str = ""
    """The retrieval server's, such as `http://127.0.0.1:8000/retrieve`."""
    topk: int = 5
    """Hits for each query, where the model does not ask for another number."""
    argument: Literal["query_list", "query"] = "query_list"
    """What the schema calls the list of queries; all spellings are understood."""
    layout: Literal["list", "search-r1"] = "list"
    """How hits are written: `[1] title: text` under `Query: …`, or `Doc 1(Title: "title") text`."""
    timeout: float = 30.0
    """Seconds for a request to the server."""
    concurrency: int = 8
    """Requests at a time."""
    batch: int = 64
    """Queries in a request."""
    cache: int = 10_000
    """Queries whose hits are kept."""

    def __post_init__(self) -> None:
        if not 1 <= self.topk <= MOST_HITS:
            raise InputError(f"topk {self.topk!r}: give a number from 1 to {MOST_HITS}")
        if self.argument not in _NAMES:
            raise InputError(f"argument {self.argument!r}: give query_list or query")
        if self.layout not in _LAYOUTS:
            raise InputError(f"layout {self.layout!r}: give {' or '.join(_LAYOUTS)}")
        _ = self.retrieval

    @property
    def name(self) -> str:
        """`search`."""
        return "search"

    @property
    def service_url(self) -> str:
        """The server that must be up."""
        return self.url

    @property
    def retrieval(self) -> Retrieval:
        """Equal ones share a client."""
        return Retrieval(self.url, self.timeout, self.concurrency, self.batch, self.cache)

    def schema(self, *, coordinates: str = "pixels", frame: str = "original") -> Mapping[str, Json]:  # noqa: ARG002  # as in Tool
        """One required list of texts."""
        queries = {
            "type": "array",
            "items": {"type": "string"},
            "description": "What to search for, each query a complete phrase or question of its own.",
        }
        function = {
            "name": self.name,
            "description": "Search a text corpus. For each query the passages that fit it best come back, with titles.",
            "parameters": {"type": "object", "properties": {self.argument: queries}, "required": [self.argument]},
        }
        return {"type": "function", "function": function}

    async def __call__(self, context: Context, arguments: Mapping[str, Json]) -> ToolResult:
        """Search. Raises ToolError for a call without a query, ToolDownError where the server does not answer."""
        queries = read_queries(arguments)
        if not queries:
            form = json.dumps({self.argument: ["first query", "second query"]})
            raise ToolError(f"{self.name} has no query; give a list of texts: {form}")
        asked, topk = queries[:MOST_QUERIES], read_topk(arguments, self.topk)
        found = await context.shared(RetrievalClient, self.retrieval).search(asked, topk)
        blocks = [_LAYOUTS[self.layout](query, hits) for query, hits in zip(asked, found, strict=True)]
        if len(queries) > MOST_QUERIES:
            blocks.append(f"[only the first {MOST_QUERIES} of {len(queries)} queries were searched]")
        return ToolResult(text="\n\n".join(blocks))

    async def probe(self) -> str:
        """One search outside of any run: what came of it. Raises ToolDownError with a text for the user."""
        hits = await RetrievalClient(self.retrieval).probe(_PROBE, self.topk)
        return f"answered, {len(hits)} hits"


def read_queries(arguments: Mapping[str, Json]) -> list[str]:
    """The queries of a call as models write them: a list, a text, a list in a text; blank ones and what is no text are
    left out.
    """
    for name in _NAMES:
        value = arguments.get(name)
        if isinstance(value, str):
            value = _listed(value)
        if isinstance(value, list):
            texts = [str(one) if _is_number(one) else one for one in value]
            if queries := [one for one in texts if isinstance(one, str) and one.strip()]:
                return queries
    return []


def _listed(text: str) -> list[Json]:
    """A text that is a JSON list is that list."""
    if text.lstrip().startswith("["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        if isinstance(value, list):
            return value
    return [text]


def _is_number(value: Json) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18)


def read_topk(arguments: Mapping[str, Json], default: int) -> int:
    """How many hits a call asks for, within bounds."""
    for name in _SIZES:
        value = arguments.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return max(1, min(int(value), MOST_HITS))
            except (ValueError, OverflowError):
                continue
    return default


def _list(query: str, hits: Sequence[Hit]) -> str:
    """The query as the model wrote it, then a line a hit."""
    lines = [f"[{rank}] {hit.title}: {_line(hit.text)}" if hit.title else f"[{rank}] {_line(hit.text)}"
             for rank, hit in enumerate(hits, 1)]  # fmt: skip
    return _inert("\n".join([f"Query: {query}", *(lines or [NO_HITS])]))


def _search_r1(query: str, hits: Sequence[Hit]) -> str:  # noqa: ARG001  # as in the other layout
    """As in Search-R1, where the title keeps its quotes and the query is not told again."""
    lines = [f'Doc {rank}(Title: "{hit.title}") {_line(hit.text)}' if hit.title else f"Doc {rank} {_line(hit.text)}"
             for rank, hit in enumerate(hits, 1)]  # fmt: skip
    return _inert("\n".join(lines or [NO_HITS]))


def _line(text: str) -> str:
    """On one line; most passages are."""
    return text if text.isprintable() and "  " not in text else " ".join(text.split())


def _inert(text: str) -> str:
    """Neither a passage nor a query can close the block in which it stands, or open another."""
    return _MARKS.sub("< ", text)


_LAYOUTS: Final[Mapping[str, Callable[[str, Sequence[Hit]], str]]] = {"list": _list, "search-r1": _search_r1}
