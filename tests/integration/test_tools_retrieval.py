"""The retrieval client against real servers: batches, one request for equal queries, faults, restarts."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from support.retriever import Retriever, Script, answered, found, refusing

from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import ToolDownError, ToolError
from asyncgen.tools.hits import Hit
from asyncgen.tools.retrieval import BODY_CAP, KEEPALIVE, TRIES, Retrieval, RetrievalClient
from asyncgen.tools.search import SearchTool

DOWN = r"^the search service did not answer \({}\); search again later, or go on with what you have$"


class HastyClock(SystemClock):
    """Remembers the waits between tries, and does not wait them."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if seconds > 0.01:
            self.waits.append(seconds)
            seconds = 0
        await asyncio.sleep(seconds)


@asynccontextmanager
async def running(url: str, **options: Any) -> AsyncIterator[RetrievalClient]:
    """A client whose waits take no time; nothing of it is left at the end."""
    client = RetrievalClient(Retrieval(url, **options), clock=HastyClock(), rng=random.Random(0))
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(client.run())
        try:
            yield client
        finally:
            sending.cancel()


@asynccontextmanager
async def serving(script: Script = answered, **options: Any) -> AsyncIterator[tuple[Retriever, RetrievalClient]]:
    async with Retriever(script) as server, running(server.url, **options) as client:
        yield server, client


async def all_of(client: RetrievalClient, calls: Sequence[Sequence[str]], topk: int = 3) -> list[Any]:
    """Each call's hits, or the error that it raised; all at once."""

    async def one(queries: Sequence[str]) -> Any:
        try:
            return await client.search(queries, topk)
        except ToolError as error:
            return error

    async with asyncio.TaskGroup() as group:
        under_way = [group.create_task(one(queries)) for queries in calls]
    return [one.result() for one in under_way]


def is_of(hits: list[Hit], query: str, topk: int = 3) -> bool:
    return [(hit.title, hit.text) for hit in hits] == [
        (f"About {query}", f"passage {rank} of {query}") for rank in range(topk)
    ]


# what is sent


async def test_two_thousand_searches_at_once_are_a_few_requests_and_each_gets_its_own_answer() -> None:
    calls = [[f"q{number}"] for number in range(2000)]
    async with serving() as (server, client):
        got = await all_of(client, calls)
    assert all(is_of(one[0], query) for one, (query,) in zip(got, calls, strict=True))
    assert client.posts == len(server.posts) <= 60
    assert client.queries == 2000
    assert server.peak <= 8
    assert max(len(body["queries"]) for body in server.posts) <= 256
    assert sorted(server.queries) == sorted(query for (query,) in calls)


async def test_a_request_has_queries_topk_and_return_scores() -> None:
    async with serving() as (server, client):
        await client.search(["a"], 3)
    assert server.posts == [{"queries": ["a"], "topk": 3, "return_scores": True}]
    assert server.headers[0]["Content-Type"] == "application/json"


async def test_any_text_goes_through_as_it_is() -> None:
    queries = ['say "你好"\nworld', "tab\tnul\x00", "emoji 😀", "'; DROP TABLE --", "\\u0041", "  padded  "]
    async with serving() as (server, client):
        got = await client.search([*queries, "half \ud83d"], 1)
    assert server.queries == [*queries, "half \ufffd"]
    assert [hits[0].id for hits in got[:4]] == ['say "你好" world/0', "tab nul /0", "emoji 😀/0", "'; DROP TABLE --/0"]


async def test_a_blank_query_has_no_hits_and_is_not_sent() -> None:
    async with serving() as (server, client):
        got = await client.search(["", "a", " \n"], 3)
        assert await client.search(["  "], 3) == [[]]
    assert (got[0], got[2]) == ([], [])
    assert is_of(got[1], "a")
    assert server.queries == ["a"]


async def test_equal_queries_are_asked_once_at_the_same_time_and_later() -> None:
    async with serving() as (server, client):
        got = await all_of(client, [["same", "other", "same"]] * 500)
        again = await client.search(["other", "same"], 3)
    assert all(is_of(one[0], "same") and is_of(one[1], "other") and is_of(one[2], "same") for one in got)
    assert is_of(again[0], "other")
    assert sorted(server.queries) == ["other", "same"]
    assert (client.queries, client.hits_in_cache) == (1502, 2)


async def test_another_topk_is_another_question() -> None:
    async with serving() as (server, client):
        got = [await client.search(["a"], topk) for topk in (3, 5, 3)]
        async with asyncio.TaskGroup() as group:
            two, four = (group.create_task(client.search(["b", "c"], topk)) for topk in (2, 4))
    assert [len(hits) for (hits,) in got] == [3, 5, 3]
    assert [len(hits) for hits in (*two.result(), *four.result())] == [2, 2, 4, 4]
    assert is_of(four.result()[0], "b", 4)
    assert [(body["queries"], body["topk"]) for body in server.posts[:2]] == [(["a"], 3), (["a"], 5)]


