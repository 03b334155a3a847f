"""A task file of a user's own, and the secrets of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, asyncgen, traces
from support.server import Reply, ThreadedServer, error, text, tool_calls

Run = Callable[..., Outcome]
KEY = "sk-very-secret-0123456789"

TASK = '''from dataclasses import dataclass
from typing import ClassVar
from asyncgen import Task, ToolError, answer_tag, tool


def square(number):
    return number * number


@tool
async def population(context, city: str, year: int = 2020) -> str:
    """How many people live in a city."""
    if city != "Bern":
        raise ToolError(f"no city {city!r}; try Bern")
    return f"{await context.in_process(square, 366)} in {year}"


async def exact(context, sample, trace):
    return {"score": float(trace.answer == sample.data["city"])}


@dataclass(frozen=True)
class City(Task):
    hint: str = "none"
    """What the model is told of the place."""
    system: str = "You know {country}. Hint: "
    user: str = "Which city has {people} people? <answer></answer>"
    tools: ClassVar = (population,)
    rewards: ClassVar = (exact,)

    def answer(self, text):
        return answer_tag(text)
'''


def script(body: dict[str, Any], number: int) -> Reply:
    turn = sum(message["role"] == "assistant" for message in body["messages"])
    if turn == 0:
        return tool_calls(("population", {"city": "Basel"}), ("population", {"city": "Bern", "year": "2024"}))
    return text("<answer>Bern</answer>")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_file.py").write_text(TASK)
    (tmp_path / "rows.jsonl").write_text(
        '{"city": "Bern", "country": "Switzerland", "people": 133956}\n'
        '{"city": "Oslo", "country": "Norway", "people": 709037}\n'
    )
    (tmp_path / "cities.yaml").write_text("task: my_file.py:City\ndataset: {path: rows.jsonl}\n")
    return tmp_path


def test_a_task_file_of_thirty_lines_with_its_own_tool_and_reward_runs(folder: Path):
    assert len([line for line in TASK.splitlines() if line.strip()]) <= 30
    with ThreadedServer(script) as server:
        words = (
            "run",
            "cities.yaml",
            "--base-url",
            server.base_url,
            "--task.hint",
            "a bear",
            "--task.system",
            "{country}",
        )
        ended = asyncgen(*words, cwd=folder)
        assert ended.code == 0, ended.err
        first = server.requests[0].body
    assert [one["function"]["name"] for one in first["tools"]] == ["population"]
    parameters = first["tools"][0]["function"]["parameters"]
    assert parameters["required"] == ["city"]
    assert parameters["properties"]["year"]["type"] == "integer"
    saved = {trace["sample_data"]["city"]: trace for trace in traces(folder / "runs" / "cities")}
    assert {city: trace["reward_score"] for city, trace in saved.items()} == {
        "Bern": {"score": 1.0, "parse_success": True},
        "Oslo": {"score": 0.0, "parse_success": True},
    }
    trace = saved["Bern"]
    assert trace["id"] == "cities/0/0"
    assert [call["success"] for call in trace["tool_calls"]] == [False, True]
    assert "try Bern" in trace["tool_calls"][0]["error"]
    results = [one["content"] for one in trace["conversation_history"][1]["messages"]]
    assert "133956 in 2024" in results[1]
    options = json.loads((folder / "runs" / "cities" / "run.json").read_bytes())["config"]["task_options"]
    assert options == {"hint": "a bear", "system": "{country}"}


def test_the_options_of_a_task_file_are_flags_with_help(folder: Path, run: Run):
    shown = " ".join(run("run", folder / "cities.yaml", "--help").out.split())
    assert "--task.hint" in shown
    assert "What the model is told of the place." in shown
    wrong = run("run", folder / "cities.yaml", "--task.hnt", "x")
    assert wrong.code == 2
    assert "--task.hint" in wrong.err


def test_a_bug_in_a_reward_costs_an_episode_and_names_its_line(folder: Path, run: Run):
    broken = TASK.replace('sample.data["city"]', 'sample.data["nothing"]')
    (folder / "my_file.py").write_text(broken)
    with ThreadedServer(script) as server:
        ended = asyncgen("run", "cities.yaml", "--base-url", server.base_url, cwd=folder)
    assert ended.code == 4, ended.err
    failed = traces(folder / "runs" / "cities", "failed")
    assert [line["reason"] for line in failed] == ["internal", "internal"]
    assert "my_file.py:19" in failed[0]["error"]


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_secret_in_the_address_is_written_nowhere(folder: Path):
    with ThreadedServer(script) as server:
        address = server.base_url.replace("//", f"//user:{KEY}@")
        ended = asyncgen("run", "cities.yaml", "--base-url", address, "--log-samples", cwd=folder)
        assert all("Authorization" in request.headers for request in server.requests)
    assert ended.code == 0, ended.err
    gone = asyncgen("run", "cities.yaml", "--base-url", address, "--name", "gone", cwd=folder)
    assert gone.code == 2
    for said in (ended, gone):
        assert KEY not in said.out + said.err
    assert KEY.encode() not in everything(folder)


@pytest.mark.parametrize(
    "words",
    [
        ("--sampling.extra-body", '{"api_key":"topsecret"}'),
        pytest.param(("--sampling.extra_body", "{api_key: topsecret, top_k: 2}"), marks=pytest.mark.deep),
        ('--sampling.extra-body={"headers": {"X-Api-Key": "topsecret"}}',),
    ],
)
def test_a_secret_in_a_flag_that_is_a_mapping_is_sent_and_written_nowhere(folder: Path, words: tuple[str, ...]):
    with ThreadedServer(script) as server:
        ended = asyncgen("run", "cities.yaml", "--base-url", server.base_url, *words, cwd=folder)
        assert all("topsecret" in json.dumps(request.body) for request in server.requests)
    assert ended.code == 0, ended.err
    assert "topsecret" not in ended.out + ended.err
    assert b"topsecret" not in everything(folder)
    for name in ("run.json", "LOCK"):
        argv = json.loads((folder / "runs" / "cities" / name).read_bytes())["argv"]
        assert "***" in argv[-1], name


def test_a_key_beside_a_user_in_the_address_is_refused(folder: Path):
    with ThreadedServer(script) as server:
        address = server.base_url.replace("//", "//user:hunter2@")
        refused = asyncgen("run", "cities.yaml", "--base-url", address, cwd=folder, OPENAI_API_KEY=KEY)
        assert not server.requests
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert server.base_url.replace("//", "//***@") in line
    assert "OPENAI_API_KEY" in line
    assert "hunter2" not in line
    assert not (folder / "runs").exists()


def test_show_prints_the_columns_of_the_task_as_truth(folder: Path, run: Run):
    (folder / "my_file.py").write_text(TASK.replace("    rewards:", '    columns: ClassVar = ("city",)\n    rewards:'))
    with ThreadedServer(script) as server:
        assert asyncgen("run", "cities.yaml", "--base-url", server.base_url, cwd=folder).code == 0
    assert "answer: Bern   truth: city=Oslo" in run("show", folder / "runs" / "cities", 1).out


def test_the_key_is_sent_and_written_nowhere_even_when_the_server_echoes_it(folder: Path):
    def echo(body: dict[str, Any], number: int) -> Reply:
        return error(400, f"refused for Bearer {KEY}") if number == 1 else script(body, number)

    with ThreadedServer(echo) as server:
        ended = asyncgen(
            "run", "cities.yaml", "--base-url", server.base_url, "--log-samples", "--max-failed", 1,
            cwd=folder, OPENAI_API_KEY=KEY,
        )  # fmt: skip
        assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}
        refused = error(401, f"wrong key {KEY}")
    assert ended.code == 0, ended.err
    (failed,) = traces(folder / "runs" / "cities", "failed")
    assert "refused for Bearer" in failed["error"]
    with ThreadedServer(script, pages={"/v1/models": refused}) as other:
        denied = asyncgen(
            "run", "cities.yaml", "--base-url", other.base_url, "--name", "denied", cwd=folder, OPENAI_API_KEY=KEY
        )
    assert denied.code == 77
    for said in (ended, denied):
        assert KEY not in said.out + said.err
    assert KEY.encode() not in everything(folder)
