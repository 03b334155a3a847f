"""Slips in a task's own class: each is one line before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.engine.kit import make_kit
from asyncgen.rewards.geo import GeoReward
from asyncgen.runs.tasks import load_task_class, make_task
from asyncgen.tasks import BUILT_IN
from asyncgen.tasks.geo import Geo
from asyncgen.tools.schema import tool


def population(context: Any, city: str) -> str:
    """How many people live there."""
    return city


@tool
def calculator(context: Any, sum_: str) -> str:
    """Compute."""
    return sum_


def exact(context: Any, sample: Any, trace: Any) -> Mapping[str, float]:
    return {"score": 1.0}


def made(members: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Task:
    city = make_dataclass("City", [], bases=(Task,), namespace=dict(members), frozen=True)
    return make_task(city, options or {}, Path(), "job.yaml")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"tools": (population,)}, "City.tools: population is a plain function; put @tool above it"),
        ({"tools": (calculator, 3)}, "City.tools: 3 is no tool; give functions with @tool above them"),
        ({"tools": calculator}, "City.tools must be a tuple: (calculator,)"),
        ({"tools": "calculator"}, 'City.tools must be a tuple: ("calculator",)'),
        ({"rewards": exact}, "City.rewards must be a tuple: (exact,)"),
        (
            {"rewards": ("exact",)},
            'City.rewards: "exact" is no function; give functions (context, sample, trace) → scores',
        ),
        ({"rewards": (population,)}, "City.rewards: population does not take (context, sample, trace)"),
        ({"rewards": (GeoReward,)}, "City.rewards: GeoReward is a class; write GeoReward(…)"),
        ({"columns": "city"}, 'City.columns must be a tuple: ("city",)'),
        ({"scores": ("score",)}, "City.scores must be a mapping, as {\"score\": …}; it is ('score',)"),
        ({"scores": {"score": None}}, "City.scores: 'score' is None; give the number, bool or text of no answer"),
        ({"scores": {1: 0.0}}, "City.scores: the key 1 is no text"),
        ({"headline": "score"}, 'City.headline must be a mapping, as {"score": …}; it is "score"'),
        ({"headline": {"score": 1}}, "City.headline: 'score' is 1; give the name of a score"),
    ],
)
def test_a_wrong_tool_reward_score_or_column_is_named(members: Mapping[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        made(members)
    assert str(caught.value) == text


async def waits(self: Any, text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"answer": lambda self: ""},
            "City.answer(self) cannot be called as asyncgen does; write def answer(self, text)",
        ),
        (
            {"reply": lambda self, turns: None},
            "City.reply(self, turns) cannot be called as asyncgen does; write def reply(self, sample, turns)",
        ),
        (
            {"prompt": lambda self, sample, more: []},
            "City.prompt(self, sample, more) cannot be called as asyncgen does; write def prompt(self, sample)",
        ),
        (
            {"check": staticmethod(lambda: None)},
            "City.check() cannot be called as asyncgen does; write def check(self, sample)",
        ),
        ({"final_answer": "none"}, 'City.final_answer is "none" and no method; write def final_answer(self, text)'),
        ({"answer": waits}, "City.answer is async, and it may not wait; write def answer(self, text)"),
    ],
)
def test_a_method_that_cannot_be_called_is_named_with_the_way_to_write_it(
    members: Mapping[str, Any], text: str
) -> None:
    with pytest.raises(InputError) as caught:
        made(members)
    assert str(caught.value) == text


def test_what_can_be_called_is_taken_however_it_is_written() -> None:
    members = {
        "tools": [calculator],
        "rewards": (exact, GeoReward(), lambda *arguments: {}),
        "scores": {"score": 0, "note": "", "parse_success": False},
        "answer": lambda self, text, strict=True: text,
        "reply": lambda self, *rest: None,
        "check": staticmethod(lambda row: None),
    }
    assert made(members).tools == [calculator]


def test_tools_may_depend_on_an_option() -> None:
    @dataclass(frozen=True)
    class City(Task):
        closer: bool = False

        @property
        def tools(self) -> Any:  # type: ignore[override]  # a user's class may say more than ours
            return (calculator,) if self.closer else ()

    assert make_task(City, {"closer": True}, Path(), "job.yaml").tools == (calculator,)


def test_an_option_without_a_type_is_named_for_it_would_not_count() -> None:
    with pytest.raises(InputError) as caught:
        made({"answer_first": True})
    assert str(caught.value) == (
        "City.answer_first has no type, so it replaces no default: write answer_first: bool = …"
    )


def test_what_a_class_says_itself_counts_and_not_what_is_above_it() -> None:
    class Base(Task):
        system = "base"

    @dataclass(frozen=True)
    class City(Base):
        system: str = "you"

    assert make_task(City, {}, Path(), "job.yaml").system == "you"


def test_the_columns_may_be_a_set() -> None:
    assert made({"columns": frozenset({"city"})}).columns == {"city"}


def test_a_tool_without_parameters_has_a_schema_without_them() -> None:
    class Now:
        name = "now"

        def schema(self, **conventions: str) -> Mapping[str, Any]:
            return {"type": "function", "function": {"name": "now", "description": "The time."}}

        async def __call__(self, context: Any, arguments: Any) -> Any:
            raise NotImplementedError

    assert make_kit(made({"tools": (Now(),)})).schemas[0]["function"] == {"name": "now", "description": "The time."}


@pytest.mark.parametrize("function", [partial(population, None), lambda context: "x"])
def test_a_tool_without_a_name_that_servers_take_is_refused(function: Any) -> None:
    with pytest.raises(InputError, match="make it from a function with a name"):
        tool(function)


@pytest.mark.parametrize("scale", [0.0, -5.0, float("nan")])
def test_a_scale_that_gives_no_score_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match=r"scale_km is .*: give kilometres above 0"):
        make_task(Geo, {"scale_km": scale}, Path(), "job.yaml")


def test_a_constant_that_became_an_option_is_named() -> None:
    @dataclass(frozen=True)
    class City(Task):
        tools: tuple[Any, ...] = (calculator,)  # type: ignore[misc]  # the slip

    with pytest.raises(InputError, match=r"^City\.tools is no option: write tools: ClassVar = …$"):
        make_task(City, {}, Path(), "job.yaml")


def test_a_task_with_slots_is_taken() -> None:
    @dataclass(frozen=True, slots=True)
    class City(Task):
        user: str = "Which city?"
        known: tuple[str, ...] = field(default_factory=tuple)
        columns: ClassVar = ("city",)

    assert make_task(City, {"known": ["a"]}, Path(), "job.yaml") == City(known=("a",))


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_tasks_have_no_slip(name: str) -> None:
    task_class = load_task_class(name, Path())
    assert isinstance(make_task(task_class, {}, Path(), "job.yaml"), task_class)