async def test_without_a_cache_a_query_is_asked_again() -> None:
    async with serving(cache=0) as (server, client):
        await client.search(["a"], 3)
        await client.search(["a"], 3)
    assert server.queries == ["a", "a"]


async def test_a_server_that_gives_more_hits_than_asked_for_is_cut() -> None:
    async with serving(lambda body, _number: answered({**body, "topk": 50})) as (_server, client):
        (hits,) = await client.search(["a"], 3)
    assert is_of(hits, "a")


async def test_connections_are_kept_and_given_up_before_servers_do() -> None:
    async with serving() as (server, client):
        for number in range(20):
            await client.search([f"q{number}"], 3)
    assert len(server.connections) == 1
    assert KEEPALIVE < 5


async def test_what_comes_while_all_requests_are_open_goes_as_larger_ones() -> None:
    gate = asyncio.Event()

    async def held(body: dict[str, Any], number: int) -> web.StreamResponse:
        await gate.wait()
        return answered(body)

    async with serving(held, concurrency=2, batch=4) as (server, client), asyncio.TaskGroup() as group:
        asking = [group.create_task(all_of(client, [[f"q{number}"] for number in range(8)]))]
        while server.in_flight < 2:  # noqa: ASYNC110  # the server's own loop is this one
            await asyncio.sleep(0)
        asking.append(group.create_task(all_of(client, [[f"q{number}"] for number in range(8, 36)])))
        gate.set()
        got = [one for some in asking for one in await some]
    first, second, *later = [len(body["queries"]) for body in server.posts]
    assert (first, second, sum(later)) == (4, 4, 28)
    assert sorted(later) in ([12, 16], [14, 14])  # one request was over, or both were
    assert all(is_of(one[0], f"q{number}") for number, one in enumerate(got))
    assert server.peak == 2


# who is cancelled


async def test_who_is_cancelled_does_not_cancel_the_query_of_others() -> None:
    gate = asyncio.Event()

    async def held(body: dict[str, Any], number: int) -> web.StreamResponse:
        await gate.wait()
        return answered(body)

    async with serving(held) as (server, client), asyncio.TaskGroup() as group:
        first = group.create_task(client.search(["a"], 3))
        while not server.posts:  # noqa: ASYNC110  # the server's own loop is this one
            await asyncio.sleep(0)
        second = group.create_task(client.search(["a"], 3))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        gate.set()
        (hits,) = await second
    assert first.cancelled()
    assert is_of(hits, "a")
    assert server.queries == ["a"]


async def test_when_the_run_is_over_whoever_still_waits_is_told() -> None:
    async with Retriever(lambda _body, _number: asyncio.Event().wait()) as server:  # type: ignore[arg-type, return-value]  # never
        client = RetrievalClient(Retrieval(server.url))
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(client.run())
            asking = group.create_task(all_of(client, [["a"]]))
            while not server.posts:  # noqa: ASYNC110  # the server's own loop is this one
                await asyncio.sleep(0)
            sending.cancel()
        late = await all_of(client, [["b"]])
    assert [type(error) for error in (*asking.result(), *late)] == [ToolDownError] * 2
    assert "the run is over" in str(late[0])


# what goes wrong


async def test_a_dead_server_is_tried_a_few_times_with_jitter_and_its_address_is_not_told() -> None:
    async with Retriever() as server:
        pass
    url = server.url.replace("http://", "http://me:secret@")
    async with running(url) as client:
        with pytest.raises(ToolDownError, match=DOWN.format("no connection, connection refused")) as told:
            await client.search(["a"], 3)
        waits = client._clock.waits  # type: ignore[attr-defined]  # a HastyClock
    assert "secret" not in str(told.value)
    assert str(server.port) not in str(told.value)
    assert (client.posts, client.failures) == (TRIES, TRIES)
    assert len(waits) == TRIES - 1
    assert 0 < waits[0] <= 0.5
    assert 0 < waits[1] <= 1.0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_server_is_asked_again(status: int) -> None:
    def script(body: dict[str, Any], number: int) -> web.StreamResponse:
        return answered(body) if number == 2 else web.Response(status=status, headers={"Retry-After": "7"})

    async with serving(script) as (server, client):
        (hits,) = await client.search(["a"], 3)
        waits = client._clock.waits  # type: ignore[attr-defined]  # a HastyClock
    assert is_of(hits, "a")
    assert len(server.posts) == 3
    assert waits == [7.0, 7.0]


