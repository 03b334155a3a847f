"""The asyncio side of writing: a bounded queue of lines in front of one writer thread.

Knows queue, batches, waiters and the thread. Does not know shards or files (`sink`), nor what a line says.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from asyncgen.core.clock import Clock
from asyncgen.store.sink import STREAMS, Sink, Stream

GATHER = 0.003
"""Seconds to wait for more lines before a batch is written: asking the thread costs more than writing a line, and an
episode that waits for its line holds no slot."""


@dataclass(frozen=True, slots=True)
class _Pending:
    line: bytes
    done: asyncio.Future[None]


class Writer:
    """Group commit: what arrives while the thread writes goes out as the next batch.

    A line that was put is written even if its waiter is cancelled; `on_saved(kind, line)` is called, in the loop,
    for each line after its write(2).
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        on_saved: Callable[[Stream, bytes], None],
        *,
        max_lines: int = 1024,
        max_bytes: int = 64 << 20,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._on_saved = on_saved
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._queues: dict[Stream, deque[_Pending]] = {kind: deque() for kind in STREAMS}
        self._lines = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, "asyncgen-writer")
        self._step: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._closing = False

    def wake(self) -> None:
        """Look again at when something is due: it has become earlier."""
        self._wake.set()

    async def room(self) -> None:
        """Wait until the queue takes another line. No await may stand between this and `put`."""
        while not self._room.is_set():
            await self._room.wait()

    async def put(self, kind: Stream, line: bytes) -> None:
        """Queue a line; return after its write(2). Raises TemporaryError when the disk fails."""
        if self._failure:
            raise self._failure
        if self._closing:
            raise RuntimeError("the store is closed")
        pending = _Pending(line, asyncio.get_running_loop().create_future())
        self._queues[kind].append(pending)
        self._count(1, len(line))
        self._wake.set()
        await pending.done

    def _count(self, lines: int, size: int) -> None:
        self._lines += lines
        self._bytes += size
        if self._lines < self._max_lines and self._bytes < self._max_bytes:
            self._room.set()
        else:
            self._room.clear()

    async def run(self) -> None:
        """Write, sync and seal until `close`. Raises TemporaryError when the disk fails."""
        while not self._closing:
            due = self._sink.due()
            delay = None if due is None else max(0.0, due - self._clock.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER)
            self._wake.clear()
            if self._failure:
                raise self._failure
            await self._write_batches()
            if any(self._queues.values()):
                self._wake.set()
            if due is not None and due <= self._clock.monotonic() and not self._closing:
                await self._in_thread((), "traces", self._sink.tend)

    async def close(self) -> None:
        """Write what is queued, seal, end the thread; `run` returns. Raises TemporaryError when the disk fails now."""
        if self._closing:
            await self._idle()  # a close before this one may have been cancelled while the thread seals
            return
        self._closing = True
        self._sink.stop.set()
        self._wake.set()
        try:
            await self._flush()
        finally:
            try:
                await self._in_thread((), "traces", self._sink.seal_all)
            finally:
                self._pool.shutdown(wait=False)

    async def _flush(self) -> None:
        """Write until the queues are empty, the kinds by turns. Nothing awaits between a batch's take and its call."""
        while any(self._queues.values()):
            await self._write_batches()

    async def _write_batches(self) -> None:
        """At most one of each kind."""
        for kind in STREAMS:
            await self._idle()
            if batch := self._take(kind):
                await self._in_thread(batch, kind, self._sink.write, kind, [pending.line for pending in batch])

    def _take(self, kind: Stream) -> list[_Pending]:
        """Queued lines that fit into the open shard; at least one, if there is any."""
        lines, size = self._sink.room(kind)
        queue = self._queues[kind]
        batch: list[_Pending] = []
        while queue and (not batch or (lines > 0 and size >= len(queue[0].line))):
            pending = queue.popleft()
            batch.append(pending)
            lines -= 1
            size -= len(pending.line)
        self._count(-len(batch), -sum(len(pending.line) for pending in batch))
        return batch

    async def _in_thread(
        self, batch: list[_Pending] | tuple[()], kind: Stream, function: Callable[..., None], *arguments: object
    ) -> None:
        """Call in the writer thread, one call at a time; then wake the waiters, also if we are cancelled meanwhile."""
        await self._idle()
        step = asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        self._step = step
        step.add_done_callback(partial(self._settle, batch, kind))
        await asyncio.wait((step,))
        step.result()

    async def _idle(self) -> None:
        """Wait for a call that a cancelled `run` left behind: the sink is looked at only between calls."""
        while self._step and not self._step.done():
            await asyncio.wait((self._step,))

    def _settle(self, batch: list[_Pending] | tuple[()], kind: Stream, step: asyncio.Future[None]) -> None:
        error = step.exception()
        if error is None:
            for pending in batch:
                self._on_saved(kind, pending.line)
                if not pending.done.done():
                    pending.done.set_result(None)
            return
        self._fail(error, batch)

    def fail(self, error: BaseException) -> None:
        """Nothing more may be written, whatever the disk says: `run` and all waiters raise `error`."""
        self._fail(error, ())
        self._wake.set()

    def _fail(self, error: BaseException, batch: Iterable[_Pending]) -> None:
        self._failure = self._failure or error
        left = [pending for queue in self._queues.values() for pending in queue]
        for queue in self._queues.values():
            queue.clear()
        self._count(-len(left), -sum(len(pending.line) for pending in left))
        for pending in (*batch, *left):
            if not pending.done.done():
                pending.done.set_exception(error)
