"""The nth call of the file layer fails, for n = 1, 2, … until a start passes untouched: a start that recovers a killed
one, rescues a suspect shard, takes over a journal, writes of everything, rotates, seals and closes.

After each: what was acknowledged is there, once, nothing is torn, no file is synced again whose sync has failed; and a
start on the sound disk goes on to the same end.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.crash_files import Image, lay_out, memory_folder, read_image
from support.crash_runs import CONFIG, Key, stored_keys
from support.store_fakes import FaultyFiles, StillClock, a_failure, a_trace, assert_sound, open_store

from asyncgen.core.errors import TemporaryError
from asyncgen.store.files import DISK
from asyncgen.store.layout import JOURNAL, KINDS, open_shard, sealed_shards, suspect_path
from asyncgen.store.line import encode_trace
from asyncgen.store.run_file import read_run, write_run
from asyncgen.store.scan import verify_shard
from asyncgen.store.store import Store

SAMPLES = range(12)
SHORT = 0
"""In the place of an error: the write takes a part, and says so."""


class FailingFiles(FaultyFiles):
    """Any call may fail, and no shard and no journal may be synced again after a sync of it has failed."""

    def __init__(self, nth: int, code: int, times: int) -> None:
        super().__init__(nth, code, times=times, short=9)
        self._records: set[int] = set()
        """Descriptors of shards and journals."""
        self._lost: list[int] = []
        """Of those whose sync has failed; open, so that no other file gets the inode."""

    def _call(self, name: str) -> bool:
        return (self._code != SHORT or name == "write") and super()._call(name)

    def create(self, path: Path) -> int:
        return self._noted(super().create(path), path)

    def open(self, path: Path, *, create: bool = False, empty: bool = False) -> int:
        self._maybe("open")
        return self._noted(super().open(path, create=create, empty=empty), path)

    def _noted(self, descriptor: int, path: Path) -> int:
        """Other files are written anew from their start, or promise nothing."""
        if path.parent.name in {*KINDS, JOURNAL} and not path.name.endswith(".tmp"):
            self._records.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._records.discard(descriptor)
        super().close(descriptor)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._code != SHORT:
            return super().write(descriptor, data)
        return os.write(descriptor, data[: self._short] if self._call("write") else data)

    def sync(self, descriptor: int) -> None:
        again = [one for one in self._lost if os.path.samestat(os.fstat(one), os.fstat(descriptor))]
        assert not again, "a file is synced again whose sync has failed"
        try:
            super().sync(descriptor)
        except OSError:
            if descriptor in self._records and self._times == 1:  # or not even its name can be changed
                self._lost.append(os.dup(descriptor))
            raise

    def make_directory(self, path: Path) -> None:
        self._maybe("make_directory")
        super().make_directory(path)

    def heal(self) -> None:
        """The disk is sound from now on."""
        self._nth = 0

    def let_go(self) -> None:
        """Close what is still open."""
        for one in self._lost:
            os.close(one)


@dataclass
class Acknowledged:
    """What a start was told to be saved."""

    traces: set[Key] = field(default_factory=set[Key])
    failures: set[Key] = field(default_factory=set[Key])
    turns: Counter[Key] = field(default_factory=Counter[Key])
    run: int = 0


async def turn(store: Store, index: int, told: Acknowledged) -> None:
    key = (index, 0)
    await store.write_turn(f"geo/{index}/0", key, CONFIG, "completion", {"turn": told.turns[key]})
    told.turns[key] += 1


async def save(store: Store, told: Acknowledged, *indexes: int) -> None:
    for index in indexes:
        if (index, 0) not in store.done:
            await store.append(a_trace(index))
        told.traces.add((index, 0))


async def work(store: Store, told: Acknowledged, files: FailingFiles) -> None:
    """Everything that a run writes. Raises TemporaryError, OSError."""
    clock = store._clock
    write_run(store.directory, {"version": 2}, files=files, clock=clock)
    told.run = 2
    store.events.write("start", stored=len(store.done))
    await turn(store, 5, told)
    await turn(store, 6, told)
    await save(store, told, 5)
    await clock.sleep(1.0)  # a commit is due
    await store.fail(a_failure(20))
    told.failures.add((20, 0))
    store._sink._rotate(clock.monotonic())  # as the writer's thread does it, which has nothing to do now
    await turn(store, 6, told)
    await save(store, told, 8, 9, 10)


async def start(run: Path, told: Acknowledged, files: FailingFiles, disk_wait: float) -> None:
    """One start, to whatever end."""
    with suppress(TemporaryError):
        store = open_store(run, files=files, shard_traces=4, disk_wait=disk_wait)
        store._sink.limits = replace(store._sink.limits, poll_seconds=0.0)
        try:
            store.adopt_turns(CONFIG)
            async with asyncio.TaskGroup() as group:
                loop = group.create_task(_until_the_disk_fails(store))
                with suppress(TemporaryError, OSError):
                    await work(store, told, files)
                loop.cancel()
        finally:
            await store.close()


async def _until_the_disk_fails(store: Store) -> None:
    with suppress(TemporaryError):
        await store.run()


async def finish(run: Path, told: Acknowledged, files: FailingFiles) -> None:
    """A start on the sound disk: all that was acknowledged is there, and it does what is missing."""
    store = open_store(run, files=files, shard_traces=4)
    try:
        assert {key for key in told.traces if key not in store.done} == set()
        store.adopt_turns(CONFIG)
        kept = Counter({key: len(store.past_turns(key)) for key in told.turns})
        assert {key for key in told.turns if key not in store.done and kept[key] < told.turns[key]} == set()
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(store.run())
            async with asyncio.TaskGroup() as all_at_once:
                for index in SAMPLES:
                    all_at_once.create_task(save(store, told, index))
            loop.cancel()
    finally:
        await store.close()
    assert_sound(run)
    assert sorted(stored_keys(run, "traces")) == [(index, 0) for index in SAMPLES]
    assert told.failures <= {*stored_keys(run, "failed")}
    assert int(read_run(run)["version"]) >= told.run


def look(run: Path, told: Acknowledged) -> None:
    """As a reader does, before any other start."""
    if not run.exists():
        return
    for kind in KINDS:
        assert [problem for path in sealed_shards(run, kind) for problem in verify_shard(path)] == []
    keys = stored_keys(run, "traces")
    assert told.traces <= {*keys}
    assert len(keys) == len({*keys})


@pytest.fixture
def scratch() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture
def before(scratch: Path) -> tuple[Image, Acknowledged]:
    """What a killed start has left, and one before it whose sync had failed."""
    run, told = scratch / "before" / "run", Acknowledged()
    run.parent.mkdir()

    async def begin() -> None:
        store = open_store(run)
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(store.run())
            await save(store, told, 0, 1)
            await turn(store, 5, told)
            await turn(store, 11, told)
            loop.cancel()
        image = read_image(run.parent)
        await store.close()
        shutil.rmtree(run.parent)
        lay_out(image, run.parent)

    asyncio.run(begin())
    write_run(run, {"version": 1}, files=DISK, clock=StillClock())
    told.run = 1
    (part,) = (run / "traces").iterdir()
    part.write_bytes(part.read_bytes() + encode_trace(a_trace(2))[:300])
    suspect = suspect_path(open_shard(run, "traces", "20250101T000000-abcd", 0))
    suspect.write_bytes(encode_trace(a_trace(3)) + encode_trace(a_trace(4)))
    told.traces |= {(3, 0), (4, 0)}
    return read_image(run.parent), told


@pytest.mark.parametrize(
    ("code", "times", "disk_wait"),
    [
        pytest.param(errno.ENOSPC, 1, 600.0, id="full once"),
        pytest.param(errno.ENOSPC, 1, 0.0, id="full once and no patience"),
        pytest.param(errno.ENOSPC, 10**9, 0.0, id="full for good"),
        pytest.param(errno.EIO, 1, 0.0, id="failing once"),
        pytest.param(errno.EIO, 10**9, 0.0, id="failing for good"),
        pytest.param(SHORT, 1, 0.0, id="a short write"),
    ],
)
def test_whichever_call_fails_nothing_acknowledged_is_lost_and_the_next_start_completes(
    before: tuple[Image, Acknowledged], scratch: Path, code: int, times: int, disk_wait: float
):
    image, given = before
    for nth in range(1, 300):
        run = scratch / str(nth) / "run"
        lay_out(image, run.parent)
        files = FailingFiles(nth, code, times)
        told = Acknowledged({*given.traces}, {*given.failures}, Counter(given.turns), given.run)
        asyncio.run(start(run, told, files, disk_wait))
        look(run, told)
        files.heal()
        asyncio.run(finish(run, told, files))
        files.let_go()
        shutil.rmtree(run.parent)
        if not files.failed:
            assert nth > (10 if code == SHORT else 60)
            return
    pytest.fail("the faults never ended")