async def test_a_query_that_breaks_the_server_fails_alone() -> None:
    calls = [[f"q{number}"] for number in range(300)]
    async with serving(refusing(lambda query: query == "q123")) as (_server, client):
        got = await all_of(client, calls)
    failed = [number for number, one in enumerate(got) if isinstance(one, ToolError)]
    assert failed == [123]
    assert not isinstance(got[123], ToolDownError)
    assert str(got[123]) == (
        'the search service cannot answer the query "q123" (HTTP 500 Internal Server Error); word it anew'
    )
    assert all(is_of(one[0], f"q{number}") for number, one in enumerate(got) if number != 123)
    assert client.posts < 40


@pytest.mark.parametrize("status", [400, 413, 422, 500])
async def test_a_query_that_is_refused_alone_is_at_fault_where_the_server_still_answers_others(status: int) -> None:
    async with serving(refusing(lambda query: "bad" in query, status)) as (server, client):
        await client.search(["good"], 3)
        (error,) = await all_of(client, [["bad </tool_response>"]])
        server.script = refusing(lambda _query: True, status)
        (later,) = await all_of(client, [["bad"]])
    assert (type(error), type(later)) == (ToolError, ToolDownError)
    assert str(error).startswith(f'the search service cannot answer the query "bad /tool_response" (HTTP {status} ')
    assert set(server.queries) == {"good", "bad </tool_response>", "bad"}


@pytest.mark.parametrize("status", [400, 413, 422, 500])
async def test_a_server_that_refuses_everything_is_down(status: int) -> None:
    async with serving(refusing(lambda _query: True, status)) as (_server, client):
        got = await all_of(client, [[f"q{number}"] for number in range(64)])
        alone = await all_of(client, [["alone"]])
    assert {type(error) for error in [*got, *alone]} == {ToolDownError}
    assert client.posts < 40


@pytest.mark.parametrize(
    ("status", "text"), [(401, "HTTP 401 Unauthorized"), (404, "HTTP 404 Not Found"), (302, "HTTP 302 Found")]
)
async def test_what_no_other_try_mends_is_not_tried_and_no_redirect_is_followed(status: int, text: str) -> None:
    async with Retriever() as other:

        def script(body: dict[str, Any], number: int) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": other.url})

        async with serving(script) as (server, client):
            got = await all_of(client, [["a"], ["b"]])
    assert {str(error) for error in got} == {
        f"the search service did not answer ({text}); search again later, or go on with what you have"
    }
    assert (len(server.posts), other.posts) == (1, [])


@pytest.mark.parametrize(
    "body",
    [b"<html>login</html>", b"", b"\xff\xfe", b'{"result": [[]', b"null", b'{"error": "x"}', b"[" * 9**5],
)
async def test_an_answer_that_is_no_list_of_hits_a_query_is_a_failure(body: bytes) -> None:
    async with serving(lambda _body, _number: web.Response(body=body)) as (_server, client):
        with pytest.raises(ToolDownError, match=DOWN.format("an answer that is no list of hits")):
            await client.search(["a", "b", "c"], 3)
    assert client.posts <= 8


async def test_a_server_that_answers_one_query_of_each_request_is_asked_one_by_one() -> None:
    def first(body: dict[str, Any], number: int) -> web.StreamResponse:
        return answered({**body, "queries": body["queries"][:1]})

    async with serving(first) as (_server, client):
        got = await client.search(["a", "b", "c"], 3)
    assert all(is_of(hits, query) for hits, query in zip(got, "abc", strict=True))


async def test_nan_broken_bytes_and_halves_of_pairs_in_an_answer_do_no_harm() -> None:
    body = b'{"result": [[{"document": {"contents": "a\\ud83d\xff\x01b"}, "score": NaN}]]}'
    async with serving(lambda _body, _number: web.Response(body=body)) as (_server, client):
        assert await client.search(["a"], 3) == [[Hit("", "a\ufffd\ufffd b")]]


async def test_an_endless_answer_is_left_as_soon_as_it_is_too_large() -> None:
    sent = 0

    class Endless(web.StreamResponse):
        async def prepare(self, request: web.BaseRequest) -> Any:
            nonlocal sent
            await super().prepare(request)
            try:
                for _ in range(300):
                    await self.write(b" " * 2**20)
                    sent += 1
            except ConnectionError:
                pass
            return None

    async with serving(lambda _body, _number: Endless()) as (_server, client):
        with pytest.raises(ToolDownError, match=DOWN.format("an answer of more than 64 MiB")):
            await client.search(["a"], 3)
    assert BODY_CAP / 2**20 <= sent < 100


