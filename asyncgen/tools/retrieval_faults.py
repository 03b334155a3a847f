"""What keeps a retrieval server from answering, and what follows from it.

Knows statuses and aiohttp's exceptions. Sends nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from asyncgen.tools.text import cleaned


class FaultKind(StrEnum):
    """What a request got instead of hits."""

    DOWN = "down"
    """Nobody there, or too busy: 429, 5xx."""
    STALE = "stale"
    """The connection was closed before an answer: it may have been an old one."""
    SLOW = "slow"
    """The deadline came first."""
    BROKEN = "broken"
    """HTTP 500: by one of the queries, or by all of them."""
    REFUSED = "refused"
    """HTTP 400, 413, 422: the request is not what the server takes, or one of its queries is not."""
    ANSWER = "answer"
    """No hits in it, or too many bytes."""
    WRONG = "wrong"
    """Another address or another server than it should be: no request will pass."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Of one request."""

    kind: FaultKind
    text: str
    """What happened, in words of ours: a model may read it."""
    said: str = ""
    """The server's own words, on one line: for the user alone."""
    retry_after: float = 0.0
    """Seconds that the server asks to wait."""

    @property
    def full(self) -> str:
        """With the server's words."""
        return f"{self.text}: {self.said}" if self.said else self.text

    @property
    def halved(self) -> bool:
        """Whether a part of the queries may pass."""
        return self.kind in {FaultKind.BROKEN, FaultKind.REFUSED, FaultKind.ANSWER}

    def worth_another(self, count: int) -> bool:
        """Whether the same `count` queries may pass when they are sent again."""
        return self.kind in {FaultKind.DOWN, FaultKind.STALE} or (self.kind is FaultKind.BROKEN and count == 1)


def fault_of_status(status: int, headers: Mapping[str, str], said: bytes) -> Fault:
    """The fault of an answer other than 200; `said` is how its body begins."""
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    text, words = f"HTTP {status}{phrase}", cleaned(said.decode("utf-8", "replace"), 200)
    if status in {400, 413, 422}:
        return Fault(FaultKind.REFUSED, text, words)
    if status == 500:
        return Fault(FaultKind.BROKEN, text, words)
    if status in {408, 425, 429} or status > 500:
        return Fault(FaultKind.DOWN, text, words, _seconds(headers.get("Retry-After", "")))
    return Fault(FaultKind.WRONG, text, words)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < math.inf else 0.0


def fault_of(error: Exception, seconds: float) -> Fault:
    """The fault that an exception of aiohttp's stands for; `seconds` is the request's deadline. Subclasses first."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorDNSError():
            return Fault(FaultKind.DOWN, "its host name is not found")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Fault(FaultKind.WRONG, "no TLS connection", cleaned(str(error), 200))
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return Fault(FaultKind.DOWN, f"no connection, {os.strerror(number).lower()}" if number else "no connection")
        case aiohttp.ConnectionTimeoutError():
            return Fault(FaultKind.DOWN, "no connection in time")
        case TimeoutError():
            return Fault(FaultKind.SLOW, f"no whole answer within {seconds:g} s")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return Fault(FaultKind.STALE, "the connection was closed")
        case aiohttp.ClientPayloadError():
            return Fault(FaultKind.DOWN, "the answer was cut off")
        case aiohttp.ClientResponseError():  # the parser's
            return Fault(FaultKind.DOWN, "an answer that is no HTTP")
    return Fault(FaultKind.DOWN, f"the request failed ({type(error).__name__})")
