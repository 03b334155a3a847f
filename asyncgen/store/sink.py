"""The blocking side of writing: which shard a batch goes to, when to sync, when to seal, what to do on a full disk.

Runs in the one writer thread. Knows shards, limits and the disk's errors. Does not know asyncio, nor what a line says.
"""

from __future__ import annotations

import errno
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from asyncgen.core.clock import Clock
from asyncgen.core.errors import TemporaryError
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import Kind, open_shard
from asyncgen.store.shard import ShardWriter

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that go away when there is room."""

Durability: TypeAlias = Literal["interval", "always", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When shards are synced and sealed, and how long a full disk is waited for."""

    durability: Durability = "interval"
    """`interval`: fdatasync every `commit_seconds` or `commit_traces`; `always`: before a trace counts as saved;
    `never`: only when a shard is sealed."""
    disk_wait: float = 600.0
    """Seconds."""
    shard_bytes: int = 256 << 20
    shard_traces: int = 10_000
    shard_seconds: float = 900.0
    commit_seconds: float = 1.0
    commit_traces: int = 256
    poll_seconds: float = 1.0
    """Between two looks at a full disk."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The disk is full, and writing waits."""

    need: int
    """Bytes to write next."""
    free: int
    """Bytes that the file system has."""
    since: float
    """Wall-clock seconds."""


class Sink:
    """Open shards of one writer."""

    def __init__(
        self,
        directory: Path,
        writer: str,
        *,
        limits: Limits,
        files: FileLayer,
        clock: Clock,
        on_blocked: Callable[[Blocked | None], None] = lambda _: None,
    ) -> None:
        self.limits = limits
        self.durable = 0
        """Traces that a power loss cannot take any more."""
        self.blocked: Blocked | None = None
        self.stop = threading.Event()
        """Set: a full disk is not waited for any longer."""
        self._directory = directory
        self._writer = writer
        self._files = files
        self._clock = clock
        self._on_blocked = on_blocked
        self._open: dict[Kind, ShardWriter] = {}
        self._numbers: Counter[Kind] = Counter()

    def room(self, kind: Kind) -> tuple[int, int]:
        """(lines, bytes) that still go into the open shard of this kind."""
        shard = self._open.get(kind)
        lines, size = (shard.lines, shard.size) if shard else (0, 0)
        return self.limits.shard_traces - lines, self.limits.shard_bytes - size

    def write(self, kind: Kind, lines: list[bytes]) -> None:
        """Append the lines to one shard, all or none, then sync and seal what is due.

        Raises TemporaryError: the disk stayed full, or a file failed.
        """
        data = b"".join(lines)
        waited_since: float | None = None
        while True:
            try:
                self._shard(kind).append(data, len(lines), self._clock.monotonic())
            except OSError as error:
                if error.errno not in FULL:
                    raise _failed(error, self._path(kind)) from error
            else:
                break
            waited_since = self._clock.monotonic() if waited_since is None else waited_since
            self._wait_for_room(len(data), waited_since)
        if self.blocked:
            self._tell(None)
        if self.limits.durability == "always":
            self._commit()
        self.tend()

    def _shard(self, kind: Kind) -> ShardWriter:
        shard = self._open.get(kind)
        if shard is None:
            shard = ShardWriter(self._path(kind), self._files, self._clock.monotonic())
            self._open[kind] = shard
        return shard

    def _path(self, kind: Kind) -> Path:
        """Of the shard that is open, or the next one to be."""
        return open_shard(self._directory, kind, self._writer, self._numbers[kind])

    def _wait_for_room(self, need: int, since: float) -> None:
        """Return after a while, to try again. Raises TemporaryError after `disk_wait` or a stop."""
        with _naming(self._directory):
            free = self._files.free(self._directory)
        if self.blocked is None:
            self._commit()  # what is written must not stay volatile for as long as the disk is full
            self._tell(Blocked(need, free, self._clock.wall()))
        over = self._clock.monotonic() - since >= self.limits.disk_wait
        if over or self.stop.wait(self.limits.poll_seconds):
            raise TemporaryError(
                f"disk full: {need} bytes needed, {free} free at {self._directory}; "
                "run the same command again when there is room"
            )

    def _tell(self, blocked: Blocked | None) -> None:
        self.blocked = blocked
        self._on_blocked(blocked)

    def due(self) -> float | None:
        """When something is next to be synced or sealed, in monotonic seconds; None: nothing is open."""
        times = [shard.opened + self.limits.shard_seconds for shard in self._open.values()]
        if self.limits.durability == "interval":
            waiting = (shard for shard in self._open.values() if shard.unsynced)
            times += [shard.unsynced_since + self.limits.commit_seconds for shard in waiting]
        return min(times, default=None)

    def tend(self) -> None:
        """Sync and seal what is due. Raises TemporaryError."""
        now = self._clock.monotonic()
        for kind, shard in list(self._open.items()):
            old = now - shard.opened >= self.limits.shard_seconds
            if old or shard.size >= self.limits.shard_bytes or shard.lines >= self.limits.shard_traces:
                self._seal(kind)
        if self.limits.durability == "interval" and self._commit_due(now):
            self._commit()

    def _commit_due(self, now: float) -> bool:
        waiting = [shard for shard in self._open.values() if shard.unsynced]
        return sum(shard.unsynced for shard in waiting) >= self.limits.commit_traces or any(
            now - shard.unsynced_since >= self.limits.commit_seconds for shard in waiting
        )

    def _commit(self) -> None:
        if self.limits.durability == "never":
            return
        for kind, shard in self._open.items():
            with _naming(shard.path):
                self._count(kind, shard.sync())

    def _seal(self, kind: Kind) -> None:
        shard = self._open.pop(kind)  # whatever comes of it, its descriptor is closed
        self._numbers[kind] += 1
        with _naming(shard.path):
            self._count(kind, shard.seal())

    def seal_all(self) -> None:
        """Seal every sound shard, close every other. Raises TemporaryError after all were tried."""
        problem: TemporaryError | None = None
        for kind, shard in list(self._open.items()):
            if shard.broken:
                self._open.pop(kind).abandon()
                continue
            try:
                self._seal(kind)
            except TemporaryError as error:
                problem = error
        if problem:
            raise problem

    def _count(self, kind: Kind, synced: int) -> None:
        self.durable += synced if kind == "traces" else 0


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """The boundary where an error of the disk becomes one of the run's, with the file's name."""
    try:
        yield
    except OSError as error:
        raise _failed(error, path) from error


def _failed(error: OSError, path: Path) -> TemporaryError:
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    return TemporaryError(
        f"cannot write {path}: {code} ({error.strerror}); check the disk, then run the same command again"
    )
