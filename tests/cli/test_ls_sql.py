"""`ls` and `sql` on run directories in every state, and on folders of trace_*.json."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, environment
from support.traces import call, failed_line, geo_scores, trace_line, turn

from asyncgen.store.line import encode_line

Run = Callable[..., Outcome]
SHARD = "20250101T000000-ab12-00000.jsonl"


def save(directory: Path, traces: Iterable[Any], failed: Iterable[Any] = (), end: str = "") -> Path:
    """A run directory of the job geo-tools."""
    for kind, lines in (("traces", traces), ("failed", failed)):
        (directory / kind).mkdir(parents=True)
        (directory / kind / f"{kind}-{SHARD}{end}").write_bytes(b"".join(map(encode_line, lines)))
    (directory / "run.json").write_text('{"name": "geo-tools", "columns": ["lat", "lon"]}')
    return directory


def scored(row: int, score: float, *, country: str = "land", calls: int = 0, rollout: int = 0) -> dict[str, Any]:
    scores = geo_scores() | {"score": score, "distance@km": 1000 * (1 - score)}
    data = {"lat": row + 0.5, "lon": -1.0, "country": country}
    made = [call(1, "zoom", "{}", error="" if row else "bad box")] * calls
    return trace_line(row, rollout, scores=scores, data=data, calls=made, turns=[turn(1, "x"), turn(2, "y")])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Six traces, two failures."""
    traces = [scored(row, (row * 5 % 6) / 10, country=f"land {row % 2}", calls=row % 3) for row in range(6)]
    failures = [failed_line(7), failed_line(8, reason="timeout", error="too\nslow \x1b[2J")]
    return save(tmp_path / "geo", traces, failures)


def table(text: str) -> list[list[str]]:
    """Header and rows, cut where two blanks are."""
    return [[cell.strip() for cell in line.split("  ") if cell] for line in text.splitlines()]


def test_ls_shows_answer_beside_truth_score_distance_turns_tokens_calls_stop(run: Run, runs: Path):
    outcome = run("ls", runs)
    assert outcome.code == 0, outcome.err
    rows = table(outcome.out)
    assert rows[0] == ["id", "answer", "truth", "score", "km", "turns", "tokens", "calls", "stop"]
    assert rows[2] == ["geo-tools/1/0", "1.5, 2.5", "1.5, -1", "0.5000", "500.0", "2", "240", "1", "answered"]
    assert [row[0] for row in rows[1:]] == [f"geo-tools/{row}/0" for row in range(6)]


