"""`check` asks a tool's server as well, and says when it is the model's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.ask_task import ASK
from support.cli_jobs import Outcome, asyncgen
from support.retriever import ThreadedRetriever
from support.server import ThreadedServer, text

Check = Callable[[ThreadedServer, str], tuple[Outcome, list[dict[str, Any]]]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Runs `check`: its outcome, and what it found of the retrieval server."""
    (tmp_path / "asked.py").write_text(ASK)
    (tmp_path / "rows.jsonl").write_text('{"question": "Where?"}\n')
    (tmp_path / "job.yaml").write_text("name: ask\ntask: asked.py:Ask\n")

    def _check(model: ThreadedServer, url: str) -> tuple[Outcome, list[dict[str, Any]]]:
        data, out = tmp_path / "rows.jsonl", tmp_path / "run"
        words = ["check", tmp_path / "job.yaml", "--dataset-path", data, "--output-dir", out, "--num-samples", -1]
        done = asyncgen(*words, "--base-url", model.base_url, "--task.url", url, "--json")
        findings = json.loads(done.out)["findings"]
        return done, [finding for finding in findings if finding["what"] == "retrieval"]

    return _check


def test_a_server_that_answers_is_ok(check: Check) -> None:
    with ThreadedServer(lambda body, number: text("hello")) as model, ThreadedRetriever() as retriever:
        done, found = check(model, retriever.url)
    assert done.code == 0, done.out
    assert found == [{"what": "retrieval", "state": "ok", "text": f"search at {retriever.url}: answered, 5 hits"}]


def test_a_server_that_is_not_there_fails_the_check(check: Check) -> None:
    with ThreadedServer(lambda body, number: text("hello")) as model, ThreadedRetriever() as retriever:
        retriever.stop()
        done, found = check(model, retriever.url)
    assert done.code == 2
    assert (found[0]["state"], found[0]["text"]) == (
        "fail",
        f"search at {retriever.url}: no connection, connection refused; start it, or give the address at which it is",
    )


def test_the_model_s_own_port_fails_the_check_and_is_told_at_the_start_of_a_run(check: Check, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("hello")) as model:
        url = model.base_url.replace("127.0.0.1", "localhost").replace("/v1", "/retrieve")
        done, found = check(model, url)
        words = [
            "run",
            tmp_path / "job.yaml",
            "--dataset-path",
            tmp_path / "rows.jsonl",
            "--output-dir",
            tmp_path / "r",
        ]
        ran = asyncgen(*words, "--num-samples", -1, "--base-url", model.base_url, "--task.url", url)
    told = f"the model and the tool search are asked at one host and port ({model.base_url} and {url})"
    assert done.code == 2
    assert found[0]["state"] == "fail"
    assert told in found[0]["text"]
    assert ran.code == 0, ran.err
    assert told in ran.err
