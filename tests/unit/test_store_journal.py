"""The turn journal on disk: chains, what a start takes over, rotation, a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.store_fakes import FaultyFiles, a_failure, a_trace, open_store, writing

from asyncgen.store import journal as journals
from asyncgen.store.chains import read_chains
from asyncgen.store.files import DISK
from asyncgen.store.journal import Journal
from asyncgen.store.layout import journal_files
from asyncgen.store.line import check_line
from asyncgen.store.store import Store

CONFIG = "0123456789ab"


def never(_key: tuple[int, int], ended: bool) -> bool:
    return ended


def add(journal: Journal, index: int, kind: str = "completion", config: str = CONFIG, **fields: Any) -> bytes:
    line = journal.encode(f"geo/{index}/0", (index, 0), config, kind, fields)
    assert journal.append(line, 1.0)
    journal.note((index, 0), line)
    return line


def journal_of(directory: Path, writer: str = "w1", files: Any = DISK) -> Journal:
    return Journal(directory, writer, files)


def taken(directory: Path, writer: str = "w2", config: str = CONFIG) -> dict[int, list[str]]:
    """What the next start finds, by row: the kinds of its entries."""
    journal = journal_of(directory, writer)
    journal.adopt(config, never, 1.0)
    found = {key >> 16: [entry["kind"] for entry in journal.past((key >> 16, 0))] for key in list(journal._past)}
    journal.finish()
    return found


def test_entries_of_an_episode_are_a_chain_and_come_back_in_order(tmp_path: Path):
    journal = journal_of(tmp_path)
    for number in range(3):
        add(journal, 1, content=f"one {number}")
        add(journal, 2, content=f"two {number}")
    journal.sync()
    journal.finish()
    (path,) = journal_files(tmp_path)
    assert path == tmp_path / "journal" / "w1.jsonl"
    entries = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert all(map(check_line, path.read_bytes().splitlines()))
    mine = [entry for entry in entries if entry["id"] == "geo/1/0"]
    assert [entry["seq"] for entry in mine] == [0, 1, 2]
    assert [entry["prev"] for entry in mine] == ["", mine[0]["crc"], mine[1]["crc"]]
    after = journal_of(tmp_path, "w2")
    assert len(after.adopt(CONFIG, never, 1.0).keys) == 2
    assert [entry["content"] for entry in after.past((2, 0))] == ["two 0", "two 1", "two 2"]
    assert after.past((2, 0)) == []  # given out once
    assert [one.name for one in journal_files(tmp_path)] == ["w2.jsonl"]
    add(after, 1, content="one 3")
    after.finish()
    assert taken(tmp_path, "w3") == {1: ["completion"] * 4, 2: ["completion"] * 3}


def test_an_episode_that_is_over_leaves_nothing_behind(tmp_path: Path):
    journal = journal_of(tmp_path)
    add(journal, 1)
    add(journal, 2)
    journal.close_episode((1, 0))
    journal.close_episode((2, 0))
    journal.finish()
    assert journal_files(tmp_path) == []


@pytest.mark.parametrize("damage", ["flipped", "gone", "cut", "config", "twice"])
def test_a_chain_that_is_not_whole_is_dropped_and_the_others_stay(tmp_path: Path, damage: str):
    journal = journal_of(tmp_path)
    for number in range(3):
        for index in (1, 2):
            config = "another" if damage == "config" and index == 1 else CONFIG
            add(journal, index, config=config, content=str(number))
    journal.finish()
    (path,) = journal_files(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    match damage:
        case "flipped":
            lines[2] = lines[2].replace(b'"content":"1"', b'"content":"7"')
        case "gone":
            del lines[2]
        case "cut":
            lines[-2:] = [lines[-2], lines[-1][:40]]
        case "twice":
            other = journal_of(tmp_path, "w0")
            add(other, 1, content="another history")
            other.finish()
    path.write_bytes(b"".join(lines))
    found = taken(tmp_path)
    if damage == "cut":  # a torn end is no damage: what came before is a whole chain
        assert found == {1: ["completion"] * 3, 2: ["completion"] * 2}
    else:
        assert found == {2: ["completion"] * 3}


def test_a_take_over_does_not_hold_what_is_done_in_memory(tmp_path: Path):
    journal = journal_of(tmp_path)
    for index in range(400):
        add(journal, index, content="x" * 10_000)
    journal.finish()
    tracemalloc.start()
    try:
        assert journal_of(tmp_path, "w2").adopt(CONFIG, lambda key, ended: key != (7, 0), 1.0).keys == ((7, 0),)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * 10_000 / 2


def test_damaged_journals_are_told_of_and_set_aside_as_they_were(tmp_path: Path):
    journal = journal_of(tmp_path)
    for number in range(3):
        for index in (1, 2, 3):
            add(journal, index, config="another" if index == 3 else CONFIG, content=str(number))
    journal.finish()
    (path,) = journal_files(tmp_path)
    damaged = path.read_bytes().replace(b'"content":"1"', b'"content":"7"', 1) + b'{"torn'
    path.write_bytes(damaged)
    found = journal_of(tmp_path, "w2").adopt(CONFIG, never, 1.0)
    assert (found.keys, found.foreign, found.broken, found.bad_lines) == (((2, 0),), 1, 1, 1)
    assert [one.name for one in journal_files(tmp_path)] == ["w2.jsonl"]
    assert (tmp_path / "quarantine" / "journal-w1.jsonl").read_bytes() == damaged


def test_a_torn_end_is_no_damage(tmp_path: Path):
    journal = journal_of(tmp_path)
    add(journal, 1)
    journal.finish()
    (path,) = journal_files(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"id":"geo/1/0","seq":1')
    found = journal_of(tmp_path, "w2").adopt(CONFIG, never, 1.0)
    assert (found.keys, found.broken, found.bad_lines) == (((1, 0),), 0, 0)
    assert not (tmp_path / "quarantine").exists()


def test_turns_that_never_found_room_are_counted_when_it_is_finished(tmp_path: Path):
    files = FaultyFiles(3, errno.ENOSPC, times=100, only="write", short=4)
    journal = journal_of(tmp_path, files=files)
    add(journal, 1)
    add(journal, 2)
    for index in (1, 3):
        line = journal.encode(f"geo/{index}/0", (index, 0), CONFIG, "results", {})
        journal.note((index, 0), line)
        assert not journal.append(line, 1.0)
    journal.finish()
    assert (journal.lost, journal.episodes) == (2, 2)


def test_what_is_no_entry_at_all_is_passed_over(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    odd = journals.sealed_line({"id": "geo/5/0", "seq": "x"})
    (tmp_path / "journal" / "w0.jsonl").write_bytes(b"\0" * 600 + b"\nhello\n" + odd)
    assert read_chains(journal_files(tmp_path)).whole == {}
    assert taken(tmp_path) == {}
    assert journal_files(tmp_path) == []


def test_rotation_keeps_open_episodes_alone_and_a_crash_in_it_loses_none(tmp_path: Path):
    journal = journal_of(tmp_path)
    for index in range(4):
        add(journal, index, content="x" * 50)
    journal.close_episode((0, 0))
    journal.rotate(1.0)
    add(journal, 1, content="after")
    journal.close_episode((2, 0))
    journal.rotate(1.0)
    assert [one.name for one in journal_files(tmp_path)] == ["w1-00002.jsonl"]
    assert taken(tmp_path) == {1: ["completion"] * 2, 3: ["completion"]}


@pytest.mark.parametrize("nth", range(1, 20))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_rotation_that_fails_anywhere_loses_no_entry(tmp_path: Path, nth: int, code: int):
    files = FaultyFiles()
    journal = journal_of(tmp_path, files=files)
    for index in range(3):
        add(journal, index)
    journal.close_episode((0, 0))
    files.calls.clear()
    files._nth, files._code = nth, code
    try:
        journal.rotate(1.0)
    except OSError:
        files._nth = 0
        line = journal.encode("geo/1/0", (1, 0), CONFIG, "results", {})
        journal.append_all(line, 2.0)
        journal.note((1, 0), line)
        kinds = ["completion", "results"]
    else:
        kinds = ["completion"]
    found = taken(tmp_path)
    assert {index: found[index] for index in (1, 2)} == {1: kinds, 2: ["completion"]}


def test_a_turn_that_comes_while_a_rotation_begins_is_durable_though_there_is_no_room_for_its_copy(tmp_path: Path):
    synced: dict[int, int] = {}

    class Busy(FaultyFiles):
        """After the rotation's first sync an entry comes."""

        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            state = os.fstat(descriptor)
            synced[state.st_ino] = state.st_size
            if len(synced) == 1:
                add(journal, 2)

    files = Busy(2, errno.ENOSPC, only="write")
    journal = journal_of(tmp_path, files=files)
    add(journal, 1)
    files.calls.clear()
    with pytest.raises(OSError, match="No space"):
        journal.rotate(1.0)
    journal.sync()
    states = [path.stat() for path in journal_files(tmp_path)]
    assert {state.st_ino: state.st_size for state in states} == synced
    assert taken(tmp_path) == {1: ["completion"], 2: ["completion"]}


