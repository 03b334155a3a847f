"""`filter`, `merge`, `rescore`, `verify` on the command line, on runs of a scripted server and on made ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, asyncgen, environment, kilometres, looking, shard_lines, traces
from support.runs_on_disk import files_of, line, lines_of, make_run
from support.server import ThreadedServer, error

Run = Callable[..., Outcome]
QUALITY = 'parse_success and "distance@km" < 5000 and score > 0.3'
TASK = """
from dataclasses import dataclass
from typing import ClassVar
from asyncgen import Task

def double(value):
    return 2 * value

async def look(context, sample, trace):
    whole = await context.open(0)
    crop = context.pictures[1]
    kilobytes = await context.offload(len, crop.data)
    doubled = await context.in_process(double, sample.index)
    return {"width": whole.width, "crop": crop.width, "fresh": kilobytes > 0, "row": doubled + context.task.more}

@dataclass(frozen=True)
class Looker(Task):
    more: int = 0
    rewards: ClassVar = (look,)
    scores: ClassVar = {"width": 0, "crop": 0, "fresh": False, "row": 0}
"""


@pytest.fixture(scope="module")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of geo-tools: 7 traces, one failure."""
    directory = tmp_path_factory.mktemp("done") / "run"

    def scripted(body: dict[str, Any], number: int) -> Any:
        return error(400, "refused") if number == 4 else looking(body, number)

    with ThreadedServer(scripted) as server:
        ended = asyncgen(
            "run", "geo-tools", "--dataset-path", photos, "--output-dir", directory, "--base-url", server.base_url,
            "--num-samples", -1, "--concurrency", 1,
        )  # fmt: skip
    assert ended.code == 0, ended.err
    return directory


def test_a_real_run_is_in_order(run: Run, done: Path):
    ended = run("verify", done)
    assert ended.code == 0, ended.out
    assert "8 expected = 7 done + 1 failed + 0 filtered + 0 skipped + 0 pending" in ended.out
    found = json.loads(run("verify", done, "--json").out)
    assert (found["ok"], found["directories"][0]["traces"], found["salvaged"]) == (True, 7, [])


def test_the_copy_of_a_run_is_read_by_every_command(run: Run, done: Path, tmp_path: Path):
    ended = run("merge", done, "-o", "copy")
    assert ended.code == 0, ended.err
    assert "7 traces: copy" in ended.out
    assert "failed and not copied: 1 (bad_request 1)" in ended.out
    assert sorted(lines_of(tmp_path / "copy")) == sorted(lines_of(done))
    assert [trace["sample_index"] for trace in traces(tmp_path / "copy")] == sorted(
        trace["sample_index"] for trace in traces(done)
    )
    for words in (("status", "copy"), ("stats", "copy"), ("show", "copy"), ("verify", "copy")):
        assert run(*words).code == 0
    assert "geo-tools: complete" in run("status", "copy").out
    assert run("export", "copy", "--to", "jsonl", "-o", "x.jsonl").code == 0
    assert run("merge", "copy", "-o", "y.jsonl").code == 0
    assert [json.loads(one) for one in Path("x.jsonl").read_bytes().splitlines()] == [
        json.loads(one) for one in Path("y.jsonl").read_bytes().splitlines()
    ]


def test_no_run_goes_on_in_a_copy(run: Run, done: Path, photos: Path, tmp_path: Path):
    run("filter", done, "--where", "true", "-o", "copy")
    before = files_of(tmp_path)
    ended = run(
        "run", "geo-tools", "--dataset-path", photos, "--output-dir", "copy", "--base-url", "http://127.0.0.1:9/v1"
    )
    assert (ended.code, len(ended.complaints)) == (2, 1)
    assert "copy is a copy that asyncgen filter made, and no run goes on in it" in ended.err
    assert files_of(tmp_path) == before


