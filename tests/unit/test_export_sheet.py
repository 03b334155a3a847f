from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.traces import call, failed_line, trace_line, turn

from asyncgen.core.errors import DataError, InputError
from asyncgen.export.rows import write_rows
from asyncgen.export.sheet import SheetWriter, Spot
from asyncgen.export.sql import rows_in, rows_of, shut, view
from asyncgen.runs.overview import overview
from asyncgen.runs.places import Places
from asyncgen.runs.sheets import answer_of, sheet_of
from asyncgen.store.cells import cells_of, kind_of, text_of
from asyncgen.store.columns import LONG
from asyncgen.store.line import encode_line, parse_line

Line = dict[str, Any]


def save(directory: Path, traces: Iterable[Line], failed: Iterable[Line] = (), *, end: str = "") -> Path:
    """A run directory."""
    for kind, lines in (("traces", traces), ("failed", failed)):
        (directory / kind).mkdir(parents=True, exist_ok=True)
        shard = directory / kind / f"{kind}-20250101T000000-ab12-00000.jsonl{end}"
        shard.write_bytes(b"".join(map(encode_line, lines)))
    (directory / "run.json").write_text('{"name": "geo-tools", "columns": ["lat", "lon"]}')
    return directory


def ask(directory: Path, query: str) -> list[tuple[Any, ...]]:
    with answer_of([directory], query) as answer:
        return list(answer.rows)


@contextmanager
def table(folder: Path, traces: Iterable[Line], batch: int = 100) -> Iterator[Any]:
    """A function that asks about `traces`."""
    folder.mkdir(exist_ok=True)
    writer = SheetWriter(folder, batch=batch)
    for one in traces:
        writer.add(Spot(), (one["sample_index"], one["rollout"]), one)
    with shut(folder) as connection:
        connection.execute(f"CREATE VIEW traces AS {view(writer.finish())}")
        yield lambda query: list(rows_of(connection, query)[1])


def test_the_bare_columns_are_the_scalars_of_scores_metadata_and_row(tmp_path: Path):
    with table(tmp_path, [trace_line(data={"country": "x", "boxes": [1, {"a": None}], "day": None})]) as asked:
        names = [name for name, *_ in asked("DESCRIBE traces")]
        assert names[:4] == ["id", "sample_index", "rollout", "answer"]
        assert {"score", "acc@1km", "total_turns", "stop", "country", "boxes", "day", "reward", "meta"} < set(names)
        assert asked("SELECT boxes, day, data.boxes FROM traces") == [('[1,{"a":null}]', None, '[1,{"a":null}]')]
        assert asked("SELECT total_turns * 1e18::hugeint * 100 > 0, meta.stop FROM traces") == [(True, "answered")]


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1, 2, None], "HUGEINT", [1, 2, None]),
        ([1, 2.5], "DOUBLE", [1.0, 2.5]),
        ([1, 2**64], "DOUBLE", [1.0, 2.0**64]),
        ([1, "a"], "VARCHAR", ["1", "a"]),
        ([3, 2.5, "a"], "VARCHAR", ["3", "2.5", "a"]),
        ([True, None], "BOOLEAN", [True, None]),
        ([True, 1], "VARCHAR", ["true", "1"]),
        ([None, None], '"NULL"', [None, None]),
        ([[1], {"a": 1}, "x"], "VARCHAR", ["[1]", '{"a":1}', "x"]),
        ([1.0, 10**400], "DOUBLE", [1.0, None]),
    ],
)
def test_a_column_has_one_type_however_its_values_fall_into_batches(
    tmp_path: Path, values: list[Any], kind: str, found: list[Any]
):
    traces = [trace_line(row, data={"value": value}) for row, value in enumerate(values)]
    for batch in (1, 2, 100):
        with table(tmp_path / str(batch), traces, batch) as asked:
            rows = asked("SELECT value, typeof(value) FROM traces ORDER BY sample_index")
        assert rows == [(value, kind) for value in found]


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(scalars, min_size=1, max_size=8), cut=st.integers(0, 8))
@example(values=[2**53, 0.0], cut=2)
def test_a_value_has_the_same_text_in_whatever_column_it_stood_before(values: list[Any], cut: int):
    before = kind_of(values[:cut])
    narrowed = [float(one) if before == "DOUBLE" and one is not None else one for one in values[:cut]]
    assert [text_of(one) for one in narrowed if one is not None] == [
        text_of(one) for one in values[:cut] if one is not None
    ]