def test_what_was_saved_and_never_synced_keeps_a_durable_journal(tmp_path: Path):
    files = FaultyFiles()
    journal = journal_of(tmp_path, files=files)
    add(journal, 1)
    journal.close_episode((1, 0))
    files.calls.clear()
    journal.finish(keep=True)
    assert files.calls["sync"] == 1
    assert taken(tmp_path) == {1: ["completion"]}


@pytest.mark.parametrize("nth", range(1, 16))
def test_a_take_over_that_fails_anywhere_is_made_up_for_by_the_next(tmp_path: Path, nth: int):
    journal = journal_of(tmp_path)
    for index in range(3):
        add(journal, index)
    journal.finish()
    files = FaultyFiles(nth, errno.EIO)
    second = journal_of(tmp_path, "w2", files)
    with suppress(OSError):
        second.adopt(CONFIG, never, 1.0)
    assert taken(tmp_path, "w3") == {index: ["completion"] for index in range(3)}


def test_a_write_that_fails_at_once_is_cut_back_and_left_to_the_thread(tmp_path: Path):
    files = FaultyFiles(2, errno.ENOSPC, only="write", short=10)
    journal = journal_of(tmp_path, files=files)
    first = add(journal, 1)
    line = journal.encode("geo/1/0", (1, 0), CONFIG, "results", {})
    assert not journal.append(line, 1.0)
    (path,) = journal_files(tmp_path)
    assert path.read_bytes() == first
    journal.append_all(line, 1.0)
    assert path.read_bytes() == first + line


