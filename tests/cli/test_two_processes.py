"""A second process on a live run directory: refused at once, told by whom, and nothing is changed."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cli_jobs import asyncgen, command, ended, environment, start, wait_until
from support.server import ThreadedServer, hang


def words(photos: Path, out: Path, server: ThreadedServer, *flags: object) -> list[object]:
    given = ["run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url]
    return [*given, "--num-samples", -1, *flags]


@contextmanager
def holding(photos: Path, out: Path, server: ThreadedServer) -> Iterator[subprocess.Popen[str]]:
    """A run that waits for its server, and will for ever; killed at the end."""
    process = start(*words(photos, out, server, "--temperature", 0.25))
    try:
        wait_until(lambda: len(server.requests) >= 8)
        yield process
    finally:
        process.kill()
        ended(process)


def snapshot(out: Path) -> dict[str, tuple[int, bytes]]:
    """Every file: when it was changed, and what stands in it. A holder touches LOCK now and then."""
    return {
        str(path.relative_to(out)): (0 if path.name == "LOCK" else path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def cpu_seconds(*arguments: object) -> tuple[int, str, float]:
    """Exit code, stderr, and the seconds of CPU of a command."""
    with subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, usage.ru_utime + usage.ru_stime


def test_a_second_run_is_refused_in_under_a_second_of_cpu_naming_pid_host_and_command(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang()) as server, holding(photos, out, server) as first:
        before, asked = snapshot(out), len(server.requests)
        code, said, seconds = cpu_seconds(*words(photos, out, server, "--temperature", 0.5))
        assert (code, len(said.splitlines())) == (2, 1), said
        for part in (f"pid {first.pid} on {os.uname().nodename}", "--temperature 0.25", shlex.quote(str(out))):
            assert part in said
        assert seconds < 1.0
        assert snapshot(out) == before
        assert len(server.requests) == asked
        assert first.poll() is None


@pytest.mark.parametrize("given", [["verify", "--salvage"], ["filter", "--where", "true", "-o"]])
def test_what_writes_into_a_live_directory_is_refused(photos: Path, tmp_path: Path, given: list[str]):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang()) as server, holding(photos, out, server):
        before = snapshot(out)
        arguments = [given[0], out, *given[1:]]
        refused = asyncgen(*arguments, *([out] if given[-1] == "-o" else []))
        assert refused.code == 2, refused.err
        assert len(refused.complaints) == 1
        assert snapshot(out) == before
