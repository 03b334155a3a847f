"""What `config_id` covers, knob by knob: all that shapes the text of a trace, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from asyncgen.config.schema import SECTIONS, EndpointSpec, Episode, Job, Rule, Sampling
from asyncgen.core.task import Task
from asyncgen.runs.shape import shape_of
from asyncgen.runs.tasks import make_task
from asyncgen.store.run_file import config_diff, digest

SHAPING: dict[str, Any] = {
    "task": "geo-tools",
    "task_options": {"system": "Other."},
    "rules": (Rule(where="lat > 3", max_turns=4),),
    "sampling.temperature": 0.1,
    "sampling.temperatures": (0.1, 0.2),
    "sampling.top_p": 0.5,
    "sampling.max_tokens": 77,
    "sampling.seed": 5,
    "sampling.extra_body": {"top_k": 20},
    "episode.max_turns": 3,
    "episode.final_turn": False,
    "episode.max_context": 1000,
    "episode.max_pixels": 999,
    "episode.max_image_pixels": 999,
}
"""Another value of each knob whose change is refused."""
FREE: dict[str, Any] = {
    "name": "other",  # refused with words of its own: ids begin with it
    "endpoints": (EndpointSpec(base_url="http://127.0.0.1:1/v1", api_key_env="OTHER", max_concurrency=3),) * 2,
    "tools": ("module:name",),  # their schemas count
    "rewards": ("format",),
    "accept": "score > 0.5",
    "until_accepted": 1,
    "stop_after_accepted": 5,
    "stop_when": "mixed",
    "dataset.path": "elsewhere",  # the dataset's fingerprint counts
    "dataset.split": "test",  # so it does of a split
    "dataset.where": "lat > 3",
    "dataset.order": "hardest_first",
    "dataset.order_by": "lat",
    "dataset.num_samples": 5,
    "dataset.chunk_size": 10,
    "dataset.chunk_id": 1,
    "dataset.image_root": "elsewhere",
    "endpoint.transport": "aiohttp",
    "endpoint.turn_timeout": 5.0,
    "endpoint.max_outage": 5.0,
    "endpoint.price_input": 1.0,
    "endpoint.price_output": 1.0,
    "episode.choices": 4,
    "episode.rollouts": 4,
    "episode.deadline": 5.0,
    "schedule.concurrency": 3,
    "schedule.partition": "0/4",
    "schedule.max_failed": 0.9,
    "schedule.grace": 1.0,
    "store.output_dir": "elsewhere",
    "store.output_file": "elsewhere.parquet",
    "store.durability": "always",
    "store.disk_wait": 1.0,
}
"""Another value of each knob that may change between two starts."""
TASK: dict[str, Any] = {
    "system": "Other.",
    "user": "Other?",
    "tool_hint": "Other.",
    "image": "photo",
    "tool_calls": "text",
    "coordinates": "relative_1",
    "frame": "current",
    "final_user": "Other.",
    "answer_first": True,
    "prompt_style": "raw",
    "dialect": "search",
    "stop": ("</search>",),
}
"""Another value of each field that every task has; all shape the text."""


@dataclass(frozen=True)
class Plain(Task):
    pass


JOB = Job(task="geo")


def id_of(job: Job, task: Task | None = None, *, model: str = "m", data: str = "f", tools: Any = ()) -> str:
    return digest(shape_of(job, task or Plain(), tools, [model], data))


def changed(path: str, value: Any) -> Job:
    section, _, name = path.rpartition(".")
    if not section:
        return replace(JOB, **{name: value})
    return replace(JOB, **{section: replace(getattr(JOB, section), **{name: value})})


def knobs() -> set[str]:
    top = {one.name for one in fields(Job) if one.name not in SECTIONS}
    return top | {f"{section}.{one.name}" for section, kind in SECTIONS.items() for one in fields(kind)}


def test_every_knob_is_on_one_of_the_two_lists() -> None:
    assert SHAPING.keys() | FREE.keys() == knobs()
    assert not SHAPING.keys() & FREE.keys()
    assert TASK.keys() == {one.name for one in fields(Plain)}


@pytest.mark.parametrize("path", [path for path in SHAPING if path != "task_options"])
def test_what_shapes_the_text_changes_the_config_id_and_is_named_by_the_diff(path: str) -> None:
    job = changed(path, SHAPING[path])
    assert id_of(job) != id_of(JOB)
    old, new = (shape_of(one, Plain(), (), ["m"], "f") for one in (JOB, job))
    assert any(line.startswith(path) for line in config_diff(old, new))
    assert all(" -> " in line for line in config_diff(old, new))


@pytest.mark.parametrize("path", FREE)
def test_what_may_change_between_two_starts_is_no_part_of_the_config_id(path: str) -> None:
    assert path == "endpoint.transport" or changed(path, FREE[path]) != JOB  # it has one value so far
    assert id_of(changed(path, FREE[path])) == id_of(JOB)


@pytest.mark.parametrize("name", TASK)
def test_each_field_of_a_task_is_part_of_the_config_id(name: str) -> None:
    task = replace(Plain(), **{name: TASK[name]})
    assert id_of(JOB, task) != id_of(JOB)
    lines = config_diff(shape_of(JOB, Plain(), (), ["m"], "f"), shape_of(JOB, task, (), ["m"], "f"))
    assert [line.partition(":")[0].removesuffix("[0]") for line in lines] == [f"task_options.{name}"]


def test_model_tools_and_dataset_are_part_of_the_config_id() -> None:
    found = {id_of(JOB), id_of(JOB, model="n"), id_of(JOB, data="g"), id_of(JOB, tools=[{"name": "zoom"}])}
    assert len(found) == 4


def test_a_prompt_that_stands_in_a_file_counts_by_its_text(tmp_path: Path) -> None:
    def with_file(folder: str, text: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "prompt.txt").write_text(text)
        return id_of(JOB, make_task(Plain, {"user": "prompt.txt"}, tmp_path / folder, "job.yaml"))

    assert with_file("a", "Where?") == with_file("b", "Where?") != with_file("b", "Where is it?")


def test_the_task_counts_by_its_name_and_not_by_the_folder_it_lies_in() -> None:
    assert id_of(Job(task="here/city.py:City")) == id_of(Job(task="there/city.py:City"))
    assert id_of(Job(task="here/city.py:City")) != id_of(Job(task="here/city.py:Town"))


def test_one_model_on_many_servers_is_one_model() -> None:
    assert digest(shape_of(JOB, Plain(), (), ["m", "m"], "f")) == id_of(JOB)
    assert digest(shape_of(JOB, Plain(), (), ["b", "a"], "f")) == digest(shape_of(JOB, Plain(), (), ["a", "b"], "f"))


def test_the_digest_is_the_same_for_the_same_config_read_back_from_json() -> None:
    job = Job(task="geo", sampling=Sampling(temperatures=(0.1, 0.2)), episode=Episode(max_turns=2))
    shape = shape_of(job, Plain(), [{"name": "zoom", "parameters": {}}], ["m"], "f")
    assert digest(json.loads(json.dumps(shape))) == digest(shape)
