"""A server of ours on a socket: the port, the address, its life in this event loop, and the signals that end it.

Knows aiohttp's runner. Does not know what is served.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json

SHUTDOWN_SECONDS = 2.5
"""For open requests, when the server ends; then they are cancelled, and have as many again."""


def reserve(host: str, port: int) -> socket.socket:
    """The port, taken but not open yet: before an index is built that nobody could use. Raises InputError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host at all
        raise InputError(f"--host {host!r} is no address ({error}); give one of this machine") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _taken(host, port, error) from error
    return sock


def _taken(host: str, port: int, error: OSError) -> InputError:
    return InputError(f"port {port} on {host}: {error.strerror}; give another --port, or 0 for any free one")


def address_of(sock: socket.socket) -> str:
    """Where the server on it is asked: `http://127.0.0.1:8001`."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def listening(app: web.Application, sock: socket.socket, *, cancel: bool = False) -> AsyncIterator[None]:
    """The app in this event loop, on the socket. `cancel`: what a client that hangs up has asked for is given up.
    Raises InputError."""
    runner = _Runner(
        app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handler_cancellation=cancel, logger=_LOGGER
    )
    await runner.setup()
    try:
        try:
            await web.SockSite(runner, sock, backlog=1024).start()
        except OSError as error:  # another process has taken the port, and opened it first
            host, port = sock.getsockname()[:2]
            raise _taken(host, port, error) from error
        yield
    finally:
        await runner.cleanup()


def _is_ours(record: logging.LogRecord) -> bool:
    """What a client sends that is no HTTP is its own mistake: nobody wants a traceback for each."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | web.RequestPayloadError)


_LOGGER = logging.getLogger("asyncgen.serving")
_LOGGER.addFilter(_is_ours)


class _Protocol(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """As aiohttp does, but in JSON."""
        answer = super().handle_error(request, status, exc, message)
        text = (message or str(exc or "")).partition("\n")[0][:200]
        made = web.json_response({"error": text or "the server failed"}, status=answer.status)
        made.force_close()
        return made


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        """A connection."""
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server


def signalled() -> asyncio.Event:
    """Set by SIGTERM, SIGINT or SIGHUP from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it so
            loop.add_signal_handler(number, stop.set)
    return stop


def json_of(body: Json, status: int = 200) -> web.Response:
    """As orjson writes it."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
