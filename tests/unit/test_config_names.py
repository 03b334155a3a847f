"""Further names of settings, for the jobs of one task: flags, variables, Python names, and what beats what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asyncgen.config.knobs import class_knobs, section_knobs
from asyncgen.config.load import resolve
from asyncgen.config.names import Name, task_names
from asyncgen.config.schema import Job
from asyncgen.core.errors import InputError
from asyncgen.runs.settings import by_path
from asyncgen.tasks.geo import Geo
from asyncgen.tasks.search import Search

KNOBS = [*section_knobs(), *class_knobs("task", Search)]
NAMES = task_names("Search", Search.flags, KNOBS)
BASE = {"task": "search", "dataset": {"path": "data", "num_samples": 1}, "sampling": {"temperature": 0.1}}


def load(environ: Mapping[str, str] | None = None, names: list[Name] | None = None, **flags: Any) -> Job:
    given = {key.replace("__", "."): value for key, value in flags.items()}
    return resolve(
        Path("job"),
        environ=environ or {},
        flags={
            key if "." in key or key in {"base_url", "model"} else key.replace("_", "-"): one
            for key, one in given.items()
        },
        task_knobs=list(class_knobs("task", Search)),
        names=NAMES if names is None else names,
        raw=BASE,
    )


def refused(environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(environ, **flags)
    return str(caught.value)


def test_the_search_job_has_the_names_of_its_document() -> None:
    assert {one.text: (one.flag, one.variable, one.path) for one in NAMES if one.is_flag} == {
        "vllm-url": ("--vllm-url", "VLLM_URL", "base_url"),
        "retrieval-url": ("--retrieval-url", "RETRIEVAL_URL", "task.retrieval_url"),
        "max-assistant-turns": ("--max-assistant-turns", "MAX_ASSISTANT_TURNS", "episode.max_turns"),
        "max-samples": ("--max-samples", "MAX_SAMPLES", "dataset.num_samples"),
        "input-file": ("--input-file", "INPUT_FILE", "dataset.path"),
        "output-file": ("--output-file", "OUTPUT_FILE", "store.output_file"),
        "batch-size": ("--batch-size", "BATCH_SIZE", "schedule.concurrency"),
    }
    assert {one.variable for one in NAMES if not one.is_flag} == {"TEMPERATURE", "MAX_TOKENS"}


def test_a_flag_beats_a_variable_which_beats_the_file() -> None:
    assert load().dataset.num_samples == 1
    assert load({"MAX_SAMPLES": "2"}).dataset.num_samples == 2
    assert load({"MAX_SAMPLES": "2"}, max_samples="3").dataset.num_samples == 3
    assert load({"MAX_SAMPLES": "2"}, dataset__num_samples="4").dataset.num_samples == 4
    assert load({"ASYNCGEN_DATASET_NUM_SAMPLES": "5"}, max_samples="6").dataset.num_samples == 6


def test_of_two_variables_that_of_asyncgen_counts() -> None:
    environ = {"MAX_SAMPLES": "2", "ASYNCGEN_DATASET_NUM_SAMPLES": "3", "VLLM_URL": "http://a/v1"}
    job = load({**environ, "ASYNCGEN_BASE_URL": "http://b/v1"})
    assert (job.dataset.num_samples, job.endpoints[0].base_url) == (3, "http://b/v1")


def test_every_variable_of_the_document_is_read() -> None:
    environ = {
        "VLLM_URL": "http://v/v1", "RETRIEVAL_URL": "http://r/x", "MAX_ASSISTANT_TURNS": "5", "MAX_SAMPLES": "-1",
        "INPUT_FILE": "in.parquet", "OUTPUT_FILE": "out.parquet", "BATCH_SIZE": "auto", "TEMPERATURE": "0",
        "MAX_TOKENS": "9",
    }  # fmt: skip
    job = load(environ)
    assert [one.base_url for one in job.endpoints] == ["http://v/v1"]
    assert job.task_options == {"retrieval_url": "http://r/x"}
    assert (job.episode.max_turns, job.dataset.num_samples, job.dataset.path) == (5, -1, "in.parquet")
    assert (job.store.output_file, job.schedule.concurrency) == ("out.parquet", "auto")
    assert (job.sampling.temperature, job.sampling.max_tokens) == (0.0, 9)


def test_an_empty_variable_is_no_variable() -> None:
    job = load({"MAX_SAMPLES": "", "VLLM_URL": "", "TEMPERATURE": ""})
    assert (job.dataset.num_samples, job.sampling.temperature) == (1, 0.1)


def test_a_stray_variable_does_not_touch_a_job_whose_task_has_no_such_name() -> None:
    names = task_names("Geo", Geo.flags, KNOBS)
    assert names == []
    assert load({"TEMPERATURE": "1.5", "MAX_TOKENS": "x", "BATCH_SIZE": "0"}, names).sampling.temperature == 0.1


@pytest.mark.parametrize(
    ("environ", "flags", "said"),
    [
        ({}, {"max_samples": "ten"}, "--max-samples 'ten': num_samples: it is a text; give a whole number"),
        ({"BATCH_SIZE": "many"}, {}, "BATCH_SIZE 'many': concurrency: 'many' is no choice"),
        ({"BATCH_SIZE": "0"}, {}, "BATCH_SIZE: schedule.concurrency is 0"),
        ({"TEMPERATURE": "-1"}, {}, "TEMPERATURE: sampling.temperature is -1.0"),
        ({}, {"max_samples": "-7"}, "--max-samples: dataset.num_samples is -7"),
        ({"VLLM_URL": "localhost:8000"}, {}, "VLLM_URL: base_url 'localhost:8000' does not start with"),
        ({"MAX_SAMPLES": "-7"}, {"dataset__num_samples": "-8"}, "dataset.num_samples is -8: give"),
    ],
)
def test_what_is_wrong_names_the_flag_or_variable_that_was_given(
    environ: dict[str, str], flags: dict[str, Any], said: str
) -> None:
    assert refused(environ, **flags).startswith(said)


def test_two_names_of_one_setting_are_an_error_that_names_both() -> None:
    assert refused(max_samples="1", dataset__num_samples="1") == (
        "--max-samples and --num-samples are two names of dataset.num_samples; leave one of them away"
    )
    text = refused(base_url=["http://a/v1"], vllm_url="http://b/v1")
    assert text == "--base-url and --vllm-url are two names of base_url; leave one of them away"
    names = task_names("Two", {"rows": "dataset.num_samples", "samples": "dataset.num_samples"}, KNOBS)
    with pytest.raises(InputError, match="ROWS and SAMPLES are two names of"):
        load({"ROWS": "1", "SAMPLES": "1"}, names)


# from Python


def test_the_names_are_settings_in_python_too() -> None:
    given = {"vllm_url": "http://a/v1", "retrieval_url": "http://r/x", "max_samples": 3, "temperature": 0.5}
    values = by_path(given, KNOBS, NAMES)
    assert values == {
        "base_url": "http://a/v1",
        "retrieval-url": "http://r/x",
        "max-samples": 3,
        "sampling.temperature": 0.5,
    }
    job = load(retrieval_url="http://r/x", max_samples=3)
    assert (job.dataset.num_samples, job.task_options) == (3, {"retrieval_url": "http://r/x"})


def test_a_server_by_two_names_is_given_twice() -> None:
    with pytest.raises(InputError, match="the setting base_url is given twice"):
        by_path({"vllm_url": "http://a/v1", "base_url": "http://b/v1"}, KNOBS, NAMES)


def test_a_task_without_names_has_no_such_setting() -> None:
    with pytest.raises(InputError, match="there is no setting 'max_samples'"):
        by_path({"max_samples": 1}, KNOBS)


# what a task's author may get wrong


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"rows": "dataset.num_sample"}, "'rows' stands for 'dataset.num_sample', which is no setting: did you mean"),
        ({"rows": 3}, "'rows' stands for 3, which is no setting"),
        ({"Rows": "dataset.num_samples"}, "'Rows' makes no flag"),
        ({"max_rows": "dataset.num_samples"}, "'max_rows' makes no flag; write small letters, digits and dashes"),
        ({3: "dataset.num_samples"}, "3 makes no flag"),
        ({"temperature": "sampling.top_p"}, "--temperature is the flag of sampling.temperature already"),
        ({"model": "dataset.path"}, "--model is the flag of model already"),
        ({"path": "dataset.path"}, "'path' would read the variable PATH"),
        (["rows"], "Mine.flags must be a mapping"),
    ],
)
def test_a_wrong_name_is_told_to_the_tasks_author(flags: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        task_names("Mine", flags, KNOBS)
    assert said in str(caught.value)
    assert str(caught.value).startswith("Mine.flags")


def test_a_name_that_is_the_settings_own_flag_adds_the_variable_alone() -> None:
    found = task_names("Mine", {"temperature": "sampling.temperature", "model": "model"}, KNOBS)
    assert [(one.variable, one.is_flag) for one in found] == [("TEMPERATURE", False), ("MODEL", False)]
    job = load({"MODEL": "m"}, found)
    assert job.endpoints[0].model == "m"
