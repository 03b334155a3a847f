"""Tools of an MCP server: connected for the run, called by many episodes at once, connected again when it is gone.

Knows the protocol's client in the `mcp` package, and what its errors mean for an episode. Does not know how the server
is reached (`mcp_wire`), nor what its tools do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.config.load import nearest
from asyncgen.config.schema import McpSpec
from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError, ToolDownError, ToolError
from asyncgen.core.types import Context, Json, ToolResult
from asyncgen.store.run_file import redact
from asyncgen.tools.mcp_text import bounded, description_of, name_for, result_text, shown_server, unfit_schema
from asyncgen.tools.mcp_wire import Way
from asyncgen.tools.text import cleaned

if TYPE_CHECKING:
    from mcp.client.session import ClientSession
    from mcp.shared.exceptions import MCPError
    from mcp_types import CallToolResult
    from mcp_types import Tool as Listed

START = 30.0
"""Seconds in which a server must be there, its tools listed."""
AT_ONCE = 64
"""Calls that are open on one server; the time of a further one begins when it is sent."""
AWAY = 5.0
"""Seconds that a call waits for a server that is being connected again."""
FIRST_TRY, LONGEST = 0.5, 30.0
"""Seconds before a lost server is connected again; they double up to the longest, until a call has passed."""
GONE = "its server has ended"
MAX_PAGES = 100
"""Of the list of tools."""


@dataclass(frozen=True, slots=True, eq=False)
class McpTool:
    """A core `Tool` of a server's."""

    name: str
    own_name: str
    """The server's."""
    description: str
    parameters: Mapping[str, Json]
    server: McpServer

    def schema(self, *, coordinates: str = "pixels", frame: str = "original") -> Mapping[str, Json]:  # noqa: ARG002  # it has no pictures
        """The parameters as the server gives them."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    async def __call__(self, context: Context, arguments: Mapping[str, Json]) -> ToolResult:  # noqa: ARG002  # a server knows no episodes
        """Raises ToolError for what the server refuses, ToolDownError where it does not answer as it should."""
        return await self.server.call(self, arguments)


class _Connection:
    """One session, from its first word to its last."""

    def __init__(self, session: ClientSession, ended: asyncio.Event) -> None:
        self.session = session
        self.ended = ended


class McpServer:
    """One server. `run` is its owner's coroutine; `opened` waits until `tools` are there."""

    def __init__(
        self, spec: McpSpec, *, environ: Mapping[str, str], clock: Clock, start: float = START, away: float = AWAY
    ) -> None:
        """Raises InputError for a variable that is not set, or a folder that does not exist."""
        self.tools: Sequence[McpTool] = ()
        self.notes: Sequence[str] = ()
        """Lines for the user: names that were changed."""
        self._spec = spec
        self._environ = _checked_environ(spec, environ)
        self._clock = clock
        self._start = start
        self._away = away
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._connection: _Connection | None = None
        self._up = asyncio.Event()
        """There is a connection."""
        self._settled = asyncio.Event()
        """The first one is there, or will never be."""
        self._failure: InputError | None = None
        self._why = GONE
        """The last connection ended."""
        self._delay = FIRST_TRY
        self._closing = False

    async def opened(self) -> None:
        """Returns when the tools are there. Raises InputError."""
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """No further connection; whoever owns `run` cancels it."""
        self._closing = True

    async def run(self) -> None:
        """Connected, and again whenever the connection is lost, until cancelled. Returns where there never was one."""
        try:
            while not self._closing:
                await self._connect_once()
                if not self._settled.is_set():  # what ended it is in `_failure`
                    return
                await self._clock.sleep(self._delay)
                self._delay = min(LONGEST, self._delay * 2)
        finally:
            self._settled.set()

    async def _connect_once(self) -> None:
        """The boundary: whatever ends a connection to somebody else's server, it is only over."""
        way = Way(self._spec, self._environ)
        try:
            async with self._connected(way):
                await way.ended.wait()
            self._why = GONE
        except Exception as caught:  # noqa: BLE001  # the boundary
            error = _innermost(caught)
            self._why = _said(error)
            if not self._settled.is_set():
                last = f"; its last words: {way.said}" if way.said else ""
                unusable = f"the MCP server {shown_server(self._spec)!r} cannot be used: {self._why}{last}"
                self._failure = error if isinstance(error, InputError) else InputError(unusable)

    @asynccontextmanager
    async def _connected(self, way: Way) -> AsyncIterator[None]:
        from mcp.client.client import Client
        from mcp_types import Implementation

        us = Implementation(name="asyncgen", version=version("asyncgen"))
        limit = asyncio.timeout(self._start)
        async with limit, Client(way.open(), client_info=us, cache=None) as client:
            listed = await _tools_of(client.session)
            if not self._settled.is_set():
                self._offer(listed)
            limit.reschedule(None)
            self._connection = _Connection(client.session, way.ended)
            self._up.set()
            self._settled.set()
            try:
                yield
            finally:
                self._up.clear()
                self._connection = None

    def _offer(self, listed: Sequence[Listed]) -> None:
        """Make tools of them. Raises InputError."""
        shown, only = shown_server(self._spec), self._spec.only
        names = [one.name for one in listed]
        for name in only or ():
            if name not in names:
                raise InputError(f"the MCP server {shown!r} has no tool {name!r}{nearest(name, names)}")
        wanted = [one for one in listed if only is None or one.name in only]
        if not wanted:
            raise InputError(f"the MCP server {shown!r} has no tools; take it out of tools")
        tools, notes = [], []
        for one in wanted:
            if unfit := unfit_schema(one.input_schema):
                raise InputError(f"the tool {cleaned(one.name)!r} of {shown!r}: {unfit}; leave it out with only: [...]")
            name = name_for(self._spec.prefix, one.name)
            if name != self._spec.prefix + one.name:
                notes.append(f"the tool {cleaned(one.name)!r} of {shown!r} is called {name}: servers take no such name")
            tools.append(McpTool(name, one.name, description_of(one.description), one.input_schema, self))
        self.tools, self.notes = tuple(tools), tuple(notes)

    async def call(self, tool: McpTool, arguments: Mapping[str, Json]) -> ToolResult:
        """Raises ToolError, ToolDownError."""
        _check_depth(tool.name, arguments)
        async with self._slots:
            connection = await self._current(tool.name)
            result = await self._exchange(tool, arguments, connection)
        self._delay = FIRST_TRY
        text = result_text(result.content, result.structured_content)
        if result.is_error:
            raise ToolError(text or f"{tool.name} failed, and did not say why.")
        return ToolResult(text=text)

    async def _current(self, name: str) -> _Connection:
        try:
            async with asyncio.timeout(self._away):
                await self._up.wait()
        except TimeoutError:
            raise ToolDownError(f"{name} does not answer: {self._why}") from None
        connection = self._connection
        if connection is None:  # gone within this very turn of the loop
            raise ToolDownError(f"{name} does not answer: {self._why}")
        return connection

    async def _exchange(self, tool: McpTool, arguments: Mapping[str, Json], connection: _Connection) -> CallToolResult:
        from mcp.shared.exceptions import MCPError
        from mcp_types import InputRequiredResult

        try:
            async with asyncio.timeout(self._spec.timeout):
                result = await connection.session.call_tool(tool.own_name, dict(arguments), allow_input_required=True)
        except TimeoutError:
            raise ToolDownError(f"{tool.name} gave no answer within {self._spec.timeout:g} s") from None
        except MCPError as error:
            raise self._refusal(tool.name, error, connection) from None
        except (RuntimeError, ValueError) as error:  # the package's, for an answer that breaks the protocol
            raise ToolDownError(f"{tool.name} gave an answer that breaks its own rules: {_said(error)}") from None
        if isinstance(result, InputRequiredResult):
            raise ToolError(f"{tool.name} asks for a person's input, and there is nobody to give it.")
        return result

    def _refusal(self, name: str, error: MCPError, connection: _Connection) -> ToolError:
        from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, INVALID_REQUEST, REQUEST_TIMEOUT

        if error.code == INVALID_PARAMS:
            return ToolError(bounded(f"{name} refuses these arguments: {error.message}"))
        # servers over HTTP say so in one of two ways when they know the session no more; our timeouts are not theirs
        if error.code == CONNECTION_CLOSED or (self._spec.is_url and error.code in {INVALID_REQUEST, REQUEST_TIMEOUT}):
            connection.ended.set()
        return ToolDownError(f"{name} does not answer: {_said(error)}")


