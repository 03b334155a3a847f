"""What `verify` finds, and what `--salvage` mends."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from support.runs_on_disk import WRITER, event, failed, files_of, line, lines_of, make_run
from support.store_fakes import FaultyFiles, StillClock
from support.traces import geo_scores, trace_line

from asyncgen.core.errors import DataError, DirectoryInUse, InputError
from asyncgen.runs.salvaging import salvage_runs
from asyncgen.runs.verify import Report, count, ledger, verify, verify_folder
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.line import encode_line
from asyncgen.store.lock import take_lock
from asyncgen.store.store import Store

TORN = line(7)[:-4] + b'0"}\n'


def only(directory: Path) -> Report:
    (report,) = verify(directory)
    return report


def salvaged(directory: Path, files: FileLayer = DISK) -> list[tuple[int, int]]:
    return [(one.kept, one.bad) for one in salvage_runs(directory, files=files, clock=StillClock())]


def test_a_whole_run_is_in_order(tmp_path: Path):
    report = only(make_run(tmp_path / "run", [line(1), line(2)], [line(3)], failures=[failed(4)]))
    assert report.faults == report.notes == []
    assert (report.sealed, report.open, report.lines, report.traces) == (3, 0, 4, 3)
    assert report.counts is not None
    assert (report.counts.expected, report.counts.done, report.counts.failed, report.counts.pending) == (4, 3, 1, 0)


def test_each_bad_line_is_named(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(1), TORN, line(3), b"junk\n", line(5)[:-1]])
    report = only(directory)
    shard = directory / "traces" / f"traces-{WRITER}-00000.jsonl"
    assert report.bad.first == [
        f"{shard}:2: the checksum is wrong", f"{shard}:4: the line has no checksum", f"{shard}:5: the line has no end",
    ]  # fmt: skip
    assert report.gone == 3
    assert report.counts is not None
    assert report.counts.pending == 3
    assert len(report.faults) == 2


def test_doubles_among_sealed_shards_are_named(tmp_path: Path):
    report = only(make_run(tmp_path / "run", [line(1), line(2)], [line(1)], total=2))
    assert report.duplicates.count == 1
    assert "geo-tools/1/0" in report.duplicates.first[0]
    assert report.traces == 2
    assert report.faults


def test_partitions_that_are_not_there_are_told(tmp_path: Path):
    for number in (0, 2):
        make_run(tmp_path / "out" / f"part-{number:03d}-of-003", [line(number)])
    first, second = verify(tmp_path / "out")
    assert (first.notes, second.notes) == (["partitions of 3 that are not there: 1"], [])
    assert verify(tmp_path / "out" / "part-000-of-003")[0].notes == []


def test_doubles_among_partitions_are_named(tmp_path: Path):
    for part in (0, 1):
        make_run(tmp_path / f"part-{part:03d}-of-002", [line(1)])
    assert [report.duplicates.count for report in verify(tmp_path)] == [0, 1]


def changed(**values: Any) -> bytes:
    return encode_line({**trace_line(1), **values})


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (changed(sample_index=2), "another index than `sample_index`, 2"),
        (changed(rollout=3), "another rollout than `rollout`, 3"),
        (changed(id="other/1/0"), "of the job 'other', the run of geo-tools"),
        (changed(more=1), "a line with more"),
        (encode_line({key: value for key, value in trace_line(1).items() if key != "images"}), "without images"),
        (encode_line(dict([*list(trace_line(1).items())[:1], *reversed(list(trace_line(1).items())[1:])])), "order"),
        (changed(conversation_history=[{"turn": 1}]), "usage"),
        (changed(images=[{"image": 0}]), "an image without source"),
        (changed(tool_calls=[5]), "another shape"),
        (changed(metadata={"score": 1.0}), "metadata without total_turns"),
    ],
)
def test_foreign_and_misshapen_lines_are_named(tmp_path: Path, bad: bytes, text: str):
    report = only(make_run(tmp_path / "run", [bad, line(9)]))
    assert report.foreign.count == 1
    assert text in report.foreign.first[0]
    assert report.bad.count == 0
    assert report.faults


def test_unknown_configs_are_counted(tmp_path: Path):
    report = only(make_run(tmp_path / "run", [changed(config_id="eeeeeeeeeeee"), line(2)]))
    assert report.unknown_configs == {"eeeeeeeeeeee": 1}
    assert report.faults


def test_a_removed_shard_is_missed(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(1), line(2)], [line(3)])
    (directory / "traces" / f"traces-{WRITER}-00000.jsonl").unlink()
    report = only(directory)
    assert report.gone == 2
    assert report.faults == ["traces that were saved and are gone: 2"]


def test_torn_open_shards_of_a_dead_writer_are_no_fault(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(1)], total=3, stopped=False)
    (directory / "traces" / f"traces-{WRITER}-00001.jsonl.part").write_bytes(line(2) + line(3)[:40])
    report = only(directory)
    assert report.faults == []
    assert (report.open, report.torn, report.traces) == (1, 40, 2)
    assert len(report.notes) == 2


def test_filtered_rows_and_skipped_rollouts_are_expected(tmp_path: Path):
    run = {"selection": {"rows": 5, "filtered": 3, "selected": 2, "rollouts": 2}}
    directory = make_run(tmp_path / "run", [line(1), line(2)], failures=[failed(3)], total=4, run=run)
    with (directory / "events.jsonl").open("a") as events:
        events.write(json.dumps(event("skipped", skipped=1)) + "\n")
    counts = only(directory).counts
    assert counts is not None
    assert (counts.expected, counts.done, counts.failed, counts.filtered, counts.skipped, counts.pending) == (
        10, 2, 1, 6, 1, 0,
    )  # fmt: skip
    assert counts.adds_up


def test_more_than_was_asked_for_does_not_add_up(tmp_path: Path):
    report = only(make_run(tmp_path / "run", [line(1), line(2)], total=1))
    assert report.faults == ["the counts do not add up"]


def test_a_run_file_without_a_total_has_no_counts():
    assert count({}, [], stored=3, failures=0) is None


@pytest.mark.parametrize(
    ("events", "now", "gone", "told"),
    [
        ([], 5, 0, 0),
        ([event("start", stored=0), event("stop", saved=3)], 3, 0, 0),
        ([event("start", stored=0), event("stop", saved=3)], 1, 2, 0),
        ([event("start", stored=0), event("start", stored=4)], 4, 0, 0),
        ([event("start", stored=0), event("stop", saved=5), event("start", stored=3), event("stop", saved=2)], 5, 0, 1),
        ([event("start", stored=0), event("stop", saved=5), event("salvage", stored=4)], 4, 0, 0),
        ([event("start", stored=0), event("stop", saved=5), event("salvage", stored=4)], 3, 1, 0),
    ],
)
def test_the_ledger_misses_what_was_saved(events: list[dict[str, Any]], now: int, gone: int, told: int):
    missing, notes = ledger(events, now)
    assert (missing, len(notes)) == (gone, told)


def test_salvage_sets_bad_lines_aside_and_a_run_can_go_on(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(1), TORN, line(2)], [line(3)], failures=[failed(4), b"junk\n"])
    assert salvaged(directory) == [(2, 1), (1, 1)]
    assert sorted(lines_of(directory)) == sorted([line(1), line(2), line(3)])
    assert lines_of(directory, "failed") == [failed(4)]
    aside = sorted(path.read_bytes() for path in (directory / "quarantine").iterdir())
    assert aside == sorted([TORN, b"junk\n"])
    report = only(directory)
    assert report.faults == []
    assert report.counts is not None
    assert report.counts.done == 3
    store = Store.open(directory, argv=["asyncgen"], clock=StillClock())
    assert ((7, 0) in store.done, (3, 0) in store.done) == (False, True)
    store.events.close()
    store._lock.release()
    assert salvaged(directory) == []


def test_salvage_of_a_shard_without_a_good_line_removes_it(tmp_path: Path):
    directory = make_run(tmp_path / "run", [b"\0" * 100], [line(1)])
    assert salvaged(directory) == [(0, 1)]
    assert lines_of(directory) == [line(1)]


@pytest.mark.parametrize("nth", range(1, 30))
def test_salvage_may_be_cut_short_at_any_call_and_done_again(tmp_path: Path, nth: int):
    directory = make_run(tmp_path / "run", [line(1), TORN, line(2)], [line(3)])
    files = FaultyFiles(nth, errno.EIO)
    try:
        salvaged(directory, files)
    except OSError:
        assert files.failed
    good = [line(1), line(2), line(3)]
    there = {one for shard in (directory / "traces").iterdir() for one in shard.read_bytes().splitlines(keepends=True)}
    assert there >= set(good)
    salvaged(directory)
    recovered = Store.open(directory, argv=["asyncgen"], clock=StillClock())
    recovered.events.close()
    recovered._lock.release()
    assert set(lines_of(directory)) == set(good)
    assert only(directory).bad.count == 0


def test_a_shard_that_was_half_replaced_is_not_doubled(tmp_path: Path):
    directory = make_run(tmp_path / "run", [line(1), TORN, line(2)], [line(1), line(2)], total=2)
    salvaged(directory)
    assert lines_of(directory) == [line(1), line(2)]


def test_salvage_sets_traces_aside_whose_id_stands_before(tmp_path: Path):
    other = line(2, scores=geo_scores(parsed=False))
    directory = make_run(tmp_path / "run", [line(1), line(2), line(1)], [line(3), other], [line(3)])
    assert only(directory).duplicates.count == 3
    assert salvaged(directory) == [(2, 1), (1, 1), (0, 1)]
    assert sorted(lines_of(directory)) == sorted([line(1), line(2), line(3)])
    assert {path.read_bytes() for path in (directory / "quarantine").iterdir()} == {line(1), other, line(3)}
    assert only(directory).faults == []
    assert salvaged(directory) == []


@pytest.mark.parametrize("nth", range(1, 40))
def test_a_salvage_of_doubles_that_is_cut_short_loses_no_trace(tmp_path: Path, nth: int):
    directory = make_run(tmp_path / "run", [line(1), line(2), line(1)], [TORN, line(3), line(2)], [line(3), line(4)])
    files = FaultyFiles(nth, errno.EIO)
    try:
        salvaged(directory, files)
    except OSError:
        assert files.failed
    salvaged(directory)
    recovered = Store.open(directory, argv=["asyncgen"], clock=StillClock())  # seals what the first one left open
    recovered.events.close()
    recovered._lock.release()
    salvaged(directory)
    assert sorted(lines_of(directory)) == [line(1), line(2), line(3), line(4)]
    assert (only(directory).duplicates.count, only(directory).bad.count) == (0, 0)


def test_salvage_waits_for_nobody(tmp_path: Path):
    directory = make_run(tmp_path / "run", [TORN])
    lock = take_lock(directory, DISK)
    before = files_of(directory)
    with pytest.raises(DirectoryInUse):
        salvaged(directory)
    lock.release()
    assert files_of(directory) == before


def test_files_of_an_old_folder_are_read(tmp_path: Path):
    (tmp_path / "trace_00001.json").write_text(json.dumps({"conversation_history": []}))
    (tmp_path / "trace_00002.json").write_text("{")
    (tmp_path / "trace_00003.json").write_text("[]")
    report = verify_folder(tmp_path)
    assert (report.files, report.good, report.bad.count) == (3, 1, 2)
    assert report.faults
    with pytest.raises(InputError, match="no shards"):
        salvaged(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "key"),
    [
        ("events.jsonl", '{"event":"start","stored":"x"}\n', "stored"),
        ("events.jsonl", '{"event":"stop","saved":null}\n', "saved"),
        ("run.json", '{"name":"geo-tools","total":1,"selection":{"filtered":"x"}}', "filtered"),
        ("run.json", '{"name":"geo-tools","selection":[1]}', "selection"),
        ("run.json", '{"name":"geo-tools","configs":[],"config":null}', "config, configs"),
    ],
)
def test_what_is_of_another_type_is_damage_that_is_named(tmp_path: Path, file: str, text: str, key: str):
    directory = make_run(tmp_path / "run", [line(1)])
    (directory / file).write_text(text)
    with pytest.raises(DataError, match=rf"{file} is damaged: '?{key}"):
        verify(directory)
