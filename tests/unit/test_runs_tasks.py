from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.context import FakeContext
from support.region_traces import answered

from asyncgen.config.load import check_raw
from asyncgen.config.schema import Episode, Job, Sampling
from asyncgen.core.errors import FailReason, InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Message, Sample
from asyncgen.engine.scoring import scored
from asyncgen.runs.prepare import parse_reasons
from asyncgen.runs.shape import (
    aligned,
    merged_temperatures,
    same_temperatures,
    sampling_of,
    shape_of,
    stored_temperatures,
    temperatures_of,
)
from asyncgen.runs.tasks import check_columns, load_task_class, make_task, with_rewards
from asyncgen.store.run_file import config_diff, digest
from asyncgen.tasks.geo import Geo, GeoTools
from asyncgen.tasks.region import Region
from asyncgen.tasks.search import Search

SOURCE = "from dataclasses import dataclass\nfrom asyncgen import Task\nimport neighbour_of_mine\n\n@dataclass(frozen=True)\nclass Mine(Task):\n    size: int = 3\n"  # noqa: E501  # a file


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "mine_of_tests.py").write_text(SOURCE)
    (tmp_path / "neighbour_of_mine.py").write_text("")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_built_in_names_and_module_paths_give_the_class(tmp_path: Path):
    assert load_task_class("geo", tmp_path) is Geo
    assert load_task_class("asyncgen.tasks.geo:GeoTools", tmp_path) is GeoTools


def test_a_task_file_is_loaded_once_and_may_import_its_neighbours(folder: Path):
    found = load_task_class("mine_of_tests.py:Mine", folder)
    assert found is load_task_class(f"{folder}/mine_of_tests.py:Mine", Path("elsewhere"))
    assert found.__module__ == "mine_of_tests"


def test_a_task_file_named_like_a_module_hides_nobody(folder: Path):
    (folder / "json.py").write_text(SOURCE)
    found = load_task_class("json.py:Mine", folder)
    assert found.__module__ == "asyncgen_task_json"
    import json

    assert json.loads("[1]") == [1]


def test_a_failed_task_file_is_not_kept(folder: Path):
    (folder / "mine_of_tests.py").write_text("x = 1\nraise ValueError('two\\nlines')\n")
    with pytest.raises(InputError, match="line 2: ValueError: two lines"):
        load_task_class("mine_of_tests.py:Mine", folder)
    (folder / "mine_of_tests.py").write_text(SOURCE)
    assert load_task_class("mine_of_tests.py:Mine", folder).__name__ == "Mine"


def test_a_template_may_be_the_path_of_a_text_file(tmp_path: Path):
    (tmp_path / "system.txt").write_text("You are precise.\n")
    task = make_task(Geo, {"system": "system.txt", "user": "Where?\n<image>", "scale_km": "1491.6862"}, tmp_path, "j")
    assert isinstance(task, Geo)
    assert (task.system, task.user, task.scale_km) == ("You are precise.", "Where?\n<image>", 1491.6862)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"scale": 1}, "'scale'"),
        ({"scale_km": "far"}, "scale_km"),
        ({"frame": "old"}, "frame"),
        ({"image": 3}, "image"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: dict[str, object], part: str):
    with pytest.raises(InputError, match=part):
        make_task(Geo, options, tmp_path, "job.yaml")


@dataclass(frozen=True)
class Own(Task):
    user: str = "{nothing}"
    tool_hint: str = "See {legend}"
    columns: ClassVar = ("city",)

    def prompt(self, sample):
        return [Message("user", "hello")]


def test_a_task_with_its_own_prompt_needs_only_its_columns_and_its_hint():
    check_columns(Own(), ["city", "legend"], [], "data")
    with pytest.raises(InputError, match="'city', which Own needs"):
        check_columns(Own(), ["legend"], [], "data")
    with pytest.raises(InputError, match="'legend', which the tool_hint template names"):
        check_columns(Own(), ["city"], [], "data")


def test_an_image_column_is_no_column_of_a_template():
    with pytest.raises(InputError, match="no column 'photo'"):
        check_columns(Task(user="{photo}"), ["photo"], ["photo"], "data")
    with pytest.raises(InputError, match="no image column"):
        check_columns(Task(user="<image>"), ["photo"], [], "data")


def test_rewards_of_a_job_are_fitted_to_the_dataset_with_the_task(tmp_path: Path):
    spec = [{"region": {"polygons": str(tmp_path / "nope.geojson")}}]
    for task in (Region(), Geo()):
        with pytest.raises(InputError, match=r"nope\.geojson"):
            with_rewards(task, spec, "job.yaml").fitted(["lat", "lon"])
    search = with_rewards(Search(), ["format", "qa", {"total": {"weights": {"format": 2, "f1": 1}}}], "job.yaml")
    found = search.fitted(["question", "answer", "supporting_facts"])
    assert isinstance(found, Search)
    assert (found.support, found.rewards, found.scores) == (True, search.rewards, search.scores)
    with pytest.raises(InputError, match="question"):
        search.fitted(["image"])


