"""Lives of a run directory that are recorded, to be crashed: what is written, and what was promised when.

Knows the store. Does not know what a crash leaves (`crash_states`), nor what must be found then (`crash_prover`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from support.crash_files import RecordingFiles
from support.store_fakes import FaultyFiles, a_failure, a_trace, open_store

from asyncgen.core.errors import TemporaryError
from asyncgen.store.card import write_card
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.layout import KINDS, Kind
from asyncgen.store.line import line_key
from asyncgen.store.read import iter_lines
from asyncgen.store.run_file import write_run
from asyncgen.store.store import Store

Key: TypeAlias = tuple[int, int]
CONFIG = "0123456789ab"
MOST = 12
"""Samples of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What a power loss may not take."""

    traces: frozenset[Key] = frozenset()
    failures: frozenset[Key] = frozenset()
    turns: Mapping[Key, int] = field(default_factory=dict[Key, int])
    """Entries of an episode's journal, as long as it has no trace."""
    run: int = -1
    """Which `run.json`, or a later one; -1: none."""


def stored_keys(run: Path, kind: Kind) -> list[Key]:
    """As a reader of the run's folder finds them."""
    return [line_key(line) for line in iter_lines(run, kind)]


class Promises:
    """What the store has said so far, of this start and of those before."""

    def __init__(self, before: Promised | None = None) -> None:
        self.given = before or Promised()
        self.written: list[Key] = []
        """Traces of the present writer, in the order in which they went to it."""
        self.failed: list[Key] = []
        """Its failures."""
        self.store: Store | None = None

    def now(self) -> Promised:
        """Asked before each operation, by the thread that does it."""
        if self.store is None or not self.store.durable:
            return self.given
        return replace(self.given, traces=self.given.traces | {*self.written[: self.store.durable]})

    def add(self, **more: Any) -> None:
        self.given = replace(self.now(), **more)

    def end(self, *, sound: bool) -> None:
        """The writer is gone. The store says of failures that they are durable when it is closed, and not before."""
        self.add(failures=self.given.failures | {*self.failed} if sound else self.given.failures)
        self.store = None

    def begin(self, store: Store) -> None:
        """What a start finds is durable when it has begun."""
        self.written, self.failed, self.store = [], [], store
        found = {kind: frozenset(stored_keys(store.directory, kind)) for kind in KINDS}
        self.add(traces=self.given.traces | found["traces"], failures=self.given.failures | found["failed"])


class Life:
    """One start of a writer."""

    def __init__(self, store: Store, promises: Promises, files: FileLayer) -> None:
        self.store = store
        self.clock = store._clock
        self._promises = promises
        self._files = files
        self._turns: dict[Key, int] = {}
        """Entries written."""

    async def save(self, *indexes: int) -> None:
        """A trace each, where there is none."""
        for index in indexes:
            if (index, 0) not in self.store.done:
                self._promises.written.append((index, 0))
                await self.store.append(a_trace(index, text="é" * (97 * index % 700)))
        self._note_turns()

    async def fail(self, *indexes: int) -> None:
        for index in indexes:
            kept = {key: many for key, many in self._promises.given.turns.items() if key != (index, 0)}
            self._promises.add(turns=kept)
            self._turns.pop((index, 0), None)
            self._promises.failed.append((index, 0))
            await self.store.fail(a_failure(index, error="late " * index))
        self._note_turns()

    async def turn(self, *indexes: int) -> None:
        """An entry each in the journal."""
        for index in indexes:
            key, number = (index, 0), self._turns.get((index, 0), 0)
            fields = {"turn": number, "text": "ü" * (131 * (index + number) % 600)}
            await self.store.write_turn(f"geo/{index}/0", key, CONFIG, "completion", fields)
            self._turns[key] = number + 1
        self._note_turns()

    def take_over(self) -> None:
        """The journals of the starts before."""
        self.store.adopt_turns(CONFIG)
        for index in range(MOST):
            if past := self.store.past_turns((index, 0)):
                self._turns[index, 0] = len(past)
        self._note_turns()

    def rotate(self) -> None:
        """As the writer's thread does it, which has nothing to do now."""
        self.store._sink._rotate(self.clock.monotonic())
        self._note_turns()

    def _note_turns(self) -> None:
        """The journal says whether all that is written is durable."""
        if self.store._journal.unsynced_since is None:
            self._promises.add(turns={**self._promises.given.turns, **self._turns})

    async def tick(self) -> None:
        """A second passes: a commit is due with the next line."""
        await self.clock.sleep(1.0)

    def papers(self, version: int) -> None:
        """`run.json`, the card and an event."""
        run = self.store.directory
        write_run(run, {"version": version}, files=self._files, clock=self.clock)
        self._promises.add(run=version)
        write_card(run, name="geo", score_types={}, headline_types={}, traces=version, files=self._files)
        self.store.events.write("config", version=version)

    def drop(self) -> None:
        """The process is gone: what was written stays in the kernel's memory, nothing more is done."""
        store, closed = self.store, self._files.close
        store._queue._pool.shutdown(wait=True)
        for shard in store._sink._open.values():
            shard.abandon()
        if store._journal._file is not None:
            store._journal._file.close()
        if store.events._descriptor is not None:
            closed(store.events._descriptor)
        store._lock.release()


