"""A server of ours on a socket: the port, the address, its life in this event loop, and the signals that end it.

Knows aiohttp's runner. Does not know what is served.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from asyncgen.core.errors import InputError

SHUTDOWN_SECONDS = 5.0
"""For open requests, when the server ends."""


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
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handler_cancellation=cancel)
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


def signalled() -> asyncio.Event:
    """Set by SIGTERM, SIGINT or SIGHUP from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it so
            loop.add_signal_handler(number, stop.set)
    return stop
