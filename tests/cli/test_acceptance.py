"""accept, until_accepted, stop_after_accepted and rules, from the command line to what the server is asked."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.cli_jobs import (
    ANSWER,
    Outcome,
    asyncgen,
    checked,
    ended,
    ids,
    photo,
    shard_lines,
    start,
    traces,
    wait_until,
)
from support.server import Reply, ThreadedServer, text

Run = Callable[..., Outcome]

GOOD = f"So \\boxed{{{ANSWER[0]}, {ANSWER[1]}}}"


def geo(photos: Path, out: Path, server: ThreadedServer, *flags: object, job: object = "geo") -> list[object]:
    number = () if "--num-samples" in flags or "geo" not in str(job) else ("--num-samples", -1)
    return ["run", job, "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url, *number, *flags]


def by_seed(*good: int) -> Callable[[dict[str, Any], int], Reply]:
    """An answer that can be read for rollouts with these numbers (the job's seed is 0)."""
    return lambda body, number: text(GOOD if body["seed"] in good else "no idea")


def events(directory: Path, name: str) -> list[dict[str, Any]]:
    lines = (directory / "events.jsonl").read_bytes().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def marks(directory: Path) -> dict[str, bool]:
    return {trace["id"]: trace["metadata"]["accepted"] for trace in traces(directory)}


def test_accept_marks_each_trace_before_it_is_saved(photos: Path, tmp_path: Path, run: Run):
    out = tmp_path / "run"
    with ThreadedServer(by_seed(0)) as server:
        words = geo(photos, out, server, "--rollouts", 2, "--seed", 0, "--json")
        done = run(*words, "--accept", "parse_success and data.country <> 'land 0' and \"distance@km\" >= 0")
        assert done.code == 0, done.err
        assert marks(out) == {f"geo/{row}/{k}": k == 0 and row % 3 != 0 for row in range(8) for k in range(2)}
        assert json.loads(done.out)["accepted"] == 5
        again = run(*words, "--accept", "not parse_success")  # a trace keeps the mark that it got
        assert again.code == 0, again.err
        assert json.loads(again.out)["accepted"] == 5
    assert json.loads((out / "run.json").read_text())["config"]["accept"] == "not parse_success"


def test_without_accept_every_trace_is_accepted(photos: Path, tmp_path: Path, run: Run):
    with ThreadedServer(by_seed()) as server:
        assert run(*geo(photos, tmp_path / "run", server, "--seed", 0)).code == 0
    assert set(marks(tmp_path / "run").values()) == {True}


def test_where_it_cannot_be_computed_a_trace_is_not_accepted_and_an_event_says_why(
    photos: Path, tmp_path: Path, run: Run
):
    out = tmp_path / "run"
    with ThreadedServer(by_seed(0)) as server:
        condition = "case when sample_index = 3 then final_response::int > 0 else true end"
        ended = run(*geo(photos, out, server, "--seed", 0, "--accept", condition))
    assert ended.code == 0
    assert "accept cannot be computed for geo/3/0, which is not accepted then: Conversion Error" in ended.err
    assert marks(out) == {f"geo/{row}/0": row != 3 for row in range(8)}
    (event,) = events(out, "accept_error")
    assert event["id"] == "geo/3/0"
    assert "Conversion Error" in event["text"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--accept", "scor > 0.3"), "accept 'scor > 0.3': no column 'scor': did you mean 'score'?"),
        (("--accept", "score >"), "accept 'score >': the condition ends too early"),
        (("--until-accepted", 1), "until_accepted needs accept"),
        (("--accept", "score > 0", "--until-accepted", 2), "until_accepted is 2, and rollouts is 1"),
        (("--stop-after-accepted", 0), "stop_after_accepted is 0"),
        (("--stop-after-accepted", "x"), "--stop-after-accepted 'x'"),
    ],
)
def test_a_condition_that_is_wrong_is_one_line_and_makes_no_directory(
    photos: Path, tmp_path: Path, run: Run, flags: tuple[object, ...], said: str
):
    with ThreadedServer(by_seed(0)) as server:
        refused = run(*geo(photos, tmp_path / "run", server, *flags))
        assert server.requests == []
    assert refused.code == 2
    assert said in refused.err
    assert len(refused.complaints) == len(refused.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_until_accepted_asks_for_exactly_what_is_needed(photos: Path, tmp_path: Path, run: Run):
    out = tmp_path / "run"
    with ThreadedServer(by_seed(1, 3, 4)) as server:
        words = geo(photos, out, server, "--seed", 0, "--rollouts", 6, "--accept", "parse_success", "--json")
        done = run(*words, "--until-accepted", 2)
        assert done.code == 0, done.err
        assert Counter(request.body["seed"] for request in server.requests) == dict.fromkeys(range(4), 8)
        summary = json.loads(done.out)
        assert (summary["done"], summary["left"], summary["skipped"], summary["accepted"]) == (32, 0, 16, 16)
        status = json.loads(run("status", out, "--json").out)
        assert (status["state"], status["left"], status["skipped"]) == ("complete", 0, 16)
        assert "16 not needed" in run("status", out).out
        more = run(*words, "--until-accepted", 3)  # one accepted trace more, and only the rollouts that it takes
        assert more.code == 0, more.err
        assert Counter(request.body["seed"] for request in server.requests) == dict.fromkeys(range(5), 8)
    nothing = run(*words, "--until-accepted", 3)  # nobody listens there any more
    assert nothing.code == 0, nothing.err
    assert json.loads(nothing.out)["skipped"] == 8
    assert json.loads((out / "run.json").read_text())["selection"] == {
        "rows": 8, "filtered": 0, "selected": 8, "rollouts": 6, "skipped": 8,
    }  # fmt: skip


def test_a_run_that_is_killed_goes_on_with_the_rollouts_that_are_still_needed(photos: Path, tmp_path: Path):
    """Killed again and again in the middle of its chains; at the end each sample has the rollouts that it would have
    had without."""
    out = tmp_path / "run"
    answers = random.Random(4)
    good = {row: sorted(answers.sample(range(8), 3)) for row in range(8)}
    lock = threading.Lock()
    allowed = 5

    def script(body: dict[str, Any], number: int) -> Reply:
        row = int(body["messages"][0]["content"].split()[-1])
        with lock:
            late = number >= allowed
        reply = text(GOOD if body["seed"] in good[row] else "no idea")
        return reply.after(30) if late else reply

    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"row": row, "lat": 1.0, "lon": 2.0}) + "\n" for row in range(8)))
    with ThreadedServer(script) as server:
        words = geo(rows, out, server, "--seed", 0, "--rollouts", 8, "--accept", "parse_success", "--concurrency", 4)
        words += ["--until-accepted", 2, "--task.system", "row {row}", "--task.user", "Where?"]
        for round_ in range(2):
            process = start(*words)
            wanted = 5 * (round_ + 1)
            wait_until(lambda wanted=wanted: _saved(out) >= wanted)  # type: ignore[misc]  # bound early
            process.kill()
            ended(process)
            with lock:
                allowed = len(server.requests) + 5
        with lock:
            allowed = 10**9
        done = asyncgen(*words, "--json")
        assert done.code == 0, done.err
    expected = [f"geo/{row}/{k}" for row in range(8) for k in range(good[row][1] + 1)]
    found = ids(out)
    assert len(set(found)) == len(found)
    # a rollout that was under way when the run was killed is done anew: the lowest unused number comes first
    assert found == sorted(expected)
    assert json.loads(done.out)["skipped"] == 64 - len(expected)
    assert Counter(marks(out).values())[True] == 16


