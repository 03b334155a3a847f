"""The writer thread's side: full disks, failing files, syncs and seals."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import pytest
from support.store_fakes import FaultyFiles, StillClock, StingyFiles, a_trace, assert_sound, keys_on_disk

from asyncgen.core.errors import TemporaryError
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.journal import Journal
from asyncgen.store.layout import open_shards, sealed_shards
from asyncgen.store.line import check_line, encode_trace
from asyncgen.store.recovery import recover
from asyncgen.store.sink import Blocked, Limits, Sink

LINES = [encode_trace(a_trace(number)) for number in range(6)]
KEYS = [(number, 0) for number in range(6)]


def a_sink(directory: Path, files: FileLayer = DISK, clock: StillClock | None = None, **limits: object) -> Sink:
    (directory / "traces").mkdir(exist_ok=True)
    (directory / "failed").mkdir(exist_ok=True)
    given = Limits(**{"poll_seconds": 0.0, **limits})  # type: ignore[arg-type]  # what the test wants
    writer = "20250101T000000-abcd"
    journal = Journal(directory, writer, files)
    return Sink(directory, writer, journal=journal, limits=given, files=files, clock=clock or StillClock())


def test_lines_stand_in_a_part_until_the_shard_is_sealed(tmp_path):
    sink = a_sink(tmp_path)
    sink.write("traces", LINES[:2])
    assert [path.name for path in open_shards(tmp_path, "traces")] == ["traces-20250101T000000-abcd-00000.jsonl.part"]
    assert sealed_shards(tmp_path, "traces") == []
    sink.seal_all()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS[:2]


def test_files_are_for_their_owner_alone(tmp_path):
    sink = a_sink(tmp_path)
    sink.write("traces", LINES[:1])
    sink.seal_all()
    assert sealed_shards(tmp_path, "traces")[0].stat().st_mode & 0o777 == 0o600


def test_a_disk_that_takes_three_bytes_a_write_gets_all_of_them(tmp_path):
    sink = a_sink(tmp_path, StingyFiles())
    sink.write("traces", LINES)
    sink.seal_all()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS


def test_a_shard_is_sealed_when_it_has_its_traces_bytes_or_seconds(tmp_path):
    clock = StillClock()
    sink = a_sink(tmp_path, clock=clock, shard_traces=2, shard_bytes=3 * len(LINES[0]), shard_seconds=50.0)
    sink.write("traces", LINES[:2])
    assert len(sealed_shards(tmp_path, "traces")) == 1
    sink.write("traces", [LINES[2] + LINES[3] + LINES[4]])
    assert len(sealed_shards(tmp_path, "traces")) == 2
    sink.write("traces", LINES[5:])
    assert sink.due() == clock.now + 1.0  # the commit
    clock.now += 49.0
    sink.tend()
    assert sink.due() == clock.now + 1.0  # the seal
    clock.now += 1.0
    sink.tend()
    assert sink.due() is None
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS


def test_interval_syncs_by_time_and_by_count(tmp_path):
    clock, files = StillClock(), FaultyFiles()
    sink = a_sink(tmp_path, files, clock, commit_traces=4)
    sink.write("traces", LINES[:3])
    assert (sink.durable, files.calls["sync"]) == (0, 0)
    sink.write("traces", LINES[3:4])
    assert (sink.durable, files.calls["sync"]) == (4, 1)
    sink.write("traces", LINES[4:5])
    assert sink.durable == 4
    clock.now += 1.0
    sink.tend()
    assert (sink.durable, files.calls["sync"]) == (5, 2)
    sink.seal_all()
    assert (sink.durable, files.calls["sync"]) == (5, 2)


def test_always_syncs_each_batch_and_never_only_at_the_seal(tmp_path):
    for durability, before, after in (("always", 2, 2), ("never", 0, 2)):
        directory = tmp_path / durability
        directory.mkdir()
        clock = StillClock()
        sink = a_sink(directory, clock=clock, durability=durability)
        sink.write("traces", LINES[:2])
        clock.now += 5.0
        sink.tend()
        assert sink.durable == before
        sink.seal_all()
        assert sink.durable == after


def test_durable_counts_traces_and_not_failures(tmp_path):
    sink = a_sink(tmp_path)
    sink.write("failed", LINES[:2])
    sink.seal_all()
    assert sink.durable == 0


def test_a_shard_name_is_never_used_twice(tmp_path):
    sink = a_sink(tmp_path, shard_traces=1)
    for line in LINES:
        sink.write("traces", [line])
    names = [path.name[-11:] for path in sealed_shards(tmp_path, "traces")]
    assert names == [f"{number:05d}.jsonl" for number in range(6)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("only", ["write", "create"])
def test_a_full_disk_is_waited_for_and_nothing_is_torn_or_lost(tmp_path, code, only):
    seen: list[Blocked | None] = []
    files = FaultyFiles(2 if only == "write" else 1, code, times=3, short=7, only=only)
    sink = a_sink(tmp_path, files)
    sink._on_blocked = seen.append
    sink.write("traces", LINES[:2])
    sink.write("traces", LINES[2:])
    assert files.failed == 3
    assert [bool(state) for state in seen] == [True, False]
    need = len(b"".join(LINES[2:] if only == "write" else LINES[:2]))
    assert seen[0] is not None
    assert seen[0].need == need
    assert sink.blocked is None
    sink.seal_all()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS


def test_while_the_disk_is_full_the_file_holds_whole_lines_and_they_are_durable(tmp_path):
    files = FaultyFiles(2, errno.ENOSPC, times=1, short=100, only="write")
    sink = a_sink(tmp_path, files)
    seen: list[tuple[bytes, int]] = []

    def look(blocked: Blocked | None) -> None:
        if blocked:
            seen.append((open_shards(tmp_path, "traces")[0].read_bytes(), sink.durable))

    sink._on_blocked = look
    sink.write("traces", LINES[:1])
    sink.write("traces", LINES[1:])
    assert seen == [(LINES[0], 1)]


def test_turns_that_still_fit_on_a_full_disk_are_synced_while_it_is_full(tmp_path):
    files = FaultyFiles(1, errno.ENOSPC, times=3, only="write")
    sink = a_sink(tmp_path, files)
    waits: list[float | None] = []

    def look(_path: Path) -> int:
        waits.append(sink._journal.unsynced_since)
        files._only = "nothing"  # fails now
        assert sink._journal.append(LINES[0], 1.0)
        files._only = "write"
        return 0

    files.free = look
    sink.write("traces", LINES[1:])
    assert waits == [None] * 3


def test_a_rotation_whose_sync_fails_for_want_of_room_ends_the_run_as_any_failed_sync_does(tmp_path):
    files = FaultyFiles(1, errno.ENOSPC, only="sync")
    sink = a_sink(tmp_path, files)
    assert sink._journal.append(LINES[0], 1.0)
    sink.limits = Limits(durability="never")
    with pytest.raises(TemporaryError, match="ENOSPC"):
        sink._rotate(1.0)


def test_a_disk_that_stays_full_is_a_temporary_error_with_a_way_out(tmp_path):
    files = FaultyFiles(2, errno.ENOSPC, times=10**9, short=5, only="write")
    sink = a_sink(tmp_path, files, disk_wait=0.0)
    sink.write("traces", LINES[:1])
    with pytest.raises(
        TemporaryError, match=r"disk full: \d+ bytes needed, \d+ free at .*; run the same command again"
    ):
        sink.write("traces", LINES[1:])
    sink.seal_all()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS[:1]


def test_a_stop_ends_the_wait_for_room(tmp_path):
    sink = a_sink(tmp_path, FaultyFiles(1, errno.ENOSPC, times=10**9, only="write"), poll_seconds=60.0)
    sink.stop.set()
    with pytest.raises(TemporaryError, match="disk full"):
        sink.write("traces", LINES)


def test_another_error_of_the_disk_names_the_file_and_the_error(tmp_path):
    sink = a_sink(tmp_path, FaultyFiles(1, errno.EIO, only="write"))
    with pytest.raises(TemporaryError, match=r"traces-.*-00000\.jsonl\.part: EIO"):
        sink.write("traces", LINES)


def test_a_cut_that_fails_is_made_up_for_before_the_next_write(tmp_path):
    class CannotCutOnce(FaultyFiles):
        cuts = 0

        def truncate(self, descriptor: int, size: int) -> None:
            self.cuts += 1
            if self.cuts == 1:
                raise OSError(errno.ENOSPC, "no room to cut")
            super().truncate(descriptor, size)

    sink = a_sink(tmp_path, CannotCutOnce(2, errno.ENOSPC, short=9, only="write"))
    sink.write("traces", LINES[:1])
    sink.write("traces", LINES[1:])
    sink.seal_all()
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS


def test_a_failed_sync_is_never_tried_again_and_the_file_is_left_for_the_next_start(tmp_path):
    files = FaultyFiles(1, errno.EIO, only="sync")
    sink = a_sink(tmp_path, files, commit_traces=1)
    with pytest.raises(TemporaryError, match="EIO"):
        sink.write("traces", LINES)
    sink.seal_all()
    assert files.calls["sync"] == 1
    assert sink.durable == 0
    assert len(open_shards(tmp_path, "traces")) == 1
    recover(tmp_path, DISK)
    assert_sound(tmp_path)
    assert keys_on_disk(tmp_path) == KEYS


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_whichever_call_fails_no_written_line_is_lost_torn_or_doubled(tmp_path, code):
    for nth in range(1, 200):
        directory = tmp_path / str(nth)
        directory.mkdir()
        files = FaultyFiles(nth, code, short=11)
        sink = a_sink(directory, files, shard_traces=2, commit_traces=1)
        written = []
        try:
            for key, line in zip(KEYS, LINES, strict=True):
                sink.write("traces", [line])
                written.append(key)
        except TemporaryError:
            pass
        for path in sealed_shards(directory, "traces"):
            assert all(check_line(line) for line in path.read_bytes().splitlines(keepends=True))
        with suppress(TemporaryError):
            sink.seal_all()
        recover(directory, DISK)
        assert_sound(directory)
        assert set(keys_on_disk(directory)) >= set(written)
        if not files.failed:
            assert written == KEYS
            assert nth > 20
            return
    pytest.fail("the faults never ended")
