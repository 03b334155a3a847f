"""Running again, interrupts and kills: what is asked once is never asked again, what is saved is never lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import datasets
import pytest
from support.cli_jobs import (
    Outcome,
    answering,
    asyncgen,
    checked,
    ended,
    ids,
    looking,
    save_photos,
    shard_lines,
    start,
    traces,
    wait_until,
    wanted_ids,
)
from support.deep import deep
from support.server import Reply, ThreadedServer, error, hang, raw


def geo(photos: Path, out: Path, server: ThreadedServer, *flags: object, job: str = "geo") -> list[object]:
    number = () if "--num-samples" in flags else ("--num-samples", -1)
    return ["run", job, "--dataset-path", photos, "--output-dir", out, "--base-url", server.base_url, *number, *flags]


def events(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "events.jsonl").read_bytes().splitlines()]


def test_a_complete_run_asks_no_server_at_all(photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        words = geo(photos, tmp_path / "run", server)
        assert asyncgen(*words).code == 0
    before = ids(tmp_path / "run")
    again = asyncgen(*words)  # nobody listens there any more: a request of any kind would fail
    assert again.code == 0, again.err
    assert "8 done, 0 failed, 0 left" in again.err
    assert ids(tmp_path / "run") == before == wanted_ids("geo", range(8))


def test_more_samples_and_more_rollouts_do_only_the_difference(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        counts = []
        for flags in (("--num-samples", 3), ("--num-samples", 5), ("--num-samples", 5, "--rollouts", 2)):
            done = asyncgen(*geo(photos, out, server, *flags))
            assert done.code == 0, done.err
            counts.append(len(server.requests))
        less = asyncgen(*geo(photos, out, server, "--num-samples", 2, "--json"))
    assert counts == [3, 5, 10]
    assert "5 done, 0 failed, 5 left" in done.err
    assert len(server.requests) == 10
    assert json.loads(less.out)["total"] == json.loads(less.out)["done"] == 2
    assert len(set(ids(out))) == len(ids(out)) == 10  # lowering a number deletes nothing


def test_failed_episodes_are_tried_again_only_when_asked_for(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    refuse = True

    def script(body: dict[str, Any], number: int) -> Reply:
        return error(400, "this prompt is refused") if refuse and number < 2 else answering(body, number)

    with ThreadedServer(script) as server:
        words = geo(photos, out, server, "--max-failed", 0.5)
        first = asyncgen(*words)
        refuse = False
        again = asyncgen(*words)
        other = asyncgen(*words, "--retry-failed=timeout,bad_image")
        assert len(server.requests) == 8
        assert [one.code for one in (first, again, other)] == [0, 0, 0]
        assert "6 done, 2 failed, 0 left" in again.err
        assert len(ids(out)) == 6
        mended = asyncgen(*words, "--retry-failed", "bad_request")
    assert mended.code == 0, mended.err
    assert "6 done, 0 failed, 2 left" in mended.err
    assert len(server.requests) == 10
    assert ids(out) == wanted_ids("geo", range(8))
    assert json.loads(asyncgen("status", out, "--json").out)["failed"] == 0


@pytest.mark.deep
def test_a_retry_that_fails_again_counts_as_failed_and_not_as_left(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: error(400, "refused")) as server:
        words = geo(photos, out, server, "--num-samples", 2, "--max-failed", 1)
        asyncgen(*words)
        again = asyncgen(*words, "--retry-failed", "--json")
    assert again.code == 0, again.err
    summary = json.loads(again.out)
    assert (summary["done"], summary["failed"], summary["left"]) == (0, 2, 0)
    status = json.loads(asyncgen("status", out, "--json").out)
    assert (status["state"], status["failed"], status["left"]) == ("complete", 2, 0)


def test_the_counts_are_printed_before_the_first_request(photos: Path, tmp_path: Path):
    seen: list[str] = []
    with ThreadedServer(lambda body, number: hang()) as server:
        process = start(*geo(photos, tmp_path / "run", server))
        try:
            assert process.stderr is not None
            while "left ->" not in (line := process.stderr.readline()) and line:
                seen.append(line)
            seen.append(line)
        finally:
            process.kill()
            ended(process)
    assert "geo: 8 of 8 samples x 1 rollouts = 8 episodes: 0 done, 0 failed, 8 left" in seen[-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), *deep([(signal.SIGINT, 130)])])
def test_the_first_signal_lets_open_requests_finish_and_starts_nothing_new(
    photos: Path, tmp_path: Path, number: signal.Signals, code: int
):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, count: looking(body, count).after(0.3)) as server:
        words = geo(photos, out, server, job="geo-tools")
        process = start(*words, "--concurrency", 1)
        wait_until(lambda: len(server.requests) >= 1)
        process.send_signal(number)
        stopped = ended(process)
        asked = len(server.requests)
        assert stopped.code == code, stopped.err
        assert "draining" in stopped.err
        assert "run the same command again" in stopped.out
        assert asked == 1
        assert ids(out) == []  # its answer is in the journal
        assert not list((out / "traces").glob("*.part"))
        again = asyncgen(*words)
        assert again.code == 0, again.err
        assert len(server.requests) == 3 * 8
    assert ids(out) == wanted_ids("geo-tools", range(8))
    assert [event["signal"] for event in events(out) if event["event"] == "stop"] == [int(number), 0]


def test_the_second_signal_stops_at_once_and_the_directory_resumes(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang() if number >= 3 else answering(body, number)) as server:
        words = geo(photos, out, server, "--concurrency", 2)
        process = start(*words)
        wait_until(lambda: len(server.requests) >= 5)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)  # requests hang, so the drain goes on
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert len(ids(out)) == 3
    assert json.loads(asyncgen("status", out, "--json").out)["state"] == "interrupted"
    with ThreadedServer(answering, port=server.port) as second:
        assert asyncgen(*words).code == 0
        assert len(second.requests) == 5
    assert ids(out) == wanted_ids("geo", range(8))


def test_after_the_grace_running_episodes_are_stopped(photos: Path, tmp_path: Path):
    with ThreadedServer(lambda body, number: hang()) as server:
        process = start(*geo(photos, tmp_path / "run", server, "--schedule.grace", 0.1))
        wait_until(lambda: len(server.requests) >= 1)
        process.send_signal(signal.SIGTERM)
        stopped = ended(process)
    assert stopped.code == 143, stopped.err
    assert "8 left" in stopped.out


def test_an_interrupt_before_the_first_request_leaves_no_directory(photos: Path, tmp_path: Path):
    with ThreadedServer(answering, pages={"/v1/models": hang()}) as server:
        process = start(*geo(photos, tmp_path / "runs" / "run", server))
        wait_until((tmp_path / "runs" / "run" / "LOCK").exists)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)  # it reads the dataset, then waits for the list of models
        process.send_signal(signal.SIGINT)
        stopped = ended(process)
    assert stopped.code == 130
    assert stopped.err.splitlines() == [
        "asyncgen: interrupted before the first request, or after the last; the same command goes on"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.deep  # three kills of a multi-turn job are always tried (test_random_kills)
def test_ten_kills_lose_no_saved_trace_and_double_none(tmp_path: Path):
    rows = 60
    photos = save_photos(tmp_path / "photos", rows)
    out = tmp_path / "run"
    chance = random.Random(7)
    kept: set[str] = set()
    with ThreadedServer(lambda body, number: answering(body, number).after(0.02)) as server:
        words = geo(photos, out, server, "--rollouts", 2, "--concurrency", 2)
        for _ in range(10):
            process = start(*words)
            goal = len(server.requests) + chance.randint(0, 8)
            wait_until(lambda goal=goal: len(server.requests) > goal)
            process.kill()
            ended(process)
            sealed = [checked(line)["id"] for line in shard_lines(out)]
            assert kept <= set(sealed) | _whole_part_ids(out)
            kept |= set(sealed) | _whole_part_ids(out)
        last = asyncgen(*words)
    assert last.code == 0, last.err
    found = ids(out)
    assert kept <= set(found)
    assert found == wanted_ids("geo", range(rows), 2)
    assert 0 < len(kept) < 2 * rows
    assert len(server.requests) <= 2 * rows + 10 * 4  # lost: what was in flight


def _whole_part_ids(out: Path) -> set[str]:
    found = set()
    for part in (out / "traces").glob("*.part"):
        found |= {checked(line)["id"] for line in part.read_bytes().splitlines(keepends=False) if line.endswith(b'"}')}
    return found


def test_a_second_process_is_refused_with_pid_and_host_of_the_first(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: hang()) as server:
        words = geo(photos, out, server)
        first = start(*words)
        try:
            wait_until(lambda: len(server.requests) >= 1)
            asked = len(server.requests)
            second = asyncgen(*words)
            status = json.loads(asyncgen("status", out, "--json").out)
        finally:
            first.kill()
            ended(first)
        assert second.code == 2
        assert len(second.complaints) == 1
        assert f"pid {first.pid} on " in second.complaints[0]
        assert len(server.requests) >= asked
        assert (status["state"], status["holder"]["pid"]) == ("running", first.pid)
    assert json.loads(asyncgen("status", out, "--json").out)["state"] == "interrupted"


def changed(photos: Path, out: Path, server: ThreadedServer, *flags: object) -> Outcome:
    return asyncgen(*geo(photos, out, server, "--temperature", 0.9, "--max-tokens", 77, *flags))


def test_a_changed_configuration_is_refused_field_by_field_unless_accepted(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 2)).code == 0
        refused = changed(photos, out, server)
        assert refused.code == 2
        assert len(refused.complaints) == 1
        assert "sampling.temperature: 0.7 -> 0.9" in refused.err
        assert "sampling.max_tokens: 4096 -> 77" in refused.err
        assert "--accept-config-change" in refused.err
        assert len(server.requests) == 2
        assert changed(photos, out, server, "--accept-config-change").code == 0
    made = traces(out)
    assert len({trace["config_id"] for trace in made}) == 2
    configs = json.loads((out / "run.json").read_bytes())["configs"]
    for trace in made:
        sampling = configs[trace["config_id"]]["sampling"]
        assert sampling["temperature"] == (0.7 if trace in made[:2] else 0.9)
    (change,) = [event for event in events(out) if event["event"] == "config_change"]
    assert "sampling.temperature: 0.7 -> 0.9" in change["changes"]


def test_changed_servers_numbers_and_timeouts_are_no_change(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as first:
        assert asyncgen(*geo(photos, out, first, "--num-samples", 2)).code == 0
    with ThreadedServer(answering) as second:
        done = asyncgen(
            *geo(photos, out, second, "--concurrency", 3, "--endpoint.turn-timeout", 99, "--where", "lat < 900",
                 "--rollouts", 2, "--schedule.grace", 1)
        )  # fmt: skip
    assert done.code == 0, done.err
    assert len(second.requests) == 14
    assert len({trace["config_id"] for trace in traces(out)}) == 1


@pytest.mark.deep
def test_a_list_of_temperatures_that_got_longer_is_no_change(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        words = ("--num-samples", 2, "--rollouts")
        assert asyncgen(*geo(photos, out, server, *words, 2, "--sampling.temperatures", "[.1, .2]")).code == 0
        shapes = json.loads((out / "run.json").read_bytes())["configs"]
        more = asyncgen(*geo(photos, out, server, *words, 4, "--sampling.temperatures", "[.1, .2, .3, .4]"))
        assert more.code == 0, more.err
        asked = [request.body["temperature"] for request in server.requests]
        other = asyncgen(*geo(photos, out, server, *words, 5, "--sampling.temperatures", "[.1, .3, .3, .4, .5]"))
        assert len(server.requests) == len(asked)
    assert sorted(asked[:4]) == [0.1, 0.1, 0.2, 0.2]
    assert sorted(asked[4:]) == [0.3, 0.3, 0.4, 0.4]
    assert {trace["config_id"] for trace in traces(out)} == set(shapes)
    assert json.loads((out / "run.json").read_bytes())["configs"] == shapes
    assert other.code == 2
    assert "sampling.temperatures[1]: 0.2 -> 0.3" in other.err


@pytest.mark.deep
def test_temperatures_for_more_rollouts_go_on_from_a_run_that_had_one_temperature(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        words = ("--num-samples", 2, "--rollouts")
        assert asyncgen(*geo(photos, out, server, *words, 1, "--temperature", 0.7)).code == 0
        more = asyncgen(*geo(photos, out, server, *words, 2, "--sampling.temperatures", "[.7, .9]"))
        assert more.code == 0, more.err
        assert sorted(request.body["temperature"] for request in server.requests) == [0.7, 0.7, 0.9, 0.9]
    assert len({trace["config_id"] for trace in traces(out)}) == 1


@pytest.mark.deep
@pytest.mark.parametrize(
    ("starts", "codes"),
    [
        ([("2", "[.7, .1]"), ("2", "")], [0, 2]),
        pytest.param([("2", "[.7, .1]"), ("1", ""), ("2", "[.7, .3]")], [0, 0, 2], marks=pytest.mark.deep),
        pytest.param([("2", ""), ("1", "[.7]"), ("2", "[.7, .9]")], [0, 0, 2], marks=pytest.mark.deep),
        ([("1", ""), ("2", "[.7, .9]"), ("1", "[.7]"), ("2", "[.7, .9]")], [0, 0, 0, 0]),
        ([("2", "[.7, .9, 1.1]"), ("3", "[.7, .9, 1.3]")], [0, 0]),
    ],
)
def test_a_rollout_keeps_the_temperature_of_its_traces_whatever_was_given_between(
    photos: Path, tmp_path: Path, starts: list[tuple[str, str]], codes: list[int]
):
    found = []
    with ThreadedServer(answering) as server:
        for number, (rollouts, given) in enumerate(starts):
            flags = ["--num-samples", 1 + number, "--rollouts", rollouts, "--temperature", 0.7]
            flags += ["--sampling.temperatures", given] if given else []
            found.append(asyncgen(*geo(photos, tmp_path / "run", server, *flags)))
    assert [one.code for one in found] == codes, [one.err for one in found]
    if 2 in codes:
        assert "sampling.temperatures[1]: " in found[-1].err
    else:
        assert len({trace["config_id"] for trace in traces(tmp_path / "run")}) == 1


@pytest.mark.deep
def test_prompts_that_look_like_secrets_are_stored_and_compared_as_they_are(photos: Path, tmp_path: Path):
    out, prompt = tmp_path / "run", "<image> Where?\nSecret: {} as \\boxed{{lat, lon}}"
    with ThreadedServer(answering) as server:
        words = ("--num-samples", 1, "--task.user")
        assert asyncgen(*geo(photos, out, server, *words, prompt.format("answer"))).code == 0
        other = asyncgen(*geo(photos, out, server, *words, prompt.format("refuse")))
    run = json.loads((out / "run.json").read_bytes())
    assert run["configs"][run["config_id"]]["task_options"]["user"] == prompt.format("answer")
    assert other.code == 2
    assert "task_options.user: " in other.err


@pytest.mark.deep
def test_a_value_that_is_not_stored_is_compared_too(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        words = ("--num-samples", 1, "--sampling.extra-body")
        assert asyncgen(*geo(photos, out, server, *words, "{stop_token: one}")).code == 0
        assert asyncgen(*geo(photos, out, server, *words, "{stop_token: one}")).code == 0
        other = asyncgen(*geo(photos, out, server, *words, "{stop_token: two}"))
    assert other.code == 2
    assert "a value whose key sounds like that of a secret" in other.err
    assert "one" not in (out / "run.json").read_text().split('"extra_body"')[1][:60]


def test_a_run_that_has_no_trace_yet_is_a_new_one_for_a_server_that_is_not_there(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(lambda body, number: error(404, "no such model")) as server:
        assert asyncgen(*geo(photos, out, server)).code == 2
    assert (out / "run.json").exists()
    gone = asyncgen(*geo(photos, out, server))
    assert gone.code == 2
    assert f"no server answers at {server.base_url}: no connection" in gone.err


def test_a_directory_of_another_task_is_refused_on_one_line(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 1)).code == 0
        other = asyncgen(*geo(photos, out, server, "--name", "geo", job="geo-tools"))
        assert len(server.requests) == 1
    assert other.code == 2
    assert len(other.err.splitlines()) == 1
    assert "are of the task geo, and this job's task is geo-tools: give another --output-dir" in other.err


def test_a_directory_of_another_name_is_refused(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 1)).code == 0
        other = asyncgen(*geo(photos, out, server, "--name", "mine"))
        assert len(server.requests) == 1
    assert other.code == 2
    assert "are named geo/…, and this job's name is mine: give another --output-dir" in other.complaints[0]


@pytest.mark.deep
def test_another_dataset_that_is_accepted_says_which_rows_count_as_done(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    others = save_photos(tmp_path / "others", rows=3)
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 1, "--dataset.order", "dataset")).code == 0
        words = geo(others, out, server, "--dataset.order", "dataset", "--accept-config-change")
        other = asyncgen(*words)
        assert len(server.requests) == 3
    assert other.code == 0, other.err
    assert "the dataset is another one: the 1 episodes that count as done or failed" in other.err


@pytest.mark.deep
def test_another_scale_of_the_score_is_no_change(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 1)).code == 0
        done = asyncgen(*geo(photos, out, server, "--num-samples", 2, "--task.scale-km", 1491.6862))
        assert done.code == 0, done.err
        assert len(server.requests) == 2
    assert len({trace["config_id"] for trace in traces(out)}) == 1


def test_a_resume_waits_for_a_server_that_is_not_there(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 2)).code == 0
    process = start(*geo(photos, out, server))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    with ThreadedServer(answering, port=server.port) as back:
        done = ended(process)
        assert done.code == 0, done.err
        assert len(back.requests) == 6
    assert ids(out) == wanted_ids("geo", range(8))
    assert not traces(out, "failed")


def test_a_partition_is_a_run_directory_of_its_own(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        for k in range(2):
            assert asyncgen(*geo(photos, out, server, "--partition", f"{k}/2")).code == 0
        other = asyncgen(*geo(photos, out, server, "--partition", "0/3"))
        whole = asyncgen(*geo(photos, out, server))
        assert len(server.requests) == 8
    assert ids(out / "part-000-of-002") != ids(out / "part-001-of-002")
    assert sorted(ids(out / "part-000-of-002") + ids(out / "part-001-of-002")) == wanted_ids("geo", range(8))
    for refused in (other, whole):
        assert refused.code == 2
        assert "--partition k/2" in refused.complaints[0]
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "part-000-of-002", "part-001-of-002"]
    loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["id"]) == wanted_ids("geo", range(8))
    status = json.loads(asyncgen("status", out, "--json").out)
    assert (status["total"], status["done"], status["partitions"], status["state"]) == (8, 8, 2, "complete")
    assert json.loads(asyncgen("stats", out, "--json").out)["traces"] == 8
    exported = asyncgen("export", out, "--to", "trace-json", "-o", tmp_path / "files")
    assert exported.code == 0, exported.err
    assert len(list((tmp_path / "files").iterdir())) == 8
    assert asyncgen("show", out, 3).code == 0


def test_a_run_directory_with_traces_of_its_own_takes_no_partition(photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, tmp_path / "run", server, "--num-samples", 1)).code == 0
        refused = asyncgen(*geo(photos, tmp_path / "run", server, "--partition", "0/2"))
    assert refused.code == 2
    assert "traces of its own" in refused.complaints[0]


@pytest.mark.deep
def test_a_list_of_models_without_the_known_one_is_refused_on_a_resume(photos: Path, tmp_path: Path):
    out = tmp_path / "run"
    with ThreadedServer(answering) as server:
        assert asyncgen(*geo(photos, out, server, "--num-samples", 1)).code == 0
    with ThreadedServer(answering, models=["other-model"]) as other:
        refused = asyncgen(*geo(photos, out, other))
        assert not other.requests
    assert refused.code == 2
    assert "model" in refused.err
    assert "test-model" in refused.err
    with ThreadedServer(answering, pages={"/v1/models": raw(b"no", status=404)}) as listless:
        assert asyncgen(*geo(photos, out, listless)).code == 0
