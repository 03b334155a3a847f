"""A real OpenAI-compatible server on 127.0.0.1 whose answers come from a script.

Knows HTTP and the shape of a chat completion. Knows nothing of asyncgen: tests of the whole program talk to it as they
would to vLLM.

    async with ScriptedServer(lambda body, number: text("hello")) as server:     # in the test's own loop
        ... server.base_url ... server.requests[0].body["messages"] ...

    with ThreadedServer(script) as server:            # for code that owns its loop, and for the CLI in a subprocess
        subprocess.run(["asyncgen", "run", ..., "--base-url", server.base_url])

A script is called with the parsed request and its number, from 0, and returns a Reply.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, TypeAlias

from aiohttp import web

MODEL = "test-model"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to send back: `payload` is bytes as they are, or an object to which `id` and `model` are added."""

    payload: bytes | dict[str, Any] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    delay: float = 0.0
    """Seconds before the first byte."""
    end: str = "send"
    """`send`; `hang`: never answer; `disconnect`: close the connection without a byte."""

    def after(self, seconds: float) -> Reply:
        """The same, later."""
        return replace(self, delay=seconds)


Script: TypeAlias = Callable[[dict[str, Any], int], Reply]


@dataclass(frozen=True)
class Request:
    """One chat completion request as it came in."""

    number: int
    headers: Mapping[str, str]
    raw: bytes
    body: dict[str, Any]
    arrived: float
    """When all of it was there, by the monotonic clock."""


def choices(*messages: Mapping[str, Any], finish_reason: str = "stop", usage: Mapping[str, Any] | None = None) -> Reply:
    """One completion with a choice a message."""
    counts = usage or {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    listed = [
        {"index": index, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
        for index, message in enumerate(messages)
    ]
    return Reply(payload={"object": "chat.completion", "created": 1, "choices": listed, "usage": dict(counts)})


def text(content: str | None, *, finish_reason: str = "stop", **message: Any) -> Reply:
    """An answer in text; `reasoning=…`, `reasoning_content=…` go into the message."""
    return choices({"content": content, **message}, finish_reason=finish_reason)


def tool_calls(*calls: tuple[str, Mapping[str, Any] | str], content: str | None = None) -> Reply:
    """An answer with native calls, each `(name, arguments)`; arguments given as a string are sent as they are."""
    listed = [
        {
            "id": f"chatcmpl-tool-{number}",
            "type": "function",
            "function": {"name": name, "arguments": value if isinstance(value, str) else json.dumps(value)},
        }
        for number, (name, value) in enumerate(calls)
    ]
    return choices({"content": content, "tool_calls": listed}, finish_reason="tool_calls")


def error(status: int, body: str | bytes | Mapping[str, Any] = "", headers: Mapping[str, str] | None = None) -> Reply:
    """An HTTP error; a text becomes OpenAI's error body, bytes and mappings go out as they are."""
    if isinstance(body, str):
        body = {"error": {"message": body or f"error {status}", "type": "test", "param": None, "code": status}}
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, payload=sent, headers={**JSON, **(headers or {})})


def raw(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """These bytes as the body."""
    return Reply(payload=body, status=status, headers=headers or JSON)


def hang() -> Reply:
    """No answer until the server stops."""
    return Reply(end="hang")


def disconnect() -> Reply:
    """The connection closes before the first byte of an answer."""
    return Reply(end="disconnect")


class ScriptedServer:
    """The server in the running loop; `async with`."""

    def __init__(
        self,
        script: Script,
        *,
        models: Sequence[str] = (MODEL,),
        max_model_len: int = 32768,
        pages: Mapping[str, Reply] | None = None,
        port: int = 0,
    ) -> None:
        self._script = script
        self._models = models
        self._max_model_len = max_model_len
        self._pages = dict(pages or {})
        """GET path → reply; beats the list of models."""
        self.port = port
        self.requests: list[Request] = []
        """Chat requests in order of arrival."""
        self.answered: dict[int, float] = {}
        """When the answer went out, by the monotonic clock and the request's number."""
        self.in_flight = 0
        self.peak = 0
        """Most chat requests ever open at once."""
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/{path:.*}", self._page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        sent = await request.read()
        body = json.loads(sent)
        number = len(self.requests)
        self.requests.append(Request(number, dict(request.headers), sent, body, time.monotonic()))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            reply = self._script(body, number)
            if isinstance(reply.payload, dict):
                named = {"id": f"chatcmpl-{number}", "model": body.get("model", MODEL), **reply.payload}
                reply = replace(reply, payload=json.dumps(named).encode())
            answer = await self._send(request, reply)
            self.answered[number] = time.monotonic()
            return answer
        finally:
            self.in_flight -= 1

    async def _page(self, request: web.Request) -> web.StreamResponse:
        reply = self._pages.get(request.path)
        if reply is None and request.path == "/v1/models":
            listed = [{"id": name, "object": "model", "max_model_len": self._max_model_len} for name in self._models]
            reply = raw(json.dumps({"object": "list", "data": listed}).encode())
        return await self._send(request, reply or error(404, "no such page"))

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.end == "hang":
            await self._closing.wait()
        elif reply.delay:
            await self._pause(reply.delay)
        if reply.end != "send" and request.transport is not None:
            request.transport.abort()
        body = reply.payload if isinstance(reply.payload, bytes) else json.dumps(reply.payload).encode()
        return web.Response(status=reply.status, body=body, headers=reply.headers)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


class ThreadedServer:
    """The same server in a thread with its own loop; `with`. Scripts run in that thread."""

    def __init__(
        self,
        script: Script,
        *,
        models: Sequence[str] = (MODEL,),
        max_model_len: int = 32768,
        pages: Mapping[str, Reply] | None = None,
        port: int = 0,
    ) -> None:
        self._server = ScriptedServer(script, models=models, max_model_len=max_model_len, pages=pages, port=port)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="scripted-server", daemon=True)

    @property
    def base_url(self) -> str:
        return self._server.base_url

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    @property
    def answered(self) -> dict[int, float]:
        return self._server.answered

    @property
    def in_flight(self) -> int:
        return self._server.in_flight

    @property
    def peak(self) -> int:
        return self._server.peak

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._server:
            self._ready.set()
            await self._stop.wait()
