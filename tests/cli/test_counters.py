"""What a run has cost is told over all its starts, after a kill as well: tokens, turns, retries, time, dollars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.cli_jobs import Outcome, answering, ended, looking, start, traces, wait_until
from support.server import Reply, ThreadedServer, error, hang

Run = Callable[..., Outcome]
SUMS = ("turns", "tool_calls", "prompt_tokens", "completion_tokens", "retries")


def words(photos: Path, out: Path, server: ThreadedServer, *flags: object, job: str = "geo") -> list[object]:
    number = () if "--num-samples" in flags else ("--num-samples", -1)
    return ["run", job, "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url, *number, *flags]


def stored(out: Path) -> dict[str, int]:
    """The sums by the lines themselves."""
    lines = [(one, 0) for one in traces(out)] + [(one, 1) for one in traces(out, "failed")]
    metadata = [(one["metadata"], failed) for one, failed in lines]
    return {
        "turns": sum(one["total_turns"] for one, _ in metadata),
        "tool_calls": sum(one["num_tool_calls"] for one, _ in metadata),
        "prompt_tokens": sum(one["prompt_tokens"] for one, _ in metadata),
        "completion_tokens": sum(one["completion_tokens"] for one, _ in metadata),
        "retries": sum(max(0, one["attempts"] - one["total_turns"] - failed) for one, failed in metadata),
    }


def sums(found: dict[str, Any]) -> dict[str, int]:
    return {name: found[name] for name in SUMS}


def test_a_resume_tells_what_all_starts_have_cost_and_what_it_has_cost_itself(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    prices = ("--endpoint.price-input", 1000, "--endpoint.price-output", 10_000, "--json")
    with ThreadedServer(looking) as server:
        found = [
            json.loads(run(*words(photos, out, server, "--num-samples", number, *prices, job="geo-tools")).out)
            for number in (2, 5, 5)
        ]
        shown = run(*words(photos, out, server, "--num-samples", 5, job="geo-tools"))
    assert sums(found[2]) == stored(out)
    assert found[2]["turns"] == 15
    assert found[2]["tool_calls"] == 10
    assert [one["starts"] for one in found] == [1, 2, 3]
    for name in (*SUMS, "cost"):
        assert found[0][name] == found[0]["this_start"][name]
        assert found[1][name] == found[0][name] + found[1]["this_start"][name] == found[2][name]
        assert not found[2]["this_start"][name]
    assert found[1]["cost"] == found[1]["prompt_tokens"] / 1e3 + found[1]["completion_tokens"] / 1e2
    for one in found[1:]:
        assert one["seconds"] > one["this_start"]["seconds"] > 0
    assert "all 4 starts: 15 turns, 10 tool calls, " in shown.out


def test_status_tells_the_same(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        for number in (2, 5):
            done = run(*words(photos, out, server, "--num-samples", number, "--endpoint.price-output", 5, "--json"))
    summary = json.loads(done.out)
    status = json.loads(run("status", out, "--json").out)
    assert sums(status) == sums(summary) == stored(out)
    assert (status["starts"], status["cost"]) == (2, summary["cost"])
    assert abs(status["seconds"] - summary["seconds"]) < 1
    assert "spent on episodes that ended, in all starts (2): 5 turns, 0 tool calls, " in run("status", out).out


def test_after_a_kill_nothing_that_is_stored_is_missing_from_the_sums(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"

    rows: list[Any] = []

    def script(body: dict[str, Any], number: int) -> Reply:
        if body["messages"] not in rows:
            rows.append(body["messages"])
            if len(rows) == 1:
                return error(500, "once more")
        return answering(body, number) if rows.index(body["messages"]) < 4 else hang()

    with ThreadedServer(script) as server:
        process = start(*words(photos, out, server, "--concurrency", 8))
        try:
            wait_until(lambda: part_lines(out) == 4)
            live = json.loads(run("status", out, "--json").out)
        finally:
            process.kill()
            ended(process)
    dead = json.loads(run("status", out, "--json").out)
    for status in (live, dead):
        assert (status["turns"], status["completion_tokens"], status["starts"]) == (4, 40, 1)
    assert (live["state"], dead["state"]) == ("running", "interrupted")
    assert live["seconds"] > 0
    with ThreadedServer(answering) as server:
        summary = json.loads(run(*words(photos, out, server, "--json")).out)
    assert sums(summary) == stored(out)
    assert (summary["turns"], summary["retries"], summary["starts"]) == (8, 1, 2)
    assert summary["this_start"]["turns"] == 4


def part_lines(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (out / "traces").glob("*.part"))


def test_what_failed_has_cost_something_too_also_when_it_is_tried_again(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    fail = True

    def script(body: dict[str, Any], number: int) -> Reply:
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        return error(400, "no") if fail and turn == 2 else looking(body, number)

    with ThreadedServer(script) as server:
        flags = ("--num-samples", 3, "--max-failed", 1, "--json")
        first = json.loads(run(*words(photos, out, server, *flags, job="geo-tools")).out)
        fail = False
        again = json.loads(run(*words(photos, out, server, *flags, "--retry-failed", job="geo-tools")).out)
    assert (first["done"], first["failed"], again["done"], again["failed"]) == (0, 3, 3, 0)
    assert sums(again) == stored(out)
    assert (first["turns"], again["turns"], again["this_start"]["turns"]) == (6, 15, 9)
    assert again["retries"] == 0


def test_partitions_are_added_up(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        for k in range(2):
            assert run(*words(photos, out, server, "--partition", f"{k}/2")).code == 0
    status = json.loads(run("status", out, "--json").out)
    assert (status["turns"], status["completion_tokens"], status["starts"], status["cost"]) == (8, 80, 2, None)


def test_a_copy_says_what_its_traces_have_cost_and_that_nobody_started_it(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        assert run(*words(photos, tmp_path / "run", server)).code == 0
    assert run("filter", tmp_path / "run", "--where", "lat < 0", "-o", tmp_path / "some").code == 0
    status = json.loads(run("status", tmp_path / "some", "--json").out)
    assert (status["turns"], status["starts"], status["seconds"]) == (4, 0, 0.0)


def test_failed_episodes_are_tried_again_by_one_reason_or_by_several(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"

    def script(body: dict[str, Any], number: int) -> Reply:
        return error(400, "no")

    with ThreadedServer(script) as server:
        plain = words(photos, out, server, "--num-samples", 3, "--max-failed", 1)
        assert run(*plain).code == 0
        for flags, more in (
            (("--retry-failed=timeout,server_error",), 0),
            (("--retry-failed", "timeout"), 0),
            (("--retry-failed=bad_request",), 3),
            (("--retry-failed=timeout, bad_request",), 3),
            (("--retry-failed",), 3),
            (("--retry-failed", "all"), 3),
        ):
            asked = len(server.requests)
            assert run(*plain, *flags).code == 0
            assert len(server.requests) - asked == more, flags
        wrong = run(*plain, "--retry-failed=bad_requests")
    assert wrong.code == 2
    assert "did you mean 'bad_request'" in wrong.err
