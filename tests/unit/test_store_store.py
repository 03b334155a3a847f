"""The store as a whole: append, resume, close, give up."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path

import numpy as np
import pytest
from support.store_fakes import (
    FaultyFiles,
    StillClock,
    a_failure,
    a_trace,
    assert_sound,
    keys_on_disk,
    open_store,
    save,
    writing,
)

from asyncgen.core.errors import DataError, DirectoryInUse, InputError, TemporaryError
from asyncgen.store.files import FileLayer
from asyncgen.store.journal import Journal
from asyncgen.store.layout import open_shards, sealed_shards
from asyncgen.store.sink import Limits, Sink
from asyncgen.store.writer import Writer


async def test_what_is_appended_is_on_disk_when_append_returns(tmp_path):
    async with writing(open_store(tmp_path / "run")) as store:
        await store.append(a_trace(7))
        assert b'"geo/7/0"' in open_shards(tmp_path / "run", "traces")[0].read_bytes()
        assert (7, 0) in store.done
        assert store.saved == 1
    assert store.durable == 1
    assert_sound(tmp_path / "run")


async def test_many_coroutines_append_at_once_and_each_trace_is_there_once(tmp_path):
    async with writing(open_store(tmp_path, shard_traces=100)) as store, asyncio.TaskGroup() as group:
        for number in range(1000):
            group.create_task(store.append(a_trace(number)))
    assert_sound(tmp_path)
    assert sorted(keys_on_disk(tmp_path)) == [(number, 0) for number in range(1000)]
    assert len(sealed_shards(tmp_path, "traces")) == 10


async def test_the_next_start_knows_what_is_done_and_what_is_missing(tmp_path):
    async with writing(open_store(tmp_path)) as store:
        await store.append(a_trace(0))
        await store.append(a_trace(2, 1))
        await store.fail(a_failure(5))
    async with writing(open_store(tmp_path)) as again:
        assert not again.created
        assert len(again.done) == 2
        assert list(again.done.missing(np.array([2, 0, 1]), 2)) == [(2, 0), (0, 1), (1, 0), (1, 1)]
        assert (5, 0) in again.failed
        assert again.writer != store.writer


async def test_failures_count_once_an_id_with_their_latest_reason_until_there_is_a_trace(tmp_path):
    async with writing(open_store(tmp_path)) as store:
        await store.fail(a_failure(1, reason="timeout"))
        await store.fail(a_failure(1, reason="bad_image"))
        await store.fail(a_failure(2, reason="timeout"))
        assert store.failed_reasons == {"bad_image": 1, "timeout": 1}
    async with writing(open_store(tmp_path)) as store:
        assert store.failed_reasons == {"bad_image": 1, "timeout": 1}
        await store.append(a_trace(1))
        assert store.failed_reasons == {"timeout": 1}
        assert (1, 0) not in store.failed
    async with writing(open_store(tmp_path)) as store:
        assert store.failed_reasons == {"timeout": 1}
        assert len(store.failed) == 1


async def test_a_trace_that_is_there_already_is_refused(tmp_path):
    async with writing(open_store(tmp_path)) as store:
        await store.append(a_trace(1))
        with pytest.raises(ValueError, match=r"geo/1/0 is saved already"):
            await store.append(a_trace(1))
    assert keys_on_disk(tmp_path) == [(1, 0)]


async def test_a_cancelled_append_still_writes_its_trace_before_the_store_is_closed(tmp_path):
    store = open_store(tmp_path)
    async with asyncio.TaskGroup() as group:
        appending = group.create_task(store.append(a_trace(3)))
        await asyncio.sleep(0)
        appending.cancel()
    assert appending.cancelled()
    await store.close()
    assert keys_on_disk(tmp_path) == [(3, 0)]
    assert (store.saved, store.durable) == (1, 1)


async def test_a_close_that_is_cancelled_while_the_thread_seals_is_waited_for_by_the_next(tmp_path):
    class Slow(FileLayer):
        """Its seal waits to be let go."""

        def rename(self, old: Path, new: Path) -> None:
            sealing.set()
            assert goes_on.wait(5)
            super().rename(old, new)

    sealing, goes_on = threading.Event(), threading.Event()
    store = open_store(tmp_path, files=Slow())
    async with asyncio.TaskGroup() as group:
        group.create_task(store.append(a_trace(1)))
        await asyncio.sleep(0)
        closing = group.create_task(store.settle())
        await asyncio.to_thread(sealing.wait, 5)
        closing.cancel()
    async with asyncio.TaskGroup() as group:
        again = group.create_task(store.close())
        await asyncio.sleep(0.05)
        assert not again.done()
        goes_on.set()
    assert_sound(tmp_path)


async def test_a_closed_store_takes_no_more(tmp_path):
    async with writing(open_store(tmp_path)) as store:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await store.append(a_trace(1))
    await store.close()


async def test_a_cancelled_loop_leaves_nothing_unsealed_once_the_store_is_closed(tmp_path):
    store = open_store(tmp_path)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(store.run())
        await store.append(a_trace(1))
        loop.cancel()
    await store.close()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == [(1, 0)]


async def test_a_failing_disk_reaches_the_waiter_and_the_loop_and_lets_the_next_start_go_on(tmp_path):
    files = FaultyFiles(2, errno.EIO, short=20, only="write")
    store = open_store(tmp_path)
    store._sink._files = files
    ended: list[str] = []

    async def run() -> None:
        with pytest.raises(TemporaryError) as caught:
            await store.run()
        ended.append(str(caught.value))

    async with asyncio.TaskGroup() as group:
        group.create_task(run())
        await store.append(a_trace(1))
        with pytest.raises(TemporaryError, match="EIO"):
            await store.append(a_trace(2))
    assert "EIO" in ended[0]
    with pytest.raises(TemporaryError, match="EIO"):
        await store.append(a_trace(4))
    await store.close()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == [(1, 0)]


async def test_a_full_queue_makes_the_next_one_wait_until_the_thread_has_written(tmp_path):
    gate = threading.Event()

    class GatedFiles(FileLayer):
        def write(self, descriptor: int, data: memoryview) -> int:
            gate.wait(10)
            return super().write(descriptor, data)

    (tmp_path / "traces").mkdir()
    files, writer = GatedFiles(), "20250101T000000-abcd"
    journal = Journal(tmp_path, writer, files)
    sink = Sink(tmp_path, writer, journal=journal, limits=Limits(), files=files, clock=StillClock())
    saved: list[bytes] = []
    writer = Writer(sink, StillClock(), lambda _, line: saved.append(line), max_lines=2)
    passed: list[int] = []
    four = asyncio.Event()  # two with the thread, two in the queue

    async def put(number: int) -> None:
        await writer.room()
        passed.append(number)
        if len(passed) == 4:
            four.set()
        await writer.put("traces", b"line %d\n" % number)

    async with asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        async with asyncio.TaskGroup() as puts:
            for number in range(7):
                puts.create_task(put(number))
            await four.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            assert passed == [0, 1, 2, 3]
            gate.set()
        await writer.close()
    assert saved == [b"line %d\n" % number for number in range(7)]


async def test_a_full_disk_is_told_in_words_and_so_is_its_end(tmp_path):
    told: list[str] = []
    store = open_store(tmp_path, on_state=told.append, files=FaultyFiles(2, errno.ENOSPC, only="write"))
    store._sink.limits = Limits(poll_seconds=0.0)
    async with writing(store):
        await store.append(a_trace(1))
        assert store.blocked is None
    assert told[0].startswith("disk full: ")
    assert told[1].startswith("there is room again")
    assert keys_on_disk(tmp_path) == [(1, 0)]


async def test_two_stores_cannot_hold_one_directory(tmp_path):
    async with writing(open_store(tmp_path)):
        with pytest.raises(DirectoryInUse, match="is in use by pid"):
            open_store(tmp_path)
    async with writing(open_store(tmp_path)) as store:
        assert len(store.done) == 0


async def test_discarding_a_new_directory_leaves_nothing_of_it(tmp_path):
    store = open_store(tmp_path / "runs" / "geo")
    assert store.created
    await store.discard()
    assert list(tmp_path.iterdir()) == []


async def test_discarding_spares_a_parent_that_others_use(tmp_path):
    store = open_store(tmp_path / "runs" / "geo")
    (tmp_path / "runs" / "other").mkdir()
    await store.discard()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["other"]


async def test_discarding_a_directory_that_was_there_removes_no_trace(tmp_path):
    save_here = tmp_path / "run"
    async with writing(open_store(save_here)) as store:
        await store.append(a_trace(1))
    again = open_store(save_here)
    await again.discard()
    assert keys_on_disk(save_here) == [(1, 0)]
    async with writing(open_store(save_here)) as third:
        assert (1, 0) in third.done


def test_a_bad_line_in_a_sealed_file_stops_the_start_and_names_file_and_line(tmp_path):
    save(tmp_path, a_trace(1), a_trace(2))
    path = sealed_shards(tmp_path, "traces")[0]
    path.write_bytes(path.read_bytes() + b"junk\n")
    with pytest.raises(DataError, match=rf"{path.name}:3: .*--salvage takes such lines out"):
        open_store(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_the_users_to_mend(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(InputError, match="choose another --output-dir"):
        open_store(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "x"


def test_whatever_fails_while_a_new_directory_is_opened_leaves_no_directory(tmp_path):
    for nth in range(1, 100):
        files = FaultyFiles(nth, errno.ENOSPC)
        try:
            store = open_store(tmp_path / "runs" / "geo", files=files)
        except TemporaryError:
            assert list(tmp_path.iterdir()) == []
        else:
            asyncio.run(store.discard())
            assert nth > 3
            return
    pytest.fail("the faults never ended")
