"""A shard whose sync has failed: its name, what readers make of it, and how the next start rescues its lines."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.store_fakes import FaultyFiles, a_trace, assert_sound, keys_on_disk

from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.layout import is_suspect, open_shard, open_shards, present_names, sealed_path, suspect_path
from asyncgen.store.line import encode_trace, line_key
from asyncgen.store.read import every_line, iter_lines
from asyncgen.store.recovery import recover
from asyncgen.store.shard import ShardWriter

LINES = [encode_trace(a_trace(number)) for number in range(3)]
ALL = b"".join(LINES)


def a_part(directory: Path) -> Path:
    part = open_shard(directory, "traces", "20250101T000000-abcd", 0)
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


def leave(directory: Path, content: bytes) -> Path:
    """A suspect shard as a start leaves it that ended."""
    suspect = suspect_path(a_part(directory))
    suspect.write_bytes(content)
    return suspect


def set_aside(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "quarantine").iterdir()}


def test_the_names_of_a_shard_in_the_order_in_which_it_gets_them(tmp_path):
    part = a_part(tmp_path)
    suspect, sealed = suspect_path(part), sealed_path(part)
    assert suspect.name == "traces-20250101T000000-abcd-00000.suspect.jsonl.part"
    assert sealed_path(suspect) == sealed
    assert suspect_path(suspect) == suspect
    assert [is_suspect(path) for path in (part, suspect, sealed)] == [False, True, False]
    assert present_names(part) == (part, suspect, sealed)
    assert present_names(suspect) == (suspect, sealed)
    assert present_names(sealed) == (sealed,)


@pytest.mark.parametrize("ending", [ShardWriter.sync, ShardWriter.seal])
def test_a_shard_whose_sync_fails_gets_the_name_of_a_suspect(tmp_path, ending):
    part = a_part(tmp_path)
    shard = ShardWriter(part, FaultyFiles(1, errno.EIO, only="sync"), 0.0)
    shard.append(ALL, 3, 0.0)
    with pytest.raises(OSError, match="Input/output error"):
        ending(shard)
    if ending is ShardWriter.sync:
        shard.abandon()
    assert shard.broken
    assert open_shards(tmp_path, "traces") == [shard.path] == [suspect_path(part)]
    assert shard.path.read_bytes() == ALL


def test_a_part_whose_sync_fails_in_a_recovery_gets_that_name_too(tmp_path):
    part = a_part(tmp_path)
    part.write_bytes(ALL)
    with pytest.raises(OSError, match="Input/output error"):
        recover(tmp_path, FaultyFiles(1, errno.EIO, only="sync"))
    assert open_shards(tmp_path, "traces") == [suspect_path(part)]
    recover(tmp_path, DISK)
    assert sealed_path(part).read_bytes() == ALL


def test_where_not_even_the_name_can_be_changed_the_shard_keeps_its_own(tmp_path):
    class Failing(FileLayer):
        def sync(self, descriptor: int) -> None:
            raise OSError(errno.EIO, "no")

        def rename(self, old: Path, new: Path) -> None:
            raise OSError(errno.EROFS, "read-only")

    part = a_part(tmp_path)
    shard = ShardWriter(part, Failing(), 0.0)
    shard.append(ALL, 3, 0.0)
    with pytest.raises(OSError, match="no"):
        shard.sync()
    shard.abandon()
    assert shard.path == part
    assert part.read_bytes() == ALL


def test_the_lines_of_a_suspect_stand_in_a_new_file_and_the_suspect_in_quarantine(tmp_path):
    suspect = leave(tmp_path, ALL + b"{")
    (found,) = recover(tmp_path, DISK)
    assert (found.part, found.sealed, found.lines, found.torn) == (suspect, sealed_path(suspect), 3, 1)
    assert sealed_path(suspect).read_bytes() == ALL
    assert set_aside(tmp_path) == {suspect.name: ALL + b"{"}
    assert_sound(tmp_path)
    assert recover(tmp_path, DISK) == []


def test_a_suspect_is_never_synced(tmp_path):
    synced: list[bytes] = []

    class Watching(FileLayer):
        def open(self, path: Path, *, create: bool = False, empty: bool = False) -> int:
            raise AssertionError(f"{path} is opened to be written to")

        def sync(self, descriptor: int) -> None:
            synced.append(b"the copy")
            super().sync(descriptor)

    leave(tmp_path, ALL)
    recover(tmp_path, Watching())
    assert synced == [b"the copy"]


def test_whole_lines_behind_dropped_pages_are_rescued_as_well(tmp_path):
    leave(tmp_path, LINES[0] + bytes(100) + b"\n" + LINES[1] + LINES[2][:-30] + b"\n" + LINES[2])
    (found,) = recover(tmp_path, DISK)
    assert found.lines == 3
    assert keys_on_disk(tmp_path) == [(0, 0), (1, 0), (2, 0)]
    assert_sound(tmp_path)


@pytest.mark.parametrize("content", [b"", bytes(500), LINES[0][:-1]], ids=["empty", "zeroes", "torn"])
def test_a_suspect_without_a_whole_line_leaves_no_shard(tmp_path, content):
    suspect = leave(tmp_path, content)
    (found,) = recover(tmp_path, DISK)
    assert (found.sealed, found.lines, found.torn) == (None, 0, len(content))
    assert list(suspect.parent.iterdir()) == []
    assert set_aside(tmp_path) == {suspect.name: content}


def test_a_copy_that_is_there_is_not_made_again_whatever_the_suspect_says_now(tmp_path):
    suspect = leave(tmp_path, LINES[0] + bytes(len(LINES[1])) + LINES[2])
    sealed_path(suspect).write_bytes(ALL)
    (found,) = recover(tmp_path, DISK)
    assert found.lines == 3
    assert keys_on_disk(tmp_path) == [(0, 0), (1, 0), (2, 0)]
    assert list(set_aside(tmp_path)) == [suspect.name]


def test_a_rescue_that_finds_no_room_leaves_the_room_that_there_was(tmp_path):
    suspect = leave(tmp_path, ALL)
    with pytest.raises(OSError, match="No space"):
        recover(tmp_path, FaultyFiles(2, errno.ENOSPC, short=99, only="write"))
    assert list(suspect.parent.iterdir()) == [suspect]


def test_a_rescue_that_is_cut_short_at_any_call_is_finished_by_the_next(tmp_path):
    for nth in range(1, 60):
        directory = tmp_path / str(nth)
        suspect = leave(directory, ALL)
        files = FaultyFiles(nth, errno.EIO, short=3)
        try:
            recover(directory, files)
        except OSError:
            recover(directory, DISK)
        assert list(suspect.parent.iterdir()) == [sealed_path(suspect)]
        assert sealed_path(suspect).read_bytes() == ALL
        assert set_aside(directory) == {suspect.name: ALL}
        if not files.failed:
            assert nth > 8
            return
    pytest.fail("the faults never ended")


def test_a_reader_sees_the_lines_of_a_suspect_and_once_only_beside_its_copy(tmp_path):
    suspect = leave(tmp_path, ALL)
    assert [line_key(line)[0] for line in iter_lines(tmp_path)] == [0, 1, 2]
    assert list(iter_lines(tmp_path, live=False)) == []
    sealed_path(suspect).write_bytes(ALL)
    assert list(iter_lines(tmp_path)) == LINES


@pytest.mark.parametrize("later", [suspect_path, sealed_path])
def test_a_reader_finds_a_shard_that_has_another_name_since_it_was_listed(tmp_path, later):
    first, second = a_part(tmp_path), open_shard(tmp_path, "traces", "20250101T000000-abcd", 1)
    first.write_bytes(LINES[0])
    second.write_bytes(LINES[1])
    lines = every_line(tmp_path)
    assert next(lines).line == LINES[0]
    second.rename(later(second))
    assert [(stored.path, stored.line) for stored in lines] == [(second, LINES[1])]
