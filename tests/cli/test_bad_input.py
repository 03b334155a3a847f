"""What a user can get wrong before the first request: one line that names the thing and the fix, exit 2, nothing left.

In this process, so that each costs milliseconds; an exception that escapes fails the test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli_jobs import Outcome, answering
from support.server import ThreadedServer, error, raw

Run = Callable[..., Outcome]

TASK = '''
from dataclasses import dataclass
from typing import ClassVar
from asyncgen import Task


@dataclass(frozen=True)
class Fine(Task):
    """Fine."""
    user: str = "Where?"
    style: str = "short"


class Bare(Task):
    """No dataclass of its own."""


@dataclass(frozen=True)
class Twin(Task):
    """Wants what the dataset has not."""
    user: str = "Is it {colour}?"
'''


SLIPS = """
from dataclasses import dataclass
from typing import ClassVar
from asyncgen import Task


def population(context, city: str) -> str:
    return city


def exact(context, sample, trace):
    return {"score": 1.0}


@dataclass(frozen=True)
class Plain(Task):
    tools: ClassVar = (population,)


@dataclass(frozen=True)
class Alone(Task):
    rewards: ClassVar = (exact)


@dataclass(frozen=True)
class Silent(Task):
    def answer(self):
        return ""
"""


@pytest.fixture(scope="module")
def server():
    with ThreadedServer(answering) as running:
        yield running
        assert not running.requests, "a chat request was sent all the same"


def refused(outcome: Outcome, *parts: str, code: int = 2) -> None:
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1, outcome.err
    assert outcome.err.startswith("asyncgen: ")
    for part in parts:
        assert part in outcome.err, (part, outcome.err)


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (("--dataset-path", "nowhere"), ("'nowhere' does not exist", "save_to_disk")),
        (("--dataset.split", "train"), ("train", "no splits")),
        (("--where", "colour = 'red'"), ("colour", "country")),
        (("--where", "lat <"), ("dataset.where", "lat <")),
        (("--where", "lat < 3; DROP TABLE data"), ("dataset.where",)),
        (("--order-by", "latt"), ("'latt'", "did you mean 'lat'")),
        (("--dataset.order", "hardest"), ("--dataset.order", "hardest")),
        (("--task.user", "Is {colour} here? <image>"), ("'colour'", "user template")),
        (("--task.image", "picture"), ("picture", "image")),
        (("--task.tool-calls", "xml"), ("tool_calls", "xml", "give auto, native or text")),
        (("--task.tool_calls", "yes"), ("tool_calls", "'yes'", "give auto, native or text")),
        (("--num-samples", "ten"), ("--num-samples", "ten")),
        (("--num-samples", "-5"), ("num_samples", "-5")),
        (("--temperature", "hot"), ("--temperature 'hot'", "give a number")),
        (("--temperature", "-1"), ("temperature",)),
        (("--temperature", ".nan"), ("temperature",)),
        (("--concurrency", "0"), ("concurrency", "auto")),
        (("--concurrency", "many"), ("--concurrency 'many'", "give a whole number or auto")),
        (("--rollouts", "0"), ("rollouts", "0")),
        (("--rollouts", "2", "--sampling.temperatures", "[0.1]"), ("temperatures", "2 rollouts")),
        (("--max-tokens", "0"), ("max_tokens",)),
        (("--max-turns", "0"), ("max_turns",)),
        (("--max-failed", "3"), ("max_failed",)),
        (("--partition", "4/4"), ("4/4", "k/K")),
        (("--partition", "half"), ("half", "k/K")),
        (("--retry-failed=tired",), ("'tired'", "bad_image")),
        (("--retry-failed", "tired"), ("'tired'", "bad_image")),
        (("--retry-failed=timout",), ("'timout'", "did you mean 'timeout'")),
        (("--retry-failed", "timout"), ("'timout'", "did you mean 'timeout'")),
        (("--tempreature", "1"), ("--tempreature", "--temperature")),
        (("--task.nope", "1"), ("--task.nope",)),
        (("--split", "train"), ("--split", "Did you mean --dataset.split?")),
        (("--top_p", "1"), ("Did you mean --sampling.top-p?",)),
        (("--where", "lat", "=", "3"), ("'='", "a value with blanks in it needs quotes")),
        (("--base-url", "http://a/v1", "http://b/v1"), ("repeat the flag: --base-url A --base-url B",)),
        (("--base-url", "http://a/v1,http://b/v1"), ("repeat the flag: --base-url A --base-url B",)),
        (("--base-url", "http://a/v1/chat/completions"), ("leave /chat/completions away",)),
        (("--base-url", "http://a/v1", "--base-url", "http://a/v1/"), ("'http://a/v1' is given twice",)),
        (("--name", "a/b"), ("'a/b'", "letters")),
        (("--model", "tset-model"), ("'tset-model'", "did you mean 'test-model'")),
        (("--store.output-dir", "photos.txt"), ("photos.txt", "--output-dir")),
    ],
)
def test_a_wrong_flag_is_named(run: Run, server: ThreadedServer, photos: Path, tmp_path: Path, flags, parts):
    (tmp_path / "photos.txt").write_text("a file")
    before = sorted(tmp_path.rglob("*"))
    words = ["run", "geo", "--base-url", server.base_url]
    if "--dataset-path" not in flags:
        words += ["--dataset-path", str(photos)]
    refused(run(*words, *flags), *parts)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "flags", [("--api-key", "sk-secret"), ("--api_key=sk-secret",), ("--endpoint.key", "sk-secret")]
)
def test_a_key_in_a_flag_is_answered_with_where_keys_go_and_not_repeated(run: Run, flags: tuple[str, ...]):
    outcome = run("run", "geo", *flags)
    refused(outcome, "keys are never written in files or flags", "export OPENAI_API_KEY=…")
    assert "sk-secret" not in outcome.err


def test_reasons_before_the_job_are_told_from_the_job(run: Run):
    refused(run("run", "--retry-failed", "timout", "geo", "--dataset-path", "nowhere"), "did you mean 'timeout'")
    refused(run("run", "--retry-failed", "timeout", "geo", "--dataset-path", "nowhere"), "'nowhere' does not exist")
    refused(run("run", "--retry-failed", "geo", "--dataset-path", "nowhere"), "'nowhere' does not exist")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("run", "geo-tool"), ("'geo-tool'", "did you mean 'geo-tools'")),
        (("run", "mine.yaml"), ("'mine.yaml' does not exist", "asyncgen init")),
        (("run", "geo"), ("dataset.path is missing", "--dataset-path")),
        (("run",), ("needs JOB", "asyncgen jobs")),
        (("runn", "geo"), ("runn", "run")),
        (("status", "nowhere"), ("nowhere does not exist",)),
        (("show", "nowhere", "1"), ("nowhere",)),
        (("stats", "nowhere"), ("nowhere does not exist",)),
        (("export", "nowhere", "--to", "trace-json", "-o", "out"), ("nowhere does not exist",)),
        (("export", ".", "--to", "parquett", "-o", "out"), ("'parquett'", "trace-json")),
        (("init", "geo-tool"), ("'geo-tool'", "geo-tools")),
        (("check", "geo-tool"), ("'geo-tool'",)),
    ],
)
def test_a_wrong_command_is_named(run: Run, tmp_path: Path, words: tuple[str, ...], parts: tuple[str, ...]):
    refused(run(*words), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("task: [geo", ("job.yaml", "not valid YAML")),
        ("- geo", ("job.yaml", "mapping")),
        ("name: x", ("job.yaml", "'task' is missing")),
        ("task: geo\nsampling: {seed: 1}\nsampling: {top_p: 1}", ("job.yaml", "the key 'sampling' stands 2 times")),
        ("task: geo\nsampling: {seed: 1, seed: 2}", ("job.yaml", "the key 'seed' stands 2 times")),
        ("task: geo\nsamplign: {}", ("'samplign'", "did you mean 'sampling'")),
        ("task: geo\nsampling: {temprature: 1}", ("'sampling.temprature'", "did you mean 'temperature'")),
        ("task: geo\nsampling: {temperature: hot}", ("temperature",)),
        ("task: geo\nsampling: 3", ("sampling must be a mapping",)),
        ("task: geo\nendpoints: {base_url: x}", ("endpoints must be a list",)),
        ("task: geo\nendpoints: [{base_ulr: x}]", ("'endpoints[].base_ulr'", "base_url")),
        ("task: geo\nendpoints: [{base_url: 'localhost:8000'}]", ("localhost:8000", "http://")),
        ("task: geo\ntask_options: {scale: 3}", ("'scale'", "scale_km")),
        ("task: geo\ntask_options: {scale_km: far}", ("scale_km",)),
        ("task: goe", ("'goe'", "did you mean 'geo'")),
        ("task: geo\nendpoints: [{api_key_env: sk-secret}]", ("endpoints[0].api_key_env must be the NAME",)),
        ("task: geo\nendpoints: [{api_key: sk-secret}]", ("'endpoints[].api_key'", "export OPENAI_API_KEY=…")),
        ("task: slips.py:Plain", ("Plain.tools: population is a plain function; put @tool above it",)),
        ("task: slips.py:Alone", ("Alone.rewards must be a tuple: (exact,)",)),
        ("task: slips.py:Silent", ("Silent.answer(self) cannot be called", "write def answer(self, text)")),
        ("task: nowhere.py:Fine", ("'nowhere.py' does not exist",)),
        ("task: mine.py:Fin", ("'Fin'", "did you mean 'Fine'")),
        ("task: mine.py:Bare", ("Bare", "@dataclass(frozen=True)")),
        ("task: mine.py:Twin", ("'colour'", "user template")),
        ("task: broken.py:Fine", ("broken.py", "line 2", "ZeroDivisionError")),
        ("task: unparsable.py:Fine", ("unparsable.py", "line 1", "SyntaxError")),
        ("task: mine.py:Fine\ntask_options: {stile: long}", ("'stile'", "did you mean 'style'")),
        ("task: asyncgen.nope:Fine", ("asyncgen.nope",)),
        ("task: geo\nrules: [{where: x}]", ("rules[0].where 'x': no column 'x'",)),
        (b"\xff\xfe\x00", ("job.yaml", "cannot be read")),
    ],
)
def test_a_wrong_job_file_is_named(run: Run, server: ThreadedServer, photos: Path, tmp_path: Path, text, parts):
    (tmp_path / "job.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "mine.py").write_text(TASK)
    (tmp_path / "slips.py").write_text(SLIPS)
    (tmp_path / "broken.py").write_text("import os\n1 / 0\n")
    (tmp_path / "unparsable.py").write_text("class :\n")
    words = ["run", "job.yaml", "--dataset-path", str(photos), "--output-dir", "out"]
    if "endpoints" not in str(text):
        words += ["--base-url", server.base_url]
    refused(run(*words), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("ASYNCGEN_SAMPLING_TEMPRATURE", "1", ("ASYNCGEN_SAMPLING_TEMPRATURE", "ASYNCGEN_SAMPLING_TEMPERATURE")),
        ("ASYNCGEN_SAMPLING_TEMPERATURE", "hot", ("ASYNCGEN_SAMPLING_TEMPERATURE", "hot")),
        ("ASYNCGEN_EPISODE_ROLLOUTS", "[1", ("ASYNCGEN_EPISODE_ROLLOUTS", "[1")),
    ],
)
def test_a_wrong_variable_is_named(
    run: Run, server: ThreadedServer, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, parts
):
    monkeypatch.setenv(name, value)
    refused(run("run", "geo", "--dataset-path", photos, "--base-url", server.base_url), *parts)


def test_a_server_that_is_not_there_is_named_and_no_directory_is_left(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as gone:
        pass
    outcome = run("run", "geo", "--dataset-path", photos, "--base-url", gone.base_url, "--output-dir", "a/b/c")
    refused(outcome, gone.base_url, "no server answers", "--base-url")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "flags", "parts", "code"),
    [
        ({"models": ["one", "two"]}, (), ("one, two", "--model"), 2),
        ({"models": []}, (), ("0 models", "--model"), 2),
        ({"models": ["one", "two"]}, ("--model", "three"), ("'three'", "one, two"), 2),
        ({"pages": {"/v1/models": raw(b"", status=404)}}, (), ("no list of models", "--model"), 2),
        ({"pages": {"/v1/models": raw(b"", status=405)}}, (), ("no list of models", "--model"), 2),
        ({"pages": {"/v1/models": error(401, "bad key")}}, ("--model", "one"), ("OPENAI_API_KEY", "bad key"), 77),
        ({"pages": {"/v1/models": error(500, "broken")}}, ("--model", "one"), ("no server answers",), 2),
        ({"pages": {"/v1/models": raw(b"<html>hello")}}, ("--model", "one"), ("127.0.0.1",), 2),
    ],
)
def test_what_a_server_says_of_its_models_is_understood(
    run: Run, photos: Path, tmp_path: Path, setting, flags: tuple[str, ...], parts: tuple[str, ...], code: int
):
    with ThreadedServer(answering, **setting) as server:
        outcome = run("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, *flags)
        assert not server.requests
    refused(outcome, server.base_url, *parts, code=code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_list_of_models_is_asked_for_the_one_that_was_named(run: Run, photos: Path, status: int):
    with ThreadedServer(answering, pages={"/v1/models": raw(b"", status=status)}) as server:
        outcome = run(
            "run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--model", "mine",
            "--num-samples", 1,
        )  # fmt: skip
        assert [request.body["model"] for request in server.requests] == ["mine"]
    assert outcome.code == 0, outcome.err


def test_a_dataset_without_the_columns_of_the_task_is_refused(run: Run, server: ThreadedServer, tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"image": "a.jpg", "lat": 1.0}\n')
    words = ("run", "geo", "--base-url", server.base_url, "--dataset-path", "rows.jsonl", "--output-dir", "out")
    refused(run(*words), "'lon'", "Geo needs")
    (tmp_path / "rows.jsonl").write_text('{"lat": 1.0, "lon": 2.0}\n')
    refused(run(*words), "no image column", "--task.image")
    (tmp_path / "rows.jsonl").write_text("")
    refused(run(*words), "rows.jsonl", "no rows")
    assert not (tmp_path / "out").exists()


def test_a_directory_that_is_new_goes_again_but_one_that_was_there_stays(run: Run, photos: Path, tmp_path: Path):
    with ThreadedServer(answering) as gone:
        pass
    (tmp_path / "mine").mkdir()
    words = ("run", "geo", "--dataset-path", photos, "--base-url", gone.base_url, "--num-samples", 1, "--output-dir")
    for out in ("mine", "new"):
        refused(run(*words, out), "no server answers")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with ThreadedServer(answering, port=gone.port):
        assert run(*words, "mine").code == 0


@pytest.mark.parametrize("partition", [(), ("--partition", "0/2")])
def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(
    run: Run, server: ThreadedServer, photos: Path, tmp_path: Path, partition: tuple[str, ...]
):
    mine = tmp_path / "mine" / ("part-000-of-002" if partition else "")
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    words = ("run", "geo", "--dataset-path", photos, "--base-url", server.base_url, "--output-dir", "mine")
    refused(run(*words, *partition), "mine", "notes.txt", "--output-dir")
    assert sorted(tmp_path.rglob("*")) == before
    assert (mine / "notes.txt").read_text() == "mine"
