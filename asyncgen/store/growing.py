"""A file of lines that only grows, and only by whole ones: what a failed write has left of one is cut off.

Knows bytes and offsets. Does not know what a line says, when it is to be durable, nor what becomes of the file.
"""

from __future__ import annotations

from pathlib import Path

from asyncgen.store.files import FileLayer


class GrowingFile:
    """A new file for appending. All methods raise OSError from the file layer."""

    def __init__(self, path: Path, files: FileLayer) -> None:
        """Create it, so that its name is durable. What fails leaves no file."""
        self.path = path
        self.size = 0
        """Bytes of whole lines."""
        self._files = files
        self._torn = False
        self._descriptor = files.create(path)
        try:
            files.sync_directory(path.parent)
        except OSError:
            files.close(self._descriptor)
            files.unlink(path)
            raise

    def append(self, data: bytes) -> None:
        """Write whole lines. On an error the file is cut back to its last whole line before the error goes on."""
        self.mend()
        try:
            self._files.write_all(self._descriptor, data)
        except OSError:
            self._torn = True
            self.mend()
            raise
        self.size += len(data)

    def mend(self) -> None:
        """Cut off what a failed write has left, where that failed too."""
        if self._torn:
            self._files.truncate(self._descriptor, self.size)
            self._torn = False

    def sync(self) -> None:
        """What is written is durable."""
        self._files.sync(self._descriptor)

    def close(self) -> None:
        self._files.close(self._descriptor)
