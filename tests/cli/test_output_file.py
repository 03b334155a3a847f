"""`store.output_file`: one file of the accepted traces beside the run, when a start ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.cli_jobs import Outcome, asyncgen, ended, ids, start, traces, wait_until, wanted_ids
from support.disks import small_disk
from support.server import Reply, ThreadedServer, hang, text, tool_calls

Run = Callable[..., Outcome]

ROWS = 6
JOB = """
from dataclasses import dataclass
from typing import ClassVar

from asyncgen import Context, Task, tool


@tool
async def search(context: Context, query_list: list[str]) -> str:
    \"\"\"Search.\"\"\"
    return "\\n\\n".join(f"Query: {query}\\n[1] {query}: found" for query in query_list)


@dataclass(frozen=True)
class Ask(Task):
    system: str = "Find out."
    user: str = "Question: {question}"
    tools: ClassVar = (search,)

    def answer(self, text: str) -> str:
        return text.partition("<answer>")[2].partition("</answer>")[0]
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "ask.py").write_text(JOB)
    (tmp_path / "ask.yaml").write_text("name: ask\ntask: ask.py:Ask\n")
    rows = [{"question": f"„東京“ {row}?", "extra_info": {"index": row, "answer": "x"}} for row in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "ask.yaml"


def command(job: Path, server: ThreadedServer, file: object, *flags: object) -> list[object]:
    given = ["run", job, "--dataset-path", job.parent / "rows.jsonl", "--base-url", server.base_url]
    return [*given, "--concurrency", 2, "--store.output-file", file, *flags]


def row_of(body: dict[str, Any]) -> int:
    return int(body["messages"][1]["content"].rpartition(" ")[2].rstrip("?"))


def searching(body: dict[str, Any], number: int = 0) -> Reply:
    """A search, then the answer."""
    if body["messages"][-1]["role"] == "user":
        return tool_calls(("search", {"query_list": [f"東京 {row_of(body)}", "b"]}), content="Let me search.")
    return text(f"<answer>{row_of(body)}</answer>")


def first_three(body: dict[str, Any], number: int) -> Reply:
    return searching(body) if row_of(body) < 3 else hang()


def expected(row: int) -> dict[str, Any]:
    arguments = json.dumps({"query_list": [f"東京 {row}", "b"]})
    call = {"type": "function", "function": {"name": "search", "arguments": arguments}}
    return {
        "messages": [
            {"role": "system", "content": "Find out.", "tool_calls": None},
            {"role": "user", "content": f"Question: „東京“ {row}?", "tool_calls": None},
            {"role": "assistant", "content": "Let me search.", "tool_calls": [call]},
            {
                "role": "tool",
                "content": f"Query: 東京 {row}\n[1] 東京 {row}: found\n\nQuery: b\n[1] b: found",
                "tool_calls": None,
            },
            {"role": "assistant", "content": f"<answer>{row}</answer>", "tool_calls": None},
        ],
        "question": f"„東京“ {row}?",
        "extra_info": {"index": row, "answer": "x"},
        "assistant_turns": 2,
    }


def rows(path: Path) -> list[dict[str, Any]]:
    """By their number, without the tools."""
    found = pq.read_table(path).to_pylist()
    assert all([tool["function"]["name"] for tool in row["tools"]] == ["search"] for row in found)
    bare = [{key: value for key, value in row.items() if key != "tools"} for row in found]
    return sorted(bare, key=lambda row: int(row["extra_info"]["index"]))


def test_a_whole_run_writes_the_file_and_lies_beside_it(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "out" / "train.parquet"
    with ThreadedServer(searching) as server:
        done = run(*command(job, server, file))
        first = file.stat()
        again = run(*command(job, server, file))
        same = file.stat()
        file.unlink()
        restored = run(*command(job, server, file))
        assert len(server.requests) == 2 * ROWS
    assert done.code == again.code == restored.code == 0, done.err
    assert ids(tmp_path / "out" / "train.run") == wanted_ids("ask", range(ROWS))
    assert rows(file) == [expected(row) for row in range(ROWS)]
    assert f"writing {file}\n{ROWS} traces in {file}\n" in done.err
    assert "writing" not in again.err
    assert (first.st_ino, first.st_mtime_ns) == (same.st_ino, same.st_mtime_ns)
    assert f"{ROWS} traces in {file}" in restored.err
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_is_older_than_the_newest_shard_is_written_anew(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    with ThreadedServer(searching) as server:
        assert run(*command(job, server, file)).code == 0
        file.write_bytes(b"old")
        os.utime(file, (1, 1))
        assert run(*command(job, server, file)).code == 0
    assert len(rows(file)) == ROWS


def test_export_of_the_run_gives_the_same_rows(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    with ThreadedServer(searching) as server:
        assert run(*command(job, server, file)).code == 0
    done = run("export", tmp_path / "train.run", "--to", "verl-sft", "-o", tmp_path / "folder")
    assert done.out == f"{ROWS} traces in 1 file: {tmp_path / 'folder' / 'train.parquet'}\n"
    assert pq.read_table(tmp_path / "folder" / "train.parquet").equals(pq.read_table(file))
    some = run(
        "export",
        tmp_path / "train.run",
        "--to",
        "verl-sft",
        "-o",
        tmp_path / "some.parquet",
        "--where",
        "sample_index < 2",
    )
    assert some.code == 0, some.err
    assert rows(tmp_path / "some.parquet") == [expected(0), expected(1)]


def test_calls_written_in_text_give_the_same_messages_as_native_ones(run: Run, job: Path, tmp_path: Path):
    def in_text(body: dict[str, Any], number: int) -> Reply:
        if len(body["messages"]) > 2:
            return text(f"<answer>{row_of(body)}</answer>")
        arguments = json.dumps({"query_list": [f"東京 {row_of(body)}", "b"]})
        return text(f'Let me search.\n<tool_call>\n{{"name": "search", "arguments": {arguments}}}\n</tool_call>')

    with ThreadedServer(in_text) as server:
        done = run(*command(job, server, tmp_path / "train.parquet", "--task.tool-calls", "text"))
        assert "<tools>" in server.requests[0].body["messages"][0]["content"]
        assert "<tool_response>" in server.requests[-1].body["messages"][-1]["content"]
    assert done.code == 0, done.err
    assert rows(tmp_path / "train.parquet") == [expected(row) for row in range(ROWS)]


def test_a_drain_writes_what_there_is_and_the_next_start_completes_it(job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    with ThreadedServer(first_three) as server:
        process = start(*command(job, server, file, "--schedule.grace", 0.3))
        try:
            wait_until(lambda: sum(row_of(one.body) >= 3 for one in list(server.requests)) == 2)
            process.send_signal(signal.SIGTERM)
        finally:
            stopped = ended(process)
    partial = rows(file)
    with ThreadedServer(searching, port=server.port) as server:
        done = asyncgen(*command(job, server, file, "--schedule.grace", 0.3))
    assert (stopped.code, done.code) == (143, 0), stopped.err + done.err
    assert partial == [expected(row) for row in range(3)]
    assert f"3 traces in {file}" in stopped.err
    assert rows(file) == [expected(row) for row in range(ROWS)]


def test_the_second_signal_wants_the_end_and_no_file(job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    with ThreadedServer(first_three) as server:
        process = start(*command(job, server, file, "--schedule.grace", 600))
        try:
            wait_until(lambda: sum(row_of(one.body) >= 3 for one in list(server.requests)) == 2)
            process.send_signal(signal.SIGINT)
            wait_until(lambda: b'"drain"' in (tmp_path / "train.run" / "events.jsonl").read_bytes())
            process.send_signal(signal.SIGINT)
        finally:
            stopped = ended(process)
    assert stopped.code == 130, stopped.err
    assert len(traces(tmp_path / "train.run")) == 3
    assert not file.exists()


def test_only_accepted_traces_are_in_it_and_a_jsonl_has_one_a_line(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "good.jsonl"
    with ThreadedServer(searching) as server:
        done = run(*command(job, server, file, "--accept", "answer in ('1', '4')"))
    assert done.code == 0, done.err
    assert sorted(json.loads(line)["id"] for line in file.read_bytes().splitlines()) == ["ask/1/0", "ask/4/0"]
    assert len(traces(tmp_path / "good.run")) == ROWS


def test_each_partition_writes_its_own_traces_to_a_file_of_its_own(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    with ThreadedServer(searching) as server:
        done = [run(*command(job, server, file, "--partition", f"{part}/2")) for part in range(2)]
    assert [one.code for one in done] == [0, 0], done[0].err
    assert rows(tmp_path / "train-part-000-of-002.parquet") == [expected(row) for row in (0, 2, 4)]
    assert rows(tmp_path / "train-part-001-of-002.parquet") == [expected(row) for row in (1, 3, 5)]
    assert not file.exists()
    assert (tmp_path / "train.run" / "part-001-of-002" / "run.json").exists()
    assert "of this partition alone go to" in done[0].err


def test_a_run_that_saved_nothing_leaves_an_older_file_as_it_is(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "train.parquet"
    file.write_bytes(b"mine")
    with ThreadedServer(lambda body, number: text("x", finish_reason="content_filter")) as server:
        done = run(*command(job, server, file))
    assert done.code == 4, done.err
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("train.csv", "ends in neither .parquet nor .jsonl"),
        ("train", "ends in neither"),
        ("folder.parquet", "is a folder"),
        ("rows.jsonl", "lies in the dataset"),
        ("rows.jsonl/x.jsonl", "cannot be written"),
        ("runs/ask/traces/x.parquet", "the run's own"),
        ("runs/ask/events.jsonl", "the run's own"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_anything_is_made(
    run: Run, job: Path, tmp_path: Path, file: str, said: str
):
    (tmp_path / "folder.parquet").mkdir()
    before = sorted(tmp_path.iterdir())
    with ThreadedServer(searching) as server:
        done = run(*command(job, server, file, "--output-dir", "runs/ask"))
        assert server.requests == []
    assert done.code == 2
    assert len(done.complaints) == 1, done.err
    assert said in done.complaints[0]
    assert f"store.output_file '{file}'" in done.complaints[0]
    assert sorted(tmp_path.iterdir()) == before


def test_a_job_with_pictures_has_no_parquet_but_may_have_a_jsonl(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(lambda body, number: text(r"\boxed{1, 2}")) as server:
        words = ["run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", 2]
        refused = run(*words, "--rollouts", 1, "--store.output-file", "x.parquet")
        done = run(*words, "--rollouts", 1, "--store.output-file", "x.jsonl")
    assert refused.code == 2
    assert "the job has pictures, and verl-sft has no place for them" in refused.err
    assert not (tmp_path / "x.parquet").exists()
    assert done.code == 0, done.err
    assert len((tmp_path / "x.jsonl").read_bytes().splitlines()) == 2


@pytest.mark.deep
def test_a_full_disk_costs_the_file_alone_and_the_next_start_writes_it(job: Path, tmp_path: Path):
    with small_disk(tmp_path / "disk", size=1 << 16) as disk:
        if disk is None:
            pytest.skip("nothing can be mounted here")
        file, out = disk.root / "train.parquet", tmp_path / "run"
        disk.fill()
        with ThreadedServer(searching) as server:
            words = command(job, server, file, "--output-dir", out, "--json")
            full = asyncgen(*words)
            left = sorted(path.name for path in disk.root.iterdir())
            disk.make_room()
            done = asyncgen(*words)
            assert len(server.requests) == 2 * ROWS
        assert rows(file) == [expected(row) for row in range(ROWS)]
    assert (full.code, done.code) == (75, 0), full.err + done.err
    assert left == ["filler"]
    (said,) = full.complaints
    assert said.startswith(
        f"asyncgen: cannot write {file}: ENOSPC (No space left on device); the traces are safe in {out}"
    )
    assert json.loads(full.out)["done"] == ROWS


def test_a_folder_that_takes_no_file_in_the_end_costs_the_file_alone(run: Run, job: Path, tmp_path: Path):
    file = tmp_path / "out" / "train.parquet"

    def in_the_way(body: dict[str, Any], number: int) -> Reply:
        if number == 0:
            (tmp_path / "out").write_text("no folder")
        return searching(body)

    with ThreadedServer(in_the_way) as server:
        failed = run(*command(job, server, file, "--output-dir", tmp_path / "run"))
    assert failed.code == 2
    assert "the traces are safe in" in failed.complaints[-1]
    assert ids(tmp_path / "run") == wanted_ids("ask", range(ROWS))


def test_check_says_what_is_wrong_with_it(run: Run, job: Path):
    with ThreadedServer(searching) as server:
        given = ["--dataset-path", job.parent / "rows.jsonl", "--base-url", server.base_url]
        done = run("check", job, *given, "--store.output-file", "x.csv")
    assert done.code == 2
    assert "ends in neither .parquet nor .jsonl" in done.out + done.err
