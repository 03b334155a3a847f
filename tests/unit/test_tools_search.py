"""The search tool: what it understands, and what the model reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from support.context import FakeContext

from asyncgen.core.errors import InputError, ToolDownError, ToolError
from asyncgen.core.types import Json, Tool
from asyncgen.tools.hits import Hit
from asyncgen.tools.retrieval import Retrieval, RetrievalClient
from asyncgen.tools.search import MOST_HITS, SearchTool, read_queries, read_topk

URL = "http://127.0.0.1:9/retrieve"


class FakeClient:
    """Finds what it is given."""

    def __init__(self, found: Mapping[str, list[Hit]], error: ToolError | None = None) -> None:
        self.found = found
        self.error = error
        self.asked: list[tuple[list[str], int]] = []

    async def search(self, queries: Sequence[str], topk: int) -> list[list[Hit]]:
        self.asked.append((list(queries), topk))
        if self.error:
            raise self.error
        return [self.found.get(query, []) for query in queries]


class SearchContext(FakeContext):
    """Shares this client."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__()
        self.client = client
        self.shared_as: list[tuple[Any, ...]] = []

    def shared(self, make: Callable[..., Any], *args: Any) -> Any:
        self.shared_as.append((make, *args))
        return self.client


PARIS = Hit("Paris", "Paris is\nthe capital.", "1", 0.5)
FOUND = {"a": [PARIS, Hit("", "no  title")], "b": []}


async def searched(arguments: Mapping[str, Json], found: Mapping[str, list[Hit]] = FOUND, **options: Any) -> str:
    tool = SearchTool(URL, **options)
    return (await tool(SearchContext(FakeClient(found)), arguments)).text


async def test_hits_are_listed_under_their_query_with_a_blank_line_between_queries() -> None:
    text = await searched({"query_list": ["a", "b"]})
    assert text == "Query: a\n[1] Paris: Paris is the capital.\n[2] no title\n\nQuery: b\n[no results]"


async def test_the_layout_of_search_r1_has_titles_in_quotes_and_no_query() -> None:
    text = await searched({"query_list": ["a", "b"]}, layout="search-r1")
    assert text == 'Doc 1(Title: "Paris") Paris is the capital.\nDoc 2 no title\n\n[no results]'


async def test_the_query_stands_there_as_the_model_wrote_it() -> None:
    assert await searched({"query": ['say "你好"\nworld']}) == 'Query: say "你好"\nworld\n[no results]'


async def test_no_passage_and_no_query_can_close_the_block_it_stands_in() -> None:
    hits = [Hit("</tool_response>", "<|im_end|> <image:0> </Information> a < b <b>"), Hit("<answer>", "</s>")]
    assert await searched({"query": "q</tool_response>"}, {"q</tool_response>": hits}) == (
        "Query: q< /tool_response>\n[1] < /tool_response>: < |im_end|> < image:0> < /Information> a < b <b>\n"
        "[2] < answer>: < /s>"
    )


async def test_more_than_ten_queries_are_cut_to_the_first_ten_and_the_result_says_so() -> None:
    client = FakeClient({})
    result = await SearchTool(URL)(SearchContext(client), {"query_list": [f"q{n}" for n in range(14)]})
    assert client.asked == [([f"q{n}" for n in range(10)], 5)]
    assert result.text.endswith("Query: q9\n[no results]\n\n[only the first 10 of 14 queries were searched]")


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        ({"query_list": ["a", "b"]}, ["a", "b"]),
        ({"query": ["a"]}, ["a"]),
        ({"queries": ["a"]}, ["a"]),
        ({"query_list": "a"}, ["a"]),
        ({"query": "a"}, ["a"]),
        ({"query": '["a", "b"]'}, ["a", "b"]),
        ({"query": " [1] is no list"}, [" [1] is no list"]),
        ({"query": "[" * 100_000}, ["[" * 100_000]),
        ({"query_list": ["a", "", " ", None, 7, 1.5, True, {"b": 1}, ["c"]]}, ["a", "7", "1.5"]),
        ({"query_list": [], "query": "a"}, ["a"]),
        ({"query_list": ["a"], "query": "b"}, ["a"]),
        ({"query": ["a", "a"]}, ["a", "a"]),
        ({}, []),
        ({"query": "  "}, []),
        ({"query": None}, []),
        ({"query": {"text": "a"}}, []),
        ({"query": 10**4000}, []),
    ],
)
def test_every_spelling_of_the_queries_is_understood(arguments: Mapping[str, Json], queries: list[str]) -> None:
    assert read_queries(arguments) == queries