def _saved(out: Path) -> int:
    """Whole lines, in open shards too."""
    count = 0
    for suffix in (".jsonl", ".jsonl.part"):
        for line in shard_lines(out, suffix=suffix):
            try:
                checked(line)
            except (AssertionError, ValueError):
                continue
            count += 1
    return count


def test_stop_after_accepted_ends_the_job_well_and_counts_the_traces_of_earlier_starts(
    photos: Path, tmp_path: Path, run: Run
):
    out = tmp_path / "run"
    with ThreadedServer(by_seed(1)) as server:
        words = geo(photos, out, server, "--seed", 0, "--rollouts", 2, "--accept", "parse_success", "--concurrency", 1)
        done = run(*words, "--stop-after-accepted", 3)
        assert done.code == 0, done.err
        assert "3 traces are accepted: stopping" in done.err
        assert "0 left" in done.out
        assert "run the same command again" not in done.out
        assert sum(marks(out).values()) in {3, 4}  # what is under way ends
        asked = len(server.requests)
        assert asked < 16
        more = run(*words, "--stop-after-accepted", 6, "--json")
        assert more.code == 0, more.err
        assert sum(marks(out).values()) in {6, 7}
        assert json.loads(run("status", out, "--json").out)["state"] == "complete"
    nothing = run(*words, "--stop-after-accepted", 6)  # nobody listens there any more
    assert nothing.code == 0, nothing.err
    assert events(out, "drain")[0]["by"] == "stop_after_accepted"


