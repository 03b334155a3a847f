"""The lease beside the lock: what a start believes of a holder on another machine, and how a holder loses its place."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.lock_fakes import HERE, THERE, NodeLocalFlock, NoFlock, age_of, leave_lock, open_files, set_age
from support.runs_on_disk import files_of
from support.store_fakes import StillClock, a_trace, keys_on_disk, open_store

from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import DirectoryInUse, TemporaryError
from asyncgen.engine.workers import Workers
from asyncgen.runs.reading import is_live
from asyncgen.runs.verify import verify
from asyncgen.store.copy import whole_directory
from asyncgen.store.events import read_events
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.holder import LEASE, Holder, Identity, look, read_holder
from asyncgen.store.lock import Lock, refuse_if_held, take_lock
from asyncgen.store.salvage import salvage
from asyncgen.store.store import Store

CALM = 1000.0
"""Seconds between beats, for a holder whose beats the test gives."""
take_here = partial(take_lock, me=HERE, beat=CALM, settle=CALM)
take_there = partial(take_lock, me=THERE, beat=CALM, settle=CALM)


def signed(lock: Lock, word: str = "run", clock: StillClock | None = None) -> Lock:
    lock.sign(["asyncgen", word], clock or StillClock())
    return lock


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it never came true")


# what a start believes


def test_a_living_holder_on_another_machine_is_named_with_its_last_sign_of_life_and_when_to_come_again(tmp_path):
    leave_lock(tmp_path, age=20.2)
    with pytest.raises(DirectoryInUse) as caught:
        take_here(tmp_path, NodeLocalFlock())
    assert str(caught.value) == (
        f"{tmp_path} is in use by pid 22 on there since 2025-06-15T15:06:40+00:00: asyncgen; "
        "last sign of life 20 s ago; if that process is gone, run again in 40 s"
    )


def test_a_refused_start_leaves_no_file_and_no_sign_of_life(tmp_path):
    leave_lock(tmp_path, age=20.2)
    before = look(tmp_path)
    with pytest.raises(DirectoryInUse):
        take_here(tmp_path, DISK)
    assert look(tmp_path) == before
    assert set(files_of(tmp_path)) == {"LOCK"}


def test_a_holder_that_gives_no_sign_of_life_any_more_has_lost_its_place(tmp_path):
    leave_lock(tmp_path, age=LEASE + 1)
    signed(take_here(tmp_path, DISK)).release()
    assert set(files_of(tmp_path)) == {"LOCK"}


@pytest.mark.parametrize(
    ("host", "boot_id"),
    [("here", "boot-here"), ("here", "boot-before"), ("here", ""), ("container", "boot-here")],
)
def test_of_a_holder_on_this_machine_flock_says_all_there_is_to_say(tmp_path, host: str, boot_id: str):
    leave_lock(tmp_path, host=host, boot_id=boot_id)
    refuse_if_held(tmp_path, me=HERE)
    take_here(tmp_path, DISK).release()


def test_two_machines_that_do_not_know_their_start_are_not_one(tmp_path):
    leave_lock(tmp_path, boot_id="")
    with pytest.raises(DirectoryInUse):
        take_lock(tmp_path, DISK, me=Identity(host="here", boot_id="", pid=1))


@pytest.mark.parametrize(("skew", "age", "refused"), [(-3600.0, 10, True), (-3600.0, 70, False), (3600.0, 10, True)])
def test_the_age_is_told_by_the_clock_of_the_file_system(tmp_path, skew: float, age: float, refused: bool):
    class Elsewhere(FileLayer):
        """Its server's clock is not ours."""

        def touch(self, descriptor):
            now = SystemClock().wall() + skew
            os.utime(descriptor, (now, now))

    leave_lock(tmp_path, age=age - skew)
    if refused:
        with pytest.raises(DirectoryInUse, match=f"last sign of life {age} s ago"):
            take_here(tmp_path, Elsewhere())
    else:
        take_here(tmp_path, Elsewhere()).release()


def test_a_sign_of_life_from_the_future_keeps_nobody_out(tmp_path):
    leave_lock(tmp_path, age=-86_400.0)
    refuse_if_held(tmp_path, me=HERE)
    take_here(tmp_path, DISK).release()