@pytest.mark.parametrize(
    ("sort", "rows"),
    [
        ("score", [0, 5, 4, 3, 2, 1]),
        ("-score", [1, 2, 3, 4, 5, 0]),
        ("score DESC", [1, 2, 3, 4, 5, 0]),
        ("distance@km", [1, 2, 3, 4, 5, 0]),
        ('"distance@km" desc', [0, 5, 4, 3, 2, 1]),
        ("-reward.distance@km", [0, 5, 4, 3, 2, 1]),
        ("km", [1, 2, 3, 4, 5, 0]),
        ("-Country", [1, 3, 5, 0, 2, 4]),
        ("tokens", [0, 1, 2, 3, 4, 5]),
        ("-calls", [2, 5, 1, 4, 0, 3]),
        ("data.lat desc", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_ls_sorts_by_any_column_and_keeps_the_order_of_equals(run: Run, runs: Path, sort: str, rows: list[int]):
    outcome = run("ls", runs, "--sort", sort, "--json")
    assert outcome.code == 0, outcome.err
    assert [one["sample_index"] for one in json.loads(outcome.out)] == rows


def test_a_column_without_a_value_sorts_nothing(run: Run, tmp_path: Path):
    traces = [trace_line(row, data={"day": None}, scores={"score": None}) for row in range(3)]
    for trace in traces:
        trace["metadata"] |= {"prompt_tokens": None, "distance_km": None}
    directory = save(tmp_path / "run", traces)
    for sort in ("day", "-data.day", "score", "tokens", "km"):
        outcome = run("ls", directory, "--sort", sort, "--json")
        assert outcome.code == 0, outcome.err
        assert [one["sample_index"] for one in json.loads(outcome.out)] == [0, 1, 2]


def test_ls_says_how_many_more_there_are(run: Run, runs: Path):
    assert run("ls", runs, "--limit", 2).out.splitlines()[-1] == "… 4 more: --limit 0 shows all"
    kept = run("ls", runs, "--limit", 1, "--where", "score >= 0.2 and country = 'land 0'").out.splitlines()
    assert [kept[1].split()[0], kept[-1]] == ["geo-tools/2/0", "… 1 more: --limit 0 shows all"]
    assert len(run("ls", runs, "--limit", 0).out.splitlines()) == 7


def test_ls_gives_full_values_as_json(run: Run, runs: Path):
    (found,) = json.loads(run("ls", runs, "--json", "--where", "sample_index = 1").out)
    assert found == {
        "id": "geo-tools/1/0", "sample_index": 1, "rollout": 0, "answer": "1.5, 2.5",
        "truth": {"lat": 1.5, "lon": -1.0}, "score": 0.5, "distance_km": 500.0, "turns": 2, "prompt_tokens": 200,
        "completion_tokens": 40, "tool_calls": 1, "stop": "answered", "accepted": True,
    }  # fmt: skip


def test_ls_tells_the_accepted_where_some_are_not(run: Run, tmp_path: Path):
    traces = [scored(0, 0.5), scored(1, 0.6)]
    traces[1]["metadata"]["accepted"] = False
    found = [line.split() for line in run("ls", save(tmp_path / "run", traces)).out.splitlines()]
    assert [line[-1] for line in found] == ["accepted", "true", "false"]


def test_ls_failed_lists_reasons(run: Run, runs: Path):
    outcome = run("ls", runs, "--failed")
    rows = table(outcome.out)
    assert rows[0] == ["id", "reason", "error", "turns", "attempts"]
    assert rows[2][:3] == ["geo-tools/8/0", "timeout", "too slow"]
    found = json.loads(run("ls", runs, "--failed", "--where", "reason = 'timeout'", "--json").out)
    assert [(one["sample_index"], one["error"]) for one in found] == [(8, "too\nslow \x1b[2J")]


def test_sql_answers_as_a_table_json_or_csv(run: Run, runs: Path):
    query = "select country, count(*) n, round(avg(score), 3) mean from traces group by all order by 1"
    assert run("sql", runs, query).out.splitlines() == ["country  n  mean", "land 0   3   0.2", "land 1   3   0.3"]
    assert json.loads(run("sql", runs, query, "--json").out) == [
        {"country": "land 0", "n": 3, "mean": 0.2}, {"country": "land 1", "n": 3, "mean": 0.3},
    ]  # fmt: skip
    found = list(csv.reader(io.StringIO(run("sql", runs, query, "--csv").out)))
    assert found == [["country", "n", "mean"], ["land 0", "3", "0.2"], ["land 1", "3", "0.3"]]


def test_sql_has_turns_calls_and_failures(run: Run, runs: Path):
    query = """
        select (select count(*) from turns) t, (select count(*) from calls where success) ok,
               (select string_agg(reason, ',' order by sample_index) from failed) f
    """
    assert json.loads(run("sql", runs, query, "--json").out) == [{"t": 12, "ok": 6, "f": "bad_image,timeout"}]


def test_sql_explains_in_as_many_lines_as_it_takes(run: Run, runs: Path):
    assert len(run("sql", runs, "explain select count(*) from traces").out.splitlines()) > 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("ls", "geo", "--where", "scor > 1"), "no column 'scor': did you mean 'score'?"),
        (("ls", "geo", "--where", "score >"), "the condition ends too early"),
        (("ls", "geo", "--where", "distance@km < 5"), 'write "distance@km" in double quotes'),
        (("ls", "geo", "--sort", "scor"), "--sort 'scor': no column 'scor': did you mean 'score'?"),
        (("ls", "geo", "--limit", "-1"), "--limit -1"),
        (("ls", "nothing"), "nothing does not exist"),
        (("sql", "geo", "select scor from traces"), "no column 'scor': did you mean 'score'?"),
        (("sql", "geo", "select 1 from trace"), "no table 'trace': did you mean 'traces'?"),
        (("sql", "geo", "selec 1"), "syntax error"),
        (("sql", "geo", "copy traces to 'x.csv'"), "give one query that reads"),
        (("sql", "geo", "from read_text('/etc/passwd')"), "Permission Error"),
        (("sql", "nothing", "select 1 from traces"), "nothing does not exist"),
        (("sql", "geo", "select 1", "--json", "--csv"), "give one of them"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(run: Run, runs: Path, words: tuple[str, ...], text: str):
    outcome = run(*[runs if word == "geo" else word for word in words])
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1
    assert text in outcome.err


def test_a_run_without_traces_is_an_empty_table(run: Run, tmp_path: Path):
    empty = save(tmp_path / "empty", [])
    for words, out in (
        (("ls", empty), "id  answer  score  turns  tokens  calls  stop\n"),
        (("ls", empty, "--where", "country = 'x'", "--sort", "lat", "--json"), "[]\n"),
        (("ls", empty, "--failed"), "id  reason  error  turns  attempts\n"),
        (("sql", empty, "select count(*) as n from traces"), "n\n0\n"),
        (("sql", empty, "select avg(score) from traces where country = 'x'", "--json"), "[]\n"),
        (("sql", empty, "select name from calls"), "name\n"),
    ):
        outcome = run(*words)
        assert (outcome.code, outcome.out) == (0, out), outcome.err


def test_a_run_that_goes_on_is_listed_as_far_as_it_is_written(run: Run, tmp_path: Path):
    going = save(tmp_path / "going", [scored(0, 0.5), scored(1, 0.6)], end=".part")
    shard = next((going / "traces").iterdir())
    shard.write_bytes(shard.read_bytes()[:-20])
    assert [one["sample_index"] for one in json.loads(run("ls", going, "--json").out)] == [0]


def test_a_broken_shard_is_named_and_exit_3(run: Run, runs: Path):
    shard = next((runs / "traces").iterdir())
    shard.write_bytes(shard.read_bytes().replace(b"land 0", b"lamp 0", 1))
    for words in (("ls", runs), ("sql", runs, "select 1 from traces")):
        outcome = run(*words)
        assert (outcome.code, outcome.out) == (3, "")
        assert "the checksum is wrong" in outcome.complaints[0]


def test_a_folder_of_files_is_read_as_a_run_is(run: Run, runs: Path):
    assert run("export", runs, "--to", "trace-json", "-o", "files").code == 0
    rows = table(run("ls", "files", "--where", 'score > 0.3 and "distance@km" < 1000', "--sort", "-score").out)
    assert [row[0] for row in rows[1:]] == ["trace/1/0", "trace/2/0"]
    assert rows[1][1:4] == ["1.5, -1", "0.5000", "500.0"]
    assert run("sql", "files", "select count(*) n from turns").out.split() == ["n", "12"]
    assert run("ls", "files", "--failed").code == 0


def test_ls_shows_other_columns_that_are_asked_for(run: Run, runs: Path):
    rows = table(run("ls", runs, "--columns", "country, data.lat,meta.seconds", "--limit", 2).out)
    assert rows[0][-3:] == ["country", "data.lat", "meta.seconds"]
    assert [row[-3:-1] for row in rows[1:3]] == [["land 0", "0.5"], ["land 1", "1.5"]]
    listed = json.loads(run("ls", runs, "--columns", "country", "--json").out)
    assert [one["country"] for one in listed][:2] == ["land 0", "land 1"]
    wrong = run("ls", runs, "--columns", "contry")
    assert (wrong.code, wrong.complaints) == (2, ["asyncgen: --columns: no column 'contry': did you mean 'country'?"])


def test_export_keeps_what_a_condition_keeps(run: Run, runs: Path, tmp_path: Path):
    outcome = run("export", runs, "--to", "jsonl", "-o", "kept.jsonl", "--where", "country = 'land 1' and score < 0.4")
    assert outcome.code == 0, outcome.err
    found = [json.loads(line)["sample_index"] for line in (tmp_path / "kept.jsonl").read_bytes().splitlines()]
    assert found == [3, 5]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_query_at_once_and_leaves_nothing_behind(
    runs: Path, tmp_path: Path, number: signal.Signals, code: int
):
    (tmp_path / "temporary").mkdir()
    query = "select count(*) from traces, range(100000000000) where range % 7 = 3"
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever the tests' shell did
        "from asyncgen.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sql", str(runs), query], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(TMPDIR=str(tmp_path / "temporary")),
    )  # fmt: skip
    try:
        end = time.monotonic() + 30
        while not list((tmp_path / "temporary").glob("asyncgen-*")) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (code, "", "")
    assert list((tmp_path / "temporary").iterdir()) == []
