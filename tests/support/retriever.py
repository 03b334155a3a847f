"""A retrieval server on 127.0.0.1 whose answers come from a script, and which can be stopped and started again.

Knows HTTP and the protocol of Search-R1. Knows nothing of asyncgen.

    async with Retriever() as server:            # in the test's own loop
        ... server.url ... server.posts[0]["queries"] ...

    with ThreadedRetriever() as server:          # for the command in a subprocess
        server.stop(); server.start()

A script is called with the parsed body and the POST's number, from 0, and returns the answer, or awaits.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web

Script: TypeAlias = Callable[[dict[str, Any], int], web.StreamResponse | Awaitable[web.StreamResponse]]


def hit(query: str, rank: int) -> dict[str, Any]:
    """As wiki-18 has passages: the title in quotes, a line break, the text."""
    contents = f'"About {query}"\npassage {rank} of {query}'
    return {"document": {"id": f"{query}/{rank}", "contents": contents}, "score": 1.0 / (rank + 1)}


def found(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """`topk` hits for each query."""
    return [[hit(query, rank) for rank in range(body["topk"])] for query in body["queries"]]


def answered(body: dict[str, Any], number: int = 0) -> web.Response:
    """What the server of Search-R1 says."""
    return web.json_response({"result": found(body)})


def refusing(bad: Callable[[str], bool], status: int = 500) -> Script:
    """Fails as a whole where a query is bad."""

    def script(body: dict[str, Any], number: int) -> web.StreamResponse:
        return web.Response(status=status, text="boom") if any(map(bad, body["queries"])) else answered(body)

    return script


class Retriever:
    """The server in the running loop; `async with`."""

    def __init__(self, script: Script = answered, *, port: int = 0) -> None:
        self.script = script
        self.port = port
        self.posts: list[dict[str, Any]] = []
        """Bodies, in order of arrival."""
        self.headers: list[dict[str, str]] = []
        self.in_flight = 0
        self.peak = 0
        """Most POSTs ever open at once."""
        self.connections: set[Any] = set()
        """By the client's port."""
        self._runner: web.AppRunner | None = None
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/retrieve"

    @property
    def queries(self) -> list[str]:
        """All that was asked for, in order."""
        return [query for body in self.posts for query in body["queries"]]

    async def start(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/retrieve", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        await web.SockSite(self._runner, self._listener).start()

    async def stop(self) -> None:
        """The port is closed, and so is every connection."""
        if self._runner is not None and self._listener is not None:
            # asyncio forgets a connection that it accepts in the moment in which its server closes
            asyncio.get_running_loop().remove_reader(self._listener)
            for _ in range(5):
                await asyncio.sleep(0)
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        number = len(self.posts)
        self.posts.append(body)
        self.headers.append(dict(request.headers))
        if request.transport is not None:
            self.connections.add(request.transport.get_extra_info("peername")[1])
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            answer = self.script(body, number)
            return answer if isinstance(answer, web.StreamResponse) else await answer
        finally:
            self.in_flight -= 1


class ThreadedRetriever:
    """The same in a thread with its own loop; `with`."""

    def __init__(self, script: Script = answered) -> None:
        self.server = Retriever(script)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="retriever", daemon=True)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def posts(self) -> list[dict[str, Any]]:
        return self.server.posts

    @property
    def queries(self) -> list[str]:
        return self.server.queries

    def start(self) -> None:
        """At the port that it had."""
        self._do(self.server.start())

    def stop(self) -> None:
        self._do(self.server.stop())

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
