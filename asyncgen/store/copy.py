"""A run directory that comes into being whole: filled beside its name, synced, renamed.

Knows names, shards and the order of sync and rename. Does not know what the lines say, nor where they come from.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DataError
from asyncgen.store.catalog import NoCatalog, write_catalog
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import KINDS, LOCK_FILE, Kind, open_shard, sealed_path
from asyncgen.store.lock import Lock, take_lock
from asyncgen.store.shard import ShardWriter

_BUFFER = 1 << 20
"""Bytes of lines that go out in one write."""


class SealedShards:
    """Whole lines of one kind into the shards of one writer, each sealed when it is full. Owned by one thread; its
    methods raise OSError."""

    def __init__(
        self,
        directory: Path,
        kind: Kind,
        writer: str,
        files: FileLayer,
        *,
        shard_bytes: int = 256 << 20,
        shard_lines: int = 10_000,
    ) -> None:
        self.lines = 0
        """That were given."""
        self._directory = directory
        self._kind = kind
        self._writer = writer
        self._files = files
        self._shard_bytes = shard_bytes
        self._shard_lines = shard_lines
        self._number = 0
        self._shard: ShardWriter | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, line: bytes) -> None:
        """A line as it is to stand there, its LF included."""
        if self._is_full(len(line)):
            self.seal()
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        self.lines += 1
        if self._waiting_bytes >= _BUFFER:
            self._write()

    def _is_full(self, more: int) -> bool:
        lines, size = (self._shard.lines, self._shard.size) if self._shard else (0, 0)
        lines, size = lines + len(self._waiting), size + self._waiting_bytes
        return lines >= self._shard_lines or (lines > 0 and size + more > self._shard_bytes)

    def _write(self) -> None:
        if not self._waiting:
            return
        if self._shard is None:
            path = open_shard(self._directory, self._kind, self._writer, self._number)
            self._shard = ShardWriter(path, self._files, 0.0)
            self._number += 1
        self._shard.append(b"".join(self._waiting), len(self._waiting), 0.0)
        self._waiting, self._waiting_bytes = [], 0

    def seal(self) -> None:
        """What was given is durable and has its final name, with a catalog if that can be; more may follow, in another
        shard."""
        self._write()
        shard, self._shard = self._shard, None
        if shard is not None:
            shard.seal()
            with suppress(OSError, DataError, NoCatalog):
                write_catalog(sealed_path(shard.path), self._kind, self._files)

    def abandon(self) -> None:
        """Close without sealing. After `seal` it does nothing."""
        shard, self._shard = self._shard, None
        if shard is not None:
            shard.abandon()


@contextmanager
def whole_directory(out: Path, *, argv: Sequence[str], files: FileLayer, clock: Clock) -> Iterator[Path]:
    """A new, locked folder `.OUT.tmp` with those for the shards in it, which becomes `out` when the block has ended
    well. Else nothing is left; what a killed one left is removed by the next. `out` may be an empty folder.

    Raises DirectoryInUse where another process is at work on the same `out`, TemporaryError where one took that over,
    OSError.
    """
    parents = files.make_directories(out.parent)
    temporary = out.with_name(f".{out.name}.tmp")
    lock: Lock | None = None
    try:
        lock = _begin(temporary, files)
        lock.sign(argv, clock)
        for kind in KINDS:
            files.make_directories(temporary / kind)
        yield temporary
        lock.check()
        files.sync_directory(temporary)
        files.rename(temporary, out)
        files.sync_directory(out.parent)
    except BaseException as error:
        if lock is not None and lock.is_ours():
            shutil.rmtree(temporary, ignore_errors=True)
        files.remove_empty(parents)
        if isinstance(error, OSError) and not error.filename:  # as a full disk gives it
            raise OSError(error.errno, error.strerror, str(out)) from error
        raise
    finally:
        if lock is not None:
            lock.release()


def _begin(temporary: Path, files: FileLayer) -> Lock:
    """The folder, empty and locked."""
    while True:
        with suppress(FileExistsError):
            files.make_directory(temporary)
        lock = take_lock(temporary, files)
        try:
            if all(path.name == LOCK_FILE for path in temporary.iterdir()):
                return lock
            shutil.rmtree(temporary)
        except BaseException:
            lock.release()
            raise
        lock.release()


def without_crc(line: bytes) -> bytes:
    """The line as a trainer reads it: neither checksum nor LF, every other byte as it was."""
    return line[: line.rindex(b',"crc":"')] + b"}"
