"""The screen of a run that is going, as a terminal gets it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from support.cli_jobs import command, environment, ids, looking
from support.server import Reply, ThreadedServer

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def slowly(body: dict[str, object], number: int) -> Reply:
    return looking(body, number).after(0.15)


def on_terminal(words: list[str], *, columns: int, rows: int, **extra: str) -> tuple[int, str]:
    """Run with stderr on a terminal of that size; the exit code, and all that was written there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    shown = b""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs, env=environment(**extra)) as running:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(ours)
    return running.returncode, shown.decode(errors="strict")


def geo_tools(photos: Path, out: Path, server: ThreadedServer) -> list[str]:
    return command(
        "run", "geo-tools", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", out,
        "--num-samples", 4, "--concurrency", 2, "--endpoint.price-output", 2.5,
    )  # fmt: skip


def test_a_terminal_gets_frames_that_fit(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(slowly) as server:
        code, shown = on_terminal(geo_tools(photos, tmp_path / "run", server), columns=60, rows=24, TERM="xterm")
    assert code == 0, shown
    assert len(ids(tmp_path / "run")) == 4
    plain = SEQUENCE.sub("", shown)
    for words in (
        "geo-tools  ",
        "/4  ",
        "rate ",
        "open 2/2",
        "durable ",
        "parsed ",
        "turns ",
        "Ctrl-C ends",
        "ok  ",
    ):
        assert words in plain, words
    frames = plain[plain.index("geo-tools  ") :].split("geo-tools  ")
    assert len(frames) > 3
    lines = [line for frame in frames[2:] for line in frame.replace("\r", "").split("\n")]
    assert max(map(len, lines)) <= 60


@pytest.mark.deep
def test_a_terminal_without_unicode_is_no_reason_to_fail(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(slowly) as server:
        words = geo_tools(photos, tmp_path / "run", server)
        code, shown = on_terminal(words, columns=100, rows=30, TERM="xterm", PYTHONIOENCODING="ascii")
    assert code == 0, shown
    frames = shown[shown.index("rate ") :]
    assert frames.isascii()
    assert "\\u" not in frames