async def test_the_store_takes_turns_and_forgets_them_with_their_trace(tmp_path: Path):
    directory = tmp_path / "run"

    async def turn(store: Store, index: int) -> None:
        await store.write_turn(f"geo/{index}/0", (index, 0), CONFIG, "completion", {"content": "x"})

    async with writing(open_store(directory)) as store:
        for index in range(4):
            await turn(store, index)
        assert store.unfinished == 4
        await store.append(a_trace(0))
        await store.fail(a_failure(1))
        assert store.unfinished == 2
    async with writing(open_store(directory)) as store:
        assert len(store.adopt_turns(CONFIG).keys) == 2
        assert store.past_turns((0, 0)) == store.past_turns((1, 0)) == []
        assert [entry["content"] for entry in store.past_turns((2, 0))] == ["x"]
        await store.append(a_trace(2))
        await store.append(a_trace(3))
    assert journal_files(directory) == []


async def test_a_failed_episode_that_is_tried_again_and_killed_goes_on_with_its_second_attempt(tmp_path: Path):
    directory = tmp_path / "run"
    async with writing(open_store(directory)) as store:
        await store.write_turn("geo/1/0", (1, 0), CONFIG, "completion", {"content": "first attempt"})
        await store.write_turn("geo/2/0", (2, 0), CONFIG, "completion", {"content": "keeps the file"})
        await store.fail(a_failure(1))
    async with writing(open_store(directory)) as store:
        store.adopt_turns(CONFIG)
        assert store.past_turns((1, 0)) == []
        await store.write_turn("geo/1/0", (1, 0), CONFIG, "completion", {"content": "second attempt"})
    async with writing(open_store(directory)) as store:
        store.adopt_turns(CONFIG)
        assert [entry["content"] for entry in store.past_turns((1, 0))] == ["second attempt"]


async def test_a_failure_whose_waiter_is_cancelled_ends_its_journal_all_the_same(tmp_path: Path):
    directory = tmp_path / "run"
    store = open_store(directory)
    await store.write_turn("geo/1/0", (1, 0), CONFIG, "completion", {})
    await store.write_turn("geo/2/0", (2, 0), CONFIG, "completion", {})
    async with asyncio.TaskGroup() as group:
        failing = group.create_task(store.fail(a_failure(1)))
        await asyncio.sleep(0)
        failing.cancel()
    await store.close()
    assert (store.saved_failures, store.unfinished) == (1, 1)
    async with writing(open_store(directory)) as after:
        assert len(after.adopt_turns(CONFIG).keys) == 1


async def test_with_durability_always_a_turn_is_synced_before_its_episode_goes_on(tmp_path: Path):
    files = FaultyFiles()
    async with writing(open_store(tmp_path / "run", durability="always", files=files)) as store:
        before = files.calls["sync"]
        await store.write_turn("geo/1/0", (1, 0), CONFIG, "completion", {})
        assert files.calls["sync"] == before + 1


async def test_a_turn_waits_on_a_full_disk_and_goes_on_when_there_is_room(tmp_path: Path):
    said: list[str] = []
    files = FaultyFiles(2, errno.ENOSPC, times=3, only="write", short=5)
    store = open_store(tmp_path / "run", files=files, on_state=said.append)
    store._sink.limits = type(store._sink.limits)(poll_seconds=0.01)
    files.calls.clear()
    async with writing(store):
        await store.write_turn("geo/1/0", (1, 0), CONFIG, "completion", {"content": "a"})
        await store.write_turn("geo/1/0", (1, 0), CONFIG, "results", {})
        await asyncio.sleep(0)
    assert said[0].startswith("disk full")
    assert {key >> 16: len(chain) for key, chain in read_chains(journal_files(tmp_path / "run")).whole.items()} == {
        1: 2
    }


def test_a_journal_whose_sync_failed_is_never_synced_again(tmp_path: Path):
    files = FaultyFiles(1, errno.EIO, only="sync")
    journal = journal_of(tmp_path, files=files)
    add(journal, 1)
    with pytest.raises(OSError, match="Input/output"):
        journal.sync()
    journal.sync()
    journal.finish()
    assert files.calls["sync"] == 1
    assert taken(tmp_path) == {1: ["completion"]}