def test_filter_agrees_with_an_independent_computation(run: Run, done: Path, tmp_path: Path):
    ended = run("filter", done, "--where", QUALITY, "-o", "good", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    stored = traces(done)
    good = [
        one for one in stored
        if one["reward_score"]["parse_success"]
        and kilometres(one["sample_data"]["lat"], one["sample_data"]["lon"]) < 5000
        and one["reward_score"]["score"] > 0.3
    ]  # fmt: skip
    assert (found["total"], found["kept"], found["dropped"]) == (7, len(good), 7 - len(good))
    assert sum(one["dropped"] for one in found["clauses"]) == found["dropped"]
    assert [one["id"] for one in traces(tmp_path / "good")] == [one["id"] for one in good]
    text = run("filter", done, "--where", QUALITY, "-o", "again").out
    assert f"{len(good)} of 7 traces kept, {7 - len(good)} dropped: again" in text
    assert "score > 0.3" in text


def test_rescore_with_the_runs_own_task_changes_nothing(run: Run, done: Path, tmp_path: Path):
    ended = run("rescore", done, "-o", "same", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["traces"], found["answers_changed"], found["failed"], found["not_rescored"]) == (7, 0, 0, 1)
    assert shard_lines(tmp_path / "same") == shard_lines(done)


def test_rescore_with_another_option_changes_the_scores(run: Run, done: Path, tmp_path: Path):
    ended = run("rescore", done, "-o", "scaled", "--task.scale_km", 700)
    assert ended.code == 0, ended.err
    before, after = traces(done), traces(tmp_path / "scaled")
    for one, other in zip(before, after, strict=True):
        ratio = 1492.7 / 700
        assert other["reward_score"]["score"] == pytest.approx(one["reward_score"]["score"] ** ratio)
        assert other["metadata"]["score"] == other["reward_score"]["score"]
        assert other["conversation_history"] == one["conversation_history"]
    assert "0 answers changed" in ended.out


def test_rescore_gives_a_reward_of_ones_own_the_pictures(run: Run, done: Path, tmp_path: Path):
    (tmp_path / "looker_task.py").write_text(TASK)
    ended = run("rescore", done, "-o", "looked", "--task", "looker_task.py:Looker", "--task.more", 5)
    assert ended.code == 0, ended.err
    found = traces(tmp_path / "looked")
    assert [one["sample_index"] for one in found] == [one["sample_index"] for one in traces(done)]
    for one in found:
        turned = one["sample_index"] == 2
        assert one["reward_score"] == {
            "width": 240.0 if turned else 320.0, "crop": float(one["images"][1]["width"]), "fresh": True,
            "row": 2.0 * one["sample_index"] + 5,
        }  # fmt: skip
        assert set(one["metadata"]) & {"score", "distance_km", "parse_success"} == set()
    assert run("verify", "looked").code == 0


def test_the_options_of_the_task_are_in_the_help(run: Run, done: Path):
    text = run("rescore", done, "--help").out
    assert "--task.scale-km" in text
    assert "--task.image" in text
    assert "--task.image" not in run("rescore", "--help").out


def test_damage_is_found_set_aside_and_done_again(run: Run, done: Path, photos: Path, tmp_path: Path):
    copy = tmp_path / "run"
    subprocess.run(["cp", "-r", str(done), str(copy)], check=True)
    (shard,) = (copy / "traces").glob("*.jsonl")
    lines = shard.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"attempts":1', b'"attempts":2', 1)
    shard.write_bytes(b"".join(lines))
    ended = run("verify", "run")
    assert ended.code == 3
    assert f"{shard.relative_to(tmp_path)}:3: the checksum is wrong" in ended.out
    assert run("merge", "run", "-o", "out").code == 3
    assert not (tmp_path / "out").exists()
    ended = run("verify", "run", "--salvage")
    assert ended.code == 0, ended.out
    assert "6 lines kept, 1 bad" in ended.out
    with ThreadedServer(looking) as server:
        words = ("--dataset-path", photos, "--output-dir", "run", "--base-url", server.base_url, "--num-samples", -1)
        assert run("run", "geo-tools", *words).code == 0
        assert len(server.requests) == 3
    ended = run("verify", "run", "--json")
    assert ended.code == 0, ended.out
    assert json.loads(ended.out)["directories"][0]["traces"] == 7


def test_merge_says_what_is_missing_and_strict_makes_it_an_exit_code(run: Run, done: Path):
    ended = run("merge", done, "-o", "loose.jsonl", "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["complete"], found["failed_reasons"]) == (0, False, {"bad_request": 1})
    ended = run("merge", done, "-o", "strict.jsonl", "--strict")
    assert ended.code == 3
    assert Path("strict.jsonl").read_bytes() == Path("loose.jsonl").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("merge", "nowhere", "-o", "out"),
        ("merge", "run", "-o", "run/out"),
        ("merge", "run", "-o", "run"),
        ("merge", "run"),
        ("filter", "run", "-o", "out"),
        ("filter", "run", "--where", "nothing_of_the_kind > 1", "-o", "out"),
        ("filter", "run", "--where", "score >", "-o", "out"),
        ("filter", "nowhere", "--where", "true", "-o", "out"),
        ("rescore", "nowhere", "-o", "out"),
        ("rescore", "run", "-o", "out", "--task", "nothing"),
        ("rescore", "run", "-o", "out", "--task.scale-km", "far"),
        ("rescore", "run", "-o", "out", "--task.scale_kn", "5"),
        ("verify", "nowhere"),
        ("verify",),
        ("verify", "file"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(run: Run, tmp_path: Path, words: tuple[str, ...]):
    make_run(tmp_path / "run", [line(1)])
    (tmp_path / "file").write_text("x")
    before = files_of(tmp_path)
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == len(ended.complaints) == 1
    assert files_of(tmp_path) == before


def test_what_a_row_says_does_not_steer_the_terminal(run: Run, tmp_path: Path):
    evil = "x\x1b[31m\u202e"
    make_run(tmp_path / "run", [line(1)[:-3] + evil.encode() + b"\n", line(2, job="other")])
    out = run("verify", "run").out + run("filter", "run", "--where", f"true and '{evil}' != ''", "-o", "o").err
    assert "\x1b" not in out
    assert "\u202e" not in out


@pytest.mark.parametrize("words", [("merge", "run", "-o", "out"), ("verify", "run"), ("rescore", "run", "-o", "out")])
def test_nothing_heavy_is_loaded_for_what_needs_none(tmp_path: Path, words: tuple[str, ...]):
    make_run(tmp_path / "run", total=3)
    code = (
        "import sys; from asyncgen.cli import call; "
        f"assert call({list(words)!r}) == 0; "
        "print(sorted({'datasets', 'pyarrow', 'aiohttp', 'duckdb', 'openai', 'pandas', 'uvloop'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment()
    )
    assert ended.stdout.splitlines()[-1] == "[]"