def _checked_environ(spec: McpSpec, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that the job file names. Raises InputError."""
    if spec.cwd is not None and not Path(spec.cwd).is_dir():
        raise InputError(f"tools: {shown_server(spec)!r} is to start in the folder {spec.cwd!r}, which does not exist")
    for name in spec.env:
        if name not in environ:
            raise InputError(
                f"tools: {shown_server(spec)!r} is to get the variable {name}, which is not set; export it, or take it "
                "out of env"
            )
    return {name: environ[name] for name in spec.env}


def _check_depth(name: str, arguments: Mapping[str, Json]) -> None:
    """What cannot be written as JSON would end the session, and with it the calls of all others."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        to_json([[[[[[[[arguments]]]]]]]])  # as deep as the message around it, and deeper
    except PydanticSerializationError:
        raise ToolError(f"The arguments of {name} are nested too deeply, or hold no text.") from None


async def _tools_of(session: ClientSession) -> list[Listed]:
    """All pages. Raises MCPError, InputError for a list without an end."""
    from mcp_types import PaginatedRequestParams

    found: list[Listed] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            return found
    raise InputError(f"an MCP server lists more than {MAX_PAGES} pages of tools")


def _innermost(error: Exception) -> Exception:
    """What the groups that ended together with it are about."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _said(error: Exception) -> str:
    """On one line, without the password of an address."""
    if isinstance(error, TimeoutError):
        return "it took too long to start"
    if isinstance(error, OSError) and error.strerror:  # of the command: the folder is there
        return error.strerror
    return cleaned(redact(str(error)) or type(error).__name__, 500)
