"""`ctl`: a run that is going is steered from another process, and from nowhere else."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, answering, asyncgen, ended, ids, start, wait_until, wanted_ids
from support.lock_fakes import leave_lock
from support.server import Reply, ThreadedServer, hang

Run = Callable[..., Outcome]


@pytest.fixture
def short() -> Iterator[Path]:
    """A runtime folder with a name that leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="ag") as name:
        yield Path(name)


@contextmanager
def going(
    server: ThreadedServer, photos: Path, out: Path, short: Path, *flags: object
) -> Iterator[subprocess.Popen[str]]:
    """A run that takes commands; killed at the end, if it still lives."""
    words = ("run", "geo", "--dataset-path", photos, "--output-dir", out, "--num-samples", -1)
    process = start(*words, "--base-url", server.base_url, *flags, XDG_RUNTIME_DIR=str(short))
    try:
        wait_until(lambda: process.poll() is not None or any(out.rglob("control.json")))
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        ended(process)


def events(out: Path, *names: str) -> list[tuple[Any, ...]]:
    """Of these names: name, who, and the old and new number."""
    lines = [json.loads(line) for line in (out / "events.jsonl").read_bytes().splitlines()]
    return [
        (one["event"], one.get("by"), *(one[key] for key in ("old", "new") if key in one))
        for one in lines
        if one["event"] in names
    ]


def look(run: Run, out: Path) -> dict[str, Any]:
    """The run's own figures."""
    return dict(json.loads(run("ctl", out, "status", "--json").out))


def open_requests(server: ThreadedServer) -> int:
    return server._server.in_flight


