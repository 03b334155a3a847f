"""Questions over catalogs: the same answers as from the lines; and catalogs that are wrong, or missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.catalogs import catalog_of, catalogs_in, flipped, without_column
from support.runs_on_disk import WRITER, failed, line, lines_of, make_run
from support.store_fakes import StillClock
from support.traces import trace_line

from asyncgen.core.errors import DataError, InputError
from asyncgen.export.sheet import Catalogued
from asyncgen.runs.keep import keep
from asyncgen.runs.overview import overview
from asyncgen.runs.pieces import pieces_of
from asyncgen.runs.places import Place, Places, Seen
from asyncgen.runs.sheets import answer_of, sheet_of
from asyncgen.store.columns import LONG, MOST
from asyncgen.store.layout import catalog_path, sealed_path
from asyncgen.store.line import encode_line

BY_LINE = " -- final_response"
"""No catalog has it: a question that names it is answered from the lines."""


def ask(paths: Path | Sequence[Path], query: str) -> list[tuple[Any, ...]]:
    with answer_of([paths] if isinstance(paths, Path) else paths, query) as answer:
        return list(answer.rows)


def with_data(index: int, rollout: int = 0, **data: Any) -> bytes:
    return line(index, rollout, data=data)


def shards_of(run: Path, kind: str = "traces") -> list[Path]:
    return sorted((run / kind).glob("*.jsonl*"))


def pieces_in(run: Path, sql: str = "") -> list[bool]:
    """Whether each piece of the run's sheet is a catalog."""
    with sheet_of([run], sql=sql) as opened:
        return [isinstance(piece, Catalogued) for piece in opened.sheet.pieces]


