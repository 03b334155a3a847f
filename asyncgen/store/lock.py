"""The run directory's lock: one process at a time, and a text that says which.

flock on an open descriptor: it goes with the process, however that ends. (`lockf` would be lost as soon as any other
descriptor of the file is closed.) On one machine it is the whole truth. A shared file system may keep it to each
machine, or have none. So there is a lease beside it: the holder touches LOCK every `BEAT`, and a start on another
machine is refused until the file is older than `LEASE`, by the file system's clock.

What that gives. With flock, two processes of one machine never hold one directory. Where the lease alone guards: a
living holder is respected; of two that start at once one gives way, without flock before it begins, with a flock that
each machine keeps to itself after `SETTLE`; and one that was suspended for longer than `LEASE` looks, before it writes
on, whether its place is taken. That is no fence: a write that had begun still lands, in a file of the writer's own. So
two writers may do one episode twice, but never mix files.

The file is never removed by a release, which only says so in it. Knows locks and beats. Does not know what the
directory holds.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.errors import DirectoryInUse, TemporaryError
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.holder import (
    LEASE,
    Identity,
    in_use,
    look,
    perhaps_in_use,
    read_holder,
    released,
    server_now,
    signature,
    taken_over,
    this_process,
)
from asyncgen.store.layout import LOCK_FILE

BEAT: Final = 10.0
"""Seconds between two signs of life."""
SETTLE: Final = 1.0
"""Seconds after which what another machine wrote at the same time is there to be read."""
_NO_FLOCK = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS})


class Lock:
    """A held lock; `take_lock` makes it. Once signed, a thread of its own gives the signs of life: neither a busy event
    loop nor a writer that waits for room on the disk is to look like a dead process.
    """

    def __init__(
        self,
        directory: Path,
        descriptor: int,
        files: FileLayer,
        me: Identity,
        *,
        flocked: bool,
        beat: float,
        settle: float,
    ) -> None:
        """`flocked`: the file system has such locks."""
        self.lost = ""
        """Not empty: another process has the directory by now, and which."""
        self._directory = directory
        self._descriptor: int | None = descriptor
        self._files = files
        self._me = me
        self._flocked = flocked
        self._every = beat
        self._settle = settle
        self._line = b""
        self._clock: Clock = SystemClock()
        self._beaten = 0.0
        self._on_lost: Callable[[str], None] | None = None
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._live, name="asyncgen-lock", daemon=True)

    def sign(self, argv: Sequence[str], clock: Clock) -> None:
        """Write who holds it, for the one who is refused, and begin to beat. `argv` must be free of secrets.

        Raises OSError; where there is no flock, after `SETTLE`, DirectoryInUse: another process was faster.
        """
        if self._descriptor is None:
            raise RuntimeError("the lock is released already")
        line = signature(self._me, argv, clock)
        self._clock, self._beaten = clock, clock.monotonic()
        self._files.truncate(self._descriptor, 0)
        self._files.write_all(self._descriptor, line + b"\n")
        self._files.sync(self._descriptor)
        self._line = line
        if not self._flocked:
            self._released.wait(self._settle)
            if not self.is_ours():
                raise DirectoryInUse(in_use(self._directory, read_holder(self._directory)))
        self._heart.start()

    def _live(self) -> None:
        """The heart. Its first beat comes soon: on another machine one may have started at the same time."""
        seconds = self._settle
        while not self._released.wait(seconds) and not self.lost:
            self.beat()
            seconds = self._every

    def beat(self) -> None:
        """Give a sign of life, unless another process has the directory by now: then `lost` says so.

        A file system that fails leaves that open until the next beat; so does a LOCK that somebody has removed.
        """
        if self._descriptor is None or not self._line or self.lost:
            return
        now = self._clock.monotonic()
        with suppress(OSError):
            mark = look(self._directory)
            if mark is not None and mark.line != self._line:
                self._lose(taken_over(self._directory, mark.holder))
                return
            self._files.touch(self._descriptor)
            self._beaten = now

    def _lose(self, text: str) -> None:
        self.lost = text
        if self._on_lost is not None:
            self._on_lost(text)

    def watch(self, on_lost: Callable[[str], None]) -> None:
        """`on_lost(text)` is called, in any thread and perhaps twice, when another process has the directory."""
        self._on_lost = on_lost
        if self.lost:
            on_lost(self.lost)

    def check(self) -> None:
        """For one who is about to write: raises TemporaryError if the directory is lost. Where the latest beat is so
        long ago that another process may have taken over, it looks first, and blocks."""
        if self._line and self._clock.monotonic() - self._beaten >= LEASE:
            self.beat()
        if self.lost:
            raise TemporaryError(self.lost)

    def is_ours(self) -> bool:
        """Looks whether another process has taken over. Blocks."""
        self.beat()
        return not self.lost

    def release(self) -> None:
        """Let others in. Twice is harmless."""
        if self._descriptor is None:
            return
        self._released.set()
        if self._heart.is_alive():
            self._heart.join()
        if self._line and self.is_ours():
            with suppress(OSError):  # a text that stays as it was is one of a dead process
                self._files.truncate(self._descriptor, 0)
                self._files.write_all(self._descriptor, released(self._line) + b"\n")
        self._files.close(self._descriptor)
        self._descriptor = None


def take_lock(
    directory: Path, files: FileLayer, *, me: Identity | None = None, beat: float = BEAT, settle: float = SETTLE
) -> Lock:
    """Lock the directory, without waiting. `me`: this process; `beat`, `settle`: as `BEAT`, `SETTLE`.

    Raises DirectoryInUse with pid, host, start and command of the other process, OSError.
    """
    path = directory / LOCK_FILE
    who = me or this_process()
    while True:
        descriptor = files.open(path, create=True)
        try:
            flocked = _flock(descriptor, files)
            if _same_file(descriptor, path):
                _refuse_living(directory, who, flocked=flocked, now=lambda: server_now(directory, files))
                return Lock(directory, descriptor, files, who, flocked=flocked, beat=beat, settle=settle)
        except BlockingIOError:
            files.close(descriptor)
            raise DirectoryInUse(in_use(directory, read_holder(directory))) from None
        except BaseException:
            files.close(descriptor)
            raise
        files.close(descriptor)  # removed with its new directory between open and flock


def refuse_if_held(
    directory: Path, files: FileLayer = DISK, *, me: Identity | None = None, clock: Clock | None = None
) -> None:
    """An early look, before anything is loaded; the lock itself is taken later. Writes nothing, so a sign of life is
    dated by this machine's clock: a wrong one may refuse for `LEASE` too long. Raises DirectoryInUse."""
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # there is none, or what is wrong is told when it is taken
    try:
        flocked = _flock(descriptor, files, shared=True)
        _refuse_living(directory, me or this_process(), flocked=flocked, now=(clock or SystemClock()).wall)
    except BlockingIOError:
        raise DirectoryInUse(in_use(directory, read_holder(directory))) from None
    except OSError:
        return
    finally:
        os.close(descriptor)


def _flock(descriptor: int, files: FileLayer, *, shared: bool = False) -> bool:
    """False where the file system has no such locks. Raises BlockingIOError where another process has it, OSError."""
    try:
        files.lock(descriptor, shared=shared)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_FLOCK:
            raise
        return False
    return True


def _refuse_living(directory: Path, me: Identity, *, flocked: bool, now: Callable[[], float]) -> None:
    """What the lease says of a holder that flock cannot speak for. Raises DirectoryInUse, OSError."""
    mark = look(directory)
    holder = mark.holder if mark else None
    if mark is None or holder is None or (flocked and holder.is_on_machine_of(me)):
        return
    time = now()
    if mark.is_fresh(time):
        raise DirectoryInUse(perhaps_in_use(directory, holder, time - mark.touched))


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
