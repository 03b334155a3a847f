"""Several runs as one, and the sealed copy that comes of it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import datasets
import pytest
from support.runs_on_disk import failed, files_of, line, lines_of, make_run
from support.store_fakes import FaultyFiles, StillClock
from support.traces import geo_scores

from asyncgen.core.errors import DataError, DirectoryInUse, InputError
from asyncgen.runs.merge import Merged, merge
from asyncgen.runs.reading import status_of
from asyncgen.runs.verify import verify
from asyncgen.store.copy import SealedShards, whole_directory
from asyncgen.store.files import DISK
from asyncgen.store.lock import take_lock

datasets.disable_progress_bars()


def merged(out: Path, *paths: Path) -> Merged:
    return merge(paths, out, clock=StillClock())


def test_traces_come_sorted_by_index_and_rollout_byte_for_byte(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(9), line(2, 1)], [line(4)])
    second = make_run(tmp_path / "b", [line(2, 0), line(300)])
    found = merged(tmp_path / "out", first, second)
    assert lines_of(tmp_path / "out") == [line(2, 0), line(2, 1), line(4), line(9), line(300)]
    assert (found.traces, found.duplicates) == (5, 0)
    assert [one.traces for one in found.sources] == [3, 2]


def test_of_two_traces_with_one_id_the_first_counts(tmp_path: Path):
    near, far = line(1), line(1, scores=geo_scores(parsed=False))
    first = make_run(tmp_path / "a", [far, near])
    second = make_run(tmp_path / "b", [near, line(2)])
    found = merged(tmp_path / "out", first, second)
    assert lines_of(tmp_path / "out") == [far, line(2)]
    assert (found.traces, found.duplicates, found.different) == (2, 2, 2)
    assert [one.duplicates for one in found.sources] == [1, 1]
    assert not found.complete


def test_the_same_trace_twice_is_nothing_lost(tmp_path: Path):
    found = merged(tmp_path / "out", make_run(tmp_path / "a", [line(1)]), make_run(tmp_path / "b", [line(1)]))
    assert (found.traces, found.duplicates, found.different, found.complete) == (1, 1, 0, True)


def test_what_one_of_two_equal_jobs_has_the_other_has_not_left(tmp_path: Path):
    first, second = make_run(tmp_path / "a", [line(1)]), make_run(tmp_path / "b", [line(2)])
    for run in (first, second):
        path = run / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "total": 2}))
    found = merged(tmp_path / "out", first, second)
    assert [one.left for one in found.sources] == [1, 1]
    assert (found.left, found.complete) == (0, True)


def test_folders_of_two_datasets_are_refused_where_a_row_number_means_two_rows(tmp_path: Path):
    for name, dataset in (("a", "/data/one"), ("b", "/data/two")):
        (tmp_path / name).mkdir()
        trace = {"dataset_path": dataset, "sample_index": 42, "conversation_history": [], "reward_score": {}}
        (tmp_path / name / "trace_00042.json").write_text(json.dumps(trace))
    with pytest.raises(InputError, match=r"row 42 is one of /data/one in .* and one of /data/two in "):
        merged(tmp_path / "out", tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["good.csv", "good.parquet", "good.jsonl.gz"])
def test_a_name_of_another_format_is_no_folder(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="a file is named"):
        merged(tmp_path / name, make_run(tmp_path / "a", [line(1)]))


def test_the_copy_is_a_run_that_is_complete(tmp_path: Path):
    out = tmp_path / "new" / "out"
    merged(out, make_run(tmp_path / "a", [line(1), line(2)]), make_run(tmp_path / "b", [line(3)]))
    status = status_of(out)
    assert (status["name"], status["state"], status["done"], status["left"]) == ("geo-tools", "complete", 3, 0)
    assert [report.faults for report in verify(out)] == [[]]
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"] == ["geo-tools/1/0", "geo-tools/2/0", "geo-tools/3/0"]
    assert loaded["metadata"][0]["distance_km"] == 157.27
    run = json.loads((out / "run.json").read_bytes())
    assert run["derived"]["command"] == "merge"
    assert run["derived"]["sources"] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert run["derived"]["counts"]["traces"] == 3
    assert run["total"] == 3
    assert (out.stat().st_mode & 0o777, (out / "run.json").stat().st_mode & 0o777) == (0o700, 0o600)
    assert sorted(path.name for path in out.iterdir()) == [
        "LOCK", "README.md", "events.jsonl", "failed", "run.json", "traces",
    ]  # fmt: skip


def test_the_run_file_has_the_configs_of_all_sources(tmp_path: Path):
    other = {"config_id": "ffffffffffff", "configs": {"ffffffffffff": {"model": "other"}}}
    first, second = make_run(tmp_path / "a", [line(1)]), make_run(tmp_path / "b", [line(2)], run=other)
    merged(tmp_path / "out", first, second)
    run = json.loads((tmp_path / "out" / "run.json").read_bytes())
    assert run["config_id"] == "0123456789ab"
    assert sorted(run["configs"]) == ["0123456789ab", "ffffffffffff"]


def test_missing_episodes_are_counted(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(1, 0), line(1, 1), line(2, 0)], failures=[failed(5), failed(1)], total=9)
    second = make_run(tmp_path / "b", [line(5)], failures=[failed(6, reason="bad_image"), failed(6)])
    found = merged(tmp_path / "out", first, second)
    assert [one.left for one in found.sources] == [4, 0]
    assert (found.left, found.failed, found.failed_reasons) == (4, 1, {"timeout": 1})
    assert (found.short.rollouts, found.short.samples, found.short.first) == (2, 2, [2, 5])
    assert not found.complete
    assert not list((tmp_path / "out" / "failed").iterdir())


def test_samples_of_a_job_that_stops_early_are_not_short(tmp_path: Path):
    source = make_run(tmp_path / "a", [line(1, 0), line(1, 1), line(2)], run={"config": {"until_accepted": 1}})
    found = merged(tmp_path / "out", source)
    assert found.short.samples == 1
    assert found.complete


def test_partitions_count_as_one_source_and_absent_ones_are_told(tmp_path: Path):
    for part in (0, 2):
        make_run(tmp_path / "run" / f"part-{part:03d}-of-003", [line(part)])
    found = merged(tmp_path / "out", tmp_path / "run")
    assert found.traces == 2
    assert [one.partitions_missing for one in found.sources] == [1]
    assert not found.complete


def test_a_run_without_traces_gives_an_empty_copy(tmp_path: Path):
    found = merged(tmp_path / "out", make_run(tmp_path / "a", total=3))
    assert (found.traces, found.left, found.complete) == (0, 3, False)
    assert status_of(tmp_path / "out")["state"] == "complete"
    assert [report.faults for report in verify(tmp_path / "out")] == [[]]


def test_one_file_has_the_traces_without_checksums(tmp_path: Path):
    source = make_run(tmp_path / "a", [line(2), line(1)])
    merged(tmp_path / "deep" / "out.jsonl", source)
    text = (tmp_path / "deep" / "out.jsonl").read_bytes()
    assert [json.loads(one)["id"] for one in text.splitlines()] == ["geo-tools/1/0", "geo-tools/2/0"]
    assert b'"crc"' not in text
    merged(tmp_path / "out.json", source)
    members = json.loads((tmp_path / "out.json").read_bytes())
    assert members == [json.loads(one) for one in text.splitlines()]
    assert {**members[0], "crc": "0"}.keys() == json.loads(line(1)).keys()


def test_an_empty_array_is_json(tmp_path: Path):
    merged(tmp_path / "out.json", make_run(tmp_path / "a"))
    assert json.loads((tmp_path / "out.json").read_bytes()) == []


def test_two_jobs_go_into_one_file_but_not_into_one_run(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(1, job="geo")], name="geo")
    second = make_run(tmp_path / "b", [line(1)])
    with pytest.raises(InputError, match="'geo' and 'geo-tools'"):
        merged(tmp_path / "out", first, second)
    found = merged(tmp_path / "out.jsonl", first, second, first)
    ids = [json.loads(one)["id"] for one in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert (ids, found.duplicates) == (["geo/1/0", "geo-tools/1/0"], 1)


def test_two_datasets_are_refused_for_a_file_too(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(1)])
    second = make_run(tmp_path / "b", [line(2)], fingerprint="hf:2")
    for out in ("out", "out.jsonl", "out.json"):
        with pytest.raises(InputError, match="'hf:1' and 'hf:2'"):
            merged(tmp_path / out, first, second)
        assert not (tmp_path / out).exists()


def test_folders_of_trace_files_are_sources(tmp_path: Path):
    folder = tmp_path / "old"
    folder.mkdir()
    for index in (3, 1):
        document = {
            "sample_index": index, "dataset_path": "d", "sample_data": {"lat": 1.5},
            "conversation_log": [{"turn": 1, "response": "here"}],
            "reward_score": {"score": index, "parse_success": True}, "metadata": {"score": 0.5},
        }  # fmt: skip
        (folder / f"trace_{index:05d}.json").write_text(json.dumps(document))
    found = merged(tmp_path / "out", folder)
    assert (found.traces, found.sources[0].name) == (2, "trace")
    assert [report.faults for report in verify(tmp_path / "out")] == [[]]
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"] == ["trace/1/0", "trace/3/0"]
    assert [scores["score"] for scores in loaded["reward_score"]] == [1.0, 3.0]


@pytest.mark.parametrize("out", ["a", "a/out", "a/traces/x.jsonl", "b/out", "taken", "file", "."])
def test_outputs_that_would_hurt_are_refused(tmp_path: Path, out: str):
    source = make_run(tmp_path / "a", [line(1)])
    make_run(tmp_path / "b", [line(1)])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match="give "):
        merged(tmp_path / out, source)
    assert files_of(tmp_path) == before


def test_an_empty_folder_may_be_the_output(tmp_path: Path):
    (tmp_path / "out").mkdir()
    assert merged(tmp_path / "out", make_run(tmp_path / "a", [line(1)])).traces == 1


def test_what_fails_leaves_nothing(tmp_path: Path):
    source = make_run(tmp_path / "a", [line(1), line(2)[:-4] + b'0"}\n'])
    before = files_of(tmp_path)
    for out in ("new/out", "out.jsonl"):
        with pytest.raises(DataError, match="the checksum is wrong"):
            merged(tmp_path / out, source)
    assert files_of(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_what_a_killed_copy_left_is_removed_and_a_living_one_is_let_be(tmp_path: Path):
    source = make_run(tmp_path / "a", [line(1)])
    left = tmp_path / ".out.tmp"
    make_run(left, [line(7)])
    lock = take_lock(left, DISK)
    with pytest.raises(DirectoryInUse):
        merged(tmp_path / "out", source)
    lock.release()
    merged(tmp_path / "out", source)
    assert lines_of(tmp_path / "out") == [line(1)]
    assert not left.exists()


def test_a_run_that_goes_on_gives_what_it_has(tmp_path: Path):
    source = make_run(tmp_path / "a", [line(1)], total=5, stopped=False)
    (source / "traces" / "traces-20250101T000000-abcd-00001.jsonl.part").write_bytes(line(2) + line(3)[:50])
    (source / "LOCK").write_text(
        json.dumps({"host": os.uname().nodename, "boot_id": "", "pid": os.getpid(), "start": "", "argv": []})
    )
    found = merged(tmp_path / "out", source)
    assert (found.traces, found.left) == (2, 3)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path):
    files = FaultyFiles(1, errno.ENOSPC, only="write", times=9)
    with (
        pytest.raises(OSError, match="No space left") as caught,
        whole_directory(tmp_path / "out", argv=[], files=files, clock=StillClock()),
    ):
        pass
    assert caught.value.filename == str(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_shards_of_a_copy_are_bounded(tmp_path: Path):
    (tmp_path / "traces").mkdir()
    shards = SealedShards(tmp_path, "traces", "w", DISK, shard_bytes=30, shard_lines=3)
    for text in (b"a\n", b"b\n", b"c\n", b"d\n", b"x" * 40 + b"\n", b"e\n"):
        shards.add(text)
    shards.seal()
    files = [path.read_bytes() for path in sorted((tmp_path / "traces").iterdir())]
    assert files == [b"a\nb\nc\n", b"d\n", b"x" * 40 + b"\n", b"e\n"]


def test_events_of_a_copy_say_that_it_was_made_at_once(tmp_path: Path):
    merged(tmp_path / "out", make_run(tmp_path / "a", [line(1)]))
    events = [json.loads(one) for one in (tmp_path / "out" / "events.jsonl").read_bytes().splitlines()]
    assert [one["event"] for one in events] == ["start", "stop"]
    assert events[1]["saved"] == 1
