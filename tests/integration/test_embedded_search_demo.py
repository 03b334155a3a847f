"""The search demo from end to end: a real model, a real retrieval server, the real command."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from asyncgen.core.types import Json
from asyncgen.embedded import demo as whole_demo
from asyncgen.embedded.search_demo import JOB_FILES, SearchDemo, best, main, next_steps, play, write_files
from asyncgen.embedded.stage import Stage

pytestmark = pytest.mark.timeout(400)  # a language model on a processor that others use too
CALL = re.compile(
    r"<think>[^<\n]{3,36}</think>\n<tool_call>\n"
    r'\{"name": "search", "arguments": \{"query_list": \["([^"\n]{3,26})"\]\}\}\n</tool_call>'
)
ANSWER = re.compile(r"<answer>([^<>\n]{1,26})</answer>")


def traces(output: Path) -> list[Json]:
    shards = sorted((output / "traces").glob("*.jsonl"))
    return [json.loads(line) for shard in shards for line in shard.read_text("utf-8").splitlines()]


def asyncgen(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncgen", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def look_at_every_trace(demo: SearchDemo) -> None:
    """One well-formed search, its results in the next message, one answer, and scores."""
    found = traces(demo.output)
    assert len(found) == demo.questions
    for trace in found:
        first, second = trace["conversation_history"]
        called, said = CALL.fullmatch(first["response"]), ANSWER.fullmatch(second["response"])
        assert called, first["response"]
        assert said, second["response"]
        assert json.loads(trace["tool_calls"][0]["tool_call"]["arguments"]) == {"query_list": [called[1]]}
        assert trace["tool_calls"][0]["success"]
        assert f"<tool_response>\nQuery: {called[1]}\n[" in second["messages"][0]["content"]
        assert trace["answer"] == said[1].strip()
        assert {"em", "f1", "support_recall", "parse_success"} <= set(trace["reward_score"])


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[SearchDemo, int, str]:
    said: list[str] = []
    demo = SearchDemo(tmp_path_factory.mktemp("demo") / "search", 3, 1, Stage(say=said.append))
    return demo, play(demo), "\n".join(said)


@pytest.mark.deep
def test_a_real_model_searches_and_answers_in_the_form_asked_for(played):
    demo, code, _ = played
    assert code == 0
    look_at_every_trace(demo)


@pytest.mark.deep
def test_the_demo_says_that_the_model_is_too_small_and_shows_what_came_of_it(played):
    demo, _, said = played
    assert "needs a grammar" in said
    assert "mostly wrong" in said
    assert f"$ asyncgen stats {demo.output}" in said
    assert f"$ asyncgen show {demo.output} {best(demo.output)}" in said


@pytest.mark.deep
def test_the_traces_for_training_lie_beside_the_run(played):
    demo, _, said = played
    table = pyarrow.parquet.read_table(demo.folder / "train.parquet")
    assert table.num_rows == demo.questions
    assert {"messages", "tools", "question", "extra_info", "assistant_turns"} <= set(table.column_names)
    asked = {json.loads(line)["question"] for line in demo.dataset.read_text("utf-8").splitlines()}
    assert set(table["question"].to_pylist()) == asked
    assert str(demo.folder / "train.parquet") in said


@pytest.mark.deep
def test_the_commands_to_paste_that_read_the_run_work(played):
    _, _, said = played
    lines = [shlex.split(line) for line in said.splitlines() if re.match(r"  \S*asyncgen (ls|sql) ", line)]
    assert [words[1] for words in lines] == ["ls", "sql"]
    for words in lines:
        done = asyncgen(*words[1:])
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.deep
def test_a_second_start_keeps_what_is_there_and_asks_nothing(played):
    demo, _, _ = played
    before = traces(demo.output)
    said: list[str] = []
    again = SearchDemo(demo.folder, 3, 1, Stage(say=said.append))
    assert play(again) == 0
    assert traces(demo.output) == before
    assert "is there already: kept" in "\n".join(said)


@pytest.mark.deep
def test_the_whole_search_demo(tmp_path):
    assert whole_demo.main(["--only", "search", "--dir", str(tmp_path)]) == 0
    look_at_every_trace(SearchDemo(tmp_path / "search"))


def test_the_files_are_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        assert main(["--dir", str(tmp_path / name), "--questions", "5", "--seed", "7"]) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(["passages.jsonl", "questions.jsonl", *JOB_FILES])
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_more_questions_than_there_are_leave_no_dataset(tmp_path, capsys):
    assert main(["--dir", str(tmp_path), "--questions", "99999"]) == 2
    assert "99999 questions are asked for" in capsys.readouterr().err
    assert not (tmp_path / "questions.jsonl").exists()


def test_the_job_file_is_one_that_the_command_takes(tmp_path):
    write_files(tmp_path, 1)
    done = asyncgen("run", str(tmp_path / JOB_FILES[0]), "--help")
    assert done.returncode == 0, done.stderr
    assert "--retrieval-url" in done.stdout


def test_the_best_trace_is_the_first_with_the_highest_f1(tmp_path):
    assert not best(tmp_path)
    (tmp_path / "traces").mkdir()
    lines = [json.dumps({"id": f"d/{n}/0", "reward_score": {"f1": f1}}) for n, f1 in enumerate((0.1, 0.5, 0.5))]
    (tmp_path / "traces" / "traces-a-00000.jsonl").write_text("\n".join(lines) + "\n")
    assert best(tmp_path) == "d/1/0"


def test_the_next_steps_start_both_servers_again_at_the_same_ports():
    text = next_steps(SearchDemo(Path("demo/search")), "http://127.0.0.1:4711/v1", "http://127.0.0.1:4712/retrieve")
    assert "serve-model --port 4711 &" in text
    assert "serve-retrieval demo/search/passages.jsonl --port 4712 &" in text
    assert "--retrieval-url http://127.0.0.1:4712/retrieve" in text
    assert "--rollouts 4" in text


@pytest.mark.parametrize("flag", ["--tiles", "--questions"])
def test_no_tiles_and_no_questions_are_usage_errors(flag, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        whole_demo.main([flag, "0", "--dir", str(tmp_path)])
    assert f"{flag} is 0" in capsys.readouterr().err
