"""`status`, `show`, `stats`, `export`, `jobs`, `init`, `check` on directories in every state."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.cli_jobs import (
    Outcome,
    answering,
    asyncgen,
    command,
    ended,
    environment,
    looking,
    start,
    traces,
    wait_until,
)
from support.server import Reply, ThreadedServer, disconnect, error, hang

Run = Callable[..., Outcome]
HEAVY = {"datasets", "pyarrow", "aiohttp", "PIL", "duckdb", "numpy", "openai", "pandas"}


@pytest.fixture(scope="module")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run directories `geo` (one failed) and `geo-tools`, both complete."""
    folder = tmp_path_factory.mktemp("done")
    for job, script in (("geo", answering), ("geo-tools", looking)):

        def scripted(body: dict[str, Any], number: int, script: Any = script, job: str = job) -> Any:
            return error(400, "refused") if job == "geo" and number == 7 else script(body, number)

        with ThreadedServer(scripted) as server:
            ended = asyncgen(
                "run", job, "--dataset-path", photos, "--output-dir", folder / job, "--base-url", server.base_url,
                "--num-samples", -1, "--rollouts", 1 if job == "geo-tools" else 2, "--log-samples",
            )  # fmt: skip
        assert ended.code == 0, ended.err
        (folder / f"{job}.log").write_text(ended.out)
    return folder


def test_status_counts_a_complete_run(run: Run, done: Path):
    found = json.loads(run("status", done / "geo", "--json").out)
    assert {key: found[key] for key in ("name", "state", "holder", "total", "done", "failed", "left")} == {
        "name": "geo", "state": "complete", "holder": None, "total": 16, "done": 15, "failed": 1, "left": 0,
    }  # fmt: skip
    assert found["failed_reasons"] == {"bad_request": 1}
    assert found["rate_per_minute"] > 0
    assert found["seconds_left"] is None
    text = run("status", done / "geo").out
    assert "geo: complete" in text
    assert "15 of 16 done, 1 failed, 0 left (bad_request 1)" in text


def test_status_tells_of_the_latest_selection_as_the_summary_did(run: Run, photos: Path):
    with ThreadedServer(answering) as server:
        words = ("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", -1, "--json")
        for where, total in (("lat < 0", 4), ("lat >= 0", 4), ("lat >= 10", 2)):
            summary = json.loads(run(*words, "--where", where).out)
            status = json.loads(run("status", "runs/geo", "--json").out)
            for found in (summary, status):
                assert (found["total"], found["done"], found["failed"], found["left"]) == (total, total, 0, 0)
        assert len(server.requests) == 8


def test_every_reading_command_works_while_the_run_goes_on(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang() if number >= 5 else answering(body, number)) as server:
        process = start(
            "run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url,
            "--num-samples", -1, "--concurrency", 2,
        )  # fmt: skip
        try:
            wait_until(lambda: len(server.requests) >= 7)
            status = json.loads(run("status", out, "--json").out)
            stats = json.loads(run("stats", out, "--json").out)
            exported = run("export", out, "--to", "jsonl", "-o", "live.jsonl")
        finally:
            process.kill()
            ended(process)
    assert (status["state"], status["done"], status["left"]) == ("running", 5, 3)
    assert status["holder"]["pid"] == process.pid
    assert status["seconds_left"] > 0
    assert stats["traces"] == 5
    assert exported.code == 0
    assert len((tmp_path / "live.jsonl").read_bytes().splitlines()) == 5
    killed = json.loads(run("status", out, "--json").out)
    assert (killed["state"], killed["holder"], killed["done"], killed["left"]) == ("interrupted", None, 5, 3)


