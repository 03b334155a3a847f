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
from asyncgen.store.journal import Journal
from asyncgen.store.layout import KINDS, Kind, open_shard, sealed_path
from asyncgen.store.shard import ShardWriter

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that go away when there is room."""

Durability: TypeAlias = Literal["interval", "always", "never"]

Stream: TypeAlias = Kind | Literal["journal"]
"""What a line is written to."""
STREAMS: tuple[Stream, ...] = (*KINDS, "journal")
_EVERYTHING = 1 << 62


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
    wait: float
    """Seconds after which the run gives up."""
    limit: bool = False
    """It is no full disk, but the limit on a file's size."""

    def at(self, directory: Path) -> str:
        """In words."""
        hint = "; a limit on the size of files (ulimit -f) stands in the way" if self.limit else ""
        return f"disk full: {self.need} bytes needed, {self.free} free at {directory}{hint}"


class Sink:
    """Open shards of one writer, and its journal."""

    def __init__(
        self,
        directory: Path,
        writer: str,
        *,
        journal: Journal,
        limits: Limits,
        files: FileLayer,
        clock: Clock,
        on_blocked: Callable[[Blocked | None], None] = lambda _: None,
        on_sealed: Callable[[Path, Kind], None] = lambda _shard, _kind: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` raises TemporaryError where nothing may be written any more."""
        self.limits = limits
        self.durable = 0
        """Traces that a power loss cannot take any more."""
        self.blocked: Blocked | None = None
        self.stop = threading.Event()
        """Set: a full disk is not waited for any longer."""
        self._directory = directory
        self._writer = writer
        self._journal = journal
        self._files = files
        self._clock = clock
        self._on_blocked = on_blocked
        self._on_sealed = on_sealed
        self._check = check
        self._open: dict[Kind, ShardWriter] = {}
        self._traces = 0
        """Written."""
        self._numbers: Counter[Kind] = Counter()

    def room(self, kind: Stream) -> tuple[int, int]:
        """(lines, bytes) that still go into the open shard of this kind."""
        if kind == "journal":
            return _EVERYTHING, _EVERYTHING
        shard = self._open.get(kind)
        lines, size = (shard.lines, shard.size) if shard else (0, 0)
        return self.limits.shard_traces - lines, self.limits.shard_bytes - size

    def write(self, kind: Stream, lines: list[bytes]) -> None:
        """Append the lines to one shard, or the journal, all or none, then sync and seal what is due.

        Raises TemporaryError: the disk stayed full, or a file failed.
        """
        data = b"".join(lines)
        waited_since: float | None = None
        while True:
            try:
                self._append(kind, data, len(lines))
            except OSError as error:
                if error.errno not in FULL:
                    raise _failed(error, self._path(kind)) from error
                limit = error.errno == errno.EFBIG
            else:
                break
            waited_since = self._clock.monotonic() if waited_since is None else waited_since
            self._wait_for_room(len(data), waited_since, limit=limit)
        if self.blocked:
            self._tell(None)
        if self.limits.durability == "always":
            self._commit()
        self.tend()

    def _append(self, kind: Stream, data: bytes, lines: int) -> None:
        self._check()
        now = self._clock.monotonic()
        if kind == "journal":
            self._journal.append_all(data, now)
        else:
            self._shard(kind).append(data, lines, now)
            self._traces += lines if kind == "traces" else 0

    def _shard(self, kind: Kind) -> ShardWriter:
        shard = self._open.get(kind)
        if shard is None:
            shard = ShardWriter(self._path(kind), self._files, self._clock.monotonic())
            self._open[kind] = shard
        return shard

    def _path(self, kind: Stream) -> Path:
        """Of the file that is open, or the next one to be."""
        if kind == "journal":
            return self._journal.path
        return open_shard(self._directory, kind, self._writer, self._numbers[kind])

    def _wait_for_room(self, need: int, since: float, *, limit: bool) -> None:
        """Return after a while, to try again. Raises TemporaryError after `disk_wait` or a stop."""
        with _naming(self._directory):
            free = self._files.free(self._directory)
        self._commit()  # what is written, turns by the loop too, must not stay volatile for as long as the disk is full
        now = Blocked(need, free, self._clock.wall(), self.limits.disk_wait, limit)
        if self.blocked is None:
            self._tell(now)
        over = self._clock.monotonic() - since >= self.limits.disk_wait
        if over or self.stop.wait(self.limits.poll_seconds):
            raise TemporaryError(f"{now.at(self._directory)}; run the same command again when there is room")

    def _tell(self, blocked: Blocked | None) -> None:
        self.blocked = blocked
        self._on_blocked(blocked)

    def due(self) -> float | None:
        """When something is next to be synced or sealed, in monotonic seconds; None: nothing is open."""
        times = [shard.opened + self.limits.shard_seconds for shard in self._open.values()]
        if self.limits.durability == "interval":
            waiting = (shard for shard in self._open.values() if shard.unsynced)
            times += [shard.unsynced_since + self.limits.commit_seconds for shard in waiting]
            if (since := self._journal.unsynced_since) is not None:
                times.append(since + self.limits.commit_seconds)
        return min(times, default=None)

    def tend(self) -> None:
        """Sync and seal what is due. Raises TemporaryError."""
        self._check()
        now = self._clock.monotonic()
        for kind, shard in list(self._open.items()):
            old = now - shard.opened >= self.limits.shard_seconds
            if old or shard.size >= self.limits.shard_bytes or shard.lines >= self.limits.shard_traces:
                self._seal(kind)
        if self.limits.durability == "interval" and self._commit_due(now):
            self._commit()
        if self._journal.is_long:
            self._rotate(now)

    def _rotate(self, now: float) -> None:
        """Where there is no room for that, another time. What the journal lets go of is durable as a trace first, as
        far as `durability` has it so."""
        self._commit()
        try:
            self._journal.rotate(now)
        except OSError as error:
            if error.errno not in FULL or self._journal.broken:
                raise _failed(error, self._journal.path) from error

    def _commit_due(self, now: float) -> bool:
        waiting = [shard for shard in self._open.values() if shard.unsynced]
        since = [shard.unsynced_since for shard in waiting]
        if self._journal.unsynced_since is not None:
            since.append(self._journal.unsynced_since)
        return sum(shard.unsynced for shard in waiting) >= self.limits.commit_traces or any(
            now - one >= self.limits.commit_seconds for one in since
        )

    def _commit(self) -> None:
        if self.limits.durability == "never":
            return
        for kind, shard in self._open.items():
            with _naming(shard.path):
                self._count(kind, shard.sync())
        with _naming(self._journal.path):
            self._journal.sync()

    def _seal(self, kind: Kind) -> None:
        shard = self._open.pop(kind)  # whatever comes of it, its descriptor is closed
        self._numbers[kind] += 1
        with _naming(shard.path):
            self._count(kind, shard.seal())
        if shard.lines:
            self._on_sealed(sealed_path(shard.path), kind)

    def seal_all(self) -> None:
        """Seal every sound shard, close every other, and the journal. Raises TemporaryError after all were tried."""
        problem: TemporaryError | None = None
        try:
            self._check()
        except TemporaryError as error:  # what is open may be sealed by another process by now
            problem = error
        lost = problem is not None
        for kind, shard in list(self._open.items()):
            if shard.broken or lost:
                self._open.pop(kind).abandon()
                continue
            try:
                self._seal(kind)
            except TemporaryError as error:
                problem = error
        try:
            with _naming(self._journal.path):
                self._journal.finish(keep=self.durable < self._traces)
        except TemporaryError as error:
            problem = problem or error
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
