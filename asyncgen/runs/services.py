"""Tools whose work is done by a server: who they are, and whether it can be another one than the model's.

Knows addresses. Asks nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeGuard
from urllib.parse import urlsplit

from asyncgen.core.types import Tool
from asyncgen.store.run_file import redact

_PORTS = {"http": 80, "https": 443}


class ServedTool(Tool, Protocol):
    """What a tool has, beside the rest, whose server `check` can ask."""

    @property
    def service_url(self) -> str:
        """Where it is."""

    async def probe(self) -> str:
        """What came of one small request, outside of any run. Raises ToolDownError with a text for the user."""


def is_served(tool: Tool) -> TypeGuard[ServedTool]:
    """Whether it says where its server is."""
    return isinstance(getattr(tool, "service_url", None), str) and callable(getattr(tool, "probe", None))


def clashes(base_urls: Sequence[str], tools: Iterable[Tool]) -> list[str]:
    """A line for each tool whose server has the host and the port of a model's."""
    return [
        f"the model and the tool {tool.name} are asked at one host and port ({redact(url)} and "
        f"{redact(tool.service_url)}): start one of the servers on another port, and give the job its address"
        for tool in tools
        if is_served(tool)
        for url in base_urls
        if _place(url) == _place(tool.service_url)
    ]


def _place(url: str) -> tuple[str, int | None]:
    """Host and port; all names of this machine are one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        address = ipaddress.ip_address(host)
        local = address.is_loopback or address.is_unspecified
    except ValueError:
        local = host == "localhost"
    return "localhost" if local else host, parts.port or _PORTS.get(parts.scheme)
