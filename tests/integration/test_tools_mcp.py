"""Real MCP servers in processes of their own, over pipes and HTTP, and what a run sees of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import wait_until
from support.mcp_server import LONG, alive, command, listening
from support.server import Reply, ThreadedServer, text, tool_calls

import asyncgen
from asyncgen.config.schema import Job, McpSpec
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import InputError, ToolDownError, ToolError
from asyncgen.core.task import Task
from asyncgen.core.types import Tool
from asyncgen.runs.toolset import toolset
from asyncgen.tools.mcp import McpServer
from asyncgen.tools.mcp_text import MAX_DESCRIPTION, MAX_RESULT

KINDS = ["stdio", "http", "sse"]


@asynccontextmanager
async def served(spec: McpSpec, environ: Mapping[str, str] | None = None, **limits: float) -> AsyncIterator[McpServer]:
    server = McpServer(spec, environ=environ or {}, clock=SystemClock(), **limits)
    async with asyncio.TaskGroup() as group:
        owner = group.create_task(server.run())
        try:
            await server.opened()
            yield server
        finally:
            server.close()
            owner.cancel()


@asynccontextmanager
async def of_kind(kind: str, **options: Any) -> AsyncIterator[McpServer]:
    if kind == "stdio":
        async with served(McpSpec(mcp=command("stdio"), **options)) as server:
            yield server
        return
    with listening(kind) as (port, _):
        address = f"http://127.0.0.1:{port}/mcp" if kind == "http" else f"sse:http://127.0.0.1:{port}/sse"
        async with served(McpSpec(mcp=address, **options)) as server:
            yield server


async def ask(server: McpServer, own_name: str, /, **arguments: Any) -> str:
    context: Any = None
    tool: Tool = next(one for one in server.tools if one.own_name == own_name)
    return (await tool(context, arguments)).text


@pytest.mark.parametrize("kind", KINDS)
async def test_tools_are_listed_and_called_many_at_once(kind: str):
    async with of_kind(kind, only=("lookup", "odd.name/1"), prefix="x_") as server:
        assert [tool.name for tool in server.tools] == ["x_lookup", "x_odd_name_1"]
        assert "is called x_odd_name_1" in server.notes[0]
        function = server.tools[0].schema()["function"]
        assert function["description"] == "How many people live in a city."
        assert function["parameters"]["required"] == ["city"]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(server, "lookup", city="x" * number)) for number in range(200)]
        told = [one.result() for one in asked]
    assert told == [f"{'x' * number} had {number * 1000} people in 2020" for number in range(200)]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_server_says_of_a_call_reaches_the_model(kind: str):
    async with of_kind(kind, timeout=30) as server:
        with pytest.raises(ToolError, match="lookup") as failed:
            await ask(server, "lookup", city="Atlantis")
        with pytest.raises(ToolError, match="city") as wrong:
            await ask(server, "lookup", town="Bern")
        with pytest.raises(ToolError, match="the year is not one") as refused:
            await ask(server, "refuse")
        assert not any(isinstance(one.value, ToolDownError) for one in (failed, wrong, refused))
        assert await ask(server, "picture") == "before\n[image/png left out: only text is shown]\nafter"
        long = await ask(server, "long")
    assert long.endswith(f"[cut off here: {LONG - MAX_RESULT:,} more characters]")


@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_a_call_that_hangs_is_down_after_its_time_and_holds_up_no_other(kind: str):
    async with of_kind(kind, timeout=3) as server:
        async with asyncio.TaskGroup() as group:
            hanging = [group.create_task(_down(server, "hang")) for _ in range(20)]
            assert await ask(server, "lookup", city="Bern") == "Bern had 4000 people in 2020"
        assert {one.result() for one in hanging} == {"hang gave no answer within 3 s"}
        assert await ask(server, "lookup", city="Oslo") == "Oslo had 4000 people in 2020"


async def _down(server: McpServer, name: str, **arguments: Any) -> str:
    with pytest.raises(ToolDownError) as down:
        await ask(server, name, **arguments)
    return str(down.value)


async def test_a_process_that_dies_takes_its_calls_along_and_is_started_again():
    async with served(McpSpec(mcp=command("stdio")), away=60) as server:
        before = await ask(server, "where")
        async with asyncio.TaskGroup() as group:
            hanging = group.create_task(_down(server, "hang"))
            dying = group.create_task(_down(server, "die"))
        assert hanging.result() == "hang does not answer: Connection closed"
        assert dying.result() == "die does not answer: Connection closed"
        assert await ask(server, "where") != before


async def test_a_process_that_is_killed_between_two_calls_is_not_missed():
    async with served(McpSpec(mcp=command("stdio")), away=60) as server:
        process = int((await ask(server, "where")).split()[0])
        connection = server._connection
        os.kill(process, signal.SIGKILL)
        await asyncio.to_thread(wait_until, lambda: server._connection is not connection)
        assert int((await ask(server, "where")).split()[0]) != process


async def test_a_server_over_http_that_comes_back_is_used_again():
    with listening("http") as (port, first):
        async with served(McpSpec(mcp=f"http://127.0.0.1:{port}/mcp"), away=0.2) as server:
            assert await ask(server, "lookup", city="Bern") == "Bern had 4000 people in 2020"
            first.kill()
            first.wait()
            assert "does not answer" in await _down(server, "lookup", city="Bern")
            assert "does not answer" in await _down(server, "lookup", city="Bern")
            with listening("http", port):
                assert await _patiently(server) == "Bern had 4000 people in 2020"


async def _patiently(server: McpServer) -> str:
    end = time.monotonic() + 60
    while True:
        try:
            return await ask(server, "lookup", city="Bern")
        except ToolDownError:
            if time.monotonic() > end:
                raise


async def test_arguments_that_cannot_be_written_are_the_models_fault_and_end_nothing():
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    async with served(McpSpec(mcp=command("raw", "plain"))) as server:
        for value in (deep, "\ud800"):
            with pytest.raises(ToolError, match="nested too deeply, or hold no text") as refused:
                await ask(server, "tool0", value=value)
            assert not isinstance(refused.value, ToolDownError)
        assert "inside" in await ask(server, "tool0")


async def test_a_process_gets_the_variables_that_are_named_and_no_key():
    environ = {"OPENAI_API_KEY": "hunter2", "PASSED_ON": "yes"}
    async with served(McpSpec(mcp=command("stdio"), env=("PASSED_ON",)), environ) as server:
        assert await ask(server, "environment", name="PASSED_ON") == "yes"
        assert await ask(server, "environment", name="OPENAI_API_KEY") == "(not set)"


async def test_a_process_starts_in_the_folder_that_is_named(tmp_path: Path):
    async with served(McpSpec(mcp=command("stdio"), cwd=str(tmp_path))) as server:
        assert Path((await ask(server, "where")).split()[1]).samefile(tmp_path)  # noqa: ASYNC240  # nobody waits


async def test_all_pages_are_listed_and_long_descriptions_cut():
    async with served(McpSpec(mcp=command("raw", "pages"))) as server:
        assert [tool.name for tool in server.tools] == ["tool0", "tool1", "tool2"]
        assert len(server.tools[0].description) < MAX_DESCRIPTION + 100
        assert "[page: http://127.0.0.1:9/page]" in await ask(server, "tool2")


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        ("junk", "gave an answer that breaks its own rules"),
        ("internal", "does not answer: the database is gone"),
    ],
)
async def test_an_answer_against_the_protocol_counts_as_down(behaviour: str, text: str):
    async with served(McpSpec(mcp=command("raw", behaviour))) as server:
        assert text in await _down(server, "tool0")


async def test_a_line_in_another_encoding_between_the_answers_ends_nothing():
    async with served(McpSpec(mcp=command("raw", "latin-1"), timeout=5)) as server:
        for _ in range(3):
            assert "inside" in await ask(server, "tool0")


async def test_a_process_that_does_not_end_by_itself_is_killed(tmp_path: Path):
    before = set(_children())  # of other tests
    async with served(McpSpec(mcp=command("raw", "stubborn"))) as server:
        assert "inside" in await ask(server, "tool0")
        children = set(_children()) - before
        assert children
    assert not [one for one in children if alive(one)]


def _children() -> list[int]:
    """Processes that this one started."""
    return [int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


@pytest.mark.parametrize(
    ("mcp", "text"),
    [
        ("no-such-command --api-key hunter2", "'***'\" cannot be used: No such file or directory"),
        (command("raw", "dies"), "its last words: warming up / Traceback (most recent call last): / boom red"),
        (command("raw", "endless"), "more than 100 pages"),
        (command("raw", "bad-schema"), "the tool 'tool0' of"),
        ("http://me:hunter2@127.0.0.1:9/mcp", "cannot be used: All connection attempts failed"),
        ("sse:http://me:hunter2@127.0.0.1:9/sse", "cannot be used: All connection attempts failed"),
        (command("raw", "silent"), "it took too long to start"),
    ],
)
async def test_a_server_that_cannot_be_used_is_named_with_the_reason(mcp: str, text: str):
    server = McpServer(McpSpec(mcp=mcp), environ={}, clock=SystemClock(), start=1.0 if "silent" in mcp else 30.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        with pytest.raises(InputError) as refused:
            await server.opened()
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_tool_that_the_server_does_not_have_is_named():
    job = Job(task="bare", tools=(McpSpec(mcp=command("stdio"), only=("lokup",)),))
    with pytest.raises(InputError, match=r"has no tool 'lokup': did you mean 'lookup'\?"):
        async with toolset(job, Task(), environ={}, clock=SystemClock()):
            pass


def test_a_variable_or_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"is to start in the folder '.*/gone', which does not exist"):
        McpServer(McpSpec(mcp="server", cwd=f"{tmp_path}/gone"), environ={}, clock=SystemClock())
    with pytest.raises(InputError, match="'server' is to get the variable NOT_THERE, which is not set"):
        McpServer(McpSpec(mcp="server", env=("NOT_THERE",)), environ={}, clock=SystemClock())


async def test_two_servers_with_one_name_need_a_prefix():
    both = (McpSpec(mcp=command("raw", "plain")), McpSpec(mcp=command("raw", "other")))
    with pytest.raises(InputError, match=r"two tools have the name 'tool0'.* or give a server a prefix"):
        async with toolset(Job(task="bare", tools=both), Task(), environ={}, clock=SystemClock()):
            pass
    apart = (both[0], McpSpec(mcp=command("raw", "other"), prefix="b_"))
    async with toolset(Job(task="bare", tools=apart), Task(), environ={}, clock=SystemClock()) as found:
        assert [tool.name for tool in found.tools] == ["tool0", "b_tool0"]


@dataclass(frozen=True)
class Cities(Task):
    user: str = "How many people live in {city}?"

    def answer(self, text: str) -> str:
        return text if "people" in text else ""


def test_a_run_from_python_has_the_servers_tools_and_ends_them(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"city": "Bern"}\n')

    def script(body: dict[str, Any], number: int) -> Reply:
        return text("4000 people") if number else tool_calls(("where", {}))

    job = {
        "task": Cities,
        "dataset": {"path": tmp_path / "rows.jsonl"},
        "tools": [{"mcp": command("stdio")}],
        "store": {"output_dir": tmp_path / "out"},
    }
    with ThreadedServer(script) as model:
        run = asyncgen.run(job, base_url=model.base_url, progress=False)
    (trace,) = run
    (told,) = trace.conversation_history[1].messages
    assert trace.tool_calls[0].success
    assert not alive(int(told.content.split()[0]))
