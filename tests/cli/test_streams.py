"""stdin, stdout and stderr that are closed, full, or gone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.cli_jobs import answering, asyncgen, command, environment, ids, wanted_ids
from support.server import Reply, ThreadedServer, error


def geo(photos: Path, out: Path, server: ThreadedServer) -> list[str]:
    return command("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", out)


def shell(words: list[str], redirection: str) -> subprocess.CompletedProcess[str]:
    script = f'"$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *words], capture_output=True, text=True, env=environment(), check=False, timeout=60
    )


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_needs_no_open_stream(photos: Path, tmp_path: Path, redirection: str) -> None:
    with ThreadedServer(answering) as server:
        ended = shell(geo(photos, tmp_path / "run", server), redirection)
    assert ended.returncode == 0, ended.stderr
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have /dev/full")
def test_a_full_stdout_is_told_and_a_run_that_is_done_is_done(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        ended = shell(geo(photos, tmp_path / "run", server), ">/dev/full")
    assert ended.returncode == 0, ended.stderr
    assert "cannot be written to stdout" in ended.stderr
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))
    listed = shell(command("jobs"), ">/dev/full")
    assert (listed.returncode, len(listed.stderr.splitlines())) == (1, 1)
    assert "the result cannot be written to stdout" in listed.stderr


def half(body: dict[str, object], number: int) -> Reply:
    return error(400, "refused") if number % 2 else answering(body, number)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirection", "flags"),
    [
        ("| true", ()),
        (">/dev/full", ("--json",)),
        ("| head -c 1", ("--log-samples",)),
        (">/dev/full", ("--log-samples",)),
    ],
)
def test_a_reader_that_is_gone_changes_neither_the_run_nor_its_exit_code(
    photos: Path, tmp_path: Path, unbuffered: str, redirection: str, flags: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    with ThreadedServer(half) as server:
        words = [*geo(photos, out, server), *flags, "--max-failed", "0.1", "--concurrency", "2"]
        script = f'set -o pipefail; PYTHONUNBUFFERED={unbuffered} "$@" {redirection}'
        ended = subprocess.run(
            ["bash", "-c", script, "bash", *words],
            capture_output=True,
            text=True,
            env=environment(),
            check=False,
            timeout=60,
        )
    assert ended.returncode == 4, ended.stderr
    assert len(ids(out)) == 4
    assert json.loads(asyncgen("status", out, "--json").out)["failed"] == 4
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have /dev/full")
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&1 >/dev/null | true"])
def test_a_run_needs_nobody_who_reads_stderr(photos: Path, tmp_path: Path, redirection: str) -> None:
    with ThreadedServer(answering) as server:
        ended = shell(geo(photos, tmp_path / "run", server), redirection)
    assert ended.returncode == 0
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have /dev/full")
def test_help_on_a_full_stdout_is_one_line() -> None:
    ended = shell(command("run", "--help"), ">/dev/full")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