def difficult(folder: Path, scores: list[float | None]) -> Path:
    features = datasets.Features(
        {"image": datasets.Image(), **dict.fromkeys(("lat", "lon", "locatability_score"), datasets.Value("float64"))}
    )
    rows = len(scores)
    columns = {
        "image": [{"bytes": photo(0), "path": None}] * rows,
        "lat": [row % 80.0 for row in range(rows)],
        "lon": [row % 80.0 for row in range(rows)],
        "locatability_score": scores,
    }
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder))
    return folder


def test_rules_change_turns_temperature_tokens_rollouts_and_rows(tmp_path: Path, run: Run):
    data = difficult(tmp_path / "data", [0.9, 0.1, 0.3, None, 0.15, 0.05])
    job = tmp_path / "own.yaml"
    rules = [
        {"where": "locatability_score < 0.2", "max_turns": 3, "temperature": 0.9, "limit": 2},
        {"where": "locatability_score < 0.5", "max_tokens": 77, "rollouts": 2},
        {"where": "locatability_score is null", "drop": True},
    ]
    job.write_text(json.dumps({"task": "geo-tools", "rules": rules, "episode": {"max_turns": 1, "final_turn": False}}))
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: text("still looking")) as server:
        words = geo(data, out, server, "--dataset.order", "hardest_first", "--temperature", 0.5, job=job)
        done = run(*words)
        assert done.code == 0, done.err
        bodies = [request.body for request in server.requests]
    assert ids(out) == ["own/0/0", "own/1/0", "own/2/0", "own/2/1", "own/5/0"]
    assert Counter((one["temperature"], one["max_tokens"]) for one in bodies) == {
        (0.9, 2048): 2 * 3,
        (0.5, 77): 2,
        (0.5, 2048): 1,
    }
    assert {trace["sample_index"]: trace["metadata"]["total_turns"] for trace in traces(out)} == {
        0: 1,
        1: 3,
        2: 1,
        5: 3,
    }
    assert "rules[0] (locatability_score < 0.2): 3 rows, 1 of them left out" in done.err
    assert "4 of 6 samples x 1 to 2 rollouts = 5 episodes" in done.err
    stored = json.loads((out / "run.json").read_text())
    assert stored["selection"] == {"rows": 6, "filtered": 2, "selected": 4, "rollouts": 1, "skipped": 0}
    assert stored["total"] == 5
    rules[0]["limit"], rules[1]["rollouts"] = 3, 1  # how many is no change of the configuration
    job.write_text(json.dumps({"task": "geo-tools", "rules": rules, "episode": {"max_turns": 1, "final_turn": False}}))
    with ThreadedServer(lambda body, number: text("still looking")) as server:
        words[words.index("--base-url") + 1] = server.base_url
        assert run(*words).code == 0
        assert len(server.requests) == 3
        rules[0]["temperature"] = 0.1
        job.write_text(json.dumps({"task": "geo-tools", "rules": rules, "episode": {"max_turns": 1}}))
        changed = run(*words)
    assert changed.code == 2
    assert "rules.where.locatability_score < 0.2.temperature: 0.9 -> 0.1" in changed.err


def test_a_wrong_rule_is_named(photos: Path, tmp_path: Path, run: Run):
    job = tmp_path / "own.yaml"
    job.write_text(json.dumps({"task": "geo", "rules": [{"where": "lat > 0"}, {"where": "latt > 0", "drop": True}]}))
    with ThreadedServer(by_seed(0)) as server:
        refused = run(*geo(photos, tmp_path / "run", server, job=job))
        job.write_text(json.dumps({"task": "geo", "rules": [{"where": "true", "drop": True}]}))
        empty = run(*geo(photos, tmp_path / "run", server, job=job))
    assert (refused.code, empty.code) == (2, 2)
    assert "rules[1].where 'latt > 0': no column 'latt': did you mean 'lat'?" in refused.complaints[0]
    assert "the rules leave out every row" in empty.complaints[0]
    assert not (tmp_path / "run").exists()