@pytest.mark.parametrize("name", ["a b", 'a"b', "select", "__row", "data", "née", "x;y", "a'b", "id"])
def test_any_name_may_be_a_column(tmp_path: Path, name: str):
    quoted = '"' + name.replace('"', '""') + '"'
    with table(tmp_path, [trace_line(data={name: "there"})]) as asked:
        assert asked(f"SELECT data.{quoted} FROM traces") == [("there",)]


def test_long_texts_are_there_where_the_query_may_mean_them(tmp_path: Path):
    run = save(tmp_path / "run", [trace_line(data={"page": "x" * (LONG + 1), "note": "y"})])
    assert ask(run, "SELECT length(page), note FROM traces") == [(LONG + 1, "y")]
    with answer_of([run], "SELECT * FROM traces") as answer:
        assert {"page", "note", "final_response"} < set(answer.columns)
    with sheet_of([run]) as sheet:
        assert sheet.arrow().column_names[-3:] == ["note", "config_id", "dataset_path"]
    with sheet_of([run], sql="*") as sheet:
        assert {"page", "final_response"} < set(sheet.arrow().column_names)


def test_turns_and_calls_are_tables_of_their_own(tmp_path: Path):
    turns = [turn(1, "look", tokens=(10, 1)), turn(2, "done", reasoning="hm", tokens=(30, 2), attempts=3)]
    calls = [call(1, "zoom", '{"a": 1}'), call(1, "zoom", "{", error="no JSON")]
    run = save(tmp_path / "run", [trace_line(3, 1, turns=turns, calls=calls), trace_line(4)])
    assert ask(run, "SELECT sample_index, rollout, turn, prompt_tokens, attempts, reasoning FROM turns") == [
        (3, 1, 1, 10, 1, ""), (3, 1, 2, 30, 3, "hm"), (4, 0, 1, 100, 1, ""),
    ]  # fmt: skip
    assert ask(run, "SELECT id, name, arguments, success, error FROM calls ORDER BY success") == [
        ("geo-tools/3/1", "zoom", "{", False, "no JSON"),
        ("geo-tools/3/1", "zoom", '{"a": 1}', True, ""),
    ]
    joined = "SELECT stop, count(*) FROM traces JOIN turns USING (sample_index, rollout) GROUP BY stop"
    assert ask(run, joined) == [("answered", 3)]


def test_failures_have_a_reason_and_count_once_they_have_no_trace(tmp_path: Path):
    failed = [failed_line(7), failed_line(8, reason="timeout"), failed_line(1)]
    run = save(tmp_path / "run", [trace_line(1)], failed)
    assert ask(run, "SELECT reason, sample_index FROM failed ORDER BY 2") == [("bad_image", 7), ("timeout", 8)]
    with sheet_of([run], failed=True) as sheet:
        assert list(sheet.kept("reason = 'timeout'").keys()) == [(8, 0)]


