"""`run --reuse OLD --redo SQL`: good traces of an older run are taken over, the others are made with another config."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.cli_jobs import (
    TRACE_KEYS,
    Outcome,
    answering,
    asyncgen,
    ended,
    ids,
    looking,
    save_photos,
    start,
    traces,
    wait_until,
    wanted_ids,
)
from support.runs_on_disk import files_of
from support.server import Reply, Script, ThreadedServer, error, hang, text

import asyncgen as package

Run = Callable[..., Outcome]
SHORT = 64
"""max_tokens that cuts every second answer off."""


def cutting(body: dict[str, Any], number: int) -> Reply:
    """With SHORT, every second answer is cut off."""
    if body["max_tokens"] <= SHORT and number % 2:
        return text("<think>where, where, where", finish_reason="length")
    return answering(body, number)


class Jobs:
    """The geo job on eight photos."""

    def __init__(self, run: Run, photos: Path) -> None:
        self.run = run
        self.photos = photos
        self.script: Script = cutting
        self.server = ThreadedServer(self._answer)

    def _answer(self, body: dict[str, Any], number: int) -> Reply:
        return self.script(body, number)

    def __call__(self, out: Path | str, *flags: object) -> Outcome:
        return self.run(*self.words(out, *flags))

    def words(self, out: Path | str, *flags: object, job: str = "geo") -> list[object]:
        number = () if "--num-samples" in flags else ("--num-samples", -1)
        data = () if "--dataset-path" in flags else ("--dataset-path", self.photos)
        place = () if "--output-dir" in flags else ("--output-dir", out)
        return ["run", job, *place, "--base-url", self.server.base_url, *number, *data, *flags]

    @property
    def asked(self) -> int:
        return len(self.server.requests)


@pytest.fixture
def jobs(run: Run, photos: Path) -> Iterator[Jobs]:
    made = Jobs(run, photos)
    with made.server:
        yield made


@pytest.fixture
def old(jobs: Jobs, tmp_path: Path) -> Path:
    """A run of which four of eight answers were cut off."""
    assert jobs(tmp_path / "old", "--max-tokens", SHORT).code == 0
    assert [trace["metadata"]["stop"] for trace in traces(tmp_path / "old")].count("length") == 4
    return tmp_path / "old"


CUT = ("--max-tokens", 900, "--redo", "stop = 'length'")


def bare(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace but for the mark, and for the checksum over it."""
    metadata = {key: value for key, value in trace["metadata"].items() if key != "reused_from"}
    return {**trace, "metadata": metadata, "crc": ""}


def run_file(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / "run.json").read_bytes()))


def test_good_traces_are_taken_over_and_the_others_done_again(jobs: Jobs, old: Path, tmp_path: Path):
    new, asked, before = tmp_path / "new", jobs.asked, (old / "run.json").read_bytes()
    done = jobs(new, "--reuse", "old", *CUT)
    assert done.code == 0, done.err
    assert jobs.asked - asked == 4
    assert ids(new) == wanted_ids("geo", range(8))
    good = {trace["id"]: trace for trace in traces(old) if trace["metadata"]["stop"] != "length"}
    for trace in traces(new):
        assert list(trace) == TRACE_KEYS
        assert list(trace["metadata"])[10] == "reused_from"
        if trace["id"] in good:
            assert trace["metadata"]["reused_from"] == str(old)
            assert bare(trace) == bare(good[trace["id"]])
        else:
            assert trace["metadata"]["reused_from"] == ""
            assert trace["metadata"]["stop"] == "answered"
    (line,) = [line for line in done.err.splitlines() if line.startswith("taking over")]
    assert line == ("taking over 4 traces of old, 4 are done again; config old -> new: sampling.max_tokens: 64 -> 900")
    assert "8 of 8 samples x 1 rollouts = 8 episodes: 4 done, 0 failed, 4 left" in done.err
    assert (old / "run.json").read_bytes() == before


