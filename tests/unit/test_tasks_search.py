"""The search task: its rows, its answers, its options and what they change."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from asyncgen.config.schema import Job
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.types import Sample
from asyncgen.engine.kit import make_kit, opening
from asyncgen.runs.jobs import find_job, load_job
from asyncgen.runs.shape import shape_of
from asyncgen.runs.tasks import make_task
from asyncgen.tasks.search import FINAL_USER, SYSTEM, Search

PRESETS = ("search", "search-tongyi", "search-r1")


def sample(**data: Any) -> Sample:
    return Sample(index=0, data=data)


def preset(name: str) -> tuple[Job, Search]:
    job, task = load_job(find_job(name), base_url=(), model=None, knobs={"dataset.path": "x"})
    assert isinstance(task, Search)
    return job, task


# rows


@pytest.mark.parametrize(
    "data",
    [
        {"question": " Who {x}? "},
        {"extra_info": {"question": "Who {x}?"}},
        {"prompt": [{"role": "user", "content": "Who {x}?"}]},
    ],
)
def test_the_prompt_has_the_question_wherever_the_row_has_it(data: dict[str, Any]) -> None:
    system, user = Search().prompt(sample(**data))
    assert (system.role, system.text) == ("system", SYSTEM)
    assert (user.role, user.text) == ("user", "Question: Who {x}?")


def test_a_row_without_a_question_or_with_an_empty_answer_is_a_bad_sample() -> None:
    Search().check(sample(question="q", answer="a"))
    Search().check(sample(question="q"))
    with pytest.raises(EpisodeError, match="no question, or an empty one"):
        Search().check(sample(question=" ", answer="a"))
    with pytest.raises(EpisodeError, match="no accepted answer: looked in answer"):
        Search().check(sample(question="q", answer=""))


def test_a_dataset_without_questions_is_refused() -> None:
    with pytest.raises(InputError, match="the columns are image, lat"):
        Search().fitted(["image", "lat"])


def test_supporting_facts_are_scored_where_the_dataset_has_them() -> None:
    plain = {"score": 0.0, "em": 0.0, "f1": 0.0, "parse_success": False}
    assert Search().scores == plain
    assert Search().fitted(["question", "answer"]).scores == plain
    assert Search().fitted(["question", "supporting_facts"]).scores == plain | {"support_recall": 0.0}
    assert Search(support=True).fitted(["extra_info"]).scores == plain | {"support_recall": 0.0}
    assert Search(support=False).fitted(["question", "supporting_facts"]).scores == plain


def test_the_judge_adds_one_score_and_one_reward() -> None:
    assert list(Search(judge=True).scores) == ["score", "em", "f1", "parse_success", "judge"]
    assert (len(Search(judge=True).rewards), len(Search().rewards)) == (2, 1)


# answers


@pytest.mark.parametrize(
    ("text", "answer", "final"),
    [
        ("so <answer> Paris </answer>", "Paris", "Paris"),
        ("<answer>Rome</answer> no: <answer>Paris</answer>", "Paris", "Paris"),
        ("<answer></answer>", "", ""),
        ("<answer>Paris", "", ""),
        (r"It is \boxed{Paris}.", "", "Paris"),
        ("I think.\nFinal answer: Paris", "", "Paris"),
        ("Paris", "", ""),
        (r"<answer>Paris</answer> or \boxed{Rome}", "Paris", "Paris"),
    ],
)
def test_an_answer_stands_in_the_last_closed_tag_and_at_the_end_elsewhere_too(
    text: str, answer: str, final: str
) -> None:
    assert (Search().answer(text), Search().final_answer(text)) == (answer, final)


def test_without_a_nudge_a_turn_that_says_nothing_ends_the_episode() -> None:
    assert Search().reply(sample(), ()) is None
    assert [one.text for one in Search(nudge="go on").reply(sample(), ()) or ()] == ["go on"]


# options


def test_the_tool_is_made_of_the_options() -> None:
    task = Search(
        topk=7, argument="query", layout="search-r1", retrieval_url="http://r:9/x", retrieval_timeout=2.0,
        retrieval_concurrency=3, retrieval_batch=4, retrieval_cache=5,
    )  # fmt: skip
    (tool,) = task.tools
    said = (tool.topk, tool.argument, tool.layout, tool.url, tool.timeout, tool.concurrency, tool.batch, tool.cache)
    assert said == (7, "query", "search-r1", "http://r:9/x", 2.0, 3, 4, 5)
    assert tool.schema()["function"]["parameters"]["required"] == ["query"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topk": 0}, "topk 0"),
        ({"retrieval_url": "localhost:8000"}, "'localhost:8000'"),
        ({"retrieval_timeout": 0}, "timeout 0"),
        ({"retrieval_cache": -1}, "cache -1"),
        ({"layout": "table"}, "'table' is no choice"),
        ({"argument": "queries"}, "'queries' is no choice"),
    ],
)
def test_options_with_which_nothing_can_be_searched_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_task(Search, options, Path(), "job.yaml")


def test_a_run_goes_on_with_another_retrieval_server_and_not_with_another_text() -> None:
    job, task = preset("search")

    def shape(**options: Any) -> Any:
        other = replace(task, **options)
        return shape_of(job, other, make_kit(other).schemas, ["m"], "f")

    free = {
        "retrieval_url": "http://other:1/x", "retrieval_timeout": 1.0, "retrieval_concurrency": 1, "retrieval_batch": 1,
        "retrieval_cache": 1, "support": True, "judge": True,
    }  # fmt: skip
    assert shape(**free) == shape()
    for name, value in {"topk": 2, "argument": "query", "layout": "search-r1", "nudge": "x"}.items():
        assert shape(**{name: value}) != shape()
    assert {one.name for one in fields(Search) if not one.metadata.get("shapes_text", True)} == set(free)


# the three jobs


def test_the_job_search_has_the_defaults_of_its_document() -> None:
    job, task = preset("search")
    assert task == Search()
    assert [one.base_url for one in job.endpoints] == ["http://127.0.0.1:8000/v1"]
    assert (job.schedule.concurrency, job.dataset.num_samples, job.dataset.order) == (16, -1, "dataset")
    assert (job.sampling.temperature, job.sampling.max_tokens) == (0.7, 2048)
    assert (job.episode.max_turns, job.episode.final_turn) == (3, False)
    assert job.store.output_file is None


def test_the_job_search_tongyi_is_what_the_models_own_code_does() -> None:
    job, task = preset("search-tongyi")
    assert (task.argument, task.tool_calls, task.dialect) == ("query", "text", "tool_call")
    assert task.stop == ("\n<tool_response>", "<tool_response>")
    assert (job.sampling.temperature, job.sampling.top_p, job.sampling.max_tokens) == (0.6, 0.95, 10_000)
    assert job.sampling.extra_body == {"presence_penalty": 1.1}
    assert (job.episode.max_turns, job.episode.final_turn) == (100, True)
    assert (job.episode.max_context, job.episode.deadline) == (110 * 1024, 150 * 60)
    assert "<answer>" in task.final_user
    assert task.final_user != FINAL_USER
    prompt = opening(task, sample(question="q"), make_kit(task), make_kit(task).mode("text", refused=False))
    assert '"required": ["query"]' in prompt[0].text
    assert "date:" not in prompt[0].text


def test_the_job_search_r1_says_everything_in_the_users_message() -> None:
    _, task = preset("search-r1")
    assert (task.dialect, task.layout, task.topk, task.stop) == ("search", "search-r1", 3, ("<information>",))
    kit = make_kit(task)
    (only,) = opening(task, sample(question="Who?"), kit, kit.mode(task.tool_calls, refused=False))
    assert only.role == "user"
    assert all(f"<{tag}>" in only.text for tag in ("think", "search", "information", "answer"))
    assert only.text.endswith("\nQuestion: Who?")
    assert all(f"<{tag}>" in task.nudge for tag in ("search", "answer"))


def test_a_task_of_that_dialect_that_does_not_say_how_to_search_is_helped_out() -> None:
    task = Search(dialect="search", tool_calls="text", layout="search-r1")
    kit = make_kit(task)
    system, _ = opening(task, sample(question="Who? <search>"), kit, kit.mode("text", refused=False))
    assert "between <search> and </search>" in system.text
