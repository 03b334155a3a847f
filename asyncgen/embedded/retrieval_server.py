"""The retrieval server: Search-R1's protocol in front of an index of passages.

    POST /retrieve  {"queries": [str, …], "topk": int | null, "return_scores": bool}
      with scores   {"result": [[{"document": {"id", "contents", "title", "text"}, "score": float}, …], …]}
      without       {"result": [[{"id", "contents", "title", "text"}, …], …]}
    GET /health     {"status": "ok", "passages": int, "queries": int}

One list a query, in the order of the queries; `contents` is in wiki-18's form. `queries` may be one string. What is
wrong with a request is said as FastAPI says it: 422, `{"detail": [{"type", "loc", "msg"}]}`.

Knows HTTP, and keeps searching out of the event loop. Does not know how passages are found.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
from aiohttp import web

from asyncgen.core.types import Json
from asyncgen.embedded.bm25 import Found, Index
from asyncgen.embedded.child import announce
from asyncgen.embedded.serving import address_of, json_of, listening, reserve, signalled

TOPK = 3
"""How many passages a query gets that does not say; as Search-R1's server."""
MAX_TOPK = 100
MAX_QUERIES = 4096
MAX_HITS = 40_960
"""Passages of one answer."""
MAX_BODY = 32 << 20
AT_ONCE = 16
"""Queries that one thread takes at a time: several threads share a request, and a large one keeps no small one waiting
for long."""
MOST_THREADS = 8
SHOWN = 200
"""Characters of a wrong value that an error repeats."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    queries: Sequence[str]
    topk: int
    scores: bool


class BadRequest(Exception):
    """A request that cannot be answered: what is wrong, and where in the body."""

    def __init__(self, text: str, *place: str | int) -> None:
        super().__init__(text)
        self.detail = {"type": "value_error", "loc": ["body", *place], "msg": text}


class Searches:
    """An index, and the threads that search it. Counts the queries that it has answered."""

    def __init__(self, index: Index, topk: int, threads: int) -> None:
        self.index = index
        self.topk = topk
        self.answered = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="search")

    async def answer(self, request: Request) -> bytes:
        """The answer's JSON."""
        loop = asyncio.get_running_loop()
        pieces = [request.queries[at : at + AT_ONCE] for at in range(0, len(request.queries), AT_ONCE)]
        found = [loop.run_in_executor(self._threads, self._lists, piece, request) for piece in pieces]
        body = b'{"result":[%b]}' % b",".join([await one for one in found])
        self.answered += len(request.queries)
        return body

    def _lists(self, queries: Sequence[str], request: Request) -> bytes:
        """In a thread: the queries' lists, with commas between."""
        found = [self.index.search(query, request.topk) for query in queries]
        return b",".join([orjson.dumps([_hit(one, request.scores) for one in hits]) for hits in found])

    def close(self) -> None:
        """No further searches."""
        self._threads.shutdown(cancel_futures=True)


def _hit(found: Found, scores: bool) -> Json:
    document = orjson.Fragment(found.document)
    return {"document": document, "score": found.score} if scores else document


_SEARCHES = web.AppKey("searches", Searches)