def test_concurrency_is_raised_in_a_run_that_is_going(run: Run, photos: Path, tmp_path: Path, short: Path):
    out = tmp_path / "run"
    with (
        ThreadedServer(lambda body, number: hang()) as server,
        going(server, photos, out, short, "--concurrency", 1) as process,
    ):
        wait_until(lambda: open_requests(server) == 1)
        words = ("ctl", out, "set", "concurrency=5")
        first, again = run(*words), run(*words)
        wait_until(lambda: open_requests(server) == 5)
        status = run("ctl", out, "status", "--json")
        shown = run("ctl", out, "status")
        wrong = run("ctl", out, "set", "concurrency=0")
        path = Path(json.loads((out / "control.json").read_bytes())["socket"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.parent == short / "asyncgen"
        process.kill()
        process.wait()
        dead = run("ctl", out, "status")
        assert path.exists()
        os.utime(path, (1000, 1000))
        with going(server, photos, out, short):
            wait_until(lambda: not path.exists())
    assert (first.out, again.out) == ("geo: concurrency 1 -> 5\n", "geo: concurrency is 5 already\n")
    assert events(out, "concurrency") == [("concurrency", "ctl", 1, 5)]
    found = json.loads(status.out)
    assert (found["concurrency"], found["open"], found["left"], found["paused"]) == (5, 5, 8, False)
    assert (found["directory"], found["endpoints"][0]["name"]) == (str(out), server.base_url)
    assert "open 5/5" in shown.out
    assert "Ctrl-C" not in shown.out
    assert (wrong.code, len(wrong.err.splitlines())) == (2, 1)
    assert (dead.code, dead.complaints) == (
        2, [f"asyncgen: no run is going in {out}; asyncgen status shows how it stands"],
    )  # fmt: skip


def held_at(number: int, gate: threading.Event, seen: list[int]) -> ThreadedServer:
    """A server that stops at this request until the gate opens; `seen`: how many were open when each came in."""

    def script(body: dict[str, Any], count: int) -> Reply:
        seen.append(open_requests(server))
        if count == number:
            gate.wait(60)
        return answering(body, count).after(0.02)

    server = ThreadedServer(script)
    return server


def test_a_run_is_paused_and_slowed_and_resumed(run: Run, photos: Path, tmp_path: Path, short: Path):
    out, gate = tmp_path / "run", threading.Event()
    seen: list[int] = []
    with (
        held_at(20, gate, seen) as server,
        going(server, photos, out, short, "--concurrency", 4, "--rollouts", 10) as process,
    ):
        wait_until(lambda: len(server.requests) > 20)
        paused, twice = run("ctl", out, "pause"), run("ctl", out, "pause")
        gate.set()
        wait_until(lambda: look(run, out)["open"] == 0)
        before = len(server.requests)
        wait_until(lambda: look(run, out)["notice"] != "")
        status = json.loads(run("status", out, "--json").out)
        run("ctl", out, "set", "concurrency=1")
        assert len(server.requests) == before
        resumed, again = run("ctl", out, "resume"), run("ctl", out, "resume")
        done = ended(process)
    assert paused.out.startswith("geo: paused, ")
    assert (twice.out, resumed.out, again.out) == (
        "geo: already paused\n",
        "geo: resumed\n",
        "geo: is not paused by ctl\n",
    )
    assert (status["state"], status["paused"]) == ("running", f"by ctl; asyncgen ctl {out} resume")
    assert (max(seen[:before]), max(seen[before:])) == (4, 1)
    assert done.code == 0, done.err
    assert ids(out) == wanted_ids("geo", range(8), 10)
    assert events(out, "pause", "resume", "concurrency", "drain") == [
        ("pause", "ctl"), ("concurrency", "ctl", 4, 1), ("resume", "ctl"),
    ]  # fmt: skip


def test_a_run_that_is_drained_ends_with_75_and_goes_on_later(run: Run, photos: Path, tmp_path: Path, short: Path):
    out, gate = tmp_path / "run", threading.Event()
    flags = ("--concurrency", 4, "--rollouts", 10)
    with held_at(20, gate, []) as server:
        with going(server, photos, out, short, *flags) as process:
            wait_until(lambda: len(server.requests) > 20)
            drained, twice, late = (run("ctl", out, word) for word in ("drain", "drain", "pause"))
            gate.set()
            stopped = ended(process)
        saved, asked = ids(out), len(server.requests)
        assert list(out.glob("*control.json*")) == list((short / "asyncgen").iterdir()) == []
        with going(server, photos, out, short, *flags) as process:
            done = ended(process)
        assert len(server.requests) == 80
    assert drained.out.startswith("geo: draining, ")
    assert twice.out == "geo: already draining\n"
    assert (late.code, len(late.complaints)) == (2, 1)
    assert (stopped.code, stopped.complaints) == (75, []), stopped.err
    assert "draining, as asked by ctl" in stopped.err
    assert stopped.out.rstrip().endswith("run the same command again to go on")
    assert 0 < len(saved) == asked < 80
    assert (done.code, ids(out)) == (0, wanted_ids("geo", range(8), 10))
    assert events(out, "pause", "resume", "concurrency", "drain") == [("drain", "ctl")]
    over = run("ctl", out, "pause")
    assert (over.code, len(over.complaints)) == (2, 1)
    assert "no run is going" in over.err


def test_a_drain_with_nothing_left_ends_as_usual_and_ctrl_c_after_a_drain_stops_at_once(
    run: Run, photos: Path, tmp_path: Path, short: Path
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    gate = threading.Event()

    def late(body: dict[str, Any], number: int) -> Reply:
        gate.wait(60)
        return answering(body, number)

    with ThreadedServer(late) as server, going(server, photos, whole, short) as process:
        wait_until(lambda: look(run, whole)["open"] == 8)
        assert run("ctl", whole, "drain").code == 0
        gate.set()
        done = ended(process)
    with ThreadedServer(lambda body, number: hang()) as server, going(server, photos, broken, short) as process:
        wait_until(lambda: open_requests(server) == 8)
        assert run("ctl", broken, "drain").code == 0
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
    assert (done.code, len(ids(whole))) == (0, 8), done.err
    assert stopped.code == 130
    assert "stopping now" in stopped.err


@pytest.mark.deep
def test_of_a_run_in_partitions_all_that_go_are_told(run: Run, photos: Path, tmp_path: Path, short: Path):
    out = tmp_path / "run"
    with (
        ThreadedServer(lambda body, number: hang()) as server,
        going(server, photos, out, short, "--partition", "0/2", "--concurrency", 1),
        going(server, photos, out, short, "--partition", "1/2", "--concurrency", 1) as second,
    ):
        wait_until(lambda: len(list(out.rglob("control.json"))) == 2)
        both = run("ctl", out, "set", "concurrency=2")
        wait_until(lambda: open_requests(server) == 4)
        one = run("ctl", out / "part-001-of-002", "set", "concurrency=3")
        second.kill()
        second.wait()
        first = json.loads(run("ctl", out, "status", "--json").out)
    assert both.code == 0
    assert both.out.splitlines() == [
        "geo part-000-of-002: concurrency 1 -> 2",
        "geo part-001-of-002: concurrency 1 -> 2",
        "2 of the 2 partitions that run have taken it",
    ]
    assert one.out == "geo: concurrency 2 -> 3\n"
    assert first["ok"] is True
    assert [(part["directory"], part["concurrency"]) for part in first["parts"]] == [(str(out / "part-000-of-002"), 2)]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("ctl", "missing", "pause"), "missing does not exist"),
        (("ctl", "missing", "stop"), "stop"),
        (("ctl", "missing", "set"), "set needs concurrency"),
        (("ctl", "missing", "set", "speed=3"), "set knows no 'speed'; it takes concurrency"),
        (("ctl", "missing", "pause", "now"), "'now' is no KEY=VALUE"),
        (("ctl", "missing"), "ACTION"),
        (("ctl",), "DIRECTORY"),
    ],
)
def test_a_slip_is_one_line_and_exit_2(run: Run, words: tuple[str, ...], error: str):
    outcome = run(*words)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1
    assert error in outcome.err


def test_a_run_on_another_host_is_named_and_its_name_cannot_steer_the_terminal(run: Run, tmp_path: Path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "run.json").write_text('{"name": "geo"}')
    pointer = {"socket": "/nowhere", "pid": 1, "host": "far\u001b[2Jaway", "writer": "w"}
    (out / "control.json").write_text(json.dumps(pointer))
    leave_lock(out, host="far\u001b[2Jaway")
    outcome = run("ctl", out, "pause")
    assert outcome.code == 2
    assert outcome.complaints == [f"asyncgen: {out}: the run goes on on host faraway; give the command there"]
    as_json = run("ctl", out, "pause", "--json")
    assert (as_json.code, json.loads(as_json.out)["ok"]) == (2, False)


def test_a_run_that_cannot_listen_says_so_in_one_line_and_goes_on(photos: Path, tmp_path: Path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with ThreadedServer(answering) as server:
        outcome = asyncgen(
            "run", "geo", "--dataset-path", photos, "--output-dir", tmp_path / "run", "--base-url", server.base_url,
            "--num-samples", 2, XDG_RUNTIME_DIR="/nowhere", TMPDIR=str(deep),
        )  # fmt: skip
    assert outcome.code == 0, outcome.err
    notes = [line for line in outcome.err.splitlines() if "asyncgen ctl cannot steer this run" in line]
    assert len(notes) == 1
    assert "longer than the 107 bytes" in notes[0]
