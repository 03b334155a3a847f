"""The run directory's lock: one process at a time, and a text that says which.

flock on an open descriptor: it goes with the process, however that ends, so a stale text in the file means nothing.
(`lockf` would be lost as soon as any other descriptor of the file is closed.) The file is never removed by a release.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DirectoryInUse
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import LOCK_FILE
from asyncgen.store.line import dump


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who took the lock last."""

    host: str
    boot_id: str
    """Of the machine's present start; `""` where there is no such thing."""
    pid: int
    start: str
    """UTC, ISO 8601."""
    argv: tuple[str, ...]


class Lock:
    """A held lock."""

    def __init__(self, descriptor: int, files: FileLayer) -> None:
        self._descriptor: int | None = descriptor
        self._files = files

    def sign(self, argv: Sequence[str], clock: Clock) -> None:
        """Write who holds it, for the one who is refused. `argv` must be free of secrets. Raises OSError."""
        if self._descriptor is None:
            raise RuntimeError("the lock is released already")
        start = datetime.fromtimestamp(clock.wall(), UTC).isoformat(timespec="seconds")
        holder = Holder(host=socket.gethostname(), boot_id=_boot_id(), pid=os.getpid(), start=start, argv=tuple(argv))
        self._files.truncate(self._descriptor, 0)
        self._files.write_all(self._descriptor, dump(asdict(holder)) + b"\n")

    def release(self) -> None:
        """Let others in. Twice is harmless."""
        if self._descriptor is not None:
            self._files.close(self._descriptor)
            self._descriptor = None


def take_lock(directory: Path, files: FileLayer) -> Lock:
    """Lock the directory, without waiting.

    Raises DirectoryInUse with pid, host, start and command of the other process; OSError where files cannot be locked.
    """
    path = directory / LOCK_FILE
    while True:
        descriptor = files.open(path, create=True)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(descriptor, path):
                return Lock(descriptor, files)
        except BlockingIOError:
            files.close(descriptor)
            raise DirectoryInUse(_in_use(directory)) from None
        except BaseException:
            files.close(descriptor)
            raise
        files.close(descriptor)  # removed with its new directory between open and flock


def refuse_if_held(directory: Path) -> None:
    """An early look, before anything is loaded; the lock itself is taken later. Raises DirectoryInUse."""
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return  # there is none, or what is wrong is told when it is taken
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DirectoryInUse(_in_use(directory)) from None
    except OSError:
        return
    finally:
        os.close(descriptor)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def read_holder(directory: Path) -> Holder | None:
    """Who took the lock last, dead or alive; None if nobody did or the text is torn."""
    try:
        found = json.loads((directory / LOCK_FILE).read_bytes())
        return Holder(
            host=str(found["host"]),
            boot_id=str(found["boot_id"]),
            pid=int(found["pid"]),
            start=str(found["start"]),
            argv=tuple(map(str, found["argv"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _in_use(directory: Path) -> str:
    holder = read_holder(directory)
    who = (
        f"pid {holder.pid} on {holder.host} since {holder.start}: {' '.join(shlex.join(holder.argv).split())}"
        if holder
        else "another process"
    )
    return f"{directory} is in use by {who}; wait for it, stop it, or choose another --output-dir"
