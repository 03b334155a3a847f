"""The event log."""

from __future__ import annotations

import errno

import pytest
from support.store_fakes import FaultyFiles, StillClock

from asyncgen.store.events import EventLog, read_events
from asyncgen.store.files import DISK


def test_events_come_back_in_order_with_time_and_writer(tmp_path):
    log = EventLog(tmp_path, "w1", files=DISK, clock=StillClock())
    assert log.write("start", argv=["a"])
    assert log.write("pause", why="\ud800")
    log.close()
    log.close()
    first, second = read_events(tmp_path)
    assert first == {"time": "2025-06-15T15:23:20.000+00:00", "writer": "w1", "event": "start", "argv": ["a"]}
    assert second["why"] == "\ufffd"


def test_a_run_without_events_has_none(tmp_path):
    assert list(read_events(tmp_path)) == []


def test_a_torn_last_line_is_not_read_and_goes_to_quarantine_at_the_next_start(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"event":"start"}\n{"event":"sto')
    assert [event["event"] for event in read_events(tmp_path)] == ["start"]
    log = EventLog(tmp_path, "w2", files=DISK, clock=StillClock())
    log.write("again")
    log.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["start", "again"]
    (torn,) = (tmp_path / "quarantine").iterdir()
    assert torn.read_bytes() == b'{"event":"sto'


def test_a_full_disk_costs_an_event_and_never_tears_the_log(tmp_path):
    files = FaultyFiles(2, errno.ENOSPC, short=10, only="write")
    log = EventLog(tmp_path, "w", files=files, clock=StillClock())
    assert [log.write("one"), log.write("two"), log.write("three")] == [True, False, True]
    log.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["one", "three"]


def test_another_error_of_the_disk_is_raised(tmp_path):
    log = EventLog(tmp_path, "w", files=FaultyFiles(1, errno.EIO, only="write"), clock=StillClock())
    with pytest.raises(OSError, match="error"):
        log.write("one")
    log.close()


def test_a_closed_log_says_so(tmp_path):
    log = EventLog(tmp_path, "w", files=DISK, clock=StillClock())
    log.close()
    with pytest.raises(RuntimeError, match="closed"):
        log.write("late")