async def test_a_total_may_weigh_the_score_that_an_earlier_reward_gave():
    task = with_rewards(Geo(), ["geo", "format", {"total": {"weights": {"score": 2, "format": 1}}}], "job.yaml")
    sample = Sample(index=0, data={"lat": 1.0, "lon": 2.0})
    trace = replace(answered("<think>x</think><answer>1.0, 2.0</answer>"), answer="1.0, 2.0")
    assert (await scored(task, FakeContext(), sample, trace)).reward_score["score"] == 2.5
    bare = await scored(task, FakeContext(), sample, replace(trace, answer=""))
    assert bare.reward_score["score"] == 0.5
    with pytest.raises(InputError, match="no reward before it gives 'score'"):
        with_rewards(Geo(), [{"total": {"weights": {"score": 1}}}, "geo"], "job.yaml")


def test_an_empty_list_of_rewards_is_refused():
    with pytest.raises(InputError, match="rewards is an empty list"):
        check_raw({"task": "geo", "rewards": []}, "job.yaml")


def test_retry_failed_takes_all_or_reasons():
    assert parse_reasons("") == frozenset()
    assert parse_reasons("all") == frozenset(FailReason)
    assert parse_reasons("timeout, bad_image") == {"timeout", "bad_image"}
    with pytest.raises(InputError, match=r"'timout'.*did you mean 'timeout'"):
        parse_reasons("bad_image,timout")


def test_each_rollout_has_its_own_temperature_and_seed():
    sampling = Sampling(temperature=0.7, temperatures=(0.1, 0.9), seed=5, top_p=0.5, extra_body={"top_k": 3})
    job = Job(task="geo", sampling=sampling, episode=Episode(rollouts=2))
    assert sampling_of(job, 1) == {"temperature": 0.9, "max_tokens": 2048, "top_p": 0.5, "seed": 6, "top_k": 3}
    assert sampling_of(Job(task="geo"), 1) == {"temperature": 0.7, "max_tokens": 2048}


def test_what_shapes_the_text_changes_the_digest_and_nothing_else_does():
    def digest_of(job: Job, task: Task | None = None, model: str = "m", data: str = "f") -> str:
        return digest(shape_of(job, task or Geo(), [], [model], data))

    job = Job(task="geo", name="a")
    same = [Job(task="geo", name="b", episode=Episode(rollouts=4, deadline=1.0)), Job(task="geo")]
    assert {digest_of(one) for one in same} | {digest_of(job, Geo(scale_km=1.0))} == {digest_of(job)}
    others = {
        digest_of(Job(task="geo", sampling=Sampling(temperature=0.1))),
        digest_of(Job(task="geo", episode=Episode(max_turns=3))),
        digest_of(Job(task="geo", episode=Episode(final_turn=False))),
        digest_of(job, Geo(system="Other.")),
        digest_of(job, model="n"),
        digest_of(job, data="g"),
    }
    assert len(others - {digest_of(job)}) == 6


@pytest.mark.parametrize(
    ("before", "now", "used", "same"),
    [
        ([0.7], [0.7], {0}, True),
        ([0.7], [0.7, 0.9], {0}, True),
        ([0.7, 0.9], [0.7], {0, 1}, True),
        ([0.7, 9.0], [0.7, 0.9], {0}, True),
        ([0.7, 0.1], [0.7, 0.7], {0, 1}, False),
        ([0.7], [0.9], {0}, False),
        ([0.7] * 4, [0.7, 0.9], {0, 1, 3}, False),
    ],
)
def test_only_rollouts_that_have_traces_hold_their_temperature(before, now, used, same):
    known = shape_of(Job(task="geo", sampling=Sampling(temperature=before[0])), Geo(), [], ["m"], "f")
    new = shape_of(Job(task="geo", sampling=Sampling(temperatures=tuple(now))), Geo(), [], ["m"], "f")
    old, shape = aligned(known, new, before=before, now=now, used=used)
    assert (old == shape) == same
    assert same_temperatures(before, now, used) == same
    if same:
        assert old == known
    assert bool(config_diff(old, shape)) != same


def test_a_run_file_that_lists_no_temperatures_has_those_of_its_config():
    def run_file(**sampling: Any) -> dict[str, Any]:
        return {"config": {"sampling": sampling, "episode": {"rollouts": 2}}}

    assert stored_temperatures(run_file(temperature=0.7, temperatures=[0.1, 0.2, 0.3])) == [0.1, 0.2, 0.3]
    assert stored_temperatures(run_file(temperature=0.7, temperatures=None)) == [0.7, 0.7]
    assert stored_temperatures({"temperatures": [0.5], **run_file(temperature=0.7)}) == [0.5]
    assert stored_temperatures({}) == []


def test_rollouts_that_a_start_leaves_out_keep_their_temperatures():
    assert merged_temperatures([0.7, 0.9, 1.1], [0.7, 1.0]) == [0.7, 1.0, 1.1]
    assert merged_temperatures([0.7], [0.7, 0.9]) == [0.7, 0.9]
    job = Job(task="geo", sampling=Sampling(temperatures=(0.1, 0.2, 0.3)), episode=Episode(rollouts=2))
    assert temperatures_of(job) == [0.1, 0.2]