def create_app(index: Index, *, topk: int = TOPK, threads: int | None = None) -> web.Application:
    """The application. `threads`: as many as there are processors, 8 at most."""

    async def searches(app: web.Application) -> AsyncIterator[None]:
        app[_SEARCHES] = Searches(index, topk, threads or min(MOST_THREADS, os.cpu_count() or 1))
        yield
        app[_SEARCHES].close()

    app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
    app.cleanup_ctx.append(searches)
    app.router.add_post("/retrieve", _retrieve)
    app.router.add_get("/health", _health)
    return app


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The boundary: what the client did wrong becomes JSON with `detail`."""
    try:
        return await handler(request)
    except BadRequest as error:
        return json_of({"detail": [error.detail]}, 422)
    except web.HTTPRequestEntityTooLarge:
        return json_of({"detail": f"the body is larger than {MAX_BODY >> 20} MiB: send fewer queries at a time"}, 413)
    except web.HTTPClientError as error:
        return json_of({"detail": error.reason}, error.status)


async def _health(request: web.Request) -> web.Response:
    searches = request.app[_SEARCHES]
    return json_of({"status": "ok", "passages": searches.index.passages, "queries": searches.answered}, 200)


async def _retrieve(request: web.Request) -> web.Response:
    searches = request.app[_SEARCHES]
    asked = read_request(await request.read(), searches.topk)
    return web.Response(body=await searches.answer(asked), content_type="application/json")


def read_request(raw: bytes, topk: int) -> Request:
    """The request in a body; `topk` where it names none. Raises BadRequest."""
    body = _parsed(raw)
    if not isinstance(body, dict):
        raise BadRequest(f"the body is {_shown(body)}: it must be a JSON object")
    asked = Request(_queries(body), _topk(body.get("topk"), topk), _scores(body.get("return_scores")))
    if len(asked.queries) * asked.topk > MAX_HITS:
        raise BadRequest(
            f"{len(asked.queries)} queries with topk {asked.topk}: they may have {MAX_HITS} passages together",
            "queries",
        )
    return asked


def _parsed(raw: bytes) -> Json:
    """Python's own parser takes what a client has cut in the middle of a character: half a surrogate pair."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from None


def _queries(body: dict[str, Json]) -> list[str]:
    if "queries" not in body:
        raise BadRequest(f"queries is missing; the body has {_shown(list(body))}", "queries")
    queries = body["queries"]
    if isinstance(queries, str):
        return [queries]
    if not isinstance(queries, list):
        raise BadRequest(f"queries is {_shown(queries)}: it must be a list of strings", "queries")
    if len(queries) > MAX_QUERIES:
        raise BadRequest(f"queries has {len(queries)} strings: it may have {MAX_QUERIES}", "queries")
    for place, query in enumerate(queries):
        if not isinstance(query, str):
            raise BadRequest(f"queries.{place} is {_shown(query)}: it must be a string", "queries", place)
    return queries


def _topk(given: Json, default: int) -> int:
    if given is None:
        return default
    if type(given) is not int or not 1 <= given <= MAX_TOPK:
        raise BadRequest(f"topk is {_shown(given)}: it must be 1 to {MAX_TOPK}, or null", "topk")
    return given


def _scores(given: Json) -> bool:
    if given is not None and not isinstance(given, bool):
        raise BadRequest(f"return_scores is {_shown(given)}: it must be true or false", "return_scores")
    return bool(given)


def _shown(value: Json) -> str:
    """As JSON in ASCII, so that half a surrogate pair does no harm in the answer either."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


@asynccontextmanager
async def running_server(
    index: Index, *, port: int = 0, topk: int = TOPK, threads: int | None = None
) -> AsyncIterator[str]:
    """The server in this event loop, on 127.0.0.1; its URL, up to and with `/retrieve`. Raises InputError."""
    with reserve("127.0.0.1", port) as sock:
        async with listening(create_app(index, topk=topk, threads=threads), sock):
            yield url_of(sock)


def url_of(sock: socket.socket) -> str:
    """Where the server on it is asked."""
    return f"{address_of(sock)}/retrieve"


async def serve(
    index: Index,
    sock: socket.socket,
    say: Callable[[str], None],
    *,
    topk: int = TOPK,
    threads: int | None = None,
    port_file: Path | None = None,
    watch_stdin: bool = False,
) -> None:
    """Serve on the socket until SIGTERM, SIGINT or SIGHUP, or until stdin ends if it is watched; then let open requests
    end. `say` gets one line when ready. Raises InputError."""
    stop = signalled()
    if watch_stdin:
        at_end = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        threading.Thread(target=_wait_for_end, args=(sys.stdin.fileno(), at_end), daemon=True).start()
    async with listening(create_app(index, topk=topk, threads=threads), sock):
        say(f"retrieval server at {url_of(sock)}: {index.passages:,} passages")
        if port_file:
            announce(port_file, sock.getsockname()[1])
        await stop.wait()


def _wait_for_end(stdin: int, at_end: Callable[[], object]) -> None:
    """In a thread: a file cannot be waited for in the event loop."""
    while os.read(stdin, 4096):
        pass
    with suppress(RuntimeError):  # the loop has ended first
        at_end()