def test_a_directory_that_was_let_go_takes_another_machine_at_once(tmp_path):
    signed(take_there(tmp_path, DISK)).release()
    assert b'"released":true' in (tmp_path / "LOCK").read_bytes()
    assert read_holder(tmp_path) is None
    refuse_if_held(tmp_path, me=HERE)
    take_here(tmp_path, DISK).release()


@pytest.mark.parametrize("files", [DISK, NoFlock(), NodeLocalFlock()])
def test_the_early_look_knows_the_lease_and_writes_nothing(tmp_path, files: FileLayer):
    leave_lock(tmp_path, age=20.2)
    before = look(tmp_path)
    with pytest.raises(DirectoryInUse, match=r"pid 22 on there .* last sign of life 20 s ago; .* run again in 40 s"):
        refuse_if_held(tmp_path, files, me=HERE)
    assert look(tmp_path) == before
    set_age(tmp_path, LEASE + 1)
    refuse_if_held(tmp_path, files, me=HERE)
    assert set(files_of(tmp_path)) == {"LOCK"}


def test_the_early_look_sees_a_lock_that_is_held(tmp_path):
    lock = take_here(tmp_path, DISK)
    with pytest.raises(DirectoryInUse, match="in use by another process"):
        refuse_if_held(tmp_path)
    lock.release()
    refuse_if_held(tmp_path)
    refuse_if_held(tmp_path / "nowhere")


def test_status_shows_a_holder_on_another_machine_as_long_as_it_gives_signs_of_life(tmp_path):
    leave_lock(tmp_path, age=20.2)
    assert is_live(tmp_path, [])
    set_age(tmp_path, LEASE + 1)
    assert not is_live(tmp_path, [])


def test_status_takes_no_process_for_the_one_of_that_number_before_a_reboot(tmp_path):
    lock = signed(take_lock(tmp_path, DISK))
    assert is_live(tmp_path, [])
    mine = read_holder(tmp_path)
    assert mine is not None
    lock.release()
    assert not is_live(tmp_path, [])
    leave_lock(tmp_path, host=mine.host, boot_id="the boot before", pid=mine.pid)
    assert not is_live(tmp_path, [])


# without flock


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def test_without_flock_the_lease_alone_guards_on_one_machine_too(tmp_path, code: int):
    files = NoFlock(code)
    first = signed(take_lock(tmp_path, files, me=HERE, beat=0.01, settle=0.01))
    for me in (HERE, THERE):
        with pytest.raises(DirectoryInUse, match=r"pid 11 on here since .* last sign of life 0 s ago"):
            take_lock(tmp_path, files, me=me)
    first.release()
    take_there(tmp_path, files).release()


def test_a_lock_that_fails_for_another_reason_is_an_error_and_no_lock(tmp_path):
    with pytest.raises(OSError, match="Input/output error"):
        take_lock(tmp_path, NoFlock(errno.EIO))


