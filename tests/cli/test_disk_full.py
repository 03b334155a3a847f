"""A disk without room, for real: a small file system where we may mount one, a limit on the size of files everywhere.

A run waits, says what it needs and what there is, asks for nothing new, and goes on by itself.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.asked import asked_again, at_once, by_content, turn_of
from support.cli_jobs import Outcome, asyncgen, ended, ids, photo, start, traces, wait_until, wanted_ids
from support.deep import deep
from support.disks import SmallDisk, limit_files, small_disk
from support.server import Reply, ThreadedServer

Run = Callable[..., Outcome]

ROWS, ROLLOUTS, SLOTS = 6, 4, 2
ROOM = 60_000
"""Bytes that a run has, at first: for what it writes at its start, and some traces."""
LARGEST = 20_000
"""Bytes of a file, where that is what is limited."""
_FULL = re.compile(r"disk full: (\d+) bytes needed, (\d+) free at (\S+)")


@dataclass(frozen=True)
class Tight:
    """A job, where its run goes, and how that gets room."""

    job: str
    out: Path
    disk: SmallDisk | None

    def tighten(self, process: subprocess.Popen[str]) -> None:
        if self.disk is None:
            limit_files(process.pid, LARGEST)

    def make_room(self, process: subprocess.Popen[str]) -> None:
        if self.disk is None:
            limit_files(process.pid, None)
        else:
            self.disk.make_room()


@pytest.fixture(
    params=[
        ("geo-tools", "small disk"),
        pytest.param(("geo", "small files"), marks=pytest.mark.deep),
        pytest.param(("geo", "small disk"), marks=pytest.mark.deep),
        pytest.param(("geo-tools", "small files"), marks=pytest.mark.deep),
    ],
    ids=" on ".join,
)
def tight(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tight]:
    job, way = request.param
    if way == "small files":
        yield Tight(job, tmp_path / "run", None)
        return
    with mounted(tmp_path) as disk:
        disk.fill(leave=ROOM)
        yield Tight(job, disk.root / "run", disk)


@contextmanager
def mounted(tmp_path: Path, **options: int) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", **options) as disk:
        if disk is None:
            pytest.skip("nothing can be mounted here; the limit on files stands in for it")
        yield disk


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for row in range(ROWS):
        (folder / f"{row}.jpg").write_bytes(photo(row))
    found = [{"image": f"{row}.jpg", "lat": row * 5.0, "lon": row * 10.0} for row in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder / "rows.jsonl"


def command(job: str, rows: Path, out: Path, server: ThreadedServer, *flags: object, samples: int = -1) -> list[object]:
    given = ["run", job, "--dataset-path", rows, "--output-dir", out, "--base-url", server.base_url]
    numbers = ["--num-samples", samples, "--rollouts", ROLLOUTS, "--concurrency", SLOTS, "--seed", 1]
    return [*given, *numbers, *flags]


SCRIPTS = {"geo": at_once, "geo-tools": by_content}


def slow(job: str) -> Callable[[dict[str, Any], int], Reply]:
    return lambda body, number: SCRIPTS[job](body, number).after(0.02)


def paused(run: Run, out: Path) -> str:
    """What `status` says that the run waits for."""
    found = run("status", out, "--json") if (out / "run.json").exists() else None
    return str(json.loads(found.out)["paused"]) if found and found.code == 0 else ""


def begun(server: ThreadedServer) -> int:
    """First turns that were asked for."""
    return sum(turn_of(request.body).number == 1 for request in list(server.requests))


@contextmanager
def waiting(
    tight: Tight, run: Run, words: list[object], server: ThreadedServer
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run that has come to a halt, and what `status` says of it; killed at the end, if it still lives."""
    process = start(*words)
    try:
        tight.tighten(process)
        wait_until(lambda: process.poll() is not None or bool(paused(run, tight.out)))
        wait_until(lambda: server.in_flight == 0)
        yield process, paused(run, tight.out)
    finally:
        if process.poll() is None:
            process.kill()
        if process.stdout and not process.stdout.closed:
            ended(process)


def test_a_run_waits_for_room_says_so_starts_nothing_and_goes_on_by_itself(run: Run, rows: Path, tight: Tight):
    with ThreadedServer(slow(tight.job)) as server:
        words = command(tight.job, rows, tight.out, server, "--json")
        with waiting(tight, run, words, server) as (process, said):
            before = begun(server)
            shown = run("status", tight.out)
            for _ in range(10):
                time.sleep(0.1)
                assert process.poll() is None
            assert begun(server) == before < ROWS * ROLLOUTS
            saved = json.loads(run("status", tight.out, "--json").out)["done"]
            assert before - saved <= 2 * SLOTS
            tight.make_room(process)
            done = ended(process)
        assert asked_again(server) == []
    assert done.code == 0, done.err
    for text in (said, shown.out, done.err):
        assert (found := _FULL.search(text)), text
        assert int(found[1]) > 0
        assert tight.disk is None or int(found[2]) < int(found[1])
    assert "there is room again" in done.err
    assert json.loads(done.out)["done"] == ROWS * ROLLOUTS
    assert ids(tight.out) == wanted_ids(tight.job, range(ROWS), ROLLOUTS)
    assert asyncgen("verify", tight.out).code == 0


