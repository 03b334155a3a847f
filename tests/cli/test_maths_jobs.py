"""The maths jobs from outside: choices, single answers, truncated ones, raw prompts, critiques."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import asyncgen, traces
from support.maths_world import CompletionServer
from support.server import Reply, ThreadedServer

TRUTHS = [r"\frac{1}{2}", "12", r"(-\infty, 3]", r"\text{Monday}"]
SOLUTIONS: list[tuple[str, str, tuple[float, bool, bool]]] = [
    (r"So \boxed{TRUTH}.", "stop", (1.0, True, False)),
    (r"<think>\boxed{TRUTH}</think>It is \boxed{77}.", "stop", (0.0, True, False)),
    (r"First \boxed{77}, no, \boxed{TRUTH}", "stop", (1.0, True, False)),
    (r"We see that \boxed{TRUTH} and", "length", (0.0, True, True)),
    ("The answer is $TRUTH$.", "stop", (1.0, True, False)),
    ("I cannot say.", "stop", (0.0, False, False)),
    (r"\boxed{HANGING}", "stop", (0.0, False, False)),
    ("so far", "length", (0.0, False, True)),
]
"""Text, finish reason, scores. Only the first question's hanging one hangs; the others' are wrong."""


def deepscaler(folder: Path) -> Path:
    """Rows as the job's document has them, and two that are no samples."""
    rows: list[dict[str, Any]] = [
        {
            "question": f"Question {row}?",
            "gt_answer": truth,
            "answer": truth,
            "prompt": [{"content": f" raw {row} \n", "role": "user"}],
            "reward_model": {"ground_truth": truth, "style": "rule"},
            "extra_info": {"answer": truth, "index": row},
        }
        for row, truth in enumerate(TRUTHS)
    ]
    nothing: dict[str, Any] = {"prompt": [], "reward_model": {"ground_truth": "", "style": "rule"}}
    rows.append(
        {"question": "Without an answer?", "gt_answer": "", "answer": "", "extra_info": {"index": 4}, **nothing}
    )
    rows.append({"question": " ", "gt_answer": "1", "answer": "1", "extra_info": {"index": 5}, **nothing})
    file = folder / "deepscaler_train.json"
    file.write_text(json.dumps(rows))
    return file


def reply(*solutions: tuple[str, str]) -> Reply:
    listed = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        for index, (text, reason) in enumerate(solutions)
    ]
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    return Reply(payload={"object": "chat.completion", "created": 1, "choices": listed, "usage": usage})


def solutions_of(prompt: str) -> list[tuple[str, str]]:
    match = re.search(r"(?:Question|raw) (\d)", prompt)
    assert match
    row = int(match[1])
    filled = {"TRUTH": TRUTHS[row], "HANGING": "78" if row else "10^{10^{10}}+x"}
    return [(re.sub("TRUTH|HANGING", lambda mark: filled[mark[0]], text), reason) for text, reason, _ in SOLUTIONS]


def run(out: Path, *words: object, code: int = 0) -> list[dict[str, Any]]:
    ended = asyncgen("run", *words, "--output-dir", out, "--max-failed", 1)
    assert ended.code == code, ended.err
    return traces(out)


def scores(found: list[dict[str, Any]], row: int) -> list[tuple[Any, ...]]:
    mine = sorted((one for one in found if one["sample_index"] == row), key=lambda one: one["rollout"])
    return [tuple(one["reward_score"].values()) for one in mine]


def check(found: list[dict[str, Any]]) -> None:
    assert Counter(trace["sample_index"] for trace in found) == dict.fromkeys(range(len(TRUTHS)), 8)
    assert scores(found, 0) == [wanted for _, _, wanted in SOLUTIONS]
    for row in (1, 2, 3):
        assert [one[0] for one in scores(found, row)] == [wanted[0] for _, _, wanted in SOLUTIONS]
    for trace in found:
        (turn,) = trace["conversation_history"]
        assert list(trace["reward_score"]) == ["score", "parse_success", "truncated"]
        assert trace["reward_score"]["truncated"] == (turn["finish_reason"] == "length")
        assert isinstance(trace["reward_score"]["score"], float)


