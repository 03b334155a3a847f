"""One open shard: a `.part` file that only grows by whole lines, until it is sealed under its final name.

Knows how to take back a write that failed half-way, and the order sync → rename → sync folder.
Does not know when to sync or to seal, nor whether to try again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from asyncgen.store.files import FileLayer
from asyncgen.store.layout import sealed_path, suspect_path


def set_apart(part: Path, files: FileLayer) -> Path:
    """Give a file whose sync has failed the name of one that is not to be synced again; its name now, the old one where
    that fails too.

    The kernel may have dropped what it could not write, and would say yes the next time. The new name needs no sync of
    the folder: with a power loss, which may take it, the kernel's memory is gone as well.
    """
    suspect = suspect_path(part)
    with suppress(OSError):
        files.rename(part, suspect)
        return suspect
    return part


class ShardWriter:
    """Owned by one thread. All methods raise OSError from the file layer."""

    def __init__(self, path: Path, files: FileLayer, now: float) -> None:
        """Create the file. `now` (monotonic seconds) is its birth. What fails leaves no file."""
        self.path = path
        self.opened = now
        self.size = 0
        """Bytes of whole lines."""
        self.lines = 0
        self.unsynced = 0
        """Lines that a power loss may take."""
        self.unsynced_since = now
        self.broken = False
        """A sync failed: what the disk holds is unknown, and a second sync may lie. Never used again."""
        self._torn = False
        self._files = files
        self._descriptor = files.create(path)
        try:
            files.sync_directory(path.parent)
        except OSError:
            files.close(self._descriptor)
            files.unlink(path)
            raise

    def append(self, data: bytes, lines: int, now: float) -> None:
        """Write whole lines. On an error the file is cut back to the last good line before the error goes on."""
        if self._torn:
            self._cut()
        try:
            self._files.write_all(self._descriptor, data)
        except OSError:
            self._torn = True
            self._cut()
            raise
        self.unsynced_since = self.unsynced_since if self.unsynced else now
        self.size += len(data)
        self.lines += lines
        self.unsynced += lines

    def _cut(self) -> None:
        self._files.truncate(self._descriptor, self.size)
        self._torn = False

    def sync(self) -> int:
        """Make the lines durable; how many became so."""
        synced = self.unsynced
        if synced:
            try:
                self._files.sync(self._descriptor)
            except OSError:
                self.broken = True
                self.path = set_apart(self.path, self._files)
                raise
            self.unsynced = 0
        return synced

    def seal(self) -> int:
        """Sync, rename to `.jsonl`, close; how many lines became durable. An empty file is deleted."""
        try:
            if self._torn:
                self._cut()
            synced = self.sync()
        finally:
            self._files.close(self._descriptor)
        if self.lines:
            self._files.rename(self.path, sealed_path(self.path))
        else:
            self._files.unlink(self.path)
        self._files.sync_directory(self.path.parent)
        return synced

    def abandon(self) -> None:
        """Close without sealing: the next start recovers what is whole."""
        self._files.close(self._descriptor)
