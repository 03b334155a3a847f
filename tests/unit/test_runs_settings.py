"""Jobs and settings as Python names and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncgen.api import stream
from asyncgen.config.knobs import section_knobs, task_knobs
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.runs.jobs import AnyJob, find_job, load_job
from asyncgen.runs.settings import by_path


@dataclass(frozen=True)
class City(Task):
    """A task of a user's own module."""

    user: str = "Which city is {name}?"
    hard: bool = False


KNOBS = [*section_knobs(), *task_knobs(City)]


def loaded(job: AnyJob, **knobs: Any) -> Any:
    return load_job(find_job(job), base_url=(), model=None, knobs=by_path(knobs, KNOBS))


@pytest.mark.parametrize(
    "given",
    [{"max_turns": 3}, {"episode__max_turns": 3}, {"episode.max_turns": 3}],
    ids=["short", "long", "dotted"],
)
def test_a_knob_has_a_short_name_a_long_one_and_one_with_a_dot(given: Mapping[str, Any]) -> None:
    assert by_path(given, KNOBS) == {"episode.max_turns": 3}


def test_every_short_flag_is_a_keyword() -> None:
    names = {flag.lstrip("-").replace("-", "_") for one in KNOBS for flag in one.flags[1:]}
    assert {"dataset_path", "num_samples", "output_dir", "temperature", "concurrency", "rollouts"} <= names
    assert set(by_path(dict.fromkeys(names, 1), KNOBS).values()) == {1}


def test_options_of_the_task_and_the_servers_are_settings_too() -> None:
    given = {"task__hard": True, "base_url": ["http://a/v1", "http://b/v1"], "model": "m", "name": "n"}
    assert by_path(given, KNOBS) == {
        "task.hard": True,
        "base_url": ["http://a/v1", "http://b/v1"],
        "model": "m",
        "name": "n",
    }


def test_paths_and_tuples_become_what_a_yaml_would_hold(tmp_path: Path) -> None:
    given = {"dataset_path": tmp_path, "sampling__temperatures": (0.1, 0.2)}
    assert by_path(given, KNOBS) == {"dataset.path": str(tmp_path), "sampling.temperatures": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("max_turn", "did you mean 'max_turns'"),
        ("sampling__topp", "did you mean 'sampling__top_p'"),
        ("sampling.topp", "did you mean 'sampling__top_p'"),
        ("task__hrd", "did you mean 'task__hard'"),
        ("api_key", "export OPENAI_API_KEY"),
        ("xyzzy", r"known: name, .*dataset_path"),
    ],
)
def test_an_unknown_setting_names_the_nearest(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        by_path({name: 1}, KNOBS)
    assert repr(name) in str(caught.value)


def test_one_knob_under_two_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"episode.max_turns is given twice"):
        by_path({"max_turns": 1, "episode__max_turns": 2}, KNOBS)


def test_a_value_of_the_wrong_type_is_refused_as_by_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a whole number"):
        loaded("geo", max_turns=[1], dataset_path=tmp_path)


def test_a_mapping_is_a_job_as_its_yaml_would_be(tmp_path: Path) -> None:
    job, task = loaded(
        {
            "task": "geo",
            "dataset": {"path": tmp_path},
            "sampling": {"temperatures": (0.1,)},
            "task_options": {"user": "Hi"},
        },
        max_turns=2,
    )
    assert (job.name, job.task, job.dataset.path) == ("geo", "geo", str(tmp_path))
    assert (job.sampling.temperatures, job.episode.max_turns, task.user) == ((0.1,), 2, "Hi")


def test_a_mapping_may_name_its_job_and_hold_the_class_itself(tmp_path: Path) -> None:
    job, task = loaded({"task": City, "name": "towns", "dataset": {"path": tmp_path}})
    assert (job.name, type(task)) == ("towns", City)


def test_a_mapping_given_as_a_job_is_not_changed(tmp_path: Path) -> None:
    given = {"task": "geo", "dataset": {"path": str(tmp_path)}, "sampling": None}
    loaded(given, max_turns=2)
    assert given == {"task": "geo", "dataset": {"path": str(tmp_path)}, "sampling": None}


def test_a_wrong_key_of_a_mapping_names_the_nearest() -> None:
    with pytest.raises(InputError, match="job geo: unknown key 'datset': did you mean 'dataset'"):
        find_job({"task": "geo", "datset": {}})


def test_a_mapping_without_a_task_is_refused() -> None:
    with pytest.raises(InputError, match="'task' is missing"):
        find_job({"dataset": {}})


def test_a_task_class_is_a_job_that_the_next_start_finds_again(tmp_path: Path) -> None:
    job, task = loaded(City, dataset_path=tmp_path, task__hard=True)
    assert (job.task, job.name) == (f"{__name__}:City", "City")
    assert task == City(hard=True)


def test_a_class_that_no_module_has_is_refused() -> None:
    @dataclass(frozen=True)
    class Inner(Task):
        pass

    with pytest.raises(InputError, match="define it at the top level of a module"):
        find_job(Inner)


def test_a_job_file_may_be_given_as_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: geo\ndataset: {path: .}\n")
    job, _ = loaded(path)
    assert job.name == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"job": "geoo"}, "no built-in job 'geoo'"),
        ({"job": "geo", "retry_failed": "timeot"}, "did you mean 'timeout'"),
        ({"job": "geo", "settings": {"max_turns": 1}, "episode__max_turns": 2}, "stands among the settings too"),
        ({"job": "geo", "dataset_path": "x", "max_turns": 0}, "give 1 or more"),
    ],
)
def test_a_stream_refuses_wrong_arguments_when_it_is_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        stream(**given)


class NoTask:
    """Some other class."""


@pytest.mark.parametrize(
    ("job", "more", "said"),
    [
        (3, {}, "the job 3 is no job: give a built-in name"),
        (int, {}, "the class builtins.int is no Task; derive it from asyncgen.Task"),
        ({"task": NoTask}, {}, "NoTask is no Task"),
        ("geo", {"base_url": 3}, "base_url 3: give a text, or a list of texts"),
        ("geo", {"base_url": {"a": "b"}}, "base_url {'a': 'b'}: give a text, or a list of texts"),
        ("geo", {"settings": 3}, "settings 3: give a mapping"),
        ("geo", {"settings": {3: 4}}, "the setting 3 has no name that is a text"),
        ("geo", {"retry_failed": 3}, "retry_failed 3: give a text, or a list of texts"),
        ("geo", {"retry_failed": [3]}, "retry_failed [3]: give a text, or a list of texts"),
    ],
)
def test_a_value_of_a_wrong_type_is_an_input_error_of_one_line(job: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        stream(job, **more)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