def test_eight_solutions_come_from_one_request_and_are_told_apart(tmp_path: Path) -> None:
    with ThreadedServer(lambda body, _: reply(*solutions_of(body["messages"][0]["content"])[: body["n"]])) as server:
        found = run(tmp_path / "run", "math", "--dataset-path", deepscaler(tmp_path), "--base-url", server.base_url)
        bodies = [request.body for request in server.requests]
    check(found)
    assert [body["n"] for body in bodies] == [8] * len(TRUTHS)
    assert {(body["temperature"], body["top_p"], body["max_tokens"]) for body in bodies} == {(0.7, 0.9, 4096)}
    assert {body["messages"][0]["content"] for body in bodies} == {
        f"Question {row}?\n\nReason step by step, and put your final answer in \\boxed{{}}." for row in range(4)
    }
    failed = traces(tmp_path / "run", "failed")
    assert {line["reason"] for line in failed} == {"bad_sample"}
    said = {line["sample_index"]: line["error"] for line in failed}
    assert set(said) == {4, 5}
    assert "no answer, or an empty one: looked in extra_info.answer" in said[4]
    assert "no question, or an empty one: looked in question, problem" in said[5]


@pytest.mark.deep
def test_a_server_of_single_answers_is_asked_again(tmp_path: Path) -> None:
    given: Counter[str] = Counter()

    def script(body: dict[str, Any], _number: int) -> Reply:
        prompt = body["messages"][0]["content"]
        given[prompt] += 1
        return reply(solutions_of(prompt)[given[prompt] - 1])

    with ThreadedServer(script) as server:
        found = run(
            tmp_path / "run", "math", "--dataset-path", deepscaler(tmp_path), "--base-url", server.base_url,
            "--concurrency", 1,
        )  # fmt: skip
    assert set(given.values()) == {8}
    check(found)


def test_raw_sends_the_row_s_own_prompt(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> list[tuple[str, str]]:
        return solutions_of(body["prompt"])[: body["n"]]

    with CompletionServer(script) as server:
        found = run(
            tmp_path / "run", "math", "--dataset-path", deepscaler(tmp_path), "--base-url", server.base_url,
            "--task.prompt-style", "raw",
        )  # fmt: skip
        assert {body["prompt"] for body in server.requests} == {f" raw {row} \n" for row in range(4)}
    check(found)


@pytest.mark.deep
def test_scores_can_be_worked_out_again_by_the_other_rule(tmp_path: Path) -> None:
    """`rescore` has no run whose judge it could use."""
    with ThreadedServer(lambda body, _: reply(*solutions_of(body["messages"][0]["content"])[: body["n"]])) as server:
        run(tmp_path / "run", "math", "--dataset-path", deepscaler(tmp_path), "--base-url", server.base_url)
    again = asyncgen("rescore", tmp_path / "run", "-o", tmp_path / "again")
    assert again.code == 0, again.err
    before = {trace["id"]: trace["reward_score"] for trace in traces(tmp_path / "run")}
    assert {trace["id"]: trace["reward_score"] for trace in traces(tmp_path / "again")} == before
    other = asyncgen("rescore", tmp_path / "run", "-o", tmp_path / "other", "--task.rule", "original")
    assert other.code == 0, other.err
    assert [one[0] for one in scores(traces(tmp_path / "other"), 0)] == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert [one[0] for one in scores(traces(tmp_path / "other"), 1)] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]


def test_critiques_that_agree_are_accepted(tmp_path: Path) -> None:
    rows = [{"prompt": f"Judge {row}.\n\nCritique:", "target": "right" if row % 2 else "wrong"} for row in range(4)]
    rows += [{"prompt": "Judge 4.", "target": "perhaps"}]
    file = tmp_path / "deepscaler_critique.json"
    file.write_text(json.dumps(rows))
    said = [
        "Conclusion: right [END]",
        "**Conclusion: right [END]**",
        "Conclusion: right/wrong",
        "Conclusion: wrong [END]",
    ]

    def script(body: dict[str, Any], _number: int) -> Reply:
        (message,) = body["messages"]
        number = int(message["content"].removeprefix("Judge ")[0])
        return reply((said[number], "stop"))

    with ThreadedServer(script) as server:
        found = run(tmp_path / "run", "critique", "--dataset-path", file, "--base-url", server.base_url)
    by_row = {trace["sample_index"]: trace for trace in found}
    assert {row: trace["answer"] for row, trace in by_row.items()} == {0: "right", 1: "right", 2: "", 3: "wrong"}
    assert {row: trace["reward_score"]["score"] for row, trace in by_row.items()} == {0: 0.0, 1: 1.0, 2: 0.0, 3: 0.0}
    assert [row for row, trace in sorted(by_row.items()) if trace["metadata"]["accepted"]] == [1]
    (failed,) = traces(tmp_path / "run", "failed")
    assert (failed["sample_index"], failed["reason"]) == (4, "bad_sample")