@pytest.mark.parametrize("names", [("a", "b"), ("long " * 50, "b"), ("a", "long " * 50)])
def test_of_two_that_start_at_once_without_flock_one_comes_through(tmp_path, names: tuple[str, str]):
    both_wrote = threading.Barrier(2)

    class Meeting(NoFlock):
        """The text of both is there before either looks."""

        def sync(self, descriptor):
            both_wrote.wait(10)
            super().sync(descriptor)

    outcomes: list[str] = []

    def start(lock: Lock, name: str) -> None:
        try:
            signed(lock, name)
            outcomes.append("in")
        except DirectoryInUse as error:
            outcomes.append(str(error))

    locks = [take_lock(tmp_path, Meeting(), me=me, beat=CALM, settle=0.05) for me in (HERE, THERE)]
    threads = [threading.Thread(target=start, args=pair) for pair in zip(locks, names, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("in") == 1
    winner = HERE if not locks[0].lost else THERE
    (refusal,) = [text for text in outcomes if text != "in"]
    assert f"in use by pid {winner.pid} on {winner.host}" in refusal
    loser = locks[0] if locks[0].lost else locks[1]
    loser.release()
    holder = read_holder(tmp_path)
    assert holder is not None
    assert holder.pid == winner.pid
    for lock in locks:
        lock.release()
    assert b'"released":true' in (tmp_path / "LOCK").read_bytes()


def test_of_two_texts_the_first_whole_line_counts(tmp_path):
    leave_lock(tmp_path, host="first")
    with (tmp_path / "LOCK").open("ab") as file:
        file.write(b'{"host": "second"')
    holder = read_holder(tmp_path)
    assert isinstance(holder, Holder)
    assert holder.host == "first"


# signs of life


def test_a_beat_is_a_sign_of_life(tmp_path):
    lock = signed(take_here(tmp_path, DISK))
    set_age(tmp_path, 50.0)
    lock.beat()
    assert age_of(tmp_path) < 40.0
    lock.release()


def test_a_signed_lock_beats_by_itself_until_it_is_released(tmp_path):
    lock = take_lock(tmp_path, DISK, beat=0.01, settle=0.01)
    set_age(tmp_path, 50.0)
    signed(lock)
    set_age(tmp_path, 50.0)
    wait_until(lambda: age_of(tmp_path) < 40.0)
    lock.release()
    assert not lock._heart.is_alive()


def test_two_machines_that_start_at_once_find_out_at_the_first_beat(tmp_path):
    files = NodeLocalFlock()
    first, second = take_here(tmp_path, files), take_there(tmp_path, files)
    signed(first)
    signed(second)
    first.beat()
    second.beat()
    assert first.lost.startswith(f"lost {tmp_path} to pid 22 on there since ")
    assert second.lost == ""
    first.release()
    second.release()


def test_a_holder_that_lost_its_place_gives_no_sign_of_life_and_leaves_the_text_of_the_other(tmp_path):
    files = NodeLocalFlock()
    told: list[str] = []
    first = signed(take_here(tmp_path, files))
    first.watch(told.append)
    set_age(tmp_path, LEASE + 1)
    second = signed(take_there(tmp_path, files))
    set_age(tmp_path, 50.0)
    first.beat()
    first.beat()
    assert age_of(tmp_path) > 40.0
    assert told == [first.lost]
    first.watch(told.append)
    assert told == [first.lost, first.lost]
    with pytest.raises(TemporaryError, match=r"lost .* to pid 22 on there"):
        first.check()
    first.release()
    holder = read_holder(tmp_path)
    assert holder is not None
    assert holder.pid == 22
    second.release()


def test_a_place_is_lost_too_to_one_that_came_and_went(tmp_path):
    files = NodeLocalFlock()
    first = signed(take_here(tmp_path, files))
    set_age(tmp_path, LEASE + 1)
    signed(take_there(tmp_path, files)).release()
    assert not first.is_ours()
    assert "to another process" in first.lost
    first.release()


def test_a_removed_lock_and_a_failing_file_system_say_nothing_about_who_holds_it(tmp_path):
    class Failing(FileLayer):
        def touch(self, descriptor):
            raise OSError(errno.EIO, "x")

    lock = signed(take_here(tmp_path, Failing()))
    assert lock.is_ours()
    (tmp_path / "LOCK").unlink()
    assert lock.is_ours()
    lock.release()


def test_who_is_about_to_write_looks_only_when_a_lease_may_have_run_out(tmp_path):
    files, clock = NodeLocalFlock(), StillClock()
    first = signed(take_here(tmp_path, files), clock=clock)
    set_age(tmp_path, LEASE + 1)
    second = signed(take_there(tmp_path, files))
    clock.now += LEASE - 1
    first.check()
    clock.now += 1
    with pytest.raises(TemporaryError):
        first.check()
    first.release()
    second.release()


async def test_a_worker_process_does_not_inherit_the_lock(tmp_path):
    lock = signed(take_lock(tmp_path, DISK))
    assert str(tmp_path / "LOCK") in open_files()
    workers = Workers(processes=1)
    try:
        there = await workers.in_process(open_files, seconds=30)
    finally:
        workers.close()
    assert there
    assert str(tmp_path / "LOCK") not in there
    lock.release()


def test_a_directory_that_comes_into_being_whole_has_no_holder(tmp_path):
    out = tmp_path / "out"
    with whole_directory(out, argv=["asyncgen"], files=DISK, clock=StillClock()) as folder:
        assert read_holder(folder) is not None
    assert b'"released":true' in (out / "LOCK").read_bytes()


# a store that loses its directory


def two_stores(directory: Path, *, clock: StillClock | None = None) -> tuple[Store, Store]:
    """The first was suspended for longer than a lease, and the second took over."""
    files = NodeLocalFlock()
    first = open_store(directory, files=files, take=take_here, clock=clock or StillClock())
    set_age(directory, LEASE + 1)
    return first, open_store(directory, files=files, take=take_there)


async def let_go(store: Store) -> None:
    with pytest.raises(TemporaryError, match="lost"):
        await store.close()


async def run_to_its_loss(store: Store) -> str:
    with pytest.raises(TemporaryError) as caught:
        await store.run()
    return str(caught.value)


async def test_a_run_that_lost_its_directory_ends_with_the_name_of_the_other_and_touches_nothing_any_more(tmp_path):
    first, second = two_stores(tmp_path)
    async with asyncio.TaskGroup() as group:
        ended = group.create_task(run_to_its_loss(first))
        await asyncio.sleep(0)
        first._lock.beat()
    assert "to pid 22 on there" in ended.result()
    before = files_of(tmp_path)
    assert not first.events.write("stop", saved=1)
    with pytest.raises(TemporaryError):
        await first.append(a_trace(9))
    await let_go(first)
    assert files_of(tmp_path) == before
    await second.close()


async def test_a_run_that_lost_its_directory_before_it_began_to_write_ends_at_once(tmp_path):
    first, second = two_stores(tmp_path)
    first._lock.beat()
    assert not first.events.write("start")
    assert "lost" in await run_to_its_loss(first)
    await let_go(first)
    await second.close()


async def test_what_waits_to_be_written_when_a_suspended_run_wakes_is_not_written(tmp_path):
    clock = StillClock()
    first = open_store(tmp_path, files=NodeLocalFlock(), take=take_here, clock=clock)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run_to_its_loss(first))
        await first.append(a_trace(1))
        set_age(tmp_path, LEASE + 1)
        second = open_store(tmp_path, files=NodeLocalFlock(), take=take_there)
        clock.now += LEASE
        with pytest.raises(TemporaryError, match="lost"):
            await first.append(a_trace(2))
    assert "lost" in running.result()
    assert (1, 0) in second.done
    await let_go(first)
    await second.close()
    assert keys_on_disk(tmp_path) == [(1, 0)]


async def test_a_start_that_fails_early_does_not_remove_the_directory_of_the_one_that_took_over(tmp_path):
    first, second = two_stores(tmp_path / "run")
    await first.discard()
    second.events.write("start")
    assert [event["event"] for event in read_events(tmp_path / "run")] == ["start"]
    await second.close()


async def test_doubles_of_two_writers_are_reported_dropped_by_the_next_start_and_taken_out(tmp_path):
    first, second = two_stores(tmp_path)
    (tmp_path / "run.json").write_text('{"name": "geo", "config_id": "0123456789ab", "total": 3}')
    async with asyncio.TaskGroup() as group:
        group.create_task(run_to_its_loss(first))
        group.create_task(second.run())
        await first.append(a_trace(1))
        await first.append(a_trace(2))
        await second.append(a_trace(2))
        await second.append(a_trace(3))
        await second.close()
        first._lock.beat()
        await let_go(first)
    third = open_store(tmp_path)
    assert len(third.done) == 3
    await third.close()
    assert sorted(keys_on_disk(tmp_path)) == [(1, 0), (2, 0), (2, 0), (3, 0)]
    (report,) = verify(tmp_path)
    assert (report.duplicates.count, report.bad.count, report.traces) == (1, 0, 3)
    (aside,) = salvage(tmp_path, "20250615T150640-ffff", DISK)
    assert (aside.bad, aside.kept) == (1, 1)
    (report,) = verify(tmp_path)
    assert (report.duplicates.count, report.traces) == (0, 3)
