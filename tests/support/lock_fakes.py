"""Machines and file systems as locks meet them: other hosts, no flock, a flock that each machine keeps to itself."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

from asyncgen.core.clock import SystemClock
from asyncgen.store.files import FileLayer
from asyncgen.store.holder import Identity

HERE = Identity(host="here", boot_id="boot-here", pid=11)
THERE = Identity(host="there", boot_id="boot-there", pid=22)


class NoFlock(FileLayer):
    """A file system without flock."""

    def __init__(self, code: int = errno.ENOTSUP) -> None:
        self._code = code

    def lock(self, descriptor: int, *, shared: bool = False) -> None:
        raise OSError(self._code, os.strerror(self._code))


class NodeLocalFlock(FileLayer):
    """A shared file system whose flock ends at the machine: that of another one is not seen."""

    def lock(self, descriptor: int, *, shared: bool = False) -> None:
        pass


def leave_lock(
    directory: Path, *, host: str = "there", boot_id: str = "boot-there", pid: int = 22, age: float = 0.0
) -> None:
    """What a process leaves that is dead, or lives elsewhere, with its latest sign of life so many seconds ago."""
    holder = {"host": host, "boot_id": boot_id, "pid": pid, "start": "2025-06-15T15:06:40+00:00", "argv": ["asyncgen"]}
    (directory / "LOCK").write_text(json.dumps(holder) + "\n")
    set_age(directory, age)


def set_age(directory: Path, seconds: float) -> None:
    """As if the latest sign of life were so long ago."""
    then = SystemClock().wall() - seconds
    os.utime(directory / "LOCK", (then, then))


def open_files() -> list[str]:
    """What this process has open."""
    paths = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a descriptor of its own is gone when it is looked up
        with suppress(OSError):
            paths.append(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115  # same
    return paths


def age_of(directory: Path) -> float:
    """Seconds since the latest sign of life."""
    return SystemClock().wall() - (directory / "LOCK").stat().st_mtime
