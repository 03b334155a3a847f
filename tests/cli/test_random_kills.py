"""A job of many turns is killed at random moments, over and over: each trace comes once, no turn is asked for twice."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.asked import NEAR, Turn, asked_again, by_content, digest, turn_of, turns_written
from support.cli_jobs import asyncgen, ended, ids, photo, start, traces, wait_until, wanted_ids
from support.server import Reply, ThreadedServer

SEED = 100
SLOTS = 4
ANSWER = 2 * NEAR
"""Seconds that an answer takes: most are on their way when the process dies."""


def make_rows(folder: Path, rows: int) -> dict[str, int]:
    """A dataset in `folder/rows.jsonl`; the row of each photo's digest."""
    lines = []
    for row in range(rows):
        (folder / f"{row}.jpg").write_bytes(photo(row))
        lines.append(json.dumps({"image": f"{row}.jpg", "lat": row * 3.0, "lon": row * 5.0}) + "\n")
    (folder / "rows.jsonl").write_text("".join(lines))
    return {digest(photo(row)): row for row in range(rows)}


def slow(body: dict[str, Any], number: int) -> Reply:
    return by_content(body).after(ANSWER)


def killed_at(process: subprocess.Popen[str], server: ThreadedServer, chance: random.Random) -> float:
    """Let it live for a moment, now and then not even up to its first request; when it died (monotonic seconds)."""
    asked = len(server.requests)
    if chance.random() < 0.8:
        wait_until(lambda: len(server.requests) > asked or process.poll() is not None)
    end = time.monotonic() + chance.uniform(0, 4 * ANSWER)
    while time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    ended(process)
    return time.monotonic()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.deep)])
def test_kills_at_random_moments_lose_nothing_double_nothing_and_ask_nothing_twice(tmp_path: Path, kills: int):
    rows, rollouts = 2 + kills, 2
    place_of = make_rows(tmp_path, rows)
    out, chance, deaths = tmp_path / "run", random.Random(kills), list[float]()
    kept: set[str] = set()

    def place(turn: Turn) -> tuple[int, int]:
        return place_of[turn.photo], turn.seed - SEED

    with ThreadedServer(slow) as server:
        words = ["run", "geo-tools", "--dataset-path", tmp_path / "rows.jsonl", "--output-dir", out]
        words += ["--base-url", server.base_url, "--num-samples", -1, "--rollouts", rollouts]
        words += ["--seed", SEED, "--concurrency", SLOTS]
        for _ in range(kills):
            asked, written = len(server.requests), turns_written(out)
            deaths.append(killed_at(start(*words), server, chance))
            turns = [turn_of(request.body) for request in server.requests[asked:]]
            assert [turn for turn in turns if turn.number <= written[place(turn)]] == []
            assert all(turns_written(out)[key] >= count for key, count in written.items())
            assert kept <= {trace["id"] for trace in traces(out)}
            kept = {trace["id"] for trace in traces(out)}
        done = asyncgen(*words)
        assert asked_again(server, deaths) == []
    assert done.code == 0, done.err
    assert ids(out) == wanted_ids("geo-tools", range(rows), rollouts)
    resumed = [trace["metadata"]["resumed_at_turn"] for trace in traces(out)]
    assert any(resumed)
    assert all(turn <= trace["metadata"]["total_turns"] for turn, trace in zip(resumed, traces(out), strict=True))
    assert asyncgen("verify", out).code == 0
    assert not list((out / "journal").glob("*"))