async def test_an_answer_that_says_it_is_too_large_is_not_read() -> None:
    huge = {"Content-Length": str(300 * 2**20)}

    class Announced(web.StreamResponse):
        async def prepare(self, request: web.BaseRequest) -> Any:
            await super().prepare(request)
            await self.write(b"[")

    async with serving(lambda _body, _number: Announced(headers=huge)) as (_server, client):
        with pytest.raises(ToolDownError, match="more than 64 MiB"):
            await client.search(["a"], 3)


async def test_a_server_that_is_too_slow_is_left_at_the_deadline() -> None:
    async def slow(body: dict[str, Any], number: int) -> web.StreamResponse:
        if number == 0:
            await asyncio.Event().wait()
        return answered(body)

    async with serving(slow, timeout=0.15) as (server, client):
        with pytest.raises(ToolDownError, match=DOWN.format("no whole answer within 0.15 s")):
            await client.search(["a"], 3)
        assert len(server.posts) == 1
        (hits,) = await client.search(["a"], 3)
    assert is_of(hits, "a")


async def test_a_connection_that_breaks_is_tried_again_at_once() -> None:
    class Breaking(Retriever):
        async def _post(self, request: web.Request) -> web.StreamResponse:
            if len(self.posts) < 2 and request.transport is not None:
                self.posts.append({})
                request.transport.abort()
                return web.Response()
            return await super()._post(request)

    async with Breaking() as server, running(server.url) as client:
        (hits,) = await client.search(["a"], 3)
        waits = client._clock.waits  # type: ignore[attr-defined]  # a HastyClock
    assert is_of(hits, "a")
    assert (len(server.posts), waits) == (3, [])


async def test_a_server_that_is_started_again_is_found_without_an_error() -> None:
    async with Retriever() as server, running(server.url) as client:
        await all_of(client, [[f"q{number}"] for number in range(600)])
        await server.stop()
        await server.start()
        got = await all_of(client, [[f"r{number}"] for number in range(600)])
    assert all(is_of(one[0], f"r{number}") for number, one in enumerate(got))


async def test_a_dead_server_s_calls_fail_and_pass_when_it_is_back() -> None:
    async with Retriever() as server, running(server.url) as client:
        await server.stop()
        dead = await all_of(client, [["a"], ["b"]])
        await server.start()
        back = await all_of(client, [["a"], ["b"]])
    assert {type(error) for error in dead} == {ToolDownError}
    assert is_of(back[0][0], "a")


async def test_while_the_server_is_down_nothing_is_answered_from_what_is_kept() -> None:
    """Or those calls would pass for a server that is there, and a run would never pause."""
    async with Retriever() as server, running(server.url) as client:
        await client.search(["kept"], 3)
        await server.stop()
        with pytest.raises(ToolDownError):
            await client.search(["new"], 3)
        with pytest.raises(ToolDownError):
            await client.search(["kept"], 3)
        await server.start()
        assert await client.search(["new", "kept"], 3)
        posts = len(server.posts)
        assert await client.search(["kept"], 3)
        assert len(server.posts) == posts


async def test_user_and_password_of_the_address_are_sent_as_such() -> None:
    async with Retriever() as server, running(server.url.replace("//", "//me:secret@")) as client:
        await client.search(["a"], 3)
    assert server.headers[0]["Authorization"].startswith("Basic ")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving() as (_server, client):
        (hits,) = await client.search(["a"], 3)
    assert is_of(hits, "a")


# the probe


async def test_a_probe_says_how_many_hits_came() -> None:
    async with Retriever() as server:
        assert await SearchTool(server.url, topk=4).probe() == "answered, 4 hits"
    assert [len(body["queries"]) for body in server.posts] == [1]


async def test_a_probe_that_fails_has_the_server_s_words_and_a_hint() -> None:
    detail = json.dumps({"detail": "field required: query"})
    async with Retriever(lambda _body, _number: web.Response(status=422, text=detail)) as server:
        with pytest.raises(ToolDownError, match=r"HTTP 422 .*field required: query"):
            await SearchTool(server.url).probe()
        with pytest.raises(ToolDownError, match=r"HTTP 404 Not Found.*give its whole address, as /retrieve at the end"):
            await SearchTool(server.url.removesuffix("retrieve")).probe()
    with pytest.raises(ToolDownError, match="connection refused"):
        await SearchTool(server.url).probe()


def test_the_scripted_server_answers_as_search_r1_does() -> None:
    assert found({"queries": ["a"], "topk": 1}) == [
        [{"document": {"id": "a/0", "contents": '"About a"\npassage 0 of a'}, "score": 1.0}]
    ]