def test_after_disk_wait_it_gives_up_with_75_and_a_sound_directory_that_goes_on_later(
    run: Run, rows: Path, tight: Tight
):
    with ThreadedServer(slow(tight.job)) as server:
        words = command(tight.job, rows, tight.out, server, "--store.disk-wait", 2, "--json")
        with waiting(tight, run, words, server) as (process, said):
            stopped = ended(process)
        checked = run("verify", tight.out)
        status = json.loads(run("status", tight.out, "--json").out)
        kept = ids(tight.out)
        asked = Counter(turn_of(request.body)[:2] for request in server.requests)
        if tight.disk is not None:
            tight.disk.make_room()
        done = asyncgen(*words)
        twice = {turn[:2] for turn in asked_again(server)}
    assert _FULL.search(said), said
    assert stopped.code == 75, stopped.err
    assert _FULL.search(stopped.complaints[-1]), stopped.err
    assert "run the same command again" in stopped.complaints[-1]
    assert _FULL.search(json.loads(stopped.out)["error"])
    assert (status["state"], status["paused"], status["done"]) == ("interrupted", "", len(kept))
    assert checked.code == 0, checked.out
    assert 0 < len(kept) < ROWS * ROLLOUTS
    assert done.code == 0, done.err
    assert ids(tight.out) == wanted_ids(tight.job, range(ROWS), ROLLOUTS)
    assert len(twice) <= min(2 * SLOTS, len(asked) - len(kept))  # what could not be written down


@pytest.mark.parametrize("room", [0, *deep((4096, 16384))])
def test_a_start_without_room_leaves_nothing_and_is_tried_again_later(rows: Path, tmp_path: Path, room: int):
    with mounted(tmp_path) as disk, ThreadedServer(at_once) as server:
        words = command("geo", rows, disk.root / "runs" / "run", server)
        disk.fill(leave=room)
        full = asyncgen(*words)
        left = sorted(path.name for path in disk.root.iterdir())
        disk.make_room()
        done = asyncgen(*words)
        assert len(server.requests) == ROWS * ROLLOUTS
        assert ids(disk.root / "runs" / "run") == wanted_ids("geo", range(ROWS), ROLLOUTS)
    assert (full.code, len(full.complaints)) == (75, 1), full.err
    assert "ENOSPC" in full.complaints[0]
    assert left == ["filler"]
    assert done.code == 0, done.err


def test_a_resume_without_room_changes_nothing_and_is_tried_again_later(rows: Path, tmp_path: Path):
    with mounted(tmp_path) as disk, ThreadedServer(at_once) as server:
        out = disk.root / "run"
        words = command("geo", rows, out, server)
        assert asyncgen(*command("geo", rows, out, server, samples=2)).code == 0
        before = traces(out)
        disk.fill()
        full = asyncgen(*words)
        assert traces(out) == before
        assert asyncgen("verify", out).code == 0
        disk.make_room()
        assert asyncgen(*words).code == 0
        assert len(server.requests) == ROWS * ROLLOUTS
        assert ids(out) == wanted_ids("geo", range(ROWS), ROLLOUTS)
    assert (full.code, len(full.complaints)) == (75, 1), full.err


def test_a_disk_without_room_for_another_file_is_waited_for_too(run: Run, rows: Path, tmp_path: Path):
    opened: list[bool] = []

    def script(body: dict[str, Any], number: int) -> Reply:
        return at_once(body, number).after(0.0 if opened else 0.5)

    with mounted(tmp_path, files=64) as disk, ThreadedServer(script) as server:
        out = disk.root / "run"
        process = start(*command("geo", rows, out, server))
        try:
            wait_until(lambda: len(server.requests) == SLOTS)
            disk.fill_names()  # before the first answer is there, and with it the first shard
            opened.append(True)
            wait_until(lambda: process.poll() is not None or bool(paused(run, out)))
            disk.free_names()
            done = ended(process)
        finally:
            process.kill()
        assert done.code == 0, done.err
        assert "disk full" in done.err
        assert ids(out) == wanted_ids("geo", range(ROWS), ROLLOUTS)


def test_a_signal_ends_the_waiting_and_what_was_saved_stays(run: Run, rows: Path, tight: Tight):
    with ThreadedServer(slow(tight.job)) as server:
        words = command(tight.job, rows, tight.out, server, "--schedule.grace", 0.2)
        with waiting(tight, run, words, server) as (process, _):
            process.send_signal(signal.SIGTERM)
            stopped = ended(process)
        kept = ids(tight.out)
        assert stopped.code == 143, stopped.err
        assert "Traceback" not in stopped.err
        assert run("verify", tight.out).code == 0
        if tight.disk is not None:
            tight.disk.make_room()
        assert asyncgen(*words).code == 0
    assert set(kept) < set(ids(tight.out))
    assert ids(tight.out) == wanted_ids(tight.job, range(ROWS), ROLLOUTS)