class World:
    """The folder of a scenario, and the layer that it is written through."""

    def __init__(
        self, root: Path, before: Promised | None = None, layer: type[RecordingFiles] = RecordingFiles
    ) -> None:
        self.run = root / "run"
        self.promises = Promises(before)
        self.below: FileLayer = DISK
        self.files = layer(root, _Below(self), self.promises.now)

    @asynccontextmanager
    async def start(self, *, killed: bool = False, **options: Any) -> AsyncIterator[Life]:
        """A writer from its start to its end; `killed`: with no end. An error of the disk ends it too."""
        given = {"shard_traces": 4, "commit_traces": 3, "files": self.files, **options}
        store = open_store(self.run, **given)
        store._sink.limits = replace(store._sink.limits, poll_seconds=0.0)
        self.promises.begin(store)
        life = Life(store, self.promises, self.files)
        life.take_over()
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(_quietly(store.run()))
            with suppress(TemporaryError):
                yield life
            if killed:
                loop.cancel()
                with suppress(asyncio.CancelledError):
                    await loop
                life.drop()
            else:
                await _quietly(store.close())
        self.promises.end(sound=not killed and store._queue._failure is None)


class _Below(FileLayer):
    """The layer of the moment: a scenario may change it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, descriptor: int, data: memoryview) -> int:
        return self._world.below.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._world.below.sync(descriptor)


async def _quietly(ending: Awaitable[None]) -> None:
    """A run that the disk ends."""
    with suppress(TemporaryError):
        await ending


Scenario: TypeAlias = Callable[[World], Awaitable[None]]


async def shards(world: World) -> None:
    """Several shards of both kinds; commits by number, by time and by seals."""
    async with world.start() as life:
        await life.save(*range(5))
        await life.fail(20)
        await life.tick()
        await life.save(5, 6)
        await life.fail(21, 22, 23, 24)
        await life.save(7, 8, 9, 10)
        await life.tick()
        await life.save(11)


class Meagre(FileLayer):
    """A disk that takes at most so many bytes a write."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[:700])


async def pieces(world: World) -> None:
    """Every write is a short one."""
    world.below = Meagre()
    async with world.start() as life:
        await life.save(*range(6))
        await life.turn(7, 7)
        await life.tick()
        await life.save(6)
        await life.fail(8)


class _Full(FileLayer):
    """Every third write takes a part, and the next one finds no room."""

    def __init__(self) -> None:
        self._writes = 0

    def write(self, descriptor: int, data: memoryview) -> int:
        self._writes += 1
        if self._writes % 3 == 0:
            return super().write(descriptor, data[: len(data) * 2 // 3])
        if self._writes % 3 == 1 and self._writes > 1:
            raise OSError(28, os.strerror(28))
        return super().write(descriptor, data)


async def full_disk(world: World) -> None:
    """Writes that end half-way, are cut back and tried again."""
    async with world.start() as life:
        world.below = _Full()
        for index in range(9):
            await life.save(index)
            await life.turn(10, 11)
            await life.tick()
        await life.fail(9)


async def papers(world: World) -> None:
    """What is written in one piece, and the log of events."""
    async with world.start() as life:
        life.papers(1)
        await life.save(0)
        life.papers(2)
    async with world.start() as life:
        life.papers(3)


async def killed(world: World) -> None:
    """Two starts that are killed, and two that go on from there, on a machine that stays up."""
    async with world.start(killed=True) as life:
        await life.save(0, 1, 2, 3, 4)
        await life.turn(6, 7, 6)
        await life.fail(20)
    async with world.start(killed=True) as life:
        await life.turn(6)
        await life.save(5, 6)
        await life.tick()
        await life.fail(7)
    async with world.start() as life:
        await life.save(8, 9, 10)
        await life.turn(11)


async def journal(world: World) -> None:
    """Episodes of many turns: they begin, go on, end, and are journalled anew; the last ones are taken over twice."""
    async with world.start() as life:
        await life.turn(0, 1, 2, 0, 1)
        await life.tick()
        await life.save(0)
        await life.turn(1, 2, 3, 3)
        await life.fail(2)
        life.rotate()
        await life.turn(1, 4)
        await life.save(1)
        life.rotate()
        await life.turn(3, 4)
        await life.tick()
        await life.save(5)
        await life.turn(4)
    async with world.start(killed=True) as life:
        await life.turn(3, 4, 6)
        await life.save(3)
        life.rotate()
    async with world.start() as life:
        await life.turn(4, 6)
        await life.save(4)


async def always(world: World) -> None:
    """Nothing counts as saved before it is durable."""
    async with world.start(durability="always") as life:
        for index in range(6):
            await life.turn(index, 9)
            await life.save(index)
            assert life.store.durable == index + 1
        await life.fail(9)


async def lost_sync(world: World) -> None:
    """A sync fails, the run ends, and a start on the same machine, which never went down, takes over."""
    async with world.start() as life:
        await life.save(0, 1, 2)
        await life.turn(4, 4, 5)
        await life.tick()
        await life.save(3)
        world.below = FaultyFiles(1, only="sync")
        await life.save(4, 5, 6)
    world.below = DISK
    async with world.start() as life:
        await life.save(*range(4, 9))


async def next_start(world: World) -> None:
    """A start on what a crash has left: it takes over, and does a part of what is missing."""
    async with world.start() as life:
        life.papers(9)
        await life.turn(3, 8, 9)
        await life.save(1, 3, 5)
        await life.tick()
        await life.save(7)
        await life.turn(8)


SCENARIOS: tuple[Scenario, ...] = (shards, pieces, full_disk, papers, killed, journal, always, lost_sync)
