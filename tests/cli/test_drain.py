"""The first signal: what is open comes in and is kept, and nothing new is sent. The second: at once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.asked import asked_again, at_once, by_content, turn_of, turns_written
from support.cli_jobs import asyncgen, ended, ids, photo, start, traces, wait_until, wanted_ids
from support.deep import deep
from support.server import Reply, ThreadedServer, hang, text, tool_calls

ROWS = 6
SLOTS = 3
ANSWER = 0.6
"""Seconds that an answer takes where that matters: long enough for a signal to be heard before it."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for row in range(ROWS):
        (folder / f"{row}.jpg").write_bytes(photo(row))
    found = [{"image": f"{row}.jpg", "lat": row * 5.0, "lon": row * 10.0} for row in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder / "rows.jsonl"


def command(job: str, rows: Path, out: Path, server: ThreadedServer, *flags: object) -> list[object]:
    given = ["run", job, "--dataset-path", rows, "--output-dir", out, "--base-url", server.base_url]
    return [*given, "--num-samples", -1, "--concurrency", SLOTS, *flags]


def quick_then_slow(body: dict[str, Any], number: int) -> Reply:
    """First turns come at once, later ones take their time."""
    return by_content(body).after(0.0 if turn_of(body).number == 1 else ANSWER)


def quick_then_never(body: dict[str, Any], number: int) -> Reply:
    """First turns come at once, later ones never."""
    return by_content(body) if turn_of(body).number == 1 else hang()


@contextmanager
def under_way(words: list[object], server: ThreadedServer) -> Iterator[subprocess.Popen[str]]:
    """A run whose slots are all taken by second turns; killed at the end, if it still lives."""
    process = start(*words)
    try:
        wait_until(lambda: [turn_of(one.body).number for one in server.requests].count(2) >= SLOTS)
        yield process
    finally:
        process.kill()
        if process.stdout and not process.stdout.closed:
            ended(process)


def open_now(server: ThreadedServer) -> int:
    return sum(one.number not in server.answered for one in list(server.requests))


def test_a_drain_sends_nothing_new_and_the_next_start_asks_for_nothing_twice(rows: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(quick_then_slow) as server:
        words = command("geo-tools", rows, out, server)
        with under_way(words, server) as process:
            wait_until(lambda: open_now(server) == SLOTS)
            asked = len(server.requests)
            process.send_signal(signal.SIGTERM)
            stopped = ended(process)
        assert len(server.requests) == asked
        written = turns_written(out)
        assert sum(written.values()) == asked  # every answer that was paid for is on the disk
        kept = ids(out)
        done = asyncgen(*words)
        assert asked_again(server) == []
    assert stopped.code == 143, stopped.err
    assert re.search(r"draining: \d+ episodes are finishing their turn, at most 30 s", stopped.err), stopped.err
    assert "run the same command again" in stopped.out
    assert not list((out / "traces").glob("*.part"))
    assert done.code == 0, done.err
    assert ids(out) == wanted_ids("geo-tools", range(ROWS))
    resumed = {trace["sample_index"]: trace["metadata"]["resumed_at_turn"] for trace in traces(out)}
    for (row, rollout), turns in written.items():
        if f"geo-tools/{row}/{rollout}" not in kept:
            assert resumed[row] == turns + 1


SLEEPER = """
import time
from dataclasses import dataclass
from typing import ClassVar

from asyncgen import Context, Task, tool


@tool
async def look(context: Context, what: str = "") -> str:
    \"\"\"Look.\"\"\"
    await context.offload(time.sleep, 15)
    return ""


@dataclass(frozen=True)
class Sleeper(Task):
    user: str = "<image>Where?"
    tools: ClassVar = (look,)

    def answer(self, text: str) -> str:
        return text.partition("here: ")[2]
"""


def answer_or_sleep(body: dict[str, Any], number: int) -> Reply:
    """One episode is over at once, the others have a tool sleep."""
    return text("here: 1") if number == 1 else tool_calls(("look", {}))


def test_a_tool_that_sleeps_in_its_thread_does_not_keep_the_run_from_its_seal(rows: Path, tmp_path: Path):
    out = tmp_path / "run"
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "job.yaml").write_text("name: sleeper\ntask: sleeper.py:Sleeper\nschedule: {grace: 0.5}\n")
    with ThreadedServer(answer_or_sleep) as server:
        process = start(*command(str(tmp_path / "job.yaml"), rows, out, server))
        try:
            wait_until(lambda: bool(list((out / "traces").glob("*.part"))) and len(server.answered) > 2)
            process.send_signal(signal.SIGTERM)
            wait_until(
                lambda: bool(list((out / "traces").glob("*.jsonl"))) and b"released" in (out / "LOCK").read_bytes(), 8
            )
            assert process.wait(8) == 143  # nor from its end
        finally:
            process.kill()
            ended(process)


def test_a_grace_shorter_than_an_answer_cuts_what_is_open_and_keeps_the_rest(rows: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(quick_then_never) as server:
        words = command("geo-tools", rows, out, server, "--schedule.grace", 0.3)
        with under_way(words, server) as process:
            process.send_signal(signal.SIGTERM)
            stopped = ended(process)
        answered = [one for one in server.requests if one.number in server.answered]
    assert stopped.code == 143, stopped.err
    assert sum(turns_written(out).values()) == len(answered)
    with ThreadedServer(by_content, port=server.port) as back:
        assert asyncgen(*words).code == 0
        again = Counter(turn_of(one.body) for one in [*answered, *back.requests])
    assert set(again.values()) == {1}
    assert ids(out) == wanted_ids("geo-tools", range(ROWS))


@pytest.mark.deep
def test_the_second_signal_cuts_what_is_open_at_once_and_keeps_the_rest(rows: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(quick_then_never) as server:
        words = command("geo-tools", rows, out, server, "--schedule.grace", 600)
        with under_way(words, server) as process:
            process.send_signal(signal.SIGINT)
            wait_until(lambda: b'"drain"' in (out / "events.jsonl").read_bytes())
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            stopped = ended(process)
        answered = [one for one in server.requests if one.number in server.answered]
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert sum(turns_written(out).values()) == len(answered)
    with ThreadedServer(by_content, port=server.port) as back:
        assert asyncgen(*words).code == 0
        again = Counter(turn_of(one.body) for one in [*answered, *back.requests])
    assert set(again.values()) == {1}


def test_a_drain_of_a_job_of_one_turn_saves_what_is_open(rows: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: at_once(body).after(ANSWER)) as server:
        words = command("geo", rows, out, server)
        process = start(*words)
        try:
            wait_until(lambda: open_now(server) == SLOTS)
            process.send_signal(signal.SIGTERM)
        finally:
            stopped = ended(process)
        assert len(server.requests) == len(ids(out)) == SLOTS
        assert asyncgen(*words).code == 0
        assert len(server.requests) == ROWS
    assert stopped.code == 143, stopped.err
    assert not (out / "journal").exists() or not list((out / "journal").iterdir())
    assert ids(out) == wanted_ids("geo", range(ROWS))
    assert all(trace["metadata"]["resumed_at_turn"] == 0 for trace in traces(out))


@pytest.mark.parametrize("late", [0.05, *deep((0.0, 0.2))])
def test_a_signal_while_the_end_is_sealed_does_not_cut_it_short(rows: Path, tmp_path: Path, late: float):
    out = tmp_path / "run"

    def saved() -> int:
        return sum(path.read_bytes().count(b"\n") for path in (out / "traces").glob("*.jsonl*"))

    with ThreadedServer(lambda body, number: by_content(body)) as server:
        process = start(*command("geo-tools", rows, out, server))
        wait_until(lambda: saved() == ROWS)
        time.sleep(late)
        process.send_signal(signal.SIGTERM)
        stopped = ended(process)
    assert stopped.code in {0, 143}, stopped.err  # by its own hand: 143 where it was over already
    assert sorted(ids(out)) == sorted(wanted_ids("geo-tools", range(ROWS)))
    events = [json.loads(line)["event"] for line in (out / "events.jsonl").read_bytes().splitlines()]
    assert events[-1] in {"stop", "catalog_error"}
