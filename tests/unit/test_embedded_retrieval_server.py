"""The protocol of the retrieval server: what it answers, and what it refuses."""

import asyncio
import io
import json
import socket

import aiohttp
import pytest

from asyncgen.core.errors import InputError
from asyncgen.embedded.bm25 import Index, build_index
from asyncgen.embedded.corpus import Passage
from asyncgen.embedded.retrieval_server import (
    MAX_BODY,
    MAX_QUERIES,
    BadRequest,
    Request,
    read_request,
    running_server,
    url_of,
)
from asyncgen.embedded.serving import reserve


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Index:
    passages = [Passage(str(row), f"Title {row}", f"word{row} and common text") for row in range(20)]
    return build_index(passages, tmp_path_factory.mktemp("served") / "index")


async def post(url: str, body: object) -> tuple[int, object]:
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    async with aiohttp.ClientSession() as session, session.post(url, data=data) as response:
        return response.status, await response.json()


async def get(url: str) -> tuple[int, object]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def test_with_scores_each_hit_is_a_document_and_its_score(index):
    async with running_server(index) as url:
        status, answer = await post(url, {"queries": ["word7", "nothing"], "topk": 1, "return_scores": True})
    assert status == 200
    score = answer["result"][0][0].pop("score")
    text = "word7 and common text"
    document = {"id": "7", "contents": f'"Title 7"\n{text}', "title": "Title 7", "text": text}
    assert answer == {"result": [[{"document": document}], []]}
    assert isinstance(score, float)


async def test_without_scores_each_hit_is_the_document(index):
    async with running_server(index) as url:
        status, answer = await post(url, {"queries": ["word7"], "topk": 1})
    assert status == 200
    assert [list(hit) for hit in answer["result"][0]] == [["id", "contents", "title", "text"]]


async def test_a_request_that_names_no_topk_gets_the_servers(index):
    async with running_server(index, topk=5) as url:
        answers = [await post(url, {"queries": "common", **more}) for more in ({}, {"topk": None}, {"topk": 2})]
    assert [len(answer["result"][0]) for _, answer in answers] == [5, 5, 2]


async def test_a_large_batch_keeps_its_order(index):
    queries = [f"word{number % 20}" for number in range(MAX_QUERIES)]
    async with running_server(index, threads=3) as url:
        _, answer = await post(url, {"queries": queries, "topk": 1})
    assert [hits[0]["id"] for hits in answer["result"]] == [str(number % 20) for number in range(MAX_QUERIES)]


async def test_health_counts_passages_and_answered_queries(index):
    async with running_server(index) as url:
        health = url.replace("/retrieve", "/health")
        assert await get(health) == (200, {"status": "ok", "passages": 20, "queries": 0})
        await post(url, {"queries": ["a", "b"]})
        await post(url, {"queries": [1]})
        assert await get(health) == (200, {"status": "ok", "passages": 20, "queries": 2})


async def test_half_a_surrogate_pair_in_a_query_is_no_error(index):
    async with running_server(index) as url:
        status, answer = await post(url, b'{"queries": ["word3 \\ud83d"], "topk": 1}')
    assert (status, answer["result"][0][0]["id"]) == (200, "3")


async def test_what_is_refused_is_said_in_json_with_a_detail(index):
    async with running_server(index) as url:
        status, answer = await post(url, {"queries": ["a", 5]})
        assert status == 422
        assert answer == {
            "detail": [
                {"type": "value_error", "loc": ["body", "queries", 1], "msg": "queries.1 is 5: it must be a string"}
            ]
        }
        assert await get(url) == (405, {"detail": "Method Not Allowed"})
        assert await get(url + "/x") == (404, {"detail": "Not Found"})
        status, answer = await post(url, b"x" * (MAX_BODY + 1))
        assert status == 413
        assert "32 MiB" in answer["detail"]


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (b"{", [], "not JSON"),
        (b"\xff", [], "not JSON"),
        (b"[" * 100_000, [], "not JSON"),
        (b"[]", [], "the body is []: it must be a JSON object"),
        (b'{"query_list": ["a"]}', ["queries"], 'queries is missing; the body has ["query_list"]'),
        (b'{"queries": null}', ["queries"], "queries is null"),
        (b'{"queries": {"a": 1}}', ["queries"], 'queries is {"a": 1}'),
        (b'{"queries": ["a", null]}', ["queries", 1], "queries.1 is null"),
        (b'{"queries": "a", "topk": 0}', ["topk"], "topk is 0: it must be 1 to 100"),
        (b'{"queries": "a", "topk": 101}', ["topk"], "topk is 101"),
        (b'{"queries": "a", "topk": "3"}', ["topk"], 'topk is "3"'),
        (b'{"queries": "a", "topk": true}', ["topk"], "topk is true"),
        (b'{"queries": "a", "topk": 3.0}', ["topk"], "topk is 3.0"),
        (b'{"queries": "a", "return_scores": 1}', ["return_scores"], "return_scores is 1"),
        (b'{"queries": "a", "topk": "' + b"x" * 9000 + b'"}', ["topk"], "xxx…: it must"),
    ],
)
def test_a_wrong_request_names_its_key_and_value(body, place, says):
    with pytest.raises(BadRequest) as refused:
        read_request(body, 3)
    assert refused.value.detail["loc"] == ["body", *place]
    assert says in refused.value.detail["msg"]
    assert len(refused.value.detail["msg"]) < 400


def test_too_many_queries_are_refused():
    assert len(read_request(json.dumps({"queries": ["a"] * MAX_QUERIES}).encode(), 3).queries) == MAX_QUERIES
    with pytest.raises(BadRequest, match="queries has 4097 strings: it may have 4096"):
        read_request(json.dumps({"queries": ["a"] * (MAX_QUERIES + 1)}).encode(), 3)


def test_what_is_left_out_has_the_protocols_defaults():
    assert read_request(b'{"queries": []}', 3) == Request([], 3, scores=False)
    assert read_request(b'{"queries": "one", "return_scores": null, "more": 1}', 3) == Request(["one"], 3, False)


def test_a_port_that_is_taken_is_named_before_anything_else_is_done():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} on 127.0.0.1: .* give another --port"):
            reserve("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 300])
def test_a_host_that_is_none_is_named(host):
    with pytest.raises(InputError, match="give one of this machine"):
        reserve(host, 0)


def test_an_address_of_ipv6_stands_in_brackets():
    with reserve("::1", 0) as sock:
        assert url_of(sock).startswith("http://[::1]:")


async def test_many_requests_at_once_are_all_answered(index):
    async with running_server(index) as url, aiohttp.ClientSession() as session:

        async def one(number: int) -> str:
            async with session.post(url, json={"queries": [f"word{number % 20}"], "topk": 1}) as response:
                return (await response.json())["result"][0][0]["id"]

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one(number)) for number in range(200)]
    assert [each.result() for each in asked] == [str(number % 20) for number in range(200)]
