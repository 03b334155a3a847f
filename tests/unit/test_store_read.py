"""Reading a run: live, dead, empty, and in parts."""

from __future__ import annotations

import pytest
from support.store_fakes import a_failure, a_trace, open_store, save, writing

from asyncgen.core.errors import DataError, InputError
from asyncgen.store.layout import open_shard, parse_part, part_name, sealed_shards
from asyncgen.store.line import encode_failure, encode_trace, parse_line
from asyncgen.store.read import find_trace, iter_lines, iter_traces, run_directories, shards
from asyncgen.store.scan import keyed_lines


@pytest.fixture
def run(tmp_path):
    directory = tmp_path / "run"
    save(directory, a_trace(1), a_trace(2))
    (directory / "run.json").write_text("{}")
    return directory


def put(directory, kind, writer, *lines, tail=b""):
    path = open_shard(directory, kind, writer, 0)
    path.write_bytes(b"".join(lines) + tail)
    return path


def indexes(traces):
    return [trace["sample_index"] for trace in traces]


def test_a_run_is_one_directory_and_its_partitions_are_many(run, tmp_path):
    assert run_directories(run) == [run]
    out = tmp_path / "out"
    for number in (1, 0):
        part = out / part_name(number, 2)
        part.mkdir(parents=True)
        (part / "run.json").write_text("{}")
    (out / "other").mkdir()
    assert [path.name for path in run_directories(out)] == ["part-000-of-002", "part-001-of-002"]


def test_a_folder_of_runs_names_them(tmp_path):
    for name in ("geo", "search"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    with pytest.raises(InputError, match=r"runs is not a run directory; the runs in it: .*/runs/geo, .*/runs/search"):
        run_directories(tmp_path / "runs")
    with pytest.raises(InputError, match="gone does not exist; give a run directory"):
        run_directories(tmp_path / "gone")


@pytest.mark.parametrize("name", ["empty", "file"])
def test_what_is_no_run_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"{name} is not a run directory \(no run.json\)"):
        run_directories(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("part-002-of-008", (2, 8)),
        ("part-1000-of-2000", (1000, 2000)),
        ("part-8-of-9", None),
        ("part-008-of-008", None),
        ("traces", None),
    ],
)
def test_partition_names_are_read_back(name, expected):
    assert parse_part(name) == expected
    assert expected is None or part_name(*expected) == name


def test_a_live_part_is_read_up_to_its_last_whole_line(run):
    put(run, "traces", "29990101T000000-abcd", encode_trace(a_trace(3)), tail=encode_trace(a_trace(4))[:-9])
    assert indexes(iter_traces(run)) == [1, 2, 3]
    assert indexes(iter_traces(run, live=False)) == [1, 2]


async def test_a_run_can_be_read_while_it_is_written(tmp_path):
    async with writing(open_store(tmp_path)) as store:
        await store.append(a_trace(1))
        assert [parse_line(line)["id"] for line in iter_lines(tmp_path)] == ["geo/1/0"]
        await store.append(a_trace(2))
        assert len(list(iter_lines(tmp_path))) == 2


def test_a_part_that_was_sealed_since_it_was_listed_is_read_under_its_new_name(tmp_path):
    (tmp_path / "traces").mkdir()
    part = put(tmp_path, "traces", "29990101T000000-abcd", encode_trace(a_trace(3)))
    lines = iter_lines(tmp_path)
    other = put(tmp_path, "traces", "20000101T000000-abcd", encode_trace(a_trace(1)))
    assert parse_line(next(lines))["sample_index"] == 1
    part.rename(part.with_suffix(""))
    assert [parse_line(line)["sample_index"] for line in lines] == [3]
    assert shards(tmp_path) == [other, part.with_suffix("")]


def test_an_empty_part_that_was_deleted_since_it_was_listed_is_passed_over(tmp_path):
    (tmp_path / "traces").mkdir()
    put(tmp_path, "traces", "20000101T000000-abcd", encode_trace(a_trace(1)))
    gone = put(tmp_path, "traces", "29990101T000000-abcd")
    lines = iter_lines(tmp_path)
    next(lines)
    gone.unlink()
    assert list(lines) == []


def test_of_two_lines_with_one_id_the_first_counts(run):
    put(run, "traces", "29990101T000000-abcd", encode_trace(a_trace(1, text="second")), encode_trace(a_trace(9)))
    assert [trace["answer"] for trace in iter_traces(run)] == ["hello", "hello", "hello"]
    assert indexes(iter_traces(run)) == [1, 2, 9]


def test_of_the_failures_the_last_of_each_id_counts_and_none_that_has_a_trace(run):
    lines = [a_failure(1), a_failure(5, reason="timeout"), a_failure(6), a_failure(5, reason="bad_image")]
    put(run, "failed", "20000101T000000-abcd", *map(encode_failure, lines))
    found = list(iter_traces(run, "failed"))
    assert [(trace["sample_index"], trace["reason"]) for trace in found] == [(6, "timeout"), (5, "bad_image")]


def test_a_run_without_a_trace_reads_as_nothing(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert list(iter_traces(tmp_path)) == []
    assert list(iter_traces(tmp_path, "failed")) == []
    assert find_trace(tmp_path, 1) is None


def test_a_trace_is_found_by_id_by_number_and_by_rollout(run):
    put(run, "traces", "29990101T000000-abcd", encode_trace(a_trace(2, 3, text="third")))
    put(run, "failed", "29990101T000000-abcd", encode_failure(a_failure(7)), encode_failure(a_failure(1)))
    found = [find_trace(run, "geo/2/3"), find_trace(run, 2, 3), find_trace(run, "2"), find_trace(run, 7)]
    assert [trace and trace["id"] for trace in found] == ["geo/2/3", "geo/2/3", "geo/2/0", "geo/7/0"]
    assert "reason" not in (find_trace(run, 1) or {})
    assert find_trace(run, 99) is None


@pytest.mark.parametrize("given", ["x", "a/b", 'geo/1/0"', "geo/1/99999"])
def test_what_is_no_id_is_named(run, given):
    with pytest.raises(InputError, match="JOB/INDEX/ROLLOUT"):
        find_trace(run, given)


def test_partitions_read_as_one_run(tmp_path):
    for number in range(2):
        part = tmp_path / part_name(number, 2)
        save(part, a_trace(number))
        (part / "run.json").write_text("{}")
        assert len(sealed_shards(part, "traces")) == 1
    assert indexes(iter_traces(tmp_path)) == [0, 1]


def test_a_sealed_line_that_was_altered_is_named_and_nothing_is_read_over_it(run):
    (shard,) = sealed_shards(run, "traces")
    whole = shard.read_bytes()
    at = whole.index(b"\n") // 2
    shard.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(DataError, match=r"-\w+\.jsonl:1: the checksum is wrong; asyncgen verify DIR --salvage"):
        list(iter_traces(run))
    with pytest.raises(DataError, match=":1: the checksum is wrong"):
        list(keyed_lines(shard))
