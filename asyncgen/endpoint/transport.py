"""The seam between the program and the network: one request to one server.

Knows what a transport must do. client.py is the one over aiohttp; tests put a script in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from asyncgen.core.types import Completion
from asyncgen.endpoint.faults import Fault


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    base_url: str
    """Up to and with `/v1`; a slash at the end makes no difference."""
    api_key: str | None = field(default=None, repr=False)
    name: str = ""
    """What the endpoint is called in traces and texts."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a server lists."""

    id: str
    max_model_len: int | None = None
    """Tokens of context, where the server says so (vLLM, SGLang)."""


CHAT, RAW = "/chat/completions", "/completions"
"""Paths below `/v1`: of messages, and of a prompt that is one text, to be continued."""


class Transport(Protocol):
    """One attempt a call: no retries, no limits. Every failure is a Fault; only cancellation is raised."""

    async def complete(
        self,
        target: Target,
        chunks: Sequence[bytes],
        *,
        timeout: float,  # noqa: ASYNC109  # the deadline of the exchange, not of the caller
        path: str = CHAT,
    ) -> list[Completion] | Fault:
        """Send a request whose body is `chunks` in a row; `timeout` in seconds for all of it."""

    async def models(self, target: Target, *, timeout: float = 10) -> list[ModelInfo] | Fault:  # noqa: ASYNC109  # as above
        """The models that the server lists."""

    async def close(self) -> None:
        """Close every connection."""
