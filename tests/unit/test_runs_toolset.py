"""Tools by import path and by file, beside the task's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from asyncgen.config.schema import Dataset, Job, McpSpec
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.core.types import ToolMode
from asyncgen.engine.kit import make_kit
from asyncgen.runs.tasks import has_turns
from asyncgen.runs.toolset import import_tools, shown_tools, toolset
from asyncgen.tools.image import image_zoom_in_tool
from asyncgen.tools.mcp import McpServer, McpTool

SOURCE = '''
from asyncgen import tool

@tool
def lookup(context, city: str) -> str:
    """Facts of a city."""
    return f"facts of {city}"

@tool
def other(context) -> str:
    """Something else."""
    return ""

def plain(context):
    return ""

both = [lookup, other]
'''


@dataclass(frozen=True)
class Bare(Task):
    user: str = "{question}"


@dataclass(frozen=True)
class Zooming(Task):
    tools: ClassVar = (image_zoom_in_tool,)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[str]:
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "tools_of_tests.py").write_text(SOURCE)
    yield f"{tmp_path}/tools_of_tests.py"
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def job(*tools: str | McpSpec) -> Job:
    return Job(task="bare", name="job", dataset=Dataset(path="data"), tools=tools)


async def names(wanted: Job, task: Task) -> list[str]:
    async with toolset(wanted, task, environ={}, clock=SystemClock()) as found:
        return [tool.name for tool in found.tools]


def test_one_tool_or_a_list_of_them_is_imported(file: str):
    assert [tool.name for tool in import_tools(f"{file}:lookup")] == ["lookup"]
    assert [tool.name for tool in import_tools(f"{file}:both")] == ["lookup", "other"]
    assert [tool.name for tool in import_tools("asyncgen.tools.image:image_rotate_tool")] == ["image_rotate_tool"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lokup", "there is no 'lokup' in {file}: did you mean 'lookup'?"),
        ("plain", "plain is a plain function; put @tool above it"),
        ("SOURCE", "there is no 'SOURCE'"),
    ],
)
def test_what_is_no_tool_is_refused_by_name(file: str, name: str, text: str):
    with pytest.raises(InputError) as caught:
        import_tools(f"{file}:{name}")
    assert text.replace("{file}", file) in str(caught.value)


def test_a_module_or_a_file_that_is_not_there_is_named():
    with pytest.raises(InputError, match="there is no module 'nowhere_at_all'"):
        import_tools("nowhere_at_all:lookup")
    with pytest.raises(InputError, match=r"the tools file 'gone\.py' does not exist"):
        import_tools("gone.py:lookup")


def test_a_file_with_a_slip_is_named_with_its_line(file: str):
    Path(file).write_text("x = 1\nraise ValueError('no')\n")
    with pytest.raises(InputError, match="line 2: ValueError: no"):
        import_tools(f"{file}:lookup")


async def test_a_job_without_tools_adds_none():
    assert await names(job(), Zooming()) == []


async def test_tools_come_in_the_order_of_the_job(file: str):
    assert await names(job(f"{file}:other", f"{file}:lookup"), Zooming()) == ["other", "lookup"]


async def test_two_tools_of_one_name_are_refused_and_both_places_named(file: str):
    with pytest.raises(InputError) as twice:
        await names(job(f"{file}:both", f"{file}:lookup"), Bare())
    assert str(twice.value).startswith(f"two tools have the name 'lookup', of '{file}:both' and of '{file}:lookup'")
    with pytest.raises(InputError, match=r"of the task and of 'asyncgen\.tools\.image:image_zoom_in_tool'"):
        await names(job("asyncgen.tools.image:image_zoom_in_tool"), Zooming())


async def test_what_ends_the_run_comes_out_as_it_is(file: str):
    with pytest.raises(KeyError, match="mine"):
        async with toolset(job(f"{file}:lookup"), Bare(), environ={}, clock=SystemClock()):
            raise KeyError("mine")


def test_run_json_has_the_tools_as_the_job_file_has_them_but_for_secrets():
    server = McpSpec(mcp="http://me:hunter2@h:1/mcp", only=("a",))
    shown = shown_tools(["pkg.mod:lookup", server])
    assert shown[0] == "pkg.mod:lookup"
    assert shown[1] == {"mcp": "http://***@h:1/mcp", "only": ("a",), "prefix": "", "env": (), "timeout": 60.0,
                        "cwd": None}  # fmt: skip


def test_tools_of_the_job_alone_make_episodes_of_many_turns(file: str):
    wanted = replace(job(), episode=replace(Job(task="a").episode, max_turns=3))
    assert not has_turns(wanted, Bare(), ())
    assert has_turns(wanted, Bare(), make_kit(Bare(), import_tools(f"{file}:lookup")).tools)


def foreign(parameters: dict[str, Any]) -> McpTool:
    server = McpServer(McpSpec(mcp="a"), environ={}, clock=SystemClock())
    return McpTool("ask", "ask", "Asks.", parameters, server)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": "array", "items": True, "minItems": 9**9},
        {"$ref": "#/$defs/A"},
        {"type": ["string", "null"], "title": "A"},
    ],
)
def test_the_schema_of_a_server_is_sent_as_it_is_and_described_in_text(schema: Any):
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    kit = make_kit(Bare(), [foreign(parameters)])
    assert kit.schemas[0]["function"] == {"name": "ask", "description": "Asks.", "parameters": parameters}
    assert kit.mode("text", refused=False) is ToolMode.TEXT
    assert '{"name": "ask", "arguments": {"a": ' in kit.prompt
    assert len(kit.prompt) < 5_000
