"""One HTTP exchange with aiohttp.

Knows connections, and which of aiohttp's exceptions means what. Decides nothing: a status that was read goes to
`classify`, and what keeps it from being read becomes a Fault with a text of ours.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.types import Completion
from asyncgen.endpoint.faults import Fault, FaultKind, classify, one_line
from asyncgen.endpoint.transport import CHAT, ModelInfo, Target
from asyncgen.endpoint.wire import parse_completions, parse_models

KEEPALIVE = 4.0
"""Seconds that an idle connection is kept: less than the 5 after which vLLM (uvicorn) closes its side."""
CONNECT = 10.0
"""Seconds for a connection."""
BODY_CAP = 32 * 2**20
"""Bytes of an answer, decompressed."""
SECRET = 8
"""Characters from which on a key is taken for a secret."""
PACKET = 64 * 2**10
"""Bytes up to which neighbouring chunks are written together: one system call for many small messages."""

_USER = re.compile(r"//[^/@]*@")
_NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER|HTTP_REQUEST|UNEXPECTED_MESSAGE")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Exchange:
    """What is known of one request's connection."""

    reused: bool = True
    """No socket was made for it."""


_EXCHANGE: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)
"""The one under way in this task, for the socket that is made for it. aiohttp's tracing would tell the same, but it
sends five signals a request."""


class ChunksPayload(aiohttp.Payload):
    """A JSON body that is a list of chunks: sent with its length, large chunks as they are, never as a whole."""

    _autoclose = True

    def __init__(self, chunks: Sequence[bytes]) -> None:
        super().__init__(chunks, content_type="application/json")
        self._chunks = chunks
        self._size = sum(map(len, chunks))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._chunks).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        transport = writer.transport  # gone from the writer when aiohttp gives the request up
        try:
            for packet in _packets(self._chunks):
                await writer.write(packet)
        except asyncio.CancelledError:
            # aiohttp would close, which first sends what is buffered: to a server that does not read, that is never.
            if transport is not None:
                transport.abort()
            raise


class HttpTransport:
    """The Transport over aiohttp. Its session is made in the loop that first uses it, and belongs to that loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None

    async def complete(
        self,
        target: Target,
        chunks: Sequence[bytes],
        *,
        timeout: float,  # noqa: ASYNC109  # as in Transport
        path: str = CHAT,
    ) -> list[Completion] | Fault:
        answer = await self._exchange("POST", target, path, timeout, ChunksPayload(chunks))
        if isinstance(answer, Fault):
            return answer
        read = parse_completions(answer.body)
        return parse_completions(_without_key(answer.body, target)) if isinstance(read, Fault) else read

    async def models(self, target: Target, *, timeout: float = 10) -> list[ModelInfo] | Fault:  # noqa: ASYNC109  # as in Transport
        answer = await self._exchange("GET", target, "/models", timeout)
        return parse_models(answer.body) if isinstance(answer, _Answer) else answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self, method: str, target: Target, path: str, seconds: float, data: ChunksPayload | None = None
    ) -> _Answer | Fault:
        """The answer with a 2xx status, or the fault."""
        exchange = _Exchange()
        _EXCHANGE.set(exchange)
        try:
            async with self._opened().request(
                method,
                target.base_url.rstrip("/") + path,
                data=data,
                headers=_authorization(target),
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT),
                allow_redirects=False,
            ) as response:
                answer = _Answer(response.status, response.headers, await _body(response))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return fault_of(error, target.base_url, seconds, reused=exchange.reused)
        if len(answer.body) > BODY_CAP:
            return Fault(FaultKind.BAD_ANSWER, f"HTTP {answer.status}: more than {BODY_CAP} bytes", answer.status)
        if 200 <= answer.status < 300:
            return answer
        return classify(answer.status, answer.headers, _without_key(answer.body, target), wall=self._clock.wall())

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE, socket_factory=_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "asyncgen", "Accept": "application/json"},
                trust_env=False,
            )
        return self._session


def fault_of(error: Exception, url: str, seconds: float, *, reused: bool) -> Fault:
    """The fault that an exception of aiohttp's stands for; no status was read. Subclasses come before their bases."""
    kind = FaultKind.TRANSPORT
    match error:
        case aiohttp.ClientConnectorError():
            kind, text = _no_connection(error)
        case aiohttp.ConnectionTimeoutError():
            text = f"no connection within {CONNECT:g} s"
        case TimeoutError():
            kind, text = FaultKind.TIMEOUT, f"no whole answer within {seconds:g} s"
        case aiohttp.ClientResponseError():  # the parser's, with a made-up status 400
            text = "the answer is no valid HTTP"
        case aiohttp.ClientPayloadError():
            text = "the answer was cut off"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            kind = FaultKind.STALE if reused else FaultKind.TRANSPORT
            text = f"the server closed the {'kept' if reused else 'new'} connection before it answered"
        case aiohttp.NonHttpUrlClientError() | ValueError():
            kind = FaultKind.CONFIG
            text = "no request can be made: base_url must be http(s)://host:port/v1, and the key one line"
        case _:
            text = f"request failed ({type(error).__name__})"
    return Fault(kind, one_line(f"{_USER.sub('//', url)}: {text}"))


def _no_connection(error: aiohttp.ClientConnectorError) -> tuple[FaultKind, str]:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return FaultKind.CONFIG, f"bad certificate ({error.certificate_error}): name its CA in SSL_CERT_FILE"
        case aiohttp.ClientConnectorSSLError() if _NO_TLS.search(str(error)):
            return FaultKind.CONFIG, "no TLS on this port: write http:// in base_url"
        case aiohttp.ClientConnectorDNSError():
            return FaultKind.TRANSPORT, "host name not found"
    number = error.os_error.errno
    return FaultKind.TRANSPORT, f"no connection ({os.strerror(number) if number else type(error.os_error).__name__})"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The body; of one over the cap, the first bytes up to just over it, and the connection is closed."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(PACKET):
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_CAP:
            response.close()
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _packets(chunks: Sequence[bytes]) -> Iterator[bytes]:
    small: list[bytes] = []
    size = 0
    for chunk in chunks:
        if size + len(chunk) > PACKET and small:
            yield b"".join(small)
            small, size = [], 0
        if len(chunk) > PACKET:
            yield chunk
        else:
            small.append(chunk)
            size += len(chunk)
    if small:
        yield b"".join(small)


def _authorization(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.api_key.strip()}"} if target.api_key else {}


def _without_key(body: bytes, target: Target) -> bytes:
    """The body without the key, which some servers repeat in their errors. A short one (`EMPTY`) is no secret."""
    key = (target.api_key or "").strip().encode()
    return body.replace(key, b"[key]") if len(key) >= SECRET else body


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket that notices a peer that is gone: a request may rightly be silent for half an hour."""
    if exchange := _EXCHANGE.get():
        exchange.reused = False
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        if hasattr(socket, option):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
