"""Who holds a run directory: the text in LOCK, and how long ago its holder gave a sign of life.

The text is one line of JSON; with `released` in it, or in an empty file, the directory was let go. A holder touches the
file as long as it lives, and the file system's own clock dates that. Knows texts and ages. Does not know flock, nor
when a lock is taken.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import LOCK_FILE, PROBE_FILE
from asyncgen.store.line import dump

LEASE = 60.0
"""Seconds without a sign of life after which a holder on another machine counts as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process, as another one on another machine knows it."""

    host: str
    boot_id: str
    """Of the machine's present start; `""` where there is no such thing."""
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who took the lock last."""

    host: str
    boot_id: str
    pid: int
    start: str
    """UTC, ISO 8601."""
    argv: tuple[str, ...]

    def is_on_machine_of(self, me: Identity) -> bool:
        """Whether one kernel knows the locks of both. A machine that was started anew has none of before."""
        return self.host == me.host or self.boot_id == me.boot_id != ""

    def __str__(self) -> str:
        """On one line."""
        return f"pid {self.pid} on {self.host} since {self.start}: {' '.join(shlex.join(self.argv).split())}"


@dataclass(frozen=True, slots=True)
class Mark:
    """LOCK as it was found."""

    line: bytes
    """The first one, without LF: of two processes that wrote at once, it tells which came through."""
    touched: float
    """When its holder gave the latest sign of life, in wall-clock seconds of the file system."""

    @property
    def holder(self) -> Holder | None:
        """None if the directory was let go, or the text is torn."""
        try:
            found = json.loads(self.line)
            if found.get("released"):
                return None
            return Holder(
                host=str(found["host"]),
                boot_id=str(found["boot_id"]),
                pid=int(found["pid"]),
                start=str(found["start"]),
                argv=tuple(map(str, found["argv"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def is_fresh(self, now: float) -> bool:
        """Whether the sign of life is of these seconds. One from the future says that a clock is wrong, and no more."""
        return abs(now - self.touched) < LEASE


def this_process() -> Identity:
    """Ours."""
    return Identity(host=socket.gethostname(), boot_id=_boot_id(), pid=os.getpid())


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def signature(me: Identity, argv: Sequence[str], clock: Clock) -> bytes:
    """The line of a new holder, without LF; no other is like it. `argv` must be free of secrets."""
    start = datetime.fromtimestamp(clock.wall(), UTC).isoformat(timespec="seconds")
    return dump({**asdict(me), "start": start, "argv": list(argv), "token": secrets.token_hex(8)})


def released(line: bytes) -> bytes:
    """A holder's line when it lets the directory go."""
    return line.removesuffix(b"}") + b',"released":true}'


def look(directory: Path) -> Mark | None:
    """None where there is no LOCK. Raises OSError. Opened anew: only then does a network file system ask its server."""
    try:
        with (directory / LOCK_FILE).open("rb", buffering=0) as file:
            text = file.read() or b""
            return Mark(text.partition(b"\n")[0], os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        return None


def read_holder(directory: Path) -> Holder | None:
    """Who took the lock last, dead or alive; None if nobody did, if it was let go, or the text is torn."""
    try:
        mark = look(directory)
    except OSError:
        return None
    return mark.holder if mark else None


def shows_life(directory: Path, clock: Clock) -> bool:
    """Whether LOCK was touched lately. For those who only read: the server's clock cannot be asked without a write, so
    this machine's stands in for it."""
    try:
        mark = look(directory)
    except OSError:
        return False
    return mark is not None and mark.is_fresh(clock.wall())


def server_now(directory: Path, files: FileLayer) -> float:
    """Wall-clock seconds of the file system that dates LOCK: a file of ours is touched there. Raises OSError."""
    probe = directory / PROBE_FILE
    descriptor = files.open(probe, create=True)
    try:
        files.touch(descriptor)
        return os.fstat(descriptor).st_mtime
    finally:
        files.close(descriptor)
        with suppress(FileNotFoundError):  # another start asks at the same time
            files.unlink(probe)


def in_use(directory: Path, holder: Holder | None) -> str:
    """The refusal while the holder is known to live."""
    return (
        f"{directory} is in use by {holder or 'another process'}; wait for it, stop it, or choose another --output-dir"
    )


def perhaps_in_use(directory: Path, holder: Holder, age: float) -> str:
    """The refusal while nobody can tell. `age`: seconds since the latest sign of life."""
    age = max(0.0, age)
    return (
        f"{directory} is in use by {holder}; last sign of life {age:.0f} s ago; "
        f"if that process is gone, run again in {math.ceil(LEASE - age)} s"
    )


def taken_over(directory: Path, holder: Holder | None) -> str:
    """What a holder is told whose place another took."""
    return (
        f"lost {directory} to {holder or 'another process'}: this process had given no sign of life for {LEASE:g} s; "
        "what it saved stays saved, and the same command goes on when the other is done"
    )
