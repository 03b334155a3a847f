"""The way to an MCP server: a process and its pipes, or HTTP.

Knows processes, URLs, and when a way has come to its end. Knows nothing of tools.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from asyncgen.config.schema import SSE, McpSpec
from asyncgen.tools.mcp_text import last_lines

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import ReadStream, TransportStreams
    from mcp.shared.message import SessionMessage

MAX_EVENT = 16 * 2**20
"""Bytes of one event over HTTP. What comes as one JSON body, or as a line of a process, the package reads whole."""
_IDLE = 7 * 86_400.0
"""Seconds without a word on an SSE stream until it counts as broken."""
_KEPT = 4_000
"""Characters of what a process last said on stderr."""
_QUIET = logging.NullHandler()
"""Without it Python prints the package's warnings on stderr, in the middle of the screen."""
_LOGGERS = ("mcp", "client")


class Way:
    """One way, of one server: `async with way.open()` gives the streams that the `mcp` package talks over."""

    def __init__(self, spec: McpSpec, environ: Mapping[str, str]) -> None:
        """`environ`: what a process gets besides the few variables that every process gets."""
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(_QUIET)
        self._spec = spec
        self._environ = dict(environ)
        self.ended = asyncio.Event()
        """The server is gone: nothing comes any more."""
        self.said = ""
        """The last lines that the process wrote to stderr, when it is over."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[TransportStreams]:
        """Entered and left by the same coroutine. Raises OSError, ExceptionGroup."""
        async with self._streams() as (incoming, outgoing):
            yield _Watched(incoming, self.ended), outgoing

    def _streams(self) -> AbstractAsyncContextManager[TransportStreams]:
        if not self._spec.is_url:
            return self._process()
        if self._spec.mcp.startswith(SSE):
            return _sse(self._spec.mcp.removeprefix(SSE))
        return _http(self._spec.mcp)

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[TransportStreams]:
        """Its stdin is closed at the end; after 2 s it gets SIGTERM, after 2 more SIGKILL, with all its children."""
        from mcp.client.stdio import StdioServerParameters, stdio_client

        command, *args = shlex.split(self._spec.mcp)
        # one stray byte in another encoding would end the reader, unnoticed, and every later call with it
        server = StdioServerParameters(
            command=command, args=args, env=self._environ, cwd=self._spec.cwd, encoding_error_handler="replace"
        )
        reading, writing = os.pipe()
        stderr = os.fdopen(writing, "w")
        try:
            loop = asyncio.get_running_loop()
            pipe, tail = await loop.connect_read_pipe(_Tail, os.fdopen(reading, "rb"))
            try:
                async with stdio_client(server, errlog=stderr) as streams:
                    stderr.close()  # the process has its own
                    yield streams
            finally:
                stderr.close()
                with suppress(TimeoutError):  # a child of the process may keep it open
                    async with asyncio.timeout(0.2):
                        await tail.over.wait()
                pipe.close()
                self.said = last_lines(tail.text)
        finally:
            stderr.close()


class _Tail(asyncio.Protocol):
    """Keeps the last of what comes, so that a server may write as much as it likes."""

    def __init__(self) -> None:
        self.text = ""
        self.over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.text = (self.text + data.decode("utf-8", "replace"))[-_KEPT:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's
        self.over.set()


@asynccontextmanager
async def _http(url: str) -> AsyncIterator[TransportStreams]:
    from mcp.client.streamable_http import streamable_http_client

    async with (
        _client() as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_EVENT) as streams,
    ):
        yield streams


def _sse(url: str) -> AbstractAsyncContextManager[TransportStreams]:
    from mcp.client.sse import sse_client

    return sse_client(url, timeout=30.0, sse_read_timeout=_IDLE, httpx_client_factory=_client)


def _client(
    headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
) -> httpx2.AsyncClient:
    """No proxy but what the URL says, and no limits: how long a call may take, and how many are open, is ours to say.

    (A request that times out, or waits too long for a free connection, would take the whole session along.)
    """
    import httpx2

    return httpx2.AsyncClient(
        headers=headers,
        auth=auth,
        timeout=timeout or httpx2.Timeout(30.0, read=None, pool=None),
        limits=httpx2.Limits(max_keepalive_connections=64, keepalive_expiry=2.0),
        trust_env=False,
    )


class _Watched:
    """A stream of incoming messages that says when it is at its end."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], ended: asyncio.Event) -> None:
        self._stream = stream
        self._ended = ended

    @property
    def last_context(self) -> Any:
        """Of the sender; the `mcp` package looks for it."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended.set()
            raise

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)