def test_a_condition_that_no_row_meets_is_refused(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        words = ("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", "none")
        nothing = run(*words, "--where", "lat > 1000")
        assert not server.requests
    assert nothing.code == 2
    assert "dataset.where 'lat > 1000' is true for none of the 8 rows" in nothing.complaints[0]
    assert not (tmp_path / "none").exists()


def test_an_empty_run_can_be_looked_at(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        words = ("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", "run")
        nothing = run(*words, "--partition", "8/9")
        assert not server.requests
    assert nothing.code == 0, nothing.err
    assert json.loads(run("status", "run", "--json").out)["state"] == "complete"
    stats = run("stats", "run", "--json")
    assert (stats.code, json.loads(stats.out)["traces"]) == (0, 0)
    assert run("stats", "run").code == 0
    exported = run("export", "run", "--to", "trace-json", "-o", "files", "--where", "score > 0.5", "--json")
    assert json.loads(exported.out)["traces"] == 0
    missing = run("show", "run", 1)
    assert (missing.code, missing.err.count("\n")) == (2, 1)


def test_show_prints_thinking_calls_results_and_scores(run: Run, done: Path):
    shown = run("show", done / "geo-tools", 3)
    assert shown.code == 0, shown.err
    for part in (
        "geo-tools/3/0", "── turn 3 ──", "thinking:", "image_zoom_in_tool", '"bbox_2d": [10, 20, 150, 120]', "→ ok",
        "[image 1: zoom", "Rotated by 90 degrees", r"\boxed{10.5, 20.25}", "distance@km",
    ):  # fmt: skip
        assert part in shown.out, part
    assert run("show", done / "geo-tools", "geo-tools/3/0").out == shown.out
    one_turn = run("show", done / "geo-tools", 3, "--turn", 2, "--raw").out
    assert "<tool_call>" in one_turn
    assert "turn 1 ──" not in one_turn
    assert json.loads(run("show", done / "geo", 2, "--rollout", 1, "--json").out)["id"] == "geo/2/1"


@pytest.mark.parametrize("which", [("99",), ("3", "--rollout", "5"), ("geo/3/9",), ("3", "--turn", "9"), ("x",)])
def test_show_says_what_is_not_there(run: Run, done: Path, which: tuple[str, ...]):
    outcome = run("show", done / "geo", *which)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1


def test_stats_of_several_directories_are_added_up(run: Run, done: Path):
    found = json.loads(run("stats", done / "geo", done / "geo-tools", "--json").out)
    assert (found["traces"], found["failed"], found["parse_rate"]) == (15 + 8, 1, 1.0)
    assert found["tools"]["by_name"]["image_zoom_in_tool"]["calls"] == 8
    assert "image_rotate_tool: 8 calls" in run("stats", done / "geo-tools").out


def test_show_without_an_id_shows_a_trace_and_one_that_is_missing_names_those_there_are(run: Run, done: Path):
    first = run("show", done / "geo").out.splitlines()[0]
    assert first in {trace["id"] for trace in traces(done / "geo")}
    gone = run("show", done / "geo", 99)
    assert gone.code == 2
    assert f"has no trace 99; the first that it has: {first}, geo/" in gone.err


def test_log_samples_prints_the_block_of_the_tool_distillation_document(done: Path):
    log = (done / "geo-tools.log").read_text()
    block = log[: log.index("[Sample 2/8]")].splitlines()
    names = [line.split(":")[0].strip() for line in block]
    assert names == [
        "[Sample 1/8]", "Locatability score", "Ground truth", "Country", "[SUCCESS] Generated trace", "Turns",
        "Tool calls", "Parse success", "Distance", "Score", "Saved to", "Id",
    ]  # fmt: skip
    assert block[5:8] == ["    Turns: 3", "    Tool calls: 2", "    Parse success: True"]
    assert block[-2] == f"    Saved to: {done / 'geo-tools' / 'traces'}"
    assert block[-1].removeprefix("    Id: ") in {trace["id"] for trace in traces(done / "geo-tools")}
    assert re.search(r"\[FAILED\] geo/\d+/\d: bad_request: ", (done / "geo.log").read_text())


def test_trace_json_of_a_job_with_tools_has_the_documents_shape(run: Run, done: Path, tmp_path: Path):
    exported = run("export", done / "geo-tools", "--to", "trace-json", "-o", "files", "--json")
    assert json.loads(exported.out)["files"] == 8
    for trace in traces(done / "geo-tools"):
        found = json.loads((tmp_path / "files" / f"trace_{trace['sample_index']:05d}.json").read_bytes())
        assert list(found) == [
            "dataset_path", "sample_index", "sample_data", "conversation_history", "final_response", "reward_score",
            "tool_calls", "metadata",
        ]  # fmt: skip
        for key in ("dataset_path", "sample_index", "sample_data", "final_response", "reward_score"):
            assert found[key] == trace[key]
        for turn, stored in zip(found["conversation_history"], trace["conversation_history"], strict=True):
            assert list(turn)[:4] == ["turn", "messages", "response", "usage"]
            assert turn["response"] == stored["response"]
            assert turn["usage"]["total_tokens"] == 30
        assert found["tool_calls"] == [
            {
                "turn": 1,
                "tool_call": {
                    "name": "image_zoom_in_tool",
                    "arguments": {"bbox_2d": [10, 20, 150, 120], "label": "a sign"},
                },
                "success": True,
            },
            {"turn": 2, "tool_call": {"name": "image_rotate_tool", "arguments": {"angle": 90}}, "success": True},
        ]
        assert found["metadata"] == {
            "total_turns": 3,
            "num_tool_calls": 2,
            "parse_success": True,
            "distance_km": trace["reward_score"]["distance@km"],
            "score": trace["reward_score"]["score"],
        }


def test_trace_json_of_the_one_turn_job_has_the_geo_documents_shape(run: Run, done: Path, tmp_path: Path):
    assert run("export", done / "geo", "--to", "trace-json", "-o", "files").code == 0
    assert {path.name for path in (tmp_path / "files").iterdir()} == {
        f"trace_{trace['sample_index']:05d}{'_r1' if trace['rollout'] else ''}.json" for trace in traces(done / "geo")
    }
    for path in (tmp_path / "files").iterdir():
        found = json.loads(path.read_bytes())
        assert list(found) == ["sample_data", "api_response", "response_text"]
        assert found["response_text"] == "<think>where</think>So \\boxed{10.5, 20.25}"
        (choice,) = found["api_response"]["choices"]
        assert choice["message"]["content"] == found["response_text"]
        assert choice["finish_reason"] == "stop"
        assert found["api_response"]["usage"]["completion_tokens"] == 10
        assert isinstance(found["sample_data"]["locatability_score"], float)


def test_a_folder_of_trace_json_is_read_like_a_run(run: Run, done: Path):
    run("export", done / "geo-tools", "--to", "trace-json", "-o", "files")
    found = json.loads(run("stats", "files", "--json").out)
    assert (found["traces"], found["parse_rate"], found["tools"]["calls"]) == (8, 1.0, 16)
    assert "image_zoom_in_tool" in run("show", "files", 3).out
    again = run("export", "files", "--to", "jsonl", "-o", "again.jsonl", "--where", "score > 0 and lat < 0")
    assert again.code == 0, again.err
    assert json.loads(run("export", "files", "--to", "jsonl", "-o", "b.jsonl", "--json").out)["traces"] == 8


@pytest.mark.parametrize(
    ("where", "keep"),
    [
        ("score > 0.3", lambda trace: trace["reward_score"]["score"] > 0.3),
        ('"distance@km" < 1500', lambda trace: trace["reward_score"]["distance@km"] < 1500),
        ("reward.score > 0.3 AND meta.total_turns = 1", lambda trace: trace["reward_score"]["score"] > 0.3),
        ('reward."acc@2500km" = 1', lambda trace: trace["reward_score"]["acc@2500km"] == 1),
        ("data.country = 'land 1'", lambda trace: trace["sample_data"]["country"] == "land 1"),
        ("locatability_score < 0.5 -- hard", lambda trace: trace["sample_data"]["locatability_score"] < 0.5),
        ("parse_success and rollout = 1", lambda trace: trace["rollout"] == 1),
        ("sample_index in (1, 2)", lambda trace: trace["sample_index"] in {1, 2}),
        ("stop = 'answered' and not accepted", lambda trace: False),
    ],
)
def test_export_where_knows_the_names_of_a_trace(run: Run, done: Path, tmp_path: Path, where: str, keep: Any):
    outcome = run("export", done / "geo", "--to", "jsonl", "-o", "kept.jsonl", "--where", where)
    assert outcome.code == 0, outcome.err
    found = [json.loads(line)["id"] for line in (tmp_path / "kept.jsonl").read_bytes().splitlines()]
    assert found == [trace["id"] for trace in traces(done / "geo") if keep(trace)]


@pytest.mark.parametrize(
    "where", ["scor > 1", "data.score > 1", "score >", "score > 1; SELECT 1", "score in (SELECT a FROM 'x.csv')"]
)
def test_export_where_refuses_what_it_does_not_know(run: Run, done: Path, tmp_path: Path, where: str):
    outcome = run("export", done / "geo", "--to", "jsonl", "-o", "kept.jsonl", "--where", where)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1
    assert where in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_in_one_folder_of_files_are_refused_before_anything_is_written(run: Run, done: Path, tmp_path: Path):
    outcome = run("export", done / "geo", done / "geo-tools", "--to", "trace-json", "-o", "files")
    assert outcome.code == 2
    assert "export one job at a time" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_lines_go_into_the_folder_that_is_named(run: Run, done: Path, tmp_path: Path, there: bool):
    if there:
        (tmp_path / "lines").mkdir()
        (tmp_path / "lines" / "notes.txt").write_text("mine")
    outcome = run("export", done / "geo", "--to", "jsonl", "-o", "lines" if there else "lines/")
    assert outcome.out.endswith(" traces in 1 file: lines/traces.jsonl\n")
    assert len((tmp_path / "lines" / "traces.jsonl").read_bytes().splitlines()) == len(traces(done / "geo"))


def test_an_output_that_cannot_be_written_is_one_line(run: Run, done: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    outcome = run("export", done / "geo", "--to", "jsonl", "-o", "file/kept.jsonl")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1


@pytest.mark.parametrize(("kind", "name"), [("jsonl", "kept.jsonl"), ("trace-json", "files"), ("trace-json", "")])
def test_an_export_into_a_run_directory_is_refused(run: Run, done: Path, kind: str, name: str):
    before = sorted(done.rglob("*"))
    outcome = run("export", done / "geo", "--to", kind, "-o", done / "geo-tools" / name)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == len(outcome.complaints) == 1
    assert "run directory" in outcome.err
    assert sorted(done.rglob("*")) == before


def test_status_says_that_a_run_is_paused_and_why(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: disconnect()) as server:
        process = start("run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url)
        try:
            wait_until(lambda: (out / "events.jsonl").exists() and b'"pause"' in (out / "events.jsonl").read_bytes())
            shown = run("status", out)
            found = json.loads(run("status", out, "--json").out)
        finally:
            process.kill()
            ended(process)
        assert server.base_url in found["paused"]
    assert f"paused: {found['paused']}" in shown.out
    assert found["seconds_left"] is None
    assert json.loads(run("status", out, "--json").out)["paused"] == ""


def test_a_models_name_cannot_steer_the_terminal(run: Run, photos: Path):
    with ThreadedServer(answering, models=["good\x1b[2Jmodel"]) as server:
        outcome = run(
            "run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", 1, "--plain"
        )
    assert outcome.code == 0, outcome.err
    assert "model goodmodel at " in outcome.err
    assert "\x1b" not in outcome.out + outcome.err


def test_a_reader_that_goes_away_is_no_error(done: Path):
    for words in (("show", done / "geo-tools", 3), ("stats", done / "geo"), ("status", done / "geo", "--json")):
        process = subprocess.Popen(
            command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(PYTHONUNBUFFERED="1")
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 0


def test_a_reader_of_log_samples_that_goes_away_costs_no_episode(photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        process = start(
            "run", "geo", "--dataset-path", photos, "--output-dir", tmp_path / "run", "--base-url", server.base_url,
            "--num-samples", -1, "--log-samples",
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait() == 0, said
    assert "Traceback" not in said
    assert len(traces(tmp_path / "run")) == 8
    assert not traces(tmp_path / "run", "failed")


def test_run_prints_json_and_nothing_else_on_stdout(run: Run, photos: Path):
    with ThreadedServer(answering) as server:
        outcome = run(
            "run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", 2, "--json",
            "--log-samples",
        )  # fmt: skip
    assert "[Sample 2/2]" in outcome.err
    summary = json.loads(outcome.out)
    assert summary["exit_code"] == outcome.code == 0
    assert (summary["done"], summary["new_traces"], summary["turns"], summary["completion_tokens"]) == (2, 2, 2, 20)
    assert summary["directory"] == "runs/geo"


def test_jobs_lists_the_built_in_ones(run: Run):
    assert [one["job"] for one in json.loads(run("jobs", "--json").out)] == [
        "critique",
        "geo",
        "geo-stages",
        "geo-tools",
        "math",
        "region",
        "region-tools",
        "search",
        "search-r1",
        "search-tongyi",
    ]
    assert "geo-tools" in run("jobs").out


@pytest.mark.parametrize("job", ["geo", "geo-tools"])
def test_init_writes_a_job_file_that_runs_as_it_is_under_its_own_name(run: Run, photos: Path, tmp_path: Path, job: str):
    made = run("init", job, "-o", "mine.yaml")
    assert (made.code, made.out) == (0, "wrote mine.yaml; edit it, then: asyncgen run ./mine.yaml\n")
    text = (tmp_path / "mine.yaml").read_text()
    written = yaml.safe_load(text)
    assert (written["task"], "name" in written) == (job, False)
    assert "#   asyncgen run ./mine.yaml --dataset-path photos" in text
    assert "# default: runs/mine\n" in text
    assert run("init", job, "-o", "mine.yaml").code == 2
    with ThreadedServer(looking) as server:
        outcome = run("run", "mine.yaml", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples", 1)
    assert outcome.code == 0, outcome.err
    assert [trace["id"].partition("/")[0] for trace in traces(tmp_path / "runs" / "mine")] == ["mine"]


def test_init_names_its_file_as_a_shell_takes_it(run: Run, tmp_path: Path):
    (tmp_path / "my jobs").mkdir()
    assert "asyncgen run 'my jobs/a.yaml'" in run("init", "geo", "-o", "my jobs/a.yaml").out
    assert "#   asyncgen run 'my jobs/a.yaml' --dataset-path" in (tmp_path / "my jobs" / "a.yaml").read_text()


def test_check_finds_everything_in_order_and_writes_nothing(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(looking) as server:
        outcome = run("check", "geo-tools", "--dataset-path", photos, "--base-url", server.base_url, "--json")
        assert len(server.requests) == 3
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert found["ok"] is True
    assert [one["what"] for one in found["findings"]] == [
        "dataset", "selection", "first row", "disk", "endpoint", "context", "completion", "vision", "tool calls",
    ]  # fmt: skip
    assert {one["state"] for one in found["findings"]} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_check_says_what_is_missing_and_goes_on(run: Run, photos: Path):
    def script(body: dict[str, Any], number: int) -> Any:
        return (
            error(400, '"auto" tool choice requires --enable-auto-tool-choice')
            if "tools" in body
            else answering(body, number)
        )

    words = ("--json", "--dataset-path", photos)
    with ThreadedServer(script, max_model_len=1024) as server:
        found = json.loads((outcome := run("check", "geo-tools", "--base-url", server.base_url, *words)).out)
    states = {one["what"]: one["state"] for one in found["findings"]}
    assert outcome.code == 2
    assert (states["context"], states["tool calls"], states["vision"]) == ("fail", "warn", "ok")
    gone = run("check", "geo", "--base-url", server.base_url, "--json", "--dataset-path", "nowhere")
    states = {one["what"]: one["state"] for one in json.loads(gone.out)["findings"]}
    assert (gone.code, states["dataset"], states["endpoint"]) == (2, "fail", "fail")


def test_check_finds_servers_of_different_models(run: Run, photos: Path):
    with ThreadedServer(answering) as one, ThreadedServer(answering, models=["other"]) as two:
        words = ("--dataset-path", photos, "--base-url", one.base_url, "--base-url", two.base_url)
        outcome = run("check", "geo", *words)
        refused = run("run", "geo", *words)
        assert not two.requests[3:]
    for text in (outcome.out, refused.err):
        assert "the servers have different models" in text
    assert (outcome.code, refused.code) == (2, 2)


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("run", "geo-tools", "--help"), ("--version",)])
def test_help_loads_nothing_heavy(words: tuple[str, ...]):
    code = f"import sys; from asyncgen.cli import call; call({list(words)!r}); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(), timeout=60
    )
    assert ended.stdout
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert loaded & HEAVY == set()


def test_every_knob_has_its_help(run: Run):
    text = " ".join(run("run", "geo-tools", "--help").out.split())
    for flag in (
        "--dataset-path", "--output-dir", "--base-url", "--model", "--num-samples", "--rollouts", "--max-turns",
        "--temperature", "--max-tokens", "--concurrency", "--partition", "--where", "--order-by", "--seed",
        "--max-failed", "--log-samples", "--task.scale-km", "--task.nudge",
    ):  # fmt: skip
        assert flag in text, flag


def test_the_help_of_a_job_shows_its_own_defaults_and_the_image_mark(run: Run):
    text = " ".join(run("run", "geo-tools", "--help").out.split())
    number = text[text.index("--num-samples") :]
    assert "[default: 10]" in number[: number.index("--dataset.", 1)]
    assert "<image>" in text


def test_one_of_several_servers_that_goes_down_is_told(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    well = True

    def script(body: dict[str, Any], number: int) -> Reply:
        return answering(body, number).after(0.2) if well else disconnect()

    with ThreadedServer(lambda body, number: answering(body, number).after(0.5)) as one, ThreadedServer(script) as two:
        words = ("--dataset-path", photos, "--rollouts", 60, "--concurrency", 8)
        process = start(
            "run", "geo", *words, "--output-dir", out, "--base-url", one.base_url, "--base-url", two.base_url
        )
        try:
            wait_until(lambda: len(two.requests) > 4)
            well = False
            wait_until(lambda: b'"server_down"' in (out / "events.jsonl").read_bytes())
            shown = run("status", out)
            assert json.loads(run("status", out, "--json").out)["servers_down"] == [two.base_url]
            well = True
            wait_until(lambda: b'"server_up"' in (out / "events.jsonl").read_bytes())
            assert json.loads(run("status", out, "--json").out)["servers_down"] == []
        finally:
            process.kill()
            told = ended(process)
    assert f"server down: {two.base_url}" in shown.out
    assert f"{two.base_url} is down, 1 of 2 servers are up: " in told.err
    assert f"{two.base_url} is back, 2 of 2 servers are up" in told.err


def test_status_of_a_smaller_selection_says_how_much_is_stored(run: Run, photos: Path):
    with ThreadedServer(answering) as server:
        words = ("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", "smaller")
        assert run(*words).code == 0
        assert run(*words, "--num-samples", 3).code == 0
    shown = run("status", "smaller").out
    assert "3 of 3 done" in shown
    assert "8 traces are stored in all" in shown


def test_a_process_that_ended_and_was_not_fetched_holds_nothing(run: Run, photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang()) as server:
        process = start("run", "geo", "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url)
        wait_until(lambda: bool(server.requests))
        try:
            assert json.loads(run("status", out, "--json").out)["state"] == "running"
            os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: json.loads(run("status", out, "--json").out)["state"] == "interrupted", 10)
        finally:
            process.kill()
            ended(process)
