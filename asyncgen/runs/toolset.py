"""The tools that a job adds to its task's: from Python modules, and from MCP servers that live as long as the run.

Knows how each is found, and who owns the servers' coroutines. Does not know how a server is talked to (`tools.mcp`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.config.load import nearest
from asyncgen.config.schema import Job, McpSpec
from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Json, Tool
from asyncgen.engine.driver import first_cause
from asyncgen.runs.modules import load_module
from asyncgen.runs.recipe import check_tool
from asyncgen.tools.mcp_text import shown_server

if TYPE_CHECKING:
    from asyncgen.tools.mcp import McpServer


@dataclass(frozen=True, slots=True)
class Toolset:
    """What a job adds."""

    tools: Sequence[Tool] = ()
    notes: Sequence[str] = ()
    """Lines for the user: names that were changed."""


NO_TOOLS = Toolset()


@asynccontextmanager
async def toolset(job: Job, task: Task, *, environ: Mapping[str, str], clock: Clock) -> AsyncIterator[Toolset]:
    """Ready to be called until the context ends. Raises InputError where there is none to be had, or two of a name."""
    if not job.tools:
        yield NO_TOOLS
        return
    found = [import_tools(one) if isinstance(one, str) else _server(one, environ, clock) for one in job.tools]
    try:
        async with asyncio.TaskGroup() as group:
            servers = [one for one in found if not isinstance(one, Sequence)]
            owners = [group.create_task(server.run()) for server in servers]
            try:
                for server in servers:
                    await server.opened()
                tools = [one if isinstance(one, Sequence) else one.tools for one in found]
                _check_names(task, [_shown(one) for one in job.tools], tools)
                notes = [note for server in servers for note in server.notes]
                yield Toolset([tool for some in tools for tool in some], notes)
            finally:
                for server, owner in zip(servers, owners, strict=True):
                    server.close()
                    owner.cancel()
    except BaseExceptionGroup as errors:  # the group's wrapping of what ended the run
        raise first_cause(errors) from None


def _server(spec: McpSpec, environ: Mapping[str, str], clock: Clock) -> McpServer:
    from asyncgen.tools.mcp import McpServer  # a second of imports

    return McpServer(spec, environ=environ, clock=clock)


def import_tools(spec: str) -> Sequence[Tool]:
    """The tool `module:name` or `file.py:name`, or the tools of a list of that name. Raises InputError."""
    home, _, name = spec.rpartition(":")
    module = load_module(home, Path(), what="tools")
    found = getattr(module, name, None)
    if found is None:
        names = [key for key, value in vars(module).items() if callable(getattr(value, "schema", None))]
        raise InputError(f"tools {spec!r}: there is no {name!r} in {home}{nearest(name, names)}")
    tools = tuple(found) if isinstance(found, list | tuple) else (found,)
    for one in tools:
        check_tool(f"tools {spec!r}", one)
    return tools


def _check_names(task: Task, sources: Sequence[str], tools: Sequence[Sequence[Tool]]) -> None:
    """Two tools of one name: which, and whose."""
    owners = {tool.name: "the task" for tool in task.tools}
    for source, some in zip(sources, tools, strict=True):
        for tool in some:
            if tool.name in owners:
                raise InputError(
                    f"two tools have the name {tool.name!r}, of {owners[tool.name]} and of {source}: leave one of them "
                    "out (only: of an MCP server says which it gives), or give a server a prefix"
                )
            owners[tool.name] = source


def shown_tools(tools: Sequence[str | McpSpec]) -> list[Json]:
    """As the job file has them, without passwords and keys in servers' addresses and commands."""
    return [one if isinstance(one, str) else asdict(replace(one, mcp=shown_server(one))) for one in tools]


def _shown(tool: str | McpSpec) -> str:
    return repr(tool if isinstance(tool, str) else shown_server(tool))
