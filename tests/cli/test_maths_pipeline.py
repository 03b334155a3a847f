"""`pipeline math-critique`, runs in chunks, and `fleet commands`: on scripted servers."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import Outcome, command, environment, traces, wait_until
from support.deep import deep
from support.maths_files import question, read, rights, solution, solved, write_chunks
from support.server import Reply, ThreadedServer, choices

Run = Callable[..., Outcome]
COUNT = 30
FILES = [
    "deepscaler_critique.json",
    "deepscaler_critique_formatted.json",
    "deepscaler_critique_formatted.parquet",
    "deepscaler_qwen25_solutions.json",
    "deepscaler_qwen3_solutions.json",
    "deepscaler_train_filter.json",
    "solutions_qwen25/test-model_chunk_000.json",
    "solutions_qwen25/test-model_chunk_001.json",
    "solutions_qwen3/test-model_chunk_000.json",
    "solutions_qwen3/test-model_chunk_001.json",
]
STEPS = [
    "runs/qwen25/run.json", "runs/qwen3/run.json", "solutions_qwen25", "deepscaler_qwen25_solutions",
    "solutions_qwen3", "deepscaler_qwen3_solutions", "deepscaler_train_filter", "deepscaler_critique",
    "deepscaler_critique_formatted",
]  # fmt: skip


def solving(model: int) -> Callable[[dict[str, Any], int], Reply]:
    """A server that answers as `rights` says."""

    def answer(body: dict[str, Any], number: int) -> Reply:
        index = int(body["messages"][-1]["content"].split("$")[1].split(" ")[0])
        texts = [solution(index, k, right=right) for k, right in enumerate(rights(index, model, body.get("n", 1)))]
        return choices(*({"role": "assistant", "content": text} for text in texts))

    return answer


@pytest.fixture
def servers() -> Iterator[tuple[ThreadedServer, ThreadedServer]]:
    with ThreadedServer(solving(0)) as one, ThreadedServer(solving(1)) as two:
        yield one, two


def write_config(folder: Path, servers: tuple[ThreadedServer, ThreadedServer], **more: Any) -> Path:
    rows = [question(index) for index in range(COUNT)]
    (folder / "deepscaler_train.json").write_text(json.dumps(rows))
    labels = ("qwen25", "qwen3")
    config = {
        "input": "deepscaler_train.json",
        "folder": "cft_data",
        "chunk_size": 20,
        "models": [{"label": label, "base_url": one.base_url} for label, one in zip(labels, servers, strict=True)],
        **more,
    }
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps(config))
    return path


def made(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "cft_data" / name).read_bytes() for name in FILES}


def test_all_steps_are_made_once(run: Run, servers, tmp_path: Path):
    config = write_config(tmp_path, servers)
    ended = run("pipeline", "math-critique", config, "--json")
    assert ended.code == 0, ended.err
    assert {one["state"] for one in json.loads(ended.out)} == {"made"}
    first, asked = made(tmp_path), sum(len(one.requests) for one in servers)
    data = tmp_path / "cft_data"
    for model, label in enumerate(("qwen25", "qwen3")):
        expected = [solved(question(index), model, "test-model", results=True) for index in range(COUNT)]
        assert read(data / f"deepscaler_{label}_solutions.json") == expected
        chunks = [read(data / f"solutions_{label}/test-model_chunk_{number:03d}.json") for number in (0, 1)]
        assert [len(chunk) for chunk in chunks] == [20, 10]
    ended = run("pipeline", "math-critique", config, "--json")
    assert {one["state"] for one in json.loads(ended.out)} == {"there"}
    assert made(tmp_path) == first
    assert sum(len(one.requests) for one in servers) == asked


def test_the_files_are_those_of_the_single_commands(run: Run, servers, tmp_path: Path):
    assert run("pipeline", "math-critique", write_config(tmp_path, servers)).code == 0
    data = tmp_path / "cft_data"
    words = [f"{label}={data}/runs/{label}" for label in ("qwen25", "qwen3")]
    assert run("filter-mixed", *words, "-o", "a.json").code == 0
    assert run("critique-set", "a.json", "-o", "b.json").code == 0
    assert run("critique-format", "b.json", "-o", "c.json").code == 0
    for mine, theirs in (("a", "train_filter"), ("b", "critique"), ("c", "critique_formatted")):
        assert (tmp_path / f"{mine}.json").read_bytes() == (data / f"deepscaler_{theirs}.json").read_bytes()


@pytest.mark.parametrize("step", [STEPS[0], STEPS[6], *deep(STEPS[1:6] + STEPS[7:])])
def test_a_kill_in_any_step_and_the_same_command_goes_on(run: Run, servers, tmp_path: Path, step: str):
    config = write_config(tmp_path, servers)
    words = ("pipeline", "math-critique", str(config))
    mark = tmp_path / "cft_data" / (step if "/" in step else f"{step}.done.json")
    process = subprocess.Popen(
        command(*words), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: mark.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert mark.exists()
    asked = sum(len(one.requests) for one in servers)
    ended = run(*words)
    assert ended.code == 0, ended.err
    if not step.startswith("runs/"):  # by then both runs are over
        assert sum(len(one.requests) for one in servers) == asked
    again = made(tmp_path)
    assert run(*words).code == 0
    assert made(tmp_path) == again
    assert len(read(tmp_path / "cft_data" / "deepscaler_critique_formatted.json")) > 0


def test_labels_with_dots_have_marks_of_their_own(run: Run, servers, tmp_path: Path):
    models = [
        {"label": label, "base_url": one.base_url} for label, one in zip(("qwen2.5", "qwen2.7"), servers, strict=True)
    ]
    config = write_config(tmp_path, servers, models=models)
    assert run("pipeline", "math-critique", config).code == 0
    ended = run("pipeline", "math-critique", config, "--json")
    assert ended.code == 0, ended.err
    assert {one["state"] for one in json.loads(ended.out)} == {"there"}


def test_a_file_of_somebody_else_is_not_replaced_unasked(run: Run, servers, tmp_path: Path):
    config = write_config(tmp_path, servers)
    theirs = tmp_path / "cft_data" / "deepscaler_train_filter.json"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    ended = run("pipeline", "math-critique", config)
    assert ended.code == 2
    assert "was not made by this pipeline" in ended.err
    assert theirs.read_text() == "mine"
    assert run("pipeline", "math-critique", config, "--yes").code == 0
    assert len(read(theirs)) > 0


def test_other_options_make_again_only_what_depends_on_them(run: Run, servers, tmp_path: Path):
    assert run("pipeline", "math-critique", write_config(tmp_path, servers)).code == 0
    config = write_config(tmp_path, servers, critique={"seed": 7, "balance": True})
    ended = run("pipeline", "math-critique", config)
    assert ended.code == 2
    assert "deepscaler_critique.json is there, and was made of other inputs or with other options" in ended.err
    ended = run("pipeline", "math-critique", config, "--yes", "--json")
    again = [one["name"] for one in json.loads(ended.out) if one["state"] == "made"]
    assert again == ["critique-set", "critique-format"]
    (tmp_path / "cft_data" / "deepscaler_critique.json").unlink()
    ended = run("pipeline", "math-critique", config, "--json")
    assert [one["name"] for one in json.loads(ended.out) if one["state"] == "made"] == ["critique-set"]


def test_what_the_pipeline_made_of_older_inputs_is_made_again_unasked(run: Run, servers, tmp_path: Path):
    old = [solved(question(index), 1, "old") for index in range(COUNT)]
    write_chunks(tmp_path / "old", old, "old", 10)
    models = [{"label": "new", "base_url": servers[0].base_url}, {"label": "old", "solutions": "old"}]
    config = write_config(tmp_path, servers, models=models)
    assert run("pipeline", "math-critique", config).code == 0
    write_chunks(tmp_path / "old", [solved(question(index), 0, "old") for index in range(COUNT)], "old", 10)
    ended = run("pipeline", "math-critique", config, "--json")
    assert ended.code == 0, ended.err
    again = [one["name"] for one in json.loads(ended.out) if one["state"] == "made"]
    assert again == ["merge old", "filter-mixed", "critique-set", "critique-format"]


def test_a_file_that_was_changed_since_is_noticed(run: Run, servers, tmp_path: Path):
    config = write_config(tmp_path, servers)
    assert run("pipeline", "math-critique", config).code == 0
    path = tmp_path / "cft_data" / "deepscaler_critique.json"
    path.write_text(path.read_text().replace("right", "wrong", 1))
    assert run("pipeline", "math-critique", config).code == 2


def test_solutions_that_are_there_are_taken_and_what_they_lack_is_exit_3(run: Run, servers, tmp_path: Path):
    rows = [solved(question(index), 1, "old") for index in range(COUNT - 1)]
    write_chunks(tmp_path / "old", rows, "old", 10)
    models = [{"label": "new", "base_url": servers[0].base_url}, {"label": "old", "solutions": "old"}]
    ended = run("pipeline", "math-critique", write_config(tmp_path, servers, models=models))
    assert ended.code == 3
    assert "is incomplete (missing 1)" in ended.err
    config = write_config(tmp_path, servers, models=models, allow_missing=True)
    assert run("pipeline", "math-critique", config).code == 0
    assert "old_solutions" in read(tmp_path / "cft_data" / "deepscaler_train_filter.json")[0]
    assert not servers[1].requests
    ended = run("pipeline", "math-critique", write_config(tmp_path, servers, models=models))
    assert (ended.code, "is incomplete (missing 1)" in ended.err) == (3, True)


def test_what_was_incomplete_is_mended_and_the_same_command_goes_on(run: Run, servers, tmp_path: Path):
    rows = [solved(question(index), 1, "old") for index in range(COUNT)]
    rows[3]["model_solutions"][2] = " "  # no reason to stop
    write_chunks(tmp_path / "old", rows[:-1], "old", 10)
    models = [{"label": "new", "base_url": servers[0].base_url}, {"label": "old", "solutions": "old"}]
    config = write_config(tmp_path, servers, models=models)
    ended = run("pipeline", "math-critique", config)
    assert "is incomplete (missing 1), and" in ended.err
    assert "deepscaler_old_solutions.report.json names each" in ended.err
    write_chunks(tmp_path / "old", rows, "old", 10)
    ended = run("pipeline", "math-critique", config)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": "x"}, "no key 'inputs': did you mean 'input'?"),
        ({"models": [{"label": "a"}]}, "two or more"),
        ({"models": [{"label": "a"}, {"label": "a"}]}, "two or more"),
        ({"models": [{"label": "a"}, {"label": "b", "mode": "x"}]}, "no key 'mode'"),
        ({"filter": {"rule": "guess"}}, "filter.rule"),
        ({"critique": {"sed": 1}}, "no key 'sed'"),
        ({"job": {"samplin": {}}}, "samplin"),
        ({"input": "none.json"}, "does not exist"),
        ({"rollouts": 0}, "too small"),
        ({"critique": {"max_samples_per_question": 0}}, "give 1 or more"),
    ],
)
def test_a_wrong_config_is_named(run: Run, servers, tmp_path: Path, change: dict[str, Any], words: str):
    ended = run("pipeline", "math-critique", write_config(tmp_path, servers, **change))
    assert ended.code == 2
    assert words in ended.err
    assert not servers[0].requests


def chunk(run: Run, servers, number: int, *more: object) -> Outcome:
    return run(
        "run", "math", "--dataset-path", "deepscaler_train.json", "--base-url", servers[0].base_url, "--output-dir",
        "out", "--chunk-id", number, *more,
    )  # fmt: skip


def test_chunks_are_runs_of_their_own_that_are_read_as_one(run: Run, servers, tmp_path: Path):
    write_config(tmp_path, servers)
    assert chunk(run, servers, 2, "--chunk_size", 12).code == 0
    assert sorted({trace["sample_index"] for trace in traces(tmp_path / "out" / "chunk-002")}) == list(range(24, 30))
    ended = run("merge", "out", "-o", "part.json")
    assert ended.code == 3
    assert read(tmp_path / "part.report.json")["missing"] == list(range(24))
    for number in (0, 1):
        assert chunk(run, servers, number, "--chunk-size", 12).code == 0
    assert run("merge", "out", "-o", "all.json").code == 0
    assert [row["extra_info"]["index"] for row in read(tmp_path / "all.json")] == list(range(COUNT))
    status = json.loads(run("status", "out", "--json").out)
    assert (status["done"], status["left"], status["partitions"]) == (8 * COUNT, 0, 0)
    assert run("verify", "out").code == 0
    assert run("export", "out", "--to", "chunks", "--chunk-size", 12, "-o", "chunks").code == 0
    assert len(list((tmp_path / "chunks").iterdir())) == 3


def test_chunks_do_not_mix_with_anything_else(run: Run, servers, tmp_path: Path):
    write_config(tmp_path, servers)
    assert chunk(run, servers, 0, "--chunk-size", 12).code == 0
    for words, said in (
        ((1, "--chunk-size", 10), "is a chunk of 12 rows, not 10"),
        ((3, "--chunk-size", 12), "give 0 to 2"),
        ((1, "--chunk-size", 12, "--partition", "0/2"), "give one of them"),
        ((1, "--chunk-size", 0), "chunk_size is 0"),
    ):
        ended = chunk(run, servers, *words)
        assert ended.code == 2
        assert said in ended.err
    job = ("run", "math", "--dataset-path", "deepscaler_train.json", "--base-url", servers[0].base_url)
    ended = run(*job, "--output-dir", "out")
    assert "out holds chunks" in ended.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "chunk-000"]
    assert run(*job, "--output-dir", "whole", "--num-samples", 2).code == 0
    ended = run(*job, "--output-dir", "whole", "--chunk-id", 0)
    assert "whole holds another run" in ended.err


def test_chunk_files_are_a_dataset_too(run: Run, servers, tmp_path: Path):
    rows = [solved(question(index), 0, "old") for index in range(COUNT)]
    write_chunks(tmp_path / "old", rows, "old", 12)
    for path, count in (("old", COUNT), ("old/old_chunk_002.json", 6)):
        out = tmp_path / f"out{count}"
        ended = run("run", "math", "--dataset-path", path, "--base-url", servers[1].base_url, "--output-dir", out)
        assert ended.code == 0, ended.err
        assert run("merge", out, "-o", "new.json").code == 0
        assert read(tmp_path / "new.json") == [
            solved(question(index), 1, "test-model", results=True) for index in range(COUNT - count, COUNT)
        ]


@pytest.mark.parametrize("name", ["--dataset_path", "--input-file"])
def test_the_commands_of_a_fleet_do_the_whole_job(run: Run, servers, tmp_path: Path, name: str):
    write_config(tmp_path, servers)
    port = servers[0].base_url
    ended = run(
        "fleet", "commands", "math", name, "deepscaler_train.json", "--chunk_size", 12, "--gpus", 2,
        "--base-url", port, "--output-dir", "out", "--rollouts", 2,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    header, *lines = ended.out.splitlines()
    assert header == "# math: 30 rows, 12 a chunk, 3 of them"
    assert [line.rpartition("# gpu ")[2] for line in lines] == ["0", "1", "0"]
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[:3] == ["asyncgen", "run", "math"]
        assert run(*words[1:]).code == 0
    assert run("merge", "out", "-o", "all.json").code == 0
    assert [len(row["model_solutions"]) for row in read(tmp_path / "all.json")] == [2] * COUNT


def test_a_fleet_of_two_models_has_an_address_a_gpu_and_a_folder_a_model(run: Run, servers, tmp_path: Path):
    write_config(tmp_path, servers)
    ended = run(
        "fleet", "commands", "math", "--dataset-path", "deepscaler_train.json", "--chunk-size", 10, "--gpus", 2,
        "--model", "lab/a", "--model", "b", "--base-url", "http://node{gpu}:{port}/v1", "--json",
    )  # fmt: skip
    found = json.loads(ended.out)
    assert [(one["model"], one["chunk"], one["gpu"]) for one in found] == [
        ("lab/a", 0, 0), ("lab/a", 1, 1), ("lab/a", 2, 0), ("b", 0, 0), ("b", 1, 1), ("b", 2, 0),
    ]  # fmt: skip
    words = found[1]["command"]
    assert words[words.index("--base-url") + 1] == "http://node1:8001/v1"
    assert [one["command"][one["command"].index("--output-dir") + 1] for one in found[2:4]] == [
        "runs/math/lab_a", "runs/math/b",
    ]  # fmt: skip
    assert run("fleet", "commands", "math", "--dataset-path", "deepscaler_train.json", "--gpus", 0).code == 2


def test_further_names_of_settings_are_handed_on_once_and_the_servers_too(run: Run, tmp_path: Path):
    (tmp_path / "q.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    job = ("fleet", "commands", "search", "--input-file", "q.jsonl", "--vllm-url", "http://gpu{gpu}:80/v1")
    ended = run(*job, "--max-assistant-turns", 3, "--json")
    assert ended.code == 0, ended.err
    (one,) = json.loads(ended.out)
    assert one["command"] == [
        "asyncgen", "run", "search", "--base-url", "http://gpu0:80/v1", "--output-dir", "runs/search", "--chunk-size",
        "1000", "--chunk-id", "0", "--dataset.path", "q.jsonl", "--episode.max-turns", "3",
    ]  # fmt: skip
    for more in (("--base-url", "http://x/v1"), ("--dataset-path", "q.jsonl")):
        ended = run(*job, *more)
        assert (ended.code, "two names of" in ended.err) == (2, True)


@pytest.mark.parametrize("flag", ["--model", "--base-url", "--where", "--output-dir"])
@pytest.mark.parametrize("text", ["\ntouch PWNED", *deep("\r\x1b\u2028")])
def test_a_value_that_would_break_the_line_of_a_command_is_refused(run: Run, servers, tmp_path: Path, flag, text: str):
    write_config(tmp_path, servers)
    ended = run("fleet", "commands", "math", "--dataset-path", "deepscaler_train.json", flag, f"x{text}")
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.complaints) == 1
    assert flag.removeprefix("--") in ended.complaints[0].replace("base_url", "base-url")


def test_models_whose_names_make_one_folder_get_two(run: Run, servers, tmp_path: Path):
    write_config(tmp_path, servers)
    models = [f"--model={name}" for name in ("org/y", "org_y", "org:y", "-x")]
    ended = run("fleet", "commands", "math", "--dataset-path", "deepscaler_train.json", *models, "--json")
    found = {one["model"]: one["command"][one["command"].index("--output-dir") + 1] for one in json.loads(ended.out)}
    assert (found["org_y"], found["-x"], len(set(found.values()))) == ("runs/math/org_y", "runs/math/-x", 4)
    assert all(found[name].startswith("runs/math/org_y-") for name in ("org/y", "org:y"))
    assert "--model=-x" in json.loads(ended.out)[-1]["command"]
