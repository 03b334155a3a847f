"""Whatever a crash leaves of a file, recovery keeps every whole line and nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.store_fakes import a_trace, assert_sound, keys_on_disk, open_store

from asyncgen.store.files import DISK
from asyncgen.store.layout import open_shard, open_shards, sealed_shards
from asyncgen.store.line import encode_trace
from asyncgen.store.recovery import recover
from asyncgen.store.scan import verify_shard
from asyncgen.store.store import Store

LINES = [encode_trace(a_trace(number, text="é" * number)) for number in range(5)]
WHOLE = b"".join(LINES)


def whole_before(cut: int) -> bytes:
    """The lines that end at or before this offset."""
    kept, end = b"", 0
    for line in LINES:
        end += len(line)
        kept += line if end <= cut else b""
    return kept


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 2000))
def test_a_file_cut_anywhere_and_filled_with_zeroes_keeps_its_whole_lines(cut, zeroes):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        part = open_shard(directory, "traces", "20250101T000000-abcd", 0)
        part.parent.mkdir()
        left = WHOLE[:cut] + bytes(zeroes)
        part.write_bytes(left)
        recover(directory, DISK)
        good = whole_before(cut)
        torn = [path.read_bytes() for path in (directory / "quarantine").glob("*")]
        assert b"".join(path.read_bytes() for path in sealed_shards(directory, "traces")) == good
        assert torn == ([left[len(good) :]] if left != good else [])
        assert_sound(directory)
        before = sorted(directory.rglob("*"))
        recover(directory, DISK)
        assert sorted(directory.rglob("*")) == before


class RunLife(RuleBasedStateMachine):
    """Starts, appends, clean ends and crashes of one run directory, in any order."""

    @initialize()
    def make(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.directory = Path(self.folder.name) / "run"
        self.runner = asyncio.Runner()
        self.store: Store | None = None
        self.saved: set[tuple[int, int]] = set()

    @precondition(lambda self: self.store is None)
    @rule()
    def start(self) -> None:
        self.store = open_store(self.directory, shard_traces=3)
        assert {key for key in self.saved if key not in self.store.done} == set()
        assert len(self.store.done) == len(self.saved)

    @precondition(lambda self: self.store is not None)
    @rule(index=st.integers(0, 30), rollout=st.integers(0, 1), times=st.integers(1, 4))
    def append(self, index: int, rollout: int, times: int) -> None:
        store = self.store
        assert store is not None
        wanted = [(index + step, rollout) for step in range(times) if (index + step, rollout) not in store.done]

        async def write() -> None:
            async with asyncio.TaskGroup() as group:
                loop = group.create_task(store.run())
                async with asyncio.TaskGroup() as appends:
                    for key in wanted:
                        appends.create_task(store.append(a_trace(*key)))
                loop.cancel()

        self.runner.run(write())
        self.saved.update(wanted)

    @precondition(lambda self: self.store is not None)
    @rule()
    def end(self) -> None:
        assert self.store is not None
        self.runner.run(self.store.close())
        self.store = None
        assert_sound(self.directory)
        assert set(keys_on_disk(self.directory)) == self.saved

    @precondition(lambda self: self.store is not None)
    @rule(tail=st.binary(max_size=30))
    def crash(self, tail: bytes) -> None:
        """The process is gone: nothing more is written, the lock is free, the last write may be half there."""
        assert self.store is not None
        self._drop(self.store)
        self.store = None
        for part in open_shards(self.directory, "traces"):
            with part.open("ab") as file:
                file.write(tail)

    def _drop(self, store: Store) -> None:
        store._queue._pool.shutdown(wait=True)
        for shard in store._sink._open.values():
            shard.abandon()
        store.events.close()
        store._lock.release()

    @invariant()
    def every_sealed_file_is_whole(self) -> None:
        for path in sealed_shards(self.directory, "traces"):
            assert list(verify_shard(path)) == []

    def teardown(self) -> None:
        if self.store:
            self._drop(self.store)
        self.runner.close()
        self.folder.cleanup()


RunLife.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestRunLife = RunLife.TestCase
