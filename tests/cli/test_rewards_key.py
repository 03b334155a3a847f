"""`rewards:` in a job file: other rewards than the task's own, by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import asyncgen, traces
from support.server import Reply, ThreadedServer, text

SAID = ["<think>A street, a sign.</think>\n<answer>Paris</answer>", "<answer>Paris</answer>", "<think>Hm?</think>Rome"]
JOB: dict[str, Any] = {"task": "search", "task_options": {"retrieval_url": "http://127.0.0.1:1/retrieve"}}
REWARDS = ["qa", "format", {"length": {"per_char": 0.01, "cap": 0.1}}, {"total": {"weights": {"em": 2, "format": 1}}}]


def answering(body: dict[str, Any], _: int) -> Reply:
    question = body["messages"][-1]["content"]
    return text(SAID[int(question[-1])])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadedServer]:
    rows = [{"question": f"Which city is it? {row}", "answer": "Paris"} for row in range(len(SAID))]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with ThreadedServer(answering) as running:
        yield running


def job(folder: Path, rewards: Any) -> Path:
    path = folder / "job.yaml"
    path.write_text(json.dumps({**JOB, "rewards": rewards, "dataset": {"path": "rows.jsonl"}}))
    return path


def scores(out: Path) -> list[dict[str, Any]]:
    return [one["reward_score"] for one in sorted(traces(out), key=lambda one: one["sample_index"])]


def test_the_rewards_of_a_job_score_in_their_order(server: ThreadedServer, tmp_path: Path) -> None:
    words = ("run", job(tmp_path, REWARDS), "--base-url", server.base_url, "--output-dir", tmp_path / "run")
    ended = asyncgen(*words)
    assert ended.code == 0, ended.err
    found = scores(tmp_path / "run")
    assert [list(one) for one in found] == [["score", "parse_success", "em", "f1", "format", "length"]] * 3
    kept = [(one["score"], one["em"], one["format"], one["length"], one["parse_success"]) for one in found]
    assert kept == [
        (2.5, 1.0, 0.5, 0.1, True),
        (2.0, 1.0, 0.0, 0.0, True),
        (0.0, 0.0, 0.0, pytest.approx(0.02), False),
    ]
    again = asyncgen("rescore", tmp_path / "run", "-o", tmp_path / "again")
    assert again.code == 0, again.err
    assert scores(tmp_path / "again") == found


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        (["qa", "lenght"], "rewards[1]: there is no reward 'lenght': did you mean 'length'?"),
        ([{"length": {"cup": 1}}, "qa"], "rewards[0].length: there is no option 'cup': did you mean 'cap'?"),
        ({"qa": {}}, "rewards: it is a mapping"),
        (["format", "length"], "nobody gives the score"),
    ],
)
def test_what_is_wrong_with_the_list_is_one_line(tmp_path: Path, rewards: Any, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text('{"question": "?", "answer": "x"}\n')
    ended = asyncgen(
        "run", job(tmp_path, rewards), "--base-url", "http://127.0.0.1:1/v1", "--output-dir", tmp_path / "o"
    )
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