def test_the_run_file_has_both_configs_and_says_where_the_traces_are_from(jobs: Jobs, old: Path, tmp_path: Path):
    assert jobs(tmp_path / "new", "--reuse", old, *CUT).code == 0
    found = run_file(tmp_path / "new")
    assert found["reused"] == {"from": str(old), "redo": "stop = 'length'", "complete": True, "traces": 4}
    assert {trace["config_id"] for trace in traces(tmp_path / "new")} == set(found["configs"])
    assert [one["sampling"]["max_tokens"] for one in found["configs"].values()] == [SHORT, 900]
    checked = jobs.run("verify", tmp_path / "new")
    assert (checked.code, checked.err) == (0, "")


def test_an_ordinary_run_has_no_such_key_and_both_are_read_by_datasets(jobs: Jobs, old: Path, tmp_path: Path):
    new = tmp_path / "new"
    assert jobs(new, "--reuse", old, *CUT).code == 0
    assert not any("reused_from" in trace["metadata"] for trace in traces(old))
    for directory in (old, new):
        loaded = datasets.load_dataset(str(directory), split="train", cache_dir=str(tmp_path / "cache"))
        assert sorted(loaded["id"]) == wanted_ids("geo", range(8))
    assert sorted({one["reused_from"] for one in loaded["metadata"]}) == ["", str(old)]
    assert "reused_from" not in (old / "README.md").read_text()


def test_a_later_start_without_the_flags_goes_on_and_marks_its_traces_as_its_own(jobs: Jobs, old: Path, tmp_path: Path):
    new = tmp_path / "new"
    assert jobs(new, "--reuse", old, *CUT, "--num-samples", 4).code == 0
    asked, taken = jobs.asked, run_file(new)["reused"]["traces"]
    again = jobs(new, "--max-tokens", 900)
    assert again.code == 0, again.err
    assert jobs.asked - asked == 4
    marks = [trace["metadata"]["reused_from"] for trace in traces(new)]
    assert sorted(marks) == [""] * (8 - taken) + [str(old)] * taken
    assert run_file(new)["reused"]["complete"]
    other = jobs(new, "--max-tokens", 901)
    assert other.code == 2
    assert "sampling.max_tokens: 900 -> 901" in other.err


def test_the_same_command_takes_over_what_a_larger_selection_asks_for(jobs: Jobs, old: Path, tmp_path: Path):
    new = tmp_path / "new"
    assert jobs(new, "--reuse", old, *CUT, "--num-samples", 4).code == 0
    again = jobs(new, "--reuse", old, *CUT)
    assert again.code == 0, again.err
    assert jobs.asked == 8 + 4
    assert ids(new) == wanted_ids("geo", range(8))
    assert run_file(new)["reused"]["traces"] == 4
    third = jobs(new, "--reuse", old, *CUT)
    assert (third.code, jobs.asked) == (0, 8 + 4)
    assert "taking over" not in third.err


def test_without_redo_all_traces_are_taken_and_no_server_is_asked(jobs: Jobs, old: Path, tmp_path: Path):
    new, asked = tmp_path / "new", jobs.asked
    words = jobs.words(new, "--reuse", old, "--max-tokens", 900)
    words[words.index("--base-url") + 1] = "http://127.0.0.1:9/v1"
    done = jobs.run(*words)
    assert done.code == 0, done.err
    assert jobs.asked == asked
    assert sorted(map(json.dumps, map(bare, traces(new)))) == sorted(map(json.dumps, map(bare, traces(old))))
    more = jobs(new, "--rollouts", 2, "--max-tokens", 900)  # the model is still that of the older run
    assert (more.code, jobs.asked - asked) == (0, 8)


def test_only_what_the_new_job_selects_is_taken(jobs: Jobs, tmp_path: Path):
    assert jobs(tmp_path / "old", "--rollouts", 2).code == 0
    asked = jobs.asked
    done = jobs(tmp_path / "new", "--reuse", "old", "--where", "lat < 0", "--rollouts", 1)
    assert done.code == 0, done.err
    assert jobs.asked == asked
    assert ids(tmp_path / "new") == wanted_ids("geo", range(4))