@pytest.mark.parametrize("end", ["", ".part"])
def test_the_places_of_the_kept_give_their_lines_again(tmp_path: Path, end: str):
    traces = [trace_line(row, scores={"score": row / 10}) for row in range(10)]
    runs = [save(tmp_path / name, traces, end=end) for name in ("a", "b")]
    with sheet_of(runs, sql="score >= 0.8") as sheet:
        verdict = sheet.kept("score >= 0.8")
        places = list(verdict.places())
        assert (sheet.traces, verdict.total, verdict.kept_count) == (20, 20, 4)
        assert list(verdict.keys()) == [(8, 0), (9, 0)] * 2
        assert [place.source for place in places] == [0, 0, 1, 1]
        with Places() as read:
            assert [parse_line(read.line(place))["sample_index"] for place in places] == [8, 9, 8, 9]
        assert [one["sample_index"] for one in verdict.traces()] == [8, 9, 8, 9]
        assert sheet.arrow("score >= 0.8").column("sample_index").to_pylist() == [8, 9, 8, 9]


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'x.csv'", "ATTACH 'x.db'", "INSTALL httpfs", "LOAD httpfs", "SET threads = 1",
        "PRAGMA version", "CREATE TABLE x (a INT)", "INSERT INTO traces VALUES (1)", "SELECT 1; SELECT 2", "", "-- x",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'", "EXPLAIN CREATE TABLE x (a INT)", "/**/ EXPLAIN SELECT 1",
        "CALL pragma_version()", "DROP VIEW traces", "EXPORT DATABASE 'x'", "RESET threads", "VACUUM",
    ],
)  # fmt: skip
def test_what_does_not_only_read_is_refused(tmp_path: Path, query: str):
    run = save(tmp_path / "run", [trace_line()])
    with pytest.raises(InputError, match="give one query that reads") as caught, answer_of([run], query):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{file}')", "SELECT * FROM '{file}'", "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM glob('{folder}/*')", "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT getenv('HOME')", "SELECT * FROM read_csv('http://127.0.0.1:9/x')", "SELECT * FROM tmp_path",
        "SELECT * FROM sniff_csv('{file}')", "SELECT * FROM parquet_metadata('{file}')",
    ],
)  # fmt: skip
def test_a_query_reaches_no_file_no_network_no_variable(tmp_path: Path, query: str):
    run = save(tmp_path / "run", [trace_line()])
    (tmp_path / "secret.csv").write_text("secret\n")
    asked = query.format(file=tmp_path / "secret.csv", folder=tmp_path)
    with pytest.raises(InputError, match=r"^sql "), answer_of([run], asked) as answer:
        list(answer.rows)


@pytest.mark.parametrize(
    "query",
    [
        "FROM traces", "WITH a AS (SELECT 1) FROM a", "DESCRIBE traces", "SUMMARIZE traces", "EXPLAIN FROM traces",
        "explain analyze select count(*) from traces", "SHOW TABLES", "(SELECT 1)", "VALUES (1)", "SELECT 1;",
    ],
)  # fmt: skip
def test_what_reads_is_answered(tmp_path: Path, query: str):
    assert ask(save(tmp_path / "run", [trace_line()]), query)


def test_a_wrong_name_in_a_query_is_answered_with_the_nearest(tmp_path: Path):
    run = save(tmp_path / "run", [trace_line(calls=[call(1, "zoom", "{}")])])
    for query, text in (
        ("SELECT scor FROM traces", "no column 'scor': did you mean 'score'?"),
        ("SELECT reward.scor FROM traces", "no column 'scor' there: did you mean 'score'?"),
        ("SELECT argument FROM calls", "no column 'argument': did you mean 'arguments'?"),
        ("SELECT 1 FROM trace", "no table 'trace': did you mean 'traces'?"),
        ("SELECT answer::int FROM traces", "Conversion Error"),
    ):
        with pytest.raises(InputError) as caught, answer_of([run], query) as answer:
            list(answer.rows)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)


def test_names_that_differ_in_case_alone_are_refused_where_a_query_has_one(tmp_path: Path):
    run = save(tmp_path / "run", [trace_line(data={"Lat": 1, "lat": 2})])
    with pytest.raises(InputError, match="Lat and lat differ only in case"), answer_of([run], "SELECT lat FROM traces"):
        pass
    assert ask(run, "SELECT score FROM traces") == [(0.9,)]


def test_a_run_without_traces_has_the_fixed_columns(tmp_path: Path):
    run = save(tmp_path / "run", [])
    assert ask(run, "SELECT count(*) FROM traces") == [(0,)]
    with answer_of([run], "SELECT country, score FROM traces WHERE parse_success") as answer:
        assert list(answer.columns)[:4] == ["id", "sample_index", "rollout", "answer"]
        assert list(answer.rows) == []
        assert answer.note
    with answer_of([run], "SELECT name, count(*) FROM calls GROUP BY name") as answer:
        assert (list(answer.columns), list(answer.rows)) == (["name", "count_star()"], [])
    with sheet_of([run]) as sheet:
        assert (sheet.traces, sheet.kept("xyz = 1").kept_count, sheet.arrow().num_rows) == (0, 0, 0)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    run = save(tmp_path / "run", [trace_line()])
    assert ask(run, "SELECT count(*) FROM traces") == [(1,)]

    def interrupted() -> None:
        with sheet_of([run]) as sheet:
            assert sheet.kept("score > 0").kept_count == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (shard,) = (run / "traces").glob("*.jsonl")
    shard.write_bytes(b"{}\n" + shard.read_bytes())
    with pytest.raises(DataError), sheet_of([run]):
        pass
    assert list((tmp_path / "temporary").iterdir()) == []


def test_columns_of_one_name_are_told_apart(tmp_path: Path):
    run = save(tmp_path / "run", [trace_line()])
    with answer_of([run], "SELECT 1 AS a, 2 AS a, 3 AS a_1 FROM traces") as answer:
        assert list(answer.columns) == ["a", "a_1", "a_1_1"]


@pytest.mark.parametrize(
    ("kind", "values", "column"),
    [
        ("BOOLEAN", [True, None, False] * 3, [True, None, False] * 3),
        ("BIGINT", [1, None, -(2**63), 2**63, 2.0, 2.5, True], [1, None, -(2**63), None, 2, None, None]),
        ("DOUBLE", [1, 0.5, float("nan"), None, 10**400, 2**53 + 1], [1.0, 0.5, None, None, None, 2.0**53]),
        ("VARCHAR", ["", "é\0", None, "a"], ["", "é\0", None, "a"]),
        ("VARCHAR", ["a", 1.0, [1], {"b": None}], ["a", "1", "[1]", '{"b":null}']),
        ("VARCHAR", [], []),
    ],
)
def test_values_are_the_cells_of_a_column(tmp_path: Path, kind: str, values: list[Any], column: list[Any]):
    longest = write_rows({"n": range(len(values)), "a": cells_of(values, kind)}, tmp_path / "rows.jsonl")
    assert longest == max(map(len, (tmp_path / "rows.jsonl").read_bytes().splitlines(keepends=True)), default=0)
    with shut(tmp_path) as connection:
        rows = rows_in(tmp_path, ["rows.jsonl"], {"n": "BIGINT", "a": kind}, longest)
        found = connection.execute(f"SELECT a FROM {rows} ORDER BY n").fetchall()
    assert [value for (value,) in found] == column


def test_a_line_may_be_as_long_as_it_likes(tmp_path: Path):
    text = "x" * (40 << 20)
    run = save(tmp_path / "run", [trace_line(0, data={"text": text}), trace_line(1, data={"text": "y"})])
    assert ask(run, "SELECT length(text) FROM traces ORDER BY 1") == [(1,), (len(text),)]


def test_a_question_about_traces_imports_no_pandas_numpy_or_pyarrow(tmp_path: Path):
    save(tmp_path / "run", [trace_line(0, data={"a": 1, "b": None}), trace_line(1, data={"a": "x", "b": 0.5})])
    code = (
        "import sys; from pathlib import Path; from asyncgen.runs.sheets import answer_of\n"
        "with answer_of([Path(sys.argv[1])], 'SELECT a, b FROM traces') as answer: print(list(answer.rows))\n"
        "print({'pandas', 'numpy', 'pyarrow'} & sys.modules.keys())"
    )
    assert ask(tmp_path / "run", "SELECT count(*) FROM traces") == [(2,)]  # which makes the catalog
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[('1', None), ('x', 0.5)]", "set()"]


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_name_in_sql_is_left_out_of_it(tmp_path: Path, name: str):
    directory = save(tmp_path, [trace_line(data={name: 1, "a": 2}, scores={name: 1.0, "score": 0.5})])
    assert ask(directory, "SELECT a, data.a, score, reward.score FROM traces") == [(2, 2, 0.5, 0.5)]
    with sheet_of([directory]) as opened:
        assert opened.kept("a = 2").kept_count == 1


@pytest.mark.parametrize("query", ["SELECT 1", "SELECT count(*) FROM traces"])
def test_a_directory_that_is_not_there_is_refused_whatever_is_asked(tmp_path: Path, query: str):
    with pytest.raises(InputError, match="gone does not exist"):
        ask(tmp_path / "gone", query)
    with pytest.raises(InputError, match="is not a run directory"):
        ask(tmp_path, query)


def test_a_limit_may_be_any_number(tmp_path: Path):
    with sheet_of([save(tmp_path, map(trace_line, range(3)))]) as opened:
        assert [len(list(overview(opened, limit=limit).rows)) for limit in (0, 2, 3, 10**20)] == [3, 2, 3, 3]
