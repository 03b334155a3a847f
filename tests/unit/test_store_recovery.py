"""What a start does with the files of a writer that died."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support.store_fakes import FaultyFiles, a_trace, assert_sound, keys_on_disk

from asyncgen.store.files import DISK
from asyncgen.store.layout import open_shard, open_shards, sealed_path, sealed_shards, suspect_path
from asyncgen.store.line import encode_trace
from asyncgen.store.recovery import recover
from asyncgen.store.scan import verify_shard

LINES = [encode_trace(a_trace(number)) for number in range(3)]
ALL = b"".join(LINES)


def leave(directory: Path, content: bytes) -> Path:
    """A `.part` as a dead writer leaves it."""
    part = open_shard(directory, "traces", "20250101T000000-abcd", 0)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    return part


def quarantined(directory: Path) -> dict[str, bytes]:
    folder = directory / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_a_whole_part_is_sealed_as_it_is(tmp_path):
    part = leave(tmp_path, ALL)
    (found,) = recover(tmp_path, DISK)
    assert (found.lines, found.torn, found.sealed) == (3, 0, sealed_path(part))
    assert sealed_path(part).read_bytes() == ALL
    assert quarantined(tmp_path) == {}
    assert recover(tmp_path, DISK) == []


@pytest.mark.parametrize(
    "tail",
    [b"{", LINES[2][:-1], LINES[2][:40] + b"\n", b"\0" * 700, b"\0" * 10 + b"\n" + LINES[2], b"\n"],
    ids=["cut", "no line end", "torn", "zeroes", "zeroes and a line", "blank"],
)
def test_what_follows_the_last_whole_line_goes_to_quarantine(tmp_path, tail):
    good = LINES[0] + LINES[1]
    part = leave(tmp_path, good + tail)
    (found,) = recover(tmp_path, DISK)
    assert (found.lines, found.torn) == (2, len(tail))
    assert sealed_path(part).read_bytes() == good
    assert quarantined(tmp_path) == {f"{part.name}.{len(good)}.torn": tail}
    assert_sound(tmp_path)


def test_a_part_without_a_whole_line_is_deleted_and_its_bytes_are_kept_aside(tmp_path):
    part = leave(tmp_path, LINES[0][:-5])
    (found,) = recover(tmp_path, DISK)
    assert found.sealed is None
    assert list(part.parent.iterdir()) == []
    assert quarantined(tmp_path) == {f"{part.name}.0.torn": LINES[0][:-5]}


def test_an_empty_part_is_deleted(tmp_path):
    part = leave(tmp_path, b"")
    recover(tmp_path, DISK)
    assert list(part.parent.iterdir()) == []
    assert quarantined(tmp_path) == {}


def test_the_second_name_of_one_file_is_dropped(tmp_path):
    part = leave(tmp_path, ALL)
    sealed_path(part).hardlink_to(part)
    recover(tmp_path, DISK)
    assert sealed_shards(tmp_path, "traces") == [sealed_path(part)]
    assert sealed_path(part).read_bytes() == ALL


def test_a_sealed_file_is_never_replaced(tmp_path):
    part = leave(tmp_path, LINES[1])
    sealed_path(part).write_bytes(LINES[0])
    recover(tmp_path, DISK)
    assert sealed_path(part).read_bytes() == LINES[0]
    assert sorted(keys_on_disk(tmp_path)) == [(0, 0), (1, 0)]
    assert_sound(tmp_path)


def test_a_recovery_that_is_cut_short_at_any_call_is_finished_by_the_next(tmp_path):
    good = LINES[0] + LINES[1]
    for nth in range(1, 60):
        directory = tmp_path / str(nth)
        part = leave(directory, good + LINES[2][:50])
        files = FaultyFiles(nth, errno.EIO, short=3)
        try:
            recover(directory, files)
        except OSError:
            recover(directory, DISK)
        assert sealed_path(part).read_bytes() == good
        aside = quarantined(directory)
        assert aside.pop(f"{part.name}.{len(good)}.torn") == LINES[2][:50]
        assert set(aside) <= {suspect_path(part).name}  # where a sync failed
        assert open_shards(directory, "traces") == []
        if not files.failed:
            assert nth > 8
            return
    pytest.fail("the faults never ended")


def test_verify_names_line_offset_and_problem_of_each_bad_line(tmp_path):
    part = leave(tmp_path, LINES[0] + b"junk\n" + LINES[1].replace(b"hello", b"hellO") + LINES[2] + b"{")
    at = len(LINES[0])
    assert list(verify_shard(part)) == [
        (2, at, "the line has no checksum"),
        (3, at + 5, "the checksum is wrong"),
        (5, at + 5 + len(LINES[1]) + len(LINES[2]), "the line has no end"),
    ]