QUERIES = [
    "SELECT id, sample_index, rollout, answer, config_id, dataset_path FROM traces",
    "SELECT id, score, total_turns, lat, note FROM traces WHERE score > 0.15 OR note IS NULL",
    "SELECT typeof(lat), typeof(note), typeof(flag), typeof(empty), lat, note, flag, empty FROM traces",
    "SELECT count(*), sum(total_turns), max(data.lat), min(meta.stop) FROM traces",
    "SELECT note, count(*) FROM traces GROUP BY note ORDER BY ALL",
    "SELECT sample_index FROM traces LIMIT 3 OFFSET 2",
    "SELECT id FROM traces WHERE sample_index IN (SELECT max(sample_index) FROM traces)",
    "SELECT id, reason, error, lat FROM failed",
    "SELECT reason, count(*) FROM failed JOIN traces USING (rollout) GROUP BY ALL ORDER BY ALL",
]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Shards that do not agree about types, an open one, doubles, failures that were mended."""
    data = {"lat": 1, "note": "n", "flag": True, "empty": None}
    run = make_run(
        tmp_path / "run",
        [with_data(1, **data), with_data(2, **data | {"note": None})],
        [with_data(2, lat=7), with_data(3, lat=0.5, note=3), with_data(4, lat=2, note=1e-5, flag=None)],
        [],
        [with_data(5, flag="yes"), with_data(6, lat=[1, 2]), with_data(6)],
        failures=[failed(4), failed(7), failed(8), failed(7, reason="bad_image")],
    )
    part = run / "traces" / f"traces-{WRITER}-00004.jsonl.part"
    part.write_bytes(with_data(9, lat=3.0) + with_data(1) + b'{"id":"torn')
    return run


@pytest.mark.parametrize("query", QUERIES)
def test_catalogs_give_what_the_lines_give(mixed: Path, query: str):
    wanted = ask(mixed, query + BY_LINE)
    assert wanted
    assert catalogs_in(mixed) == []
    assert ask(mixed, query) == wanted
    assert catalogs_in(mixed) != []
    assert ask(mixed, query) == wanted


@pytest.mark.parametrize(
    "asked", [{}, {"sort": "lat desc"}, {"where": "note IS NOT NULL", "limit": 2, "more": ["flag"]}]
)
def test_a_list_of_catalogs_is_that_of_the_lines(mixed: Path, asked: dict[str, Any]):
    rows = []
    for sql in ("final_response", "", ""):
        with sheet_of([mixed], sql=sql) as opened:
            found = overview(opened, **asked)
            rows.append((found.total, list(found.rows), sorted(found.columns)))
    assert rows[1:] == [rows[0]] * 2


def test_the_same_question_twice_reads_no_line(tmp_path: Path):
    run = make_run(tmp_path / "run", [line(1), line(2)], [line(3)])
    assert pieces_in(run) == [True, True]
    for shard in shards_of(run):
        stat = shard.stat()
        shard.write_bytes(b"x" * stat.st_size)
        os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ask(run, "SELECT id, score FROM traces WHERE sample_index <> 2") == [
        ("geo-tools/1/0", 0.9), ("geo-tools/3/0", 0.9),
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ["cut", "empty", "other bytes", "another shard's", "a flipped bit"])
def test_a_broken_catalog_is_made_again(tmp_path: Path, broken: str):
    run = make_run(tmp_path / "run", [line(1), line(2)], [line(3)])
    wanted = ask(run, "SELECT id, lat FROM traces")
    first, second = (catalog_path(shard) for shard in shards_of(run))
    whole = first.read_bytes()
    if broken == "a flipped bit":
        flipped(first, len(whole) // 3)
    else:
        texts = {"cut": whole[:-9], "empty": b"", "other bytes": b"PAR1" * 99, "another shard's": second.read_bytes()}
        first.write_bytes(texts[broken])
    assert ask(run, "SELECT id, lat FROM traces") == wanted
    assert first.read_bytes() == whole


def test_a_shard_that_changed_is_read_again(tmp_path: Path):
    run = make_run(tmp_path / "run", [line(1)])
    assert ask(run, "SELECT sample_index FROM traces") == [(1,)]
    shards_of(run)[0].write_bytes(line(2) + line(3))
    assert ask(run, "SELECT sample_index FROM traces") == [(2,), (3,)]
    shards_of(run)[0].write_bytes(line(2) + line(3)[:-1])
    with pytest.raises(DataError, match=r"00000\.jsonl:2: "):
        ask(run, "SELECT sample_index FROM traces")


def test_where_the_folder_takes_no_catalog_the_answer_is_the_same(mixed: Path):
    wanted = ask(mixed, QUERIES[2] + BY_LINE)
    for shard in shards_of(mixed):
        (catalog_path(shard) / "in the way").mkdir(parents=True)
    assert ask(mixed, QUERIES[2]) == wanted
    assert [path for path in (mixed / "traces").iterdir() if path.name.endswith(".tmp")] == []


def test_a_shard_of_thousands_of_names_is_read_line_by_line(tmp_path: Path):
    wide = with_data(2, **{f"name{number}": number for number in range(MOST + 1)})
    run = make_run(tmp_path / "run", [line(1)], [wide, line(1)])
    assert pieces_in(run) == [True, False]
    assert ask(run, f"SELECT sample_index, name{MOST} FROM traces") == [(1, None), (2, MOST)]


def test_long_texts_are_read_from_the_lines_of_the_shards_that_have_them(tmp_path: Path):
    page = "x" * (LONG + 1)
    run = make_run(tmp_path / "run", [with_data(1, page="short", n=1)], [with_data(2, page=page, n=2)])
    assert pieces_in(run) == [True, True]
    assert pieces_in(run, "length(page) > 1") == [True, False]
    assert ask(run, "SELECT length(page), n FROM traces") == [(5, 1), (LONG + 1, 2)]
    with pytest.raises(InputError, match="no column 'pag'"):
        ask(run, "SELECT pag FROM traces")


def test_a_number_among_texts_is_written_the_same_wherever_it_stands(tmp_path: Path):
    values = [1, 2.0, 0.00001, 1e300, -0.0, 123456789.125, True]
    shards = [[with_data(number, value=value)] for number, value in enumerate(values)]
    run = make_run(tmp_path / "run", *shards, [with_data(100, value="text")])
    wanted = ["1", "2", "1e-5", "1e300", "0", "123456789.125", "true", "text"]
    query = "SELECT value FROM traces"
    found = [value for (value,) in ask(run, query)]
    assert found == [value for (value,) in ask(run, query + BY_LINE)]
    assert [value.replace("e+", "e").replace("0.00001", "1e-5") for value in found] == wanted
    assert pieces_in(run) == [True, False, True, True]  # those of floats are one file of lines


def test_names_that_differ_in_case_alone_are_told_apart_over_shards(tmp_path: Path):
    run = make_run(tmp_path / "run", [with_data(1, Lat=1)], [with_data(2, lat="b", Lat="c")], [with_data(3, lat=2)])
    with pytest.raises(InputError, match="Lat and lat differ only in case"):
        ask(run, "SELECT lat FROM traces")
    found = {}
    for sql in ("final_response", ""):
        with sheet_of([run], sql=sql) as opened:
            columns = {one.name: one.stored for one in opened.sheet.parts["data"]}
            found[sql] = list(overview(opened, more=["data.Lat", "data.lat"]).rows)
            assert list(columns) == ["Lat", "lat"]
    assert found[""] == found["final_response"]


@pytest.mark.parametrize(
    "name", ["x\" FROM read_text('/etc/hostname') --", "a'b", "], [", "file_index", "__row", "é\0"]
)
def test_a_name_in_a_catalog_is_never_sql(tmp_path: Path, name: str):
    run = make_run(tmp_path / "run", [with_data(1, **{name: "there"})], [with_data(2)])
    assert pieces_in(run) == [True, True]
    with sheet_of([run]) as opened, sheet_of([run], sql="final_response") as by_line:
        tables = [one.arrow().to_pylist() for one in (opened, by_line)]
    assert [{key: row[key] for key in row if key != "final_response"} for row in tables[1]] == tables[0]


@pytest.mark.parametrize("folder", ["run[1]", "run*", "a 'b'", "model=7", "run?", "née"])
def test_a_run_may_lie_anywhere(tmp_path: Path, folder: str):
    make_run(tmp_path / "run1", [line(9)])
    run = make_run(tmp_path / folder, [line(1)], [line(2)])
    assert [ask(run, "SELECT sample_index FROM traces") for _ in range(2)] == [[(1,), (2,)]] * 2
    with sheet_of([run]) as opened:
        assert "model" not in opened.arrow().column_names


def test_a_run_with_a_name_that_is_no_text_is_read_line_by_line(tmp_path: Path):
    run = make_run(tmp_path / os.fsdecode(b"run\xff"), [line(1)], [line(2)])
    assert [ask(run, "SELECT sample_index FROM traces") for _ in range(2)] == [[(1,), (2,)]] * 2


def test_a_query_reads_the_catalogs_in_question_and_no_other_file(tmp_path: Path):
    run, other = (make_run(tmp_path / name, [line(1)]) for name in ("run", "other"))
    assert [ask(one, "SELECT count(*) FROM traces") for one in (run, other)] == [[(1,)]] * 2
    mine, others = (catalog_path(shards_of(one)[0]) for one in (run, other))
    assert ask(run, f"SELECT attempt, traces.id FROM read_parquet('{mine}') AS own, traces") != []
    for what in (f"read_parquet('{others}')", f"read_text('{shards_of(run)[0]}')", f"read_text('{run / 'run.json'}')"):
        with pytest.raises(InputError, match="disabled by configuration"):
            ask(run, f"SELECT 1 FROM {what}, (SELECT id FROM traces)")
    with pytest.raises(InputError, match="give one query that reads"):
        ask(run, f"COPY (SELECT 1) TO '{mine}'")


def test_of_two_paths_the_first_trace_of_an_id_counts(tmp_path: Path):
    first = make_run(tmp_path / "a", [line(1), line(2)], [line(3)])
    second = make_run(tmp_path / "b", [line(2, data={"lat": 9}), line(4)], [line(5)])
    for sql in ("final_response", "", ""):
        seen = Seen(by_job=False)
        with sheet_of([first, second], sql=sql, seen=seen) as opened:
            assert list(opened.kept("true").keys()) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]
            assert opened.arrow().column("lat").to_pylist() == [1, 1, 1, 1, 1]
            assert seen.doubles == 1
    with sheet_of([first, second]) as opened:
        assert opened.traces == 6


def test_partitions_are_one_run(tmp_path: Path):
    for number in range(2):
        part = tmp_path / "run" / f"part-{number:03d}-of-002"
        make_run(part, [line(1), line(number + 2)], failures=[failed(2), failed(9), failed(5 + number)])
    for sql in ("final_response", "", ""):
        with sheet_of([tmp_path / "run"], sql=sql) as opened:
            assert list(opened.kept("true").keys()) == [(1, 0), (2, 0), (3, 0)]
        with sheet_of([tmp_path / "run"], sql=sql, failed=True) as opened:
            assert list(opened.kept("true").keys()) == [(5, 0), (9, 0), (6, 0)]


def test_a_run_that_goes_on_may_seal_its_shard_meanwhile(tmp_path: Path):
    run = make_run(tmp_path / "run", [line(1)], stopped=False)
    part = run / "traces" / f"traces-{WRITER}-00001.jsonl.part"
    part.write_bytes(line(2) + line(3))
    pieces = pieces_of([run], "traces", tmp_path)
    assert [bool(piece.catalog) for piece in pieces] == [True, False]
    with part.open("ab") as file:
        file.write(line(4))
    assert [one.key for one in pieces[1].lines()] == [(2, 0), (3, 0)]  # what came later is for the next question
    part.rename(sealed_path(part))
    assert [one.key for one in pieces[1].lines()] == [(2, 0), (3, 0)]
    assert len(ask(run, "SELECT 1 FROM traces")) == 4


def test_a_flipped_byte_is_found_when_its_line_is_copied(tmp_path: Path):
    run = make_run(tmp_path / "run", [line(1), line(2), line(3)])
    assert ask(run, "SELECT count(*) FROM traces") == [(3,)]
    (shard,) = shards_of(run)
    stat = shard.stat()
    flipped(shard, len(line(1)) + 100)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    keep([run], "sample_index <> 2", tmp_path / "good", clock=StillClock())
    assert lines_of(tmp_path / "good") == [line(1), line(3)]
    with pytest.raises(DataError, match=r"00000\.jsonl:2: the checksum is wrong"):
        keep([run], "true", tmp_path / "bad", clock=StillClock())
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (0, 0), (0, 2**62), (2**62, 5), (1, 20)])
def test_a_place_where_no_line_is_gives_none(tmp_path: Path, offset: int, length: int):
    (shard,) = shards_of(make_run(tmp_path / "run", [encode_line(trace_line(1))]))
    with Places() as places, pytest.raises(DataError, match="is not of the lines of its shard; remove it"):
        places.line(Place(0, shard, offset, length))


def test_a_line_that_is_gone_with_its_shard_is_looked_for_again(tmp_path: Path):
    gone = tmp_path / f"traces-{WRITER}-00000.jsonl"
    with Places() as places, pytest.raises(DataError, match="run the command again"):
        places.line(Place(0, gone, 0, 20))


def test_a_catalog_without_the_columns_that_it_names_is_refused_in_words(tmp_path: Path):
    run = make_run(tmp_path / "run", [line(1), line(2)])
    (shard,) = shards_of(run)
    catalog_of(shard)
    without_column(shard, "reward.score")
    with sheet_of([run]) as opened, pytest.raises(DataError, match=r"remove \*\.catalog\.parquet in .*traces: they"):
        overview(opened, limit=1)
    with pytest.raises(DataError, match="a catalog is not what it says"):
        ask(run, "SELECT count(*) FROM traces")
    catalog_path(shard).unlink()
    assert ask(run, "SELECT count(*) FROM traces") == [(2,)]
