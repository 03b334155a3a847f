"""MCP servers in processes of their own: one made with the `mcp` package, over stdio, HTTP or SSE, and a raw one.

Knows nothing of asyncgen. As a program: `python mcp_server.py stdio`, `… http PORT`, `… sse PORT` (0: any; it prints
which), `… raw BEHAVIOUR`.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = Path(__file__)
LONG = 300_000
"""Characters of the tool `long`'s result."""


def command(*words: str) -> str:
    """For `mcp:` in a job file."""
    return shlex.join([sys.executable, str(FILE), *words])


@contextmanager
def listening(kind: str, port: int = 0) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The server as `http` or `sse`: its port, its process. It is killed at the end."""
    process = subprocess.Popen([sys.executable, str(FILE), kind, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def alive(process: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _server() -> Any:
    from mcp.server.mcpserver import Image, MCPServer
    from mcp.shared.exceptions import MCPError
    from mcp_types import INVALID_PARAMS

    server = MCPServer("test", log_level="CRITICAL")

    @server.tool(structured_output=False)
    def lookup(city: str, year: int = 2020) -> str:
        """How many people live in a city."""
        if city == "Atlantis":
            raise ValueError("no such city")
        return f"{city} had {len(city) * 1000} people in {year}"

    @server.tool(structured_output=False)
    def environment(name: str) -> str:
        """A variable of the server's."""
        return os.environ.get(name, "(not set)")

    @server.tool(structured_output=False)
    def where() -> str:
        """Process and folder."""
        return f"{os.getpid()} {Path.cwd()}"

    @server.tool(structured_output=False)
    def long() -> str:
        """Much text."""
        return "x" * LONG

    @server.tool(structured_output=False)
    def picture() -> list[Any]:
        """A picture between two texts."""
        return ["before", Image(data=base64.b64decode("iVBORw0KGgo="), format="png"), "after"]

    @server.tool(structured_output=False)
    async def hang() -> str:
        """Never answers."""
        import anyio

        await anyio.sleep(3600)
        return ""

    @server.tool(structured_output=False)
    def die() -> str:
        """The process ends in the middle of the call."""
        os._exit(3)

    @server.tool(structured_output=False)
    def refuse() -> str:
        """A protocol error."""
        raise MCPError(INVALID_PARAMS, "the year is not one")

    server.add_tool(lookup, name="odd.name/1", structured_output=False)
    return server


def _raw(behaviour: str) -> None:
    """Answers line by line, without any package."""
    if behaviour == "dies":
        print("warming up\nTraceback (most recent call last):\nboom \x1b[31mred", file=sys.stderr, flush=True)
        return
    if behaviour == "stubborn":
        import signal

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        if behaviour == "silent":
            time.sleep(3600)
        if behaviour == "latin-1" and request["method"] == "tools/call":
            sys.stdout.buffer.write(b"caf\xe9: a line of its log\n")
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **_answer(behaviour, request)}), flush=True)
    if behaviour == "stubborn":
        time.sleep(3600)


def _answer(behaviour: str, request: dict[str, Any]) -> dict[str, Any]:
    params = request.get("params") or {}
    match request["method"]:
        case "initialize":
            info = {"name": "raw", "version": "1"}
            return {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}}
        case "tools/list":
            page = int(params.get("cursor") or 0)
            listed: dict[str, Any] = {"tools": [_tool(behaviour, page)]}
            last = 2 if behaviour == "pages" else 10**9 if behaviour == "endless" else 0
            return {"result": {**listed, **({"nextCursor": str(page + 1)} if page < last else {})}}
        case "tools/call" if behaviour == "junk":
            return {"result": {"content": [{"type": "text"}]}}
        case "tools/call" if behaviour == "internal":
            return {"error": {"code": -32603, "message": "the database\nis gone"}}
        case "tools/call" if behaviour == "structured":
            return {"result": {"content": [], "structuredContent": {"people": 7, "ß": "\u4e2d"}}}
        case "tools/call":
            parts = [
                {"type": "resource_link", "uri": "http://127.0.0.1:9/page", "name": "page"},
                {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
                {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAAA"}},
                {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            ]
            return {"result": {"content": parts}}
    return {"error": {"code": -32601, "message": "no such method"}}


def _tool(behaviour: str, page: int) -> dict[str, Any]:
    schemas: dict[str, Any] = {
        "bad-schema": {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        "no-object": {"type": "object", "properties": []},
        "free": {"type": "object", "properties": {"a": True, "b": {"type": "array", "items": True, "minItems": 9**9}},
                 "required": ["a", "b"]},
    }  # fmt: skip
    return {"name": f"tool{page}", "description": "d" * 9000, "inputSchema": schemas.get(behaviour, {"type": "object"})}


def main(kind: str, more: str = "0") -> None:
    """Serve until stdin ends, or until killed."""
    if kind == "raw":
        _raw(more)
        return
    server = _server()
    if kind == "stdio":
        server.run()
        return
    import uvicorn

    app = server.streamable_http_app() if kind == "http" else server.sse_app()
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", int(more)))
        bound.listen(128)
        print(bound.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none")).run(sockets=[bound])


if __name__ == "__main__":
    main(*sys.argv[1:])