def test_the_stages_of_geo_stages_have_their_numbers_turns_and_temperatures(tmp_path: Path, run: Run):
    """With the document's limits 250 times smaller."""
    count = 200
    scores: list[float | None] = [row / count for row in range(count)]
    data = difficult(tmp_path / "data", [*scores, None])
    job = tmp_path / "stages.yaml"
    init = run("init", "geo-stages", "-o", job)
    assert init.code == 0, init.err
    written = job.read_text()
    for limit in (1000, 5000, 10000):
        assert f"    limit: {limit}" in written
        written = written.replace(f"    limit: {limit}", f"    limit: {limit // 250}", 1)
    job.write_text(written)
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: text(GOOD)) as server:
        done = run(*geo(data, out, server, job=job))
        assert done.code == 0, done.err
        temperatures = Counter(request.body["temperature"] for request in server.requests)
    rows = sorted(trace["sample_index"] for trace in traces(out))
    assert rows == [*range(4), *range(40, 60), *range(80, 120)]
    assert temperatures == {0.8: 4, 0.7: 60}
    assert "geo-stages" in run("jobs").out


def test_templates_of_the_command_line_beat_the_built_in_prompts(photos: Path, tmp_path: Path, run: Run):
    (tmp_path / "system.txt").write_text("You know {country}.\n")
    (tmp_path / "hint.txt").write_text("Zoom in on {country}.")
    with ThreadedServer(lambda body, number: text(GOOD)) as server:
        flags = ("--num-samples", 1, "--task.system", tmp_path / "system.txt", "--task.user", "<image> in {country}?")
        for job in ("geo", "geo-tools"):
            hint = () if job == "geo" else ("--task.tool-hint", tmp_path / "hint.txt")
            done = run(*geo(photos, tmp_path / job, server, *flags, *hint, job=job))
            assert done.code == 0, done.err
        plain, tools = (request.body["messages"] for request in server.requests)
    land = traces(tmp_path / "geo")[0]["sample_data"]["country"]
    assert plain[0] == {"role": "system", "content": f"You know {land}."}
    assert [part.get("text") for part in plain[1]["content"]] == [None, f" in {land}?"]
    system = tools[0]["content"]
    whole = system if isinstance(system, str) else "".join(part["text"] for part in system)
    assert whole == f"You know {land}.\n\nZoom in on {land}."
    assert tools[1] == plain[1]


@pytest.mark.parametrize("option", ["system", "user", "tool-hint"])
def test_a_template_with_a_column_that_is_not_there_is_refused(photos: Path, tmp_path: Path, run: Run, option: str):
    (tmp_path / "text.txt").write_text("A {countri} <image>")
    with ThreadedServer(by_seed(0)) as server:
        for value in ("A {countri} <image>", tmp_path / "text.txt"):
            refused = run(*geo(photos, tmp_path / "run", server, f"--task.{option}", value, job="geo-tools"))
            assert refused.code == 2
            assert len(refused.err.splitlines()) == 1
            assert f"has no column 'countri', which the {option.replace('-', '_')} template names" in refused.err
        assert server.requests == []
    assert not (tmp_path / "run").exists()


def test_a_prompt_that_is_the_name_of_no_file_is_refused(photos: Path, tmp_path: Path, run: Run):
    with ThreadedServer(by_seed(0)) as server:
        refused = run(*geo(photos, tmp_path / "run", server, "--task.system", "prompts/nosuch.txt"))
        assert server.requests == []
    assert refused.code == 2
    assert "the prompt 'prompts/nosuch.txt' looks like a file's name" in refused.complaints[0]


def test_another_accept_says_that_stored_marks_stay_as_they_are(photos: Path, tmp_path: Path, run: Run):
    out = tmp_path / "run"
    with ThreadedServer(by_seed(0)) as server:
        assert (
            "keep their marks"
            not in run(*geo(photos, out, server, "--seed", 0, "--num-samples", 2, "--accept", "score > 2")).err
        )
        assert (
            "keep their marks"
            not in run(*geo(photos, out, server, "--seed", 0, "--num-samples", 3, "--accept", "score > 2")).err
        )
        changed = run(*geo(photos, out, server, "--seed", 0, "--num-samples", 5, "--accept", "score >= 0"))
    assert "keep their marks (by accept 'score > 2')" in changed.err
    assert list(marks(out).values()).count(True) == 2
    assert json.loads(run("status", out, "--json").out)["accepted"] == 2
    assert "2 of the 5 stored traces are accepted" in run("status", out).out


def test_the_mark_itself_is_no_name_in_accept(photos: Path, tmp_path: Path, run: Run):
    with ThreadedServer(by_seed(0)) as server:
        refused = run(*geo(photos, tmp_path / "run", server, "--seed", 0, "--accept", "accepted"))
    assert refused.code == 2
    assert "no column 'accepted'" in refused.complaints[0]
    assert not (tmp_path / "run").exists()