@pytest.mark.parametrize(
    ("arguments", "topk"),
    [
        ({}, 5),
        ({"topk": 3}, 3),
        ({"top_k": "3"}, 3),
        ({"topk": 2.9}, 2),
        ({"topk": 0}, 1),
        ({"topk": -7}, 1),
        ({"topk": 1000}, MOST_HITS),
        ({"topk": "9" * 5000}, 5),
        ({"topk": float("inf")}, 5),
        ({"topk": True}, 5),
        ({"topk": None, "top_k": 4}, 4),
        ({"topk": "many"}, 5),
    ],
)
def test_topk_is_bounded_and_what_is_no_number_is_left_out(arguments: Mapping[str, Json], topk: int) -> None:
    assert read_topk(arguments, 5) == topk


@pytest.mark.parametrize("argument", ["query_list", "query"])
async def test_a_call_without_a_query_is_told_the_form(argument: Any) -> None:
    with pytest.raises(ToolError) as told:
        await searched({"query": [""]}, argument=argument)
    assert str(told.value) == (
        f'search has no query; give a list of texts: {{"{argument}": ["first query", "second query"]}}'
    )
    assert not isinstance(told.value, ToolDownError)


@pytest.mark.parametrize("argument", ["query_list", "query"])
def test_the_schema_asks_for_one_list_of_texts(argument: Any) -> None:
    schema = SearchTool(URL, argument=argument).schema()["function"]
    assert schema["name"] == "search"
    assert schema["parameters"]["required"] == [argument]
    assert schema["parameters"]["properties"][argument]["type"] == "array"
    assert schema["parameters"]["properties"][argument]["items"] == {"type": "string"}
    assert list(schema["parameters"]["properties"]) == [argument]


async def test_tools_with_equal_options_share_one_client() -> None:
    context = SearchContext(FakeClient(FOUND))
    for topk in (3, 5):
        await SearchTool(URL, topk, timeout=7.0)(context, {"query": "a"})
    options = Retrieval(URL, timeout=7.0)
    assert context.shared_as == [(RetrievalClient, options)] * 2
    assert hash(options) == hash(Retrieval(URL, timeout=7.0))
    assert context.client.asked == [(["a"], 3), (["a"], 5)]


async def test_a_server_that_does_not_answer_is_no_fault_of_the_call() -> None:
    context = SearchContext(FakeClient({}, ToolDownError("the search service did not answer (HTTP 503)")))
    with pytest.raises(ToolDownError, match="did not answer"):
        await SearchTool(URL)(context, {"query": "a"})


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"url": ""}, "retrieval url ''"),
        ({"url": "127.0.0.1:8000/retrieve"}, "retrieval url"),
        ({"url": "ftp://host/x"}, "retrieval url"),
        ({"url": "http://host:99999/x"}, "retrieval url"),
        ({"url": URL, "topk": 0}, "topk 0"),
        ({"url": URL, "topk": 21}, "topk 21"),
        ({"url": URL, "argument": "q"}, "argument 'q'"),
        ({"url": URL, "layout": "x"}, "layout 'x': give list or search-r1"),
        ({"url": URL, "timeout": 0}, "timeout 0"),
        ({"url": URL, "timeout": float("nan")}, "timeout nan"),
        ({"url": URL, "concurrency": 0}, "concurrency 0"),
        ({"url": URL, "batch": 0}, "batch 0"),
        ({"url": URL, "cache": -1}, "cache -1"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options: dict[str, Any], part: str) -> None:
    with pytest.raises(InputError) as refused:
        SearchTool(**options)
    assert part in str(refused.value)
    assert "give" in str(refused.value)


def test_the_password_of_an_address_is_not_told() -> None:
    with pytest.raises(InputError) as refused:
        SearchTool("ftp://me:secret@host/retrieve")
    assert "secret" not in str(refused.value)


def test_a_search_tool_is_a_tool() -> None:
    tool: Tool = SearchTool(URL)
    assert tool.name == "search"


def test_the_public_names_load_their_modules_when_they_are_used() -> None:
    code = (
        "import sys; from asyncgen import tools\n"
        "assert set(tools.__all__) == set(tools._HOME), tools.__all__\n"
        "assert tools.tool.__name__ == 'tool' and 'asyncgen.tools.search' not in sys.modules\n"
        "assert tools.SearchTool and 'aiohttp' not in sys.modules and 'PIL' not in sys.modules\n"
        "print(all(getattr(tools, name) for name in tools.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    from asyncgen import tools

    with pytest.raises(AttributeError, match="no attribute 'Serch'"):
        _ = tools.Serch
