"""One open shard: a `.part` file that only grows by whole lines, until it is sealed under its final name.

Knows how to take back a write that failed half-way, and the order sync → rename → sync folder.
Does not know when to sync or to seal, nor whether to try again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from asyncgen.store.files import FileLayer
from asyncgen.store.growing import GrowingFile
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
        self.lines = 0
        self.unsynced = 0
        """Lines that a power loss may take."""
        self.unsynced_since = now
        self.broken = False
        """A sync failed: what the disk holds is unknown, and a second sync may lie. Never used again."""
        self._files = files
        self._file = GrowingFile(path, files)

    @property
    def size(self) -> int:
        """Bytes of whole lines."""
        return self._file.size

    def append(self, data: bytes, lines: int, now: float) -> None:
        """Write whole lines. On an error the file is cut back to the last good line before the error goes on."""
        self._file.append(data)
        self.unsynced_since = self.unsynced_since if self.unsynced else now
        self.lines += lines
        self.unsynced += lines

    def sync(self) -> int:
        """Make the lines durable; how many became so."""
        synced = self.unsynced
        if synced:
            try:
                self._file.sync()
            except OSError:
                self.broken = True
                self.path = set_apart(self.path, self._files)
                raise
            self.unsynced = 0
        return synced

    def seal(self) -> int:
        """Sync, rename to `.jsonl`, close; how many lines became durable. An empty file is deleted."""
        try:
            self._file.mend()
            synced = self.sync()
        finally:
            self._file.close()
        if self.lines:
            self._files.rename(self.path, sealed_path(self.path))
        else:
            self._files.unlink(self.path)
        self._files.sync_directory(self.path.parent)
        return synced

    def abandon(self) -> None:
        """Close without sealing: the next start recovers what is whole."""
        self._file.close()
