"""The file layer: every byte that the store writes goes through here, one method a system call.

Knows open flags, modes (0600, 0700) and the order of write, sync and rename that makes a change durable.
Does not know what is written, and never tries again: that is the caller's to decide. Tests put a failing layer here.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class FileLayer:
    """The real disk. All methods raise OSError as the system call does."""

    def create(self, path: Path) -> int:
        """A new file for appending; FileExistsError if there is one."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open(self, path: Path, *, create: bool = False, empty: bool = False) -> int:
        """A file for reading and appending; with `create` made if missing, with `empty` cut to nothing."""
        more = (os.O_CREAT if create else 0) | (os.O_TRUNC if empty else 0)
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | more, 0o600)

    def write(self, descriptor: int, data: memoryview) -> int:
        """One write(2): the number of bytes taken, which may be fewer than given."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut to `size` bytes; the next write goes there, for every file is opened to append."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """The file's data and size are on the disk when this returns."""
        _sync(descriptor)

    def touch(self, descriptor: int) -> None:
        """Its time of change is now, by the clock of whoever keeps the file: on a network file system, the server's."""
        os.utime(descriptor)

    def lock(self, descriptor: int, *, shared: bool = False) -> None:
        """flock, without waiting. BlockingIOError: another process has it; some file systems have no such locks."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Atomic; a file named `new` is replaced."""
        os.rename(old, new)  # noqa: PTH104  # one method, one system call

    def unlink(self, path: Path) -> None:
        os.unlink(path)  # noqa: PTH108  # same

    def make_directory(self, path: Path) -> None:
        os.mkdir(path, 0o700)  # noqa: PTH102  # same

    def remove_directory(self, path: Path) -> None:
        os.rmdir(path)  # noqa: PTH106  # same

    def sync_directory(self, path: Path) -> None:
        """The names in this folder are on the disk when this returns."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free(self, path: Path) -> int:
        """Bytes that this user can still write on the file system of `path`."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize

    def write_all(self, descriptor: int, data: bytes) -> None:
        """Write all of it. A full disk first shows as a short write, and only the next write raises."""
        rest = memoryview(data)
        while rest:
            taken = self.write(descriptor, rest)
            if not taken:
                raise OSError(errno.EIO, "the file takes no bytes")
            rest = rest[taken:]

    def atomic_write(self, path: Path, data: bytes) -> None:
        """Put `data` in the place of `path`: a reader sees the old file or the new one, also after a power loss.

        The temporary name is always the same, so a crash leaves at most one and the next call takes it over.
        """
        temporary = path.with_name(f".{path.name}.tmp")
        descriptor = self.open(temporary, create=True, empty=True)
        try:
            self.write_all(descriptor, data)
            self.sync(descriptor)
        finally:
            self.close(descriptor)
        self.rename(temporary, path)
        self.sync_directory(path.parent)

    def make_directories(self, path: Path) -> tuple[Path, ...]:
        """Make the folder and its missing parents; those that this call made, outermost first. All or none."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        made: list[Path] = []
        try:
            for folder in reversed(missing):
                with suppress(FileExistsError):  # another process was faster
                    self.make_directory(folder)
                    made.append(folder)
                    self.sync_directory(folder.parent)
        except OSError:
            self.remove_empty(made)
            raise
        return tuple(made)

    def remove_empty(self, folders: Sequence[Path]) -> None:
        """Remove these folders, given outermost first, up to one that holds something."""
        with suppress(OSError):
            for folder in reversed(folders):
                self.remove_directory(folder)


DISK: Final = FileLayer()
"""Stateless, so one is enough."""
