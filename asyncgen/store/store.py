"""The store: one run directory open for writing, and what it already holds.

Composes lock, recovery, ledger, events and writer. Does not know what is asked next, nor what a config means.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError, TemporaryError
from asyncgen.core.trace import Failure, Trace
from asyncgen.store.events import EventLog
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import KINDS, Kind, new_writer
from asyncgen.store.ledger import Ledger
from asyncgen.store.line import encode_failure, encode_trace, line_key
from asyncgen.store.lock import Lock, take_lock
from asyncgen.store.recovery import Recovered, recover
from asyncgen.store.sink import FULL, Blocked, Durability, Limits, Sink
from asyncgen.store.writer import Writer


class Store:
    """`open`, then `run` in a TaskGroup, `append` and `fail` from any coroutine, and `close` at the end."""

    def __init__(
        self,
        directory: Path,
        lock: Lock,
        *,
        made: tuple[Path, ...],
        limits: Limits,
        files: FileLayer,
        clock: Clock,
        on_state: Callable[[str], None] | None,
    ) -> None:
        """`made`: the folders that this start made, outermost first. Use `open`."""
        self.directory = directory
        self.created = directory in made
        """The directory is new."""
        self.writer = new_writer(directory, clock)
        self.recovered: list[Recovered] = recover(directory, files)
        """What the writers before left open."""
        self.saved = 0
        """Traces of this writer whose write(2) returned."""
        self.saved_failures = 0
        """The same for failed episodes."""
        self._ledger = Ledger(directory)
        self.events = EventLog(directory, self.writer, files=files, clock=clock)
        self._lock = lock
        self._made = made
        self._files = files
        self._on_state = on_state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing: set[tuple[int, int]] = set()
        self._sink = Sink(directory, self.writer, limits=limits, files=files, clock=clock, on_blocked=self._on_blocked)
        self._queue = Writer(self._sink, clock, self._on_saved)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        argv: Sequence[str],
        clock: Clock,
        durability: Durability = "interval",
        disk_wait: float = 600.0,
        files: FileLayer = DISK,
        shard_bytes: int = 256 << 20,
        shard_traces: int = 10_000,
        shard_seconds: float = 900.0,
        commit_seconds: float = 1.0,
        commit_traces: int = 256,
        on_state: Callable[[str], None] | None = None,
    ) -> Self:
        """Make or open the directory, lock it, recover what dead writers left, index what is done. Blocks.

        `argv` must be free of secrets. `on_state` is told, in the loop, when the disk is full and when it has room.
        Raises DirectoryInUse, DataError (a bad sealed line), TemporaryError (disk), InputError (not a usable folder);
        a directory that was new is gone again then.
        """
        limits = Limits(
            durability=durability,
            disk_wait=disk_wait,
            shard_bytes=shard_bytes,
            shard_traces=shard_traces,
            shard_seconds=shard_seconds,
            commit_seconds=commit_seconds,
            commit_traces=commit_traces,
        )
        lock: Lock | None = None
        made: tuple[Path, ...] = ()
        try:
            made = files.make_directories(directory)
            lock = take_lock(directory, files)
            lock.sign(argv, clock)
            for kind in KINDS:
                files.make_directories(directory / kind)
            return cls(directory, lock, made=made, limits=limits, files=files, clock=clock, on_state=on_state)
        except BaseException as error:
            _undo(directory, made, lock, files)
            if isinstance(error, OSError):
                raise _unusable(directory, error) from error
            raise

    @property
    def done(self) -> DoneIndex:
        """Every `(index, rollout)` with a trace."""
        return self._ledger.done

    @property
    def failed(self) -> DoneIndex:
        """Every `(index, rollout)` with a failure and no trace."""
        return self._ledger.failed

    @property
    def failed_reasons(self) -> Counter[str]:
        """How many of `failed` have which reason, the latest of each."""
        return self._ledger.failed_reasons

    def reason(self, key: tuple[int, int]) -> str | None:
        """Why this `(index, rollout)` failed; None if it did not."""
        return self._ledger.reason(key)

    @property
    def durable(self) -> int:
        """Traces of this writer that a power loss cannot take any more."""
        return self._sink.durable

    @property
    def blocked(self) -> Blocked | None:
        """Not None while the disk is full."""
        return self._sink.blocked

    @property
    def notice(self) -> str:
        """Why nothing can be written now; `""` when all is well."""
        blocked = self.blocked
        return _state_text(self.directory, blocked) if blocked else ""

    async def append(self, trace: Trace) -> None:
        """Save a trace: its write(2) has returned. Cancelling the call does not take the trace back.

        Raises TemporaryError (disk), ValueError for an id that is done or malformed (a bug of the caller's).
        """
        await self._queue.room()
        line = encode_trace(trace)
        key = line_key(line)
        if key in self.done or key in self._writing:
            raise ValueError(f"trace {trace.id} is saved already")
        self._writing.add(key)
        await self._queue.put("traces", line)

    async def fail(self, failure: Failure) -> None:
        """Save a failed episode, as `append` does a trace."""
        await self._queue.room()
        await self._queue.put("failed", encode_failure(failure))

    def _on_saved(self, kind: Kind, line: bytes) -> None:
        self._ledger.note(kind, line)
        if kind == "traces":
            self._writing.discard(line_key(line))
            self.saved += 1
        else:
            self.saved_failures += 1

    def _on_blocked(self, blocked: Blocked | None) -> None:
        """In the writer thread."""
        if self._loop and self._on_state:
            self._loop.call_soon_threadsafe(partial(self._on_state, _state_text(self.directory, blocked)))

    async def run(self) -> None:
        """The writer's loop, until `close`. Raises TemporaryError when the disk fails."""
        self._loop = asyncio.get_running_loop()
        await self._queue.run()

    async def settle(self) -> None:
        """Write what is queued, seal, take nothing more. Raises TemporaryError when the disk fails now."""
        await self._queue.close()

    async def close(self) -> None:
        """Write what is queued, make it durable, seal, let others in. Raises TemporaryError when the disk fails now."""
        try:
            await self._finish()
        finally:
            self._lock.release()

    async def discard(self) -> None:
        """Close, and if the directory is new remove it with all that is in it: for a start that fails early."""
        try:
            await self._finish()
        finally:
            _undo(self.directory, self._made, self._lock, self._files)

    async def _finish(self) -> None:
        try:
            await self._queue.close()
        finally:
            try:
                self.events.close()
            except OSError as error:
                raise _unusable(self.directory, error) from error


def _state_text(directory: Path, blocked: Blocked | None) -> str:
    if blocked is None:
        return f"there is room again at {directory}: going on"
    return f"disk full: {blocked.need} bytes needed, {blocked.free} free at {directory}; waiting for room"


def _undo(directory: Path, made: tuple[Path, ...], lock: Lock | None, files: FileLayer) -> None:
    """Remove the directory if it is new, and those above it that came with it and hold nothing else; then unlock.

    Without the lock only what is empty goes: another process may be at work in it by now.
    """
    if lock and directory in made:
        shutil.rmtree(directory, ignore_errors=True)
        made = made[:-1]
    files.remove_empty(made)
    if lock:
        lock.release()


def _unusable(directory: Path, error: OSError) -> InputError | TemporaryError:
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    text = f"cannot use {directory} as run directory: {code} ({error.strerror}: {error.filename or directory})"
    if error.errno in {*FULL, errno.EIO, errno.EMFILE, errno.ENFILE}:
        return TemporaryError(f"{text}; run the same command again when that is mended")
    return InputError(f"{text}; choose another --output-dir")
