"""The store: one run directory open for writing, and what it already holds.

Composes lock, recovery, ledger, events and writer. Does not know what is asked next, nor what a config means.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError, TemporaryError
from asyncgen.core.trace import Failure, Trace
from asyncgen.store.cataloguer import Cataloguer
from asyncgen.store.events import EventLog
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.index import DoneIndex
from asyncgen.store.journal import Adopted, Entry, Journal
from asyncgen.store.layout import KINDS, new_writer, sealed_shards
from asyncgen.store.ledger import Ledger
from asyncgen.store.line import encode_failure, encode_trace, line_key
from asyncgen.store.lock import Lock, take_lock
from asyncgen.store.recovery import Recovered, recover
from asyncgen.store.sink import FULL, Blocked, Durability, Limits, Sink, Stream
from asyncgen.store.totals import Totals
from asyncgen.store.writer import Writer

CATALOG_SECONDS = 5.0
"""That the end of a run waits for catalogs; the next start makes the others."""
MANY_CATALOGS = 10


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
        cataloguer: Cataloguer,
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
        self.on_state = on_state
        """Told, in the loop, when the disk is full and when it has room again."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing: set[tuple[int, int]] = set()
        self._failing: dict[tuple[int, int], Trace] = {}
        """Of failures that are being written: their journal ends with them, whether or not somebody waits for that."""
        self._clock = clock
        self._journal = Journal(directory, self.writer, files)
        self._at_once = limits.durability != "always"
        """A turn counts as written without a sync of its own."""
        self._cataloguer = cataloguer
        self._sink = Sink(
            directory,
            self.writer,
            journal=self._journal,
            limits=limits,
            files=files,
            clock=clock,
            on_blocked=self._on_blocked,
            on_sealed=self._cataloguer.add,
            check=lock.check,
        )
        self._queue = Writer(self._sink, clock, self._on_saved)
        lock.watch(self._on_lost)

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
        take: Callable[[Path, FileLayer], Lock] = take_lock,
        cataloguer: Callable[[FileLayer], Cataloguer] = Cataloguer,
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
            lock = take(directory, files)
            lock.sign(argv, clock)
            for kind in KINDS:
                files.make_directories(directory / kind)
            return cls(
                directory,
                lock,
                made=made,
                limits=limits,
                files=files,
                clock=clock,
                on_state=on_state,
                cataloguer=cataloguer(files),
            )
        except BaseException as error:
            _undo(directory, made, lock, files)
            if isinstance(error, OSError):
                raise unusable(directory, error) from error
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

    @property
    def totals(self) -> Totals:
        """What the episodes of the starts before have cost."""
        return self._ledger.totals

    def reason(self, key: tuple[int, int]) -> str | None:
        """Why this `(index, rollout)` failed; None if it did not."""
        return self._ledger.reason(key)

    @property
    def durable(self) -> int:
        """Traces of this writer that a power loss cannot take any more."""
        return self._sink.durable

    @property
    def files(self) -> FileLayer:
        """What all of it is written through."""
        return self._files

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

    def adopt(self, line: bytes) -> None:
        """Count a trace as done that somebody else writes into the directory, before `run`."""
        self._ledger.note("traces", line)

    async def fail(self, failure: Failure) -> None:
        """Save a failed episode, as `append` does a trace."""
        await self._queue.room()
        line = encode_failure(failure)
        self._failing[line_key(line)] = failure.trace
        await self._queue.put("failed", line)

    def adopt_turns(self, config_id: str) -> Adopted:
        """Take over the turns of unfinished episodes that earlier starts have journalled under this config. Before
        `run`. Raises TemporaryError."""
        try:
            return self._journal.adopt(config_id, self._is_over, self._clock.monotonic())
        except OSError as error:
            raise unusable(self.directory, error) from error

    def _is_over(self, key: tuple[int, int], ended: bool) -> bool:
        """Whether an episode's turns are of no use any more. A failed one that is tried again may have new ones."""
        return ended or key in self.done

    @property
    def unfinished(self) -> int:
        """Episodes whose turns are in the journal."""
        return self._journal.episodes

    @property
    def lost_turns(self) -> int:
        """Finished turns for which the disk had no room when the store was closed."""
        return self._journal.lost

    def has_past(self, key: tuple[int, int]) -> bool:
        """Whether there are such entries of an episode that `past_turns` has not given out."""
        return self._journal.has_past(key)

    def past_turns(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        """The journal's entries of an episode that an earlier start has begun, in order; given out once."""
        return self._journal.past(key)

    async def write_turn(self, trace_id: str, key: tuple[int, int], config_id: str, kind: str, fields: Entry) -> None:
        """Add to the journal what has come of an episode: its write(2) has returned. Most often nothing is awaited.

        Raises TemporaryError (disk).
        """
        line = self._journal.encode(trace_id, key, config_id, kind, fields)
        synced = self._journal.unsynced_since is None
        self._journal.note(key, line)  # first: a rotation that comes between them must know the episode
        if self._at_once and self._journal.append(line, self._clock.monotonic()):
            if synced:
                self._queue.wake()
            return
        await self._queue.put("journal", line)

    def _on_saved(self, kind: Stream, line: bytes) -> None:
        if kind == "journal":
            return
        self._ledger.note(kind, line)
        key = line_key(line)
        if kind == "traces":
            self._writing.discard(key)
            self._journal.close_episode(key)
            self.saved += 1
        else:
            if trace := self._failing.pop(key, None):
                self._journal.end_episode(trace.id, key, trace.config_id, self._clock.monotonic())
            self.saved_failures += 1

    def _on_blocked(self, blocked: Blocked | None) -> None:
        """In the writer thread."""
        if self._loop and self.on_state:
            self._loop.call_soon_threadsafe(partial(self.on_state, _state_text(self.directory, blocked)))

    async def run(self) -> None:
        """The writer's loop, until `close`. Raises TemporaryError when the disk fails, or another process has the
        directory by now."""
        self._loop = asyncio.get_running_loop()
        self._lock.watch(self._on_lost)  # again: what was found out before had no loop to go to
        self._catch_up()
        await self._queue.run()

    def _catch_up(self) -> None:
        """Have the catalogs looked at that earlier starts have left, and those made that are wanting."""
        self._cataloguer.sweep(self.directory)
        for kind in KINDS:
            for shard in sealed_shards(self.directory, kind):
                self._cataloguer.add(shard, kind)

    def _on_lost(self, text: str) -> None:
        """In the thread that found out."""
        self.events.silent = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._queue.fail, TemporaryError(text))

    async def settle(self, catalogs: float = CATALOG_SECONDS) -> None:
        """Write what is queued, seal, take nothing more; `catalogs`: seconds for them.

        Raises TemporaryError when the disk fails now.
        """
        await self._queue.close()
        await self._finish_catalogs(catalogs)

    async def make_catalogs(self, say: Callable[[str], None]) -> None:
        """Make all that are missing, however long it takes: for a start that has nothing else to do.

        `say` is told where that takes seconds.
        """
        wanting = self._ledger.scanned
        if wanting >= MANY_CATALOGS:
            say(f"making {wanting} catalogs, which save reading the shards; Ctrl-C puts that off to the next start")
        self._catch_up()
        await self._finish_catalogs(None)

    async def _finish_catalogs(self, seconds: float | None) -> None:
        try:
            await asyncio.to_thread(self._cataloguer.finish, seconds)
        finally:
            self._cataloguer.close()
            if problems := self._cataloguer.told():
                with suppress(OSError):
                    self.events.write("catalog_error", shards=len(problems), text=problems[0])

    async def close(self) -> None:
        """Write what is queued, make it durable, seal, let others in. Raises TemporaryError when the disk fails now."""
        try:
            await self.settle()
        finally:
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
            self._cataloguer.close()
            try:
                self.events.close()
            except OSError as error:
                raise unusable(self.directory, error) from error


def _state_text(directory: Path, blocked: Blocked | None) -> str:
    if blocked is None:
        return f"there is room again at {directory}: going on"
    return f"{blocked.at(directory)}; waiting for room, {blocked.wait:g} s at most (--store.disk-wait)"


def _undo(directory: Path, made: tuple[Path, ...], lock: Lock | None, files: FileLayer) -> None:
    """Remove the directory if it is new, and those above it that came with it and hold nothing else; then unlock.

    Without the lock only what is empty goes: another process may be at work in it by now.
    """
    if lock and directory in made and lock.is_ours():
        shutil.rmtree(directory, ignore_errors=True)
        made = made[:-1]
    files.remove_empty(made)
    if lock:
        lock.release()


def unusable(directory: Path, error: OSError) -> InputError | TemporaryError:
    """What an error of the disk means for a start: it goes on when that is mended, or never."""
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    text = f"cannot use {directory} as run directory: {code} ({error.strerror}: {error.filename or directory})"
    if error.errno in {*FULL, errno.EIO, errno.EMFILE, errno.ENFILE}:
        return TemporaryError(f"{text}; run the same command again when that is mended")
    return InputError(f"{text}; choose another --output-dir")
