"""stdin, stdout and stderr that are closed, full, or gone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.cli_jobs import answering, command, environment, ids, wanted_ids
from support.server import ThreadedServer


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
        words = (
            "run",
            "geo",
            "--dataset-path",
            photos,
            "--base-url",
            server.base_url,
            "--output-dir",
            tmp_path / "run",
        )
        ended = shell(command(*words), redirection)
    assert ended.returncode == 0, ended.stderr
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only some systems have /dev/full")
def test_a_full_stdout_is_told_and_a_run_that_is_done_is_done(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        words = (
            "run",
            "geo",
            "--dataset-path",
            photos,
            "--base-url",
            server.base_url,
            "--output-dir",
            tmp_path / "run",
        )
        ended = shell(command(*words), ">/dev/full")
    assert ended.returncode == 0, ended.stderr
    assert "cannot be written to stdout" in ended.stderr
    assert ids(tmp_path / "run") == wanted_ids("geo", range(8))
    listed = shell(command("jobs"), ">/dev/full")
    assert (listed.returncode, len(listed.stderr.splitlines())) == (1, 1)
    assert "the result cannot be written to stdout" in listed.stderr
