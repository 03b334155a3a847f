"""`stop_when: mixed`, from the command line to what the server is asked."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, asyncgen, ended, shard_lines, start, traces, wait_until
from support.deep import deep
from support.mixed_world import check_asked, drawn, own, saved
from support.server import Reply, ThreadedServer, choices

Run = Callable[..., Outcome]
QUESTIONS, ROLLOUTS = 30, 8


def world(seed: int, *, hard: int) -> list[str]:
    """A letter for each rollout of a question; `hard` questions have one side only for a long time."""
    rng = random.Random(seed)
    rates = [0.5, 0.3, 0.7]
    found = []
    for index in range(QUESTIONS):
        if index % 10 < hard:
            side, other = rng.choice(["rw", "wr"])
            letters = [side] * ROLLOUTS + [rng.choice([side, side, other]) for _ in range(ROLLOUTS)]
        else:
            letters = ["r" if rng.random() < rates[index % 3] else "w" for _ in range(2 * ROLLOUTS)]
        letters = [letter if rng.random() < 0.9 else "t" for letter in letters]
        found.append("".join(letters))
    return found


def write_questions(folder: Path) -> Path:
    rows = [{"problem": f"Question {index}.", "answer": str(index + 1)} for index in range(QUESTIONS)]
    file = folder / "train.json"
    file.write_text(json.dumps(rows))
    return file


def said(index: int, letter: str) -> dict[str, Any]:
    return {"content": f"So \\boxed{{{index + 1 if letter == 'r' else 7000}}}"}


def answering(questions: list[str], body: dict[str, Any]) -> Reply:
    index, first = int(body["messages"][0]["content"].split(".")[0].split()[1]), body["seed"]
    letters = questions[index][first : first + body.get("n", 1)]
    reply = choices(*(said(index, letter) for letter in letters))
    assert isinstance(reply.payload, dict)
    for one, letter in zip(reply.payload["choices"], letters, strict=True):
        one["finish_reason"] = "length" if letter == "t" else "stop"
    return reply


def words_of(data: Path, out: Path, server: ThreadedServer, *flags: object) -> list[object]:
    return [
        "run", "math", "--dataset-path", data, "--output-dir", out, "--base-url", server.base_url, "--seed", 0,
        "--rollouts", ROLLOUTS, "--stop-when", "mixed", "--concurrency", 4, *flags,
    ]  # fmt: skip


def asked(server: ThreadedServer) -> Counter[tuple[int, int]]:
    """(index, rollout) of every choice that was asked for."""
    found: Counter[tuple[int, int]] = Counter()
    for request in server.requests:
        index = int(request.body["messages"][0]["content"].split(".")[0].split()[1])
        first = request.body["seed"]
        found.update((index, first + number) for number in range(request.body.get("n", 1)))
    return found


def stored(out: Path) -> list[tuple[int, int]]:
    return sorted((trace["sample_index"], trace["rollout"]) for trace in traces(out))


def check_equations(run: Run, out: Path, done: int, *, complete: bool = True) -> dict[str, Any]:
    """`status` and `verify` say the same, and all of it adds up."""
    status = json.loads(run("status", out, "--json").out)
    assert status["done"] + status["failed"] + status["left"] + status["skipped"] == QUESTIONS * ROLLOUTS
    verified = run("verify", out, "--json")
    assert verified.code == 0, verified
    (report,) = json.loads(verified.out)["directories"]
    assert report["ok"]
    counts = {name: report["counts"][name] for name in ("done", "failed", "skipped", "pending")}
    assert counts == {
        "done": status["done"], "failed": status["failed"], "skipped": status["skipped"], "pending": status["left"],
    }  # fmt: skip
    if complete:
        assert (status["state"], status["left"], status["done"]) == ("complete", 0, done)
    return dict(status)


@pytest.mark.parametrize(("each", "hard"), [(8, 2), *deep(((8, 7), (1, 2), (1, 7)))])
def test_a_run_that_is_killed_has_the_solutions_that_it_would_have_had(
    tmp_path: Path, run: Run, hard: int, each: int
) -> None:
    """With enough for all that are undecided, and with too little; with choices of one request, and without."""
    questions, out, data = world(3, hard=hard), tmp_path / "run", write_questions(tmp_path)
    room = sum(saved(one, ROLLOUTS) for one in questions) - sum(drawn(one, ROLLOUTS) for one in questions)
    assert (room > 0) == (hard == 2)
    lock = threading.Lock()
    allowed = 25

    def script(body: dict[str, Any], number: int) -> Reply:
        with lock:
            late = number >= allowed
        reply = answering(questions, body)
        return reply.after(30) if late else reply

    with ThreadedServer(script) as server:
        words = words_of(data, out, server, "--episode.choices", each)
        for _ in range(2):
            process = start(*words)
            wait_until(lambda wanted=allowed + 2: len(server.requests) >= wanted)  # type: ignore[misc]  # bound early
            before = _saved(out)
            process.kill()
            ended(process)
            status = check_equations(run, out, 0, complete=False)
            assert status["left"] > 0
            assert status["done"] >= before
            with lock:
                allowed = len(server.requests) + 30
        with lock:
            allowed = 10**9
        done = asyncgen(*words, "--json")
        assert done.code == 0, done.err
        summary = json.loads(done.out)
        times = asked(server)
        nothing = asyncgen(*words, "--json")
        assert nothing.code == 0, nothing.err
        assert asked(server) == times
    keys = stored(out)
    assert times.keys() == set(keys)
    again = [key for key, count in times.items() if count > 1]
    assert len(again) <= 2 * 2 * 4 * 2  # what was open at a kill is asked for anew, and nothing else
    assert (summary["done"], summary["left"]) == (len(keys), 0)
    assert summary["skipped"] == QUESTIONS * ROLLOUTS - len(keys)
    assert json.loads(nothing.out)["done"] == len(keys)
    check_end(run, out, questions, exact=hard == 2)


def check_end(run: Run, out: Path, questions: list[str], *, exact: bool) -> None:
    """The solutions and their marks. `exact`: nobody had to wait in vain, so each has all that it needs."""
    keys = stored(out)
    check_asked(keys, questions, ROLLOUTS)
    if exact:
        assert keys == [
            (index, k)
            for index, one in enumerate(questions)
            for k in [*range(own(one, ROLLOUTS)), *range(ROLLOUTS, ROLLOUTS + drawn(one, ROLLOUTS))]
        ]
    check_equations(run, out, len(keys))
    marks = {(one["sample_index"], one["rollout"]): one["metadata"]["accepted"] for one in traces(out)}
    assert marks == {(index, k): questions[index][k] == "r" for index, k in keys}
    assert json.loads(run("status", out, "--json").out)["accepted"] == sum(marks.values())


def _saved(out: Path) -> int:
    """Lines of shards that are sealed."""
    return len(shard_lines(out))


def test_merged_questions_with_fewer_or_more_solutions_are_not_short(tmp_path: Path, run: Run) -> None:
    questions, out, data = world(5, hard=3), tmp_path / "run", write_questions(tmp_path)
    with ThreadedServer(lambda body, _: answering(questions, body)) as server:
        done = run(*words_of(data, out, server))
        assert done.code == 0, done.err
        assert {request.body["n"] for request in server.requests} == {2}
    check_asked(stored(out), questions, ROLLOUTS)
    merged = run("merge", out, "-o", tmp_path / "merged.json")
    assert merged.code == 0, merged
    rows = json.loads((tmp_path / "merged.json").read_text())
    keys = stored(out)
    for index, row in enumerate(rows):
        rollouts = [rollout for one, rollout in keys if one == index]
        assert row["model_solutions"] == [said(index, questions[index][rollout])["content"] for rollout in rollouts]
    copied = run("merge", out, "-o", tmp_path / "copy", "--json")
    assert copied.code == 0, copied
    assert stored(tmp_path / "copy") == keys


def test_stop_when_does_not_go_with_the_other_ends_and_needs_a_score(tmp_path: Path, run: Run) -> None:
    data = write_questions(tmp_path)
    task = tmp_path / "own.py"
    task.write_text(
        "from dataclasses import dataclass\nfrom asyncgen import Task\n\n"
        "@dataclass(frozen=True)\nclass Own(Task):\n    user: str = '{problem}'\n    scores = {'length': 0.0}\n"
    )
    job = tmp_path / "own.yaml"
    job.write_text("task: own.py:Own\n")
    with ThreadedServer(lambda body, _: answering([], body)) as server:
        words = words_of(data, tmp_path / "run", server)
        refused = [
            run(*words, "--accept", "score = 1", "--until-accepted", 1),
            run(*words, "--stop-after-accepted", 1),
            run(*(job if word == "math" else word for word in words)),
        ]
        assert server.requests == []
    texts = ["stop_when and until_accepted", "stop_when and stop_after_accepted", "stop_when: mixed and no score named"]
    for one, text in zip(refused, texts, strict=True):
        assert (one.code, len(one.err.splitlines())) == (2, 1)
        assert text in one.err
    assert not (tmp_path / "run").exists()
