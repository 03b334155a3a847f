"""Tools that a job file adds to its task's, as an outsider uses them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, asyncgen, ended, start, traces, wait_until
from support.mcp_server import alive, command, listening
from support.server import Reply, ThreadedServer, hang, text, tool_calls

Run = Callable[..., Outcome]

TASK = '''from dataclasses import dataclass
from asyncgen import Task, tool


@tool
async def shout(context, text: str) -> str:
    """The text in capitals."""
    return text.upper()


@dataclass(frozen=True)
class Cities(Task):
    user: str = "How many people live in {city}?"

    def answer(self, text):
        return text if "people" in text else ""
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cities.py").write_text(TASK)
    (tmp_path / "rows.jsonl").write_text('{"city": "Bern"}\n{"city": "Oslo"}\n')
    return tmp_path


def write(folder: Path, *tools: object) -> str:
    job = {"task": "cities.py:Cities", "dataset": {"path": "rows.jsonl"}, "tools": tools}
    (folder / "cities.yaml").write_text(json.dumps(job))
    return "cities.yaml"


def turn(body: dict[str, Any]) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])


def native(body: dict[str, Any], number: int) -> Reply:
    if turn(body):
        return text("4000 people")
    return tool_calls(("of_lookup", {"city": "Bern"}), ("shout", {"text": "ok"}), ("of_lookup", {"city": "Atlantis"}))


def written(body: dict[str, Any], number: int) -> Reply:
    if turn(body):
        return text("4000 people")
    return text('<tool_call>\n{"name": "of_lookup", "arguments": {"city": "Bern"}}\n</tool_call>')


def test_tools_of_a_server_and_of_a_file_are_called_by_a_task_without_any(folder: Path):
    server = {"mcp": command("stdio"), "only": ["lookup"], "prefix": "of_"}
    job = write(folder, server, "cities.py:shout")
    with ThreadedServer(native) as model:
        looked = asyncgen("check", job, "--base-url", model.base_url, cwd=folder)
        assert "ok    tools: of_lookup, shout\n" in looked.out
        model.requests.clear()
        done = asyncgen("run", job, "--base-url", model.base_url, cwd=folder)
        assert done.code == 0, done.err
        offered = model.requests[0].body["tools"]
    assert [one["function"]["name"] for one in offered] == ["of_lookup", "shout"]
    assert offered[0]["function"]["parameters"]["properties"]["city"] == {"title": "City", "type": "string"}
    saved = traces(folder / "runs" / "cities")
    assert len(saved) == 2
    for trace in saved:
        assert trace["metadata"]["tool_mode"] == "native"
        assert [call["success"] for call in trace["tool_calls"]] == [True, True, False]
        told = [one["content"] for one in trace["conversation_history"][1]["messages"]]
        assert told[:2] == ["Bern had 4000 people in 2020", "OK"]
        assert "Error executing tool lookup" in told[2]
    run = json.loads((folder / "runs" / "cities" / "run.json").read_bytes())
    assert run["config"]["tools"][0]["prefix"] == "of_"
    assert run["config"]["tools"][1] == "cities.py:shout"
    assert [one["function"]["name"] for one in run["configs"][run["config_id"]]["tools"]] == ["of_lookup", "shout"]


def test_calls_that_are_written_in_the_text_reach_the_server_too(folder: Path):
    job = write(folder, {"mcp": command("stdio"), "only": ["lookup"], "prefix": "of_"})
    with ThreadedServer(written) as model:
        done = asyncgen("run", job, "--base-url", model.base_url, "--task.tool-calls", "text", cwd=folder)
        assert done.code == 0, done.err
        assert all("tools" not in request.body for request in model.requests)
        assert '"name": "of_lookup"' in model.requests[0].body["messages"][0]["content"]
    for trace in traces(folder / "runs" / "cities"):
        (told,) = [one["content"] for one in trace["conversation_history"][1]["messages"]]
        assert told == "<tool_response>\nBern had 4000 people in 2020\n</tool_response>"


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([{"mcp": "no-such-command --token hunter2"}], "'***'\" cannot be used: No such file or directory"),
        ([{"mcp": command("raw", "dies")}], "its last words: warming up"),
        ([{"mcp": command("raw", "plain")}, {"mcp": command("raw", "plain")}], "two tools have the name 'tool0'"),
        (["cities.py:shout", "cities.py:shout"], "two tools have the name 'shout'"),
        (["cities.py:Cities"], "Cities is no tool; give functions with @tool above them"),
        (["gone.py:shout"], "the tools file 'gone.py' does not exist"),
    ],
)
def test_tools_that_cannot_be_had_are_told_in_one_line_before_anything_is_made(
    folder: Path, run: Run, tools: list[Any], said: str
):
    with ThreadedServer(native) as model:
        ended_early = run("run", write(folder, *tools), "--base-url", model.base_url)
        assert not model.requests
        looked = run("check", "cities.yaml", "--base-url", model.base_url)
    assert ended_early.code == 2
    (line,) = ended_early.err.splitlines()
    assert said in line
    assert looked.code == 2
    assert said in looked.out
    assert "hunter2" not in ended_early.err + looked.out
    assert not (folder / "runs").exists()


@pytest.mark.deep
def test_a_server_that_is_gone_for_a_while_pauses_the_job_and_spoils_few_traces(folder: Path):
    rows = 60
    (folder / "rows.jsonl").write_text('{"city": "Bern"}\n' * rows)
    gone = threading.Event()

    def script(body: dict[str, Any], number: int) -> Reply:
        if turn(body) == 0 and number > 4:
            gone.wait(30)
        return native(body, number)

    with ThreadedServer(script) as model, listening("http") as (port, first):
        job = write(folder, {"mcp": f"http://127.0.0.1:{port}/mcp", "prefix": "of_"}, "cities.py:shout")
        going = start("run", folder / job, "--base-url", model.base_url, "--store.output-dir", folder / "out",
                      "--concurrency", 40, "--dataset.path", folder / "rows.jsonl")  # fmt: skip
        wait_until(lambda: len(model.requests) > 4)
        first.kill()
        first.wait()
        gone.set()
        events = folder / "out" / "events.jsonl"
        wait_until(lambda: b"the tool of_lookup is down" in events.read_bytes())
        with listening("http", port):
            done = ended(going)
    assert done.code == 0, done.err
    saved = traces(folder / "out")
    assert len(saved) == rows
    first_calls = [trace["tool_calls"][0] for trace in saved]
    spoilt = [call["error"] for call in first_calls if not call["success"]]
    assert all("of_lookup does not answer" in error for error in spoilt)
    assert len(spoilt) <= 11


def test_a_run_that_is_killed_leaves_no_server_behind(folder: Path):
    processes: list[int] = []

    def script(body: dict[str, Any], number: int) -> Reply:
        if turn(body) == 0:
            return tool_calls(("where", {}))
        processes.append(int(body["messages"][-1]["content"].split()[0]))
        return hang()

    with ThreadedServer(script) as model:
        job = write(folder, {"mcp": command("stdio")})
        going = start("run", folder / job, "--base-url", model.base_url, "--dataset.path", folder / "rows.jsonl",
                      "--store.output-dir", folder / "out")  # fmt: skip
        wait_until(lambda: bool(processes))
        assert alive(processes[0])
        going.kill()
        ended(going)
        wait_until(lambda: not alive(processes[0]))
