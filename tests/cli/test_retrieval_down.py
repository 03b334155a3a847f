"""The retrieval server dies in the middle of a run: few traces say so, the others wait for it."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.ask_task import ASK
from support.cli_jobs import asyncgen, ended, ids, start, traces, wait_until, wanted_ids
from support.retriever import ThreadedRetriever, answered
from support.server import Reply, ThreadedServer, text, tool_calls

ROWS = 60
TOLD = 12
"""Most traces that may have an error text."""


def searching(body: dict[str, Any], number: int) -> Reply:
    """Each question is searched for once, then answered."""
    if body["messages"][-1]["role"] == "tool":
        return text("answer: 1")
    return tool_calls(("search", {"query_list": [f"all about {body['messages'][-1]['content']}"]}))


class Mortal:
    """Answers three requests; whoever asks then waits until the server is killed. Well again after `mend`."""

    def __init__(self) -> None:
        self.dying = threading.Event()
        self.mended = False

    def mend(self) -> None:
        self.mended = True

    def __call__(self, body: dict[str, Any], number: int) -> Any:
        return answered(body) if number < 3 or self.mended else self._die()

    async def _die(self) -> web.StreamResponse:
        self.dying.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "ask.py").write_text(ASK)
    rows = [json.dumps({"question": f"question {row}"}) + "\n" for row in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(rows))
    (tmp_path / "job.yaml").write_text("name: ask\ntask: ask.py:Ask\nsampling: {temperature: 0.0}\n")
    return tmp_path / "job.yaml"


def words(job: Path, model: ThreadedServer, retriever: ThreadedRetriever, *flags: object) -> list[object]:
    data, out = job.parent / "rows.jsonl", job.parent / "run"
    given = ["run", job, "--dataset-path", data, "--output-dir", out, "--base-url", model.base_url]
    return [*given, "--num-samples", -1, "--concurrency", 8, "--task.url", retriever.url, *flags]


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    path = out / "events.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []  # the last one may be half written
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def is_paused(out: Path) -> bool:
    return any("the tool search is down" in event["text"] for event in events(out, "pause"))


def results(out: Path) -> list[str]:
    """What the model read of each search."""
    messages = [
        message for trace in traces(out) for turn in trace["conversation_history"] for message in turn["messages"]
    ]
    return [message["content"] for message in messages if message["role"] == "tool"]


def assert_whole(out: Path, model: ThreadedServer) -> None:
    """Every row has its trace, few of them an error, and no turn was asked for twice."""
    assert ids(out) == wanted_ids("ask", range(ROWS))
    failed = [one for one in results(out) if not one.startswith("Query: all about question ")]
    assert len(failed) <= TOLD
    assert all(one.startswith("Error: the search service did not answer (") for one in failed)
    assert len(results(out)) == ROWS
    asked = Counter(json.dumps(request.body["messages"]) for request in model.requests)
    assert (len(asked), set(asked.values())) == (2 * ROWS, {1})


def test_a_run_waits_for_its_retrieval_server_and_goes_on_by_itself(job: Path) -> None:
    out, mortal = job.parent / "run", Mortal()
    with ThreadedServer(searching) as model, ThreadedRetriever(mortal) as retriever:
        process = start(*words(job, model, retriever))
        assert mortal.dying.wait(30)
        retriever.stop()
        mortal.mend()
        wait_until(lambda: is_paused(out))
        sent = len(model.requests)
        assert sent < 2 * ROWS
        assert len(ids(out)) < ROWS
        retriever.start()
        done = ended(process)
        assert_whole(out, model)
    assert done.code == 0, done.err
    assert "the tool search is down, its calls wait: the search service did not answer (" in done.err
    assert [event["error"] for event in events(out, "stop")] == [""]


def test_a_run_that_is_stopped_while_it_waits_goes_on_with_the_very_call(job: Path) -> None:
    out, mortal = job.parent / "run", Mortal()
    with ThreadedServer(searching) as model, ThreadedRetriever(mortal) as retriever:
        given = words(job, model, retriever)
        process = start(*given)
        assert mortal.dying.wait(30)
        retriever.stop()
        mortal.mend()
        wait_until(lambda: is_paused(out))
        process.send_signal(signal.SIGTERM)
        stopped = ended(process)
        retriever.start()
        done = asyncgen(*given)
        assert_whole(out, model)
    assert stopped.code == 143, stopped.err
    assert done.code == 0, done.err
    assert "were interrupted in their middle: they go on from there" in done.err


def test_an_outage_of_the_retrieval_server_that_lasts_too_long_exits_75(job: Path) -> None:
    out = job.parent / "run"
    with ThreadedServer(searching) as model, ThreadedRetriever() as retriever:
        retriever.stop()
        down = asyncgen(*words(job, model, retriever, "--endpoint.max-outage", 0.2))
        assert len(ids(out)) <= TOLD
        retriever.start()
        done = asyncgen(*words(job, model, retriever))
        assert_whole(out, model)
    assert down.code == 75, down.err
    (complaint,) = down.complaints
    assert "the tool search is down" in complaint
    assert "run the same command again" in complaint
    assert done.code == 0, done.err
