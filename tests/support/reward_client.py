"""`asyncgen serve-reward` as a process, and a client of it.

Knows what the process prints and its routes. Imports nothing of asyncgen.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from support.cli_jobs import command, environment


def start_service(*words: object, cwd: Path | None = None) -> subprocess.Popen[str]:
    """The process; the caller ends it."""
    return subprocess.Popen(
        command("serve-reward", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(),
    )


@contextmanager
def served(*words: object, cwd: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process on a free port, and its address from the line that it prints, without the route."""
    with start_service(*words, "--port", 0, cwd=cwd) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("reward service at http://"), process.communicate()[1]
            yield process, line.split(" at ")[1].split("/get_reward: ")[0]
        finally:
            process.kill()


async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any]:
    """Status and parsed answer; bytes are sent as they are."""
    sent = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with session.post(url, **sent) as answer:
        return answer.status, await answer.json()


def children(pid: int) -> list[int]:
    """The processes that it has started and that still run."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()]


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
