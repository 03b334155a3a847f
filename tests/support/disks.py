"""Disks that are full: a small file system of their own where we may mount one, and limits on files elsewhere.

Knows mount points and process limits. Imports nothing of asyncgen.
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """A mounted tmpfs, and a file beside the test's own that takes its room."""

    root: Path

    @property
    def free(self) -> int:
        """Bytes."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    @property
    def _filler(self) -> Path:
        return self.root / "filler"

    def fill(self, *, leave: int = 0) -> None:
        """Take all room but so many bytes, a page more or less."""
        descriptor = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            while (more := self.free - leave) > 0:
                os.write(descriptor, bytes(min(more, 1 << 16)))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        """Take the filler away."""
        self._filler.unlink()

    def fill_names(self) -> None:
        """Make so many empty files that no other can be made."""
        folder = self.root / "names"
        folder.mkdir()
        try:
            for number in itertools.count():
                (folder / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def free_names(self) -> None:
        """Take them away."""
        shutil.rmtree(self.root / "names")


@contextmanager
def small_disk(root: Path, *, size: int = 1 << 20, files: int = 0) -> Iterator[SmallDisk | None]:
    """Mounted at `root` within; None where we may not mount. `files`: so many can be made, 0: any number."""
    root.mkdir()
    options = f"size={size},mode=0700" + (f",nr_inodes={files}" if files else "")
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)], capture_output=True, check=False
        )
    except FileNotFoundError:
        yield None
        return
    if mounted.returncode:
        yield None
        return
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def limit_files(pid: int, size: int | None) -> None:
    """No file of this process may grow beyond so many bytes; None: any may."""
    most = resource.RLIM_INFINITY if size is None else size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