def test_what_failed_there_is_asked_for_here(jobs: Jobs, tmp_path: Path):
    jobs.script = lambda body, number: error(400, "no") if number % 2 else answering(body, number)
    assert jobs(tmp_path / "old", "--max-failed", 1).code == 0
    jobs.script = answering
    asked = jobs.asked
    done = jobs(tmp_path / "new", "--reuse", "old")
    assert (done.code, jobs.asked - asked) == (0, 4), done.err
    assert ids(tmp_path / "new") == wanted_ids("geo", range(8))
    assert not traces(tmp_path / "new", "failed")


def test_pictures_and_tool_calls_come_along(jobs: Jobs, tmp_path: Path):
    jobs.script = looking
    assert jobs.run(*jobs.words("old", "--num-samples", 2, job="geo-tools")).code == 0
    words = jobs.words("new", "--num-samples", 2, "--reuse", "old", "--max-turns", 4, job="geo-tools")
    done = jobs.run(*words)
    assert done.code == 0, done.err
    assert "episode.max_turns: " in done.err
    found = traces(tmp_path / "new")
    assert [bare(one) for one in found] == [bare(one) for one in traces(tmp_path / "old")]
    assert [len(package.restore_images(one)) for one in found] == [3, 3]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--redo", "stop = 'length'"], "give --reuse OLD_DIR too"),
        (["--reuse", "old", "--redo", "stop ="], "--redo 'stop =': "),
        (["--reuse", "old", "--redo", "stopp = 'length'"], "--redo \"stopp = 'length'\": "),
        (["--reuse", "old", "--redo", "1 = 1; drop table traces"], "--redo "),
        (["--reuse", "old", "--name", "mine"], "its traces are named geo/…, this job's mine/…; give --name geo"),
        (["--reuse", "old", "--dataset-path", "others"], "its traces are of another dataset"),
        (["--reuse", "nowhere"], "nowhere does not exist"),
        (["--reuse", "others"], "others is not a run directory"),
        (["--reuse", "empty"], "--reuse empty: it has no traces"),
        (["--reuse", "old", "--output-dir", "old"], "the new run"),
        (["--reuse", "old", "--output-dir", "old/new"], "lies in it; give another --output-dir"),
        (["--reuse", "deep/old", "--output-dir", "deep"], "it lies in the new run"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_on_one_line(
    jobs: Jobs, old: Path, tmp_path: Path, flags: list[object], said: str
):
    save_photos(tmp_path / "others", rows=3)
    (tmp_path / "deep").mkdir()
    shutil.copy(old / "run.json", tmp_path / "deep")
    shutil.copytree(old, tmp_path / "deep" / "old")
    shutil.copytree(old, tmp_path / "empty")
    for shard in (tmp_path / "empty" / "traces").iterdir():
        shard.unlink()
    before, asked = sorted(tmp_path.rglob("*")), jobs.asked
    refused = jobs("new", *flags)
    assert refused.code == 2
    assert len(refused.err.splitlines()) == len(refused.complaints) == 1
    assert said in refused.err
    assert jobs.asked == asked
    assert [path for path in sorted(tmp_path.rglob("*")) if "catalog" not in path.name] == [
        path for path in before if "catalog" not in path.name
    ]


def test_traces_of_another_task_are_refused(jobs: Jobs, old: Path):
    refused = jobs.run(*jobs.words("new", "--name", "geo", "--reuse", old, job="geo-tools"))
    assert refused.code == 2
    assert "its traces are of the task geo, and this job's task is geo-tools" in refused.err


def test_traces_with_other_scores_are_refused(jobs: Jobs, old: Path, tmp_path: Path):
    described = run_file(old)
    (old / "run.json").write_text(json.dumps({**described, "scores": {"score": "float"}}))
    refused = jobs("new", "--reuse", old)
    assert refused.code == 2
    assert "its scores are score, and this job's are score, distance@km" in refused.err
    assert not (tmp_path / "new").exists()


def test_a_directory_that_has_traces_takes_none_over(jobs: Jobs, old: Path, tmp_path: Path):
    assert jobs("new", "--num-samples", 1).code == 0
    refused = jobs("new", "--reuse", old)
    assert refused.code == 2
    assert "new has traces of its own, and --reuse begins a run" in refused.err
    assert len(traces(tmp_path / "new")) == 1


def test_another_redo_or_another_run_is_refused_where_a_takeover_has_begun(jobs: Jobs, old: Path, tmp_path: Path):
    shutil.copytree(old, tmp_path / "other")
    assert jobs("new", "--reuse", old, *CUT).code == 0
    for flags in (("--reuse", old), ("--reuse", "other", *CUT), ("--reuse", old, "--redo", "score < 0.1")):
        refused = jobs("new", *flags)
        assert refused.code == 2
        assert f"new was begun with --reuse {old} --redo 'stop = " in refused.err


def test_a_takeover_that_was_killed_is_finished_by_the_same_command(jobs: Jobs, old: Path, tmp_path: Path):
    new = tmp_path / "new"
    assert jobs(new, "--reuse", old, "--max-tokens", 900).code == 0
    cut_short(new)
    asked = jobs.asked
    refused = jobs(new, "--max-tokens", 900)
    assert refused.code == 2
    assert (
        f"has not taken over all it is to have of {old}; run the same command with --reuse {old} again" in refused.err
    )
    done = jobs(new, "--reuse", old, "--max-tokens", 900)
    assert done.code == 0, done.err
    assert "taking over 5 traces" in done.err
    assert jobs.asked == asked
    assert ids(new) == wanted_ids("geo", range(8))
    assert run_file(new)["reused"] == {"from": str(old), "redo": "", "complete": True, "traces": 8}
    assert jobs.run("verify", new).code == 0


def cut_short(new: Path) -> None:
    """As a kill leaves it in the middle of a takeover: three whole lines, a torn one, no start yet."""
    (shard,) = (new / "traces").glob("*.jsonl")
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.with_name(shard.name + ".part").write_bytes(b"".join(lines[:3]) + lines[3][:99])
    for path in [*(new / "traces").glob("*.jsonl"), *(new / "traces").glob("*.parquet"), new / "events.jsonl"]:
        path.unlink()
    described = run_file(new)
    described["reused"] |= {"complete": False}
    (new / "run.json").write_text(json.dumps(described))


def test_when_the_older_run_is_gone_the_same_command_goes_on_with_what_was_taken(jobs: Jobs, old: Path, tmp_path: Path):
    assert jobs("new", "--reuse", old, *CUT).code == 0
    shutil.rmtree(old)
    again = jobs("new", "--reuse", old, *CUT, "--rollouts", 2)
    assert again.code == 0, again.err
    assert ids(tmp_path / "new") == wanted_ids("geo", range(8), 2)


@pytest.mark.parametrize("alive", [True, False])
def test_of_a_run_that_goes_on_or_was_killed_what_is_there_is_taken(
    jobs: Jobs, photos: Path, tmp_path: Path, alive: bool
):
    old = tmp_path / "old"
    with ThreadedServer(lambda body, number: hang() if number >= 3 else answering(body, number)) as server:
        process = start("run", "geo", "--dataset-path", photos, "--output-dir", old, "--base-url", server.base_url)
        try:
            wait_until(lambda: part_lines(old) >= 3)
            if not alive:
                process.kill()
                process.wait()
            before = files_of(old)
            done = jobs("new", "--reuse", old)
            assert files_of(old) == before
            assert (process.poll() is None) == alive
        finally:
            process.kill()
            ended(process)
    assert (done.code, jobs.asked) == (0, 5), done.err
    marks = [trace["metadata"]["reused_from"] for trace in traces(tmp_path / "new")]
    assert sorted(marks) == [""] * 5 + [str(old)] * 3


def part_lines(directory: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (directory / "traces").glob("*.part"))


def test_partitions_are_taken_over_as_one_run_and_by_partitions(jobs: Jobs, tmp_path: Path):
    for k in range(2):
        assert jobs("old", "--partition", f"{k}/2", "--max-tokens", SHORT).code == 0
    asked = jobs.asked
    whole = jobs("whole", "--reuse", "old", "--max-tokens", 900)
    parts = [jobs("parts", "--reuse", "old", "--max-tokens", 900, "--partition", f"{k}/3") for k in range(3)]
    assert [one.code for one in (whole, *parts)] == [0] * 4, [one.err for one in (whole, *parts)]
    assert jobs.asked == asked
    assert ids(tmp_path / "whole") == wanted_ids("geo", range(8))
    found = [one for k in range(3) for one in traces(tmp_path / "parts" / f"part-00{k}-of-003")]
    assert sorted(one["id"] for one in found) == wanted_ids("geo", range(8))
    assert {one["metadata"]["reused_from"] for one in found} == {str(tmp_path / "old")}
    loaded = datasets.load_dataset(str(tmp_path / "parts"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 8


def test_marks_of_acceptance_are_kept_and_count(jobs: Jobs, tmp_path: Path):
    assert jobs("old", "--accept", "lat < 0").code == 0
    asked = jobs.asked
    done = jobs("new", "--reuse", "old", "--accept", "true", "--rollouts", 2, "--until-accepted", 1)
    assert done.code == 0, done.err
    assert "accept is another one now: the traces that there are keep their marks (by accept 'lat < 0')" in done.err
    accepted = sum(trace["metadata"]["accepted"] for trace in traces(tmp_path / "old"))
    assert 0 < accepted < 8
    assert jobs.asked - asked == 8 - accepted


def test_what_filter_kept_can_be_taken_over(jobs: Jobs, old: Path, tmp_path: Path):
    assert jobs.run("filter", old, "--where", "stop <> 'length'", "-o", tmp_path / "good").code == 0
    asked = jobs.asked
    done = jobs("new", "--reuse", "good", "--max-tokens", 900)
    assert (done.code, jobs.asked - asked) == (0, 4), done.err


def test_copies_of_a_run_that_took_traces_over_keep_the_mark(jobs: Jobs, old: Path, tmp_path: Path):
    new = tmp_path / "new"
    assert jobs(new, "--reuse", old, *CUT).code == 0
    wanted = {trace["id"]: trace["metadata"]["reused_from"] for trace in traces(new)}
    for words in (("rescore", new), ("filter", new, "--where", "true"), ("merge", new)):
        out = tmp_path / str(words[0])
        copied = jobs.run(*words, "-o", out)
        assert copied.code == 0, copied.err
        assert {trace["id"]: trace["metadata"]["reused_from"] for trace in traces(out)} == wanted
        loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache" / str(words[0])))
        assert {one["reused_from"] for one in loaded["metadata"]} == {"", str(old)}
    asked = json.loads(jobs.run("sql", new, "select count(*) n from traces where reused_from = ''", "--json").out)
    assert asked[0]["n"] == 4


def test_what_was_taken_over_costs_nothing_in_the_new_run(jobs: Jobs, old: Path, tmp_path: Path):
    done = jobs("new", "--reuse", old, *CUT, "--json")
    summary = json.loads(done.out)
    status = json.loads(jobs.run("status", "new", "--json").out)
    for found in (summary, status):
        assert (found["turns"], found["completion_tokens"]) == (4, 40)
    assert json.loads(jobs("new", "--max-tokens", 900, "--json").out)["turns"] == 4


def test_a_run_is_taken_over_from_python_too(jobs: Jobs, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings: dict[str, Any] = {
        "dataset_path": jobs.photos, "base_url": jobs.server.base_url, "num_samples": -1, "max_tokens": 900,
        "output_dir": tmp_path / "new", "progress": False,
    }  # fmt: skip
    asked = jobs.asked
    made = package.run("geo", reuse=old, redo="stop = 'length'", **settings)
    assert (len(made), jobs.asked - asked) == (8, 4)
    with pytest.raises(package.AsyncgenError, match="give --reuse OLD_DIR too"):
        package.run("geo", redo="true", **settings)


def test_a_server_that_is_not_there_is_found_out_before_anything_is_copied(photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        words = ["run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--num-samples"]
        assert asyncgen(*words, 2, "--output-dir", tmp_path / "old").code == 0
    gone = asyncgen(*words, 4, "--output-dir", tmp_path / "new", "--reuse", tmp_path / "old")
    assert gone.code == 2
    assert "no server answers" in gone.err
    assert not (tmp_path / "new").exists()
