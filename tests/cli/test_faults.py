"""Bad rows, bad servers, limits: what fails one episode, what is tried again, what ends a run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.cli_jobs import (
    TRACE_KEYS,
    answering,
    asyncgen,
    checked,
    ended,
    ids,
    photo,
    shard_lines,
    start,
    traces,
    wait_until,
    wanted_ids,
)
from support.server import Reply, ThreadedServer, disconnect, error, raw, text

REFUSED = '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'


def geo(photos: Path, out: Path, server: ThreadedServer, *flags: object) -> list[object]:
    number = () if "--num-samples" in flags else ("--num-samples", -1)
    return ["run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url, *number, *flags]


def test_a_bad_row_is_one_failed_episode_with_a_typed_reason_and_every_key(tmp_path: Path):
    rows: list[dict[str, Any]] = [
        {"image": "fine.jpg", "lat": 1.0, "lon": 2.0},
        {"image": "broken.jpg", "lat": 1.0, "lon": 2.0},
        {"image": "missing.jpg", "lat": 1.0, "lon": 2.0},
        {"image": "../outside.jpg", "lat": 1.0, "lon": 2.0},
        {"image": None, "lat": 1.0, "lon": 2.0},
        {"image": "fine.jpg", "lat": None, "lon": 2.0},
        {"image": "large.jpg", "lat": 1.0, "lon": 2.0},
    ]
    (tmp_path / "fine.jpg").write_bytes(photo(1))
    (tmp_path / "broken.jpg").write_bytes(photo(1)[:900])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    from PIL import Image

    Image.new("L", (1000, 1000)).save(tmp_path / "large.jpg")
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        words = geo(tmp_path / "rows.jsonl", out, server, "--episode.max-image-pixels", 200_000, "--json")
        done = asyncgen(*words, "--max-failed", 0.9)
        asked = len(server.requests)
        again = asyncgen(*words)
        assert len(server.requests) == asked
    assert done.code == 0, done.err
    assert again.code == 4, again.err
    assert "--max-failed" in again.complaints[0]
    assert ids(out) == ["geo/0/0"]
    failed = {trace["sample_index"]: trace for trace in traces(out, "failed")}
    assert {row: line["reason"] for row, line in failed.items()} == {
        1: "bad_image",
        2: "bad_image",
        3: "bad_image",
        4: "bad_image",
        5: "bad_sample",
        6: "image_too_large",
        7: "bad_sample",
    }
    for line in failed.values():
        assert list(line) == [*TRACE_KEYS[:-1], "reason", "error", "crc"]
        assert line["error"]
        assert line["metadata"]["stop"] == "failed"
        assert line["metadata"]["accepted"] is False
        assert line["reward_score"]["distance@km"] == 20000.0
        assert line["reward_score"]["parse_success"] is False
    assert json.loads(done.out)["failed_reasons"] == {"bad_image": 4, "bad_sample": 2, "image_too_large": 1}


def test_a_row_without_its_latitude_fails_before_anything_is_sent(tmp_path: Path):
    (tmp_path / "fine.jpg").write_bytes(photo(1))
    rows = [{"image": "fine.jpg", "lat": lat, "lon": 2.0} for lat in (None, 1.0)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ThreadedServer(answering) as server:
        done = asyncgen(*geo(tmp_path / "rows.jsonl", tmp_path / "run", server, "--max-failed", 1, "--json"))
        assert len(server.requests) == 1
    assert done.code == 0, done.err
    (line,) = traces(tmp_path / "run", "failed")
    assert (line["sample_index"], line["reason"], line["conversation_history"]) == (0, "bad_sample", [])
    assert "lat=None" in line["error"]
    assert ids(tmp_path / "run") == ["geo/1/0"]


def test_faults_of_the_server_are_tried_again_until_every_episode_has_its_trace(photos: Path, tmp_path: Path):
    faults = {
        0: error(500, "boom"),
        2: error(429, "slow down", {"Retry-After": "1"}),
        4: disconnect(),
        6: raw(b"<html>garbage"),
        8: error(503, "loading"),
        10: text(""),
    }

    def script(body: dict[str, Any], number: int) -> Reply:
        return faults.get(number) or answering(body, number)

    with ThreadedServer(script) as server:
        done = asyncgen(*geo(photos, tmp_path / "run", server, "--json"))
        asked = len(server.requests)
    assert done.code == 0, done.err
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))
    assert asked == 8 + len(faults)
    assert sum(trace["metadata"]["attempts"] for trace in traces(tmp_path / "run")) == asked
    assert json.loads(done.out)["retries"] == len(faults)


def test_a_refused_prompt_fails_its_episode_at_once(photos: Path, tmp_path: Path):
    with ThreadedServer(
        lambda body, number: error(400, "prompt refused") if number == 0 else answering(body, number)
    ) as server:
        done = asyncgen(*geo(photos, tmp_path / "run", server, "--num-samples", 2, "--max-failed", 0.4))
        assert len(server.requests) == 2
    assert done.code == 4
    (line,) = traces(tmp_path / "run", "failed")
    assert (line["reason"], len(ids(tmp_path / "run"))) == ("bad_request", 1)
    assert "prompt refused" in line["error"]


def test_an_outage_longer_than_max_outage_exits_75_and_burns_no_sample(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: answering(body, number) if number < 3 else disconnect()) as server:
        down = asyncgen(*geo(photos, out, server, "--endpoint.max-outage", 0.2))
    assert down.code == 75, down.err
    assert len(down.complaints) == 1
    assert "run the same command again" in down.complaints[0]
    assert len(ids(out)) == 3
    assert not traces(out, "failed")
    with ThreadedServer(answering, port=server.port) as back:
        assert asyncgen(*geo(photos, out, back)).code == 0
        assert len(back.requests) == 5


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        (error(429, REFUSED.encode()), "quota"),
        pytest.param(error(402, "pay first"), "quota", marks=pytest.mark.deep),
        (error(401, "no such key"), "api_key_env"),
    ],
)
def test_no_quota_and_a_refused_key_end_the_run_with_77(photos: Path, tmp_path: Path, fault: Reply, part: str):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: answering(body, number) if number < 2 else fault) as server:
        done = asyncgen(*geo(photos, out, server, "--concurrency", 1))
    assert done.code == 77, done.err
    assert len(done.complaints) == 1
    assert part in done.complaints[0]
    assert len(ids(out)) == 2
    assert not traces(out, "failed")


def test_every_sealed_line_is_valid_at_any_instant(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    checks = 0
    with ThreadedServer(lambda body, number: answering(body, number).after(0.05)) as server:
        process = start(*geo(photos, out, server, "--rollouts", 4, "--concurrency", 2))
        while process.poll() is None:
            checks += len([checked(line) for line in shard_lines(out)])
            for part in (out / "traces").glob("*.part"):
                lines = part.read_bytes().splitlines(keepends=True)
                checks += len([checked(line.rstrip(b"\n")) for line in lines if line.endswith(b"\n")])
            time.sleep(0.02)
        assert ended(process).code == 0
    assert checks > 32
    assert ids(out) == wanted_ids("geo", range(8), 4)


def test_nothing_is_ever_written_into_the_dataset(photos: Path, tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in sorted(photos.rglob("*"))}
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, tmp_path / "run", server, "--where", "lat > 0")).code == 0
    assert {path: path.stat().st_mtime_ns for path in sorted(photos.rglob("*"))} == before
    assert datasets.load_from_disk(str(photos)).num_rows == 8


def test_an_interrupt_while_all_servers_are_down_burns_no_sample(photos: Path, tmp_path: Path):
    with ThreadedServer(lambda body, number: disconnect()) as server:
        process = start(*geo(photos, tmp_path / "run", server, "--schedule.grace", 0))
        wait_until(lambda: len(server.requests) >= 5)
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
    assert stopped.code == 130, stopped.err
    assert not traces(tmp_path / "run", "failed")
    assert "8 left" in stopped.out
