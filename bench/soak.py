"""Does a long run stay flat? Memory, threads and open files of a run that goes on for minutes, seen from outside.

    python bench/soak.py [EPISODES_OF_ONE_TURN EPISODES_OF_TEN_TURNS]

Growth is the highest figure after the first tenth of the work less the figure at its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from results import put

HERE = Path(__file__).parent
PAGE = os.sysconf("SC_PAGE_SIZE")
LOOK = 0.25
"""Seconds."""


@dataclass(frozen=True)
class Look:
    """At a process and what it has written."""

    written: int
    """Bytes of traces."""
    rss: float
    """MiB."""
    files: int
    threads: int


def look(pid: int, traces: Path) -> Look:
    proc = Path(f"/proc/{pid}")
    pages = int((proc / "statm").read_text().split()[1])
    written = sum(path.stat().st_size for path in traces.glob("*.jsonl*"))
    return Look(written, pages * PAGE / 2**20, len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())))


def looks(command: Sequence[str], out: Path) -> tuple[list[Look], float]:
    """While it runs; and its wall seconds."""
    found: list[Look] = []
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while child.poll() is None:
            try:
                found.append(look(child.pid, out / "traces"))
            except OSError:  # it begins, or it has just ended
                continue
            finally:
                time.sleep(LOOK)
        if child.returncode:
            errors.seek(0)
            raise SystemExit(f"{command}: exit {child.returncode}\n{errors.read().decode()[-2000:]}")
    return found, time.monotonic() - started


def rows(path: Path, count: int) -> Path:
    with path.open("wb") as file:
        for number in range(count):
            file.write(orjson.dumps({"question": f"Question {number}: what is it?"}) + b"\n")
    return path


def soak(episodes: int, turns: int) -> str:
    """One line of the table."""
    words = [sys.executable, str(HERE / "server.py"), "0.02", str(turns)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as name:
            folder, out = Path(name), Path(name) / "run"
            command = [
                *(sys.executable, "-m", "asyncgen", "run", str(HERE / ("plain.yaml" if turns > 1 else "bare.yaml"))),
                *("--base-url", url, "--dataset-path", str(rows(folder / "rows.jsonl", episodes))),
                *("--output-dir", str(out), "--concurrency", "128", "--max-turns", str(turns)),
            ]
            found, seconds = looks(command, out)
            journal = sum(path.stat().st_size for path in (out / "journal").glob("*"))
    finally:
        server.terminate()
        server.wait()
    total = found[-1].written
    tenth = next(number for number, one in enumerate(found) if one.written >= total / 10)
    base, rest = found[tenth], found[tenth:]
    assert journal == 0, "a journal is left"
    return (
        f"| {episodes:,} of {turns} | {seconds:.0f} | {total / 1e6:,.0f} | {base.rss:.0f} | "
        f"{max(one.rss for one in rest) - base.rss:+.1f} | {base.files} | {max(one.files for one in rest) - base.files:+d} | "
        f"{base.threads} | {max(one.threads for one in rest) - base.threads:+d} |"
    )


def section(one_turn: int = 200_000, ten_turns: int = 5_000) -> list[str]:
    """The lines of its section."""
    return [
        "128 requests in flight at 0.02 s, each with a socket; what comes after the first tenth, against its end.",
        "",
        "| episodes of turns | wall s | MB of traces | RSS MiB | growth | open files | growth | threads | growth |",
        "|---|---|---|---|---|---|---|---|---|",
        soak(one_turn, 1),
        soak(ten_turns, 10),
    ]


if __name__ == "__main__":
    put("Long runs stay flat", section(*map(int, sys.argv[1:])))
