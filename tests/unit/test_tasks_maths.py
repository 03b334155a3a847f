"""The two maths tasks: what is asked, what is read, what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from asyncgen.config.load import job_file, read_yaml
from asyncgen.core.errors import EpisodeError, InputError
from asyncgen.core.types import Message, Sample
from asyncgen.runs.jobs import load_job
from asyncgen.tasks.critique import Critique
from asyncgen.tasks.maths import Math

VERL = {
    "question": "What is {x}?",
    "prompt": [{"role": "user", "content": "What is x? Use \\boxed{}.\n"}],
    "extra_info": {"answer": "5", "index": 3},
}


def asked(task: Math | Critique, **data: object) -> list[tuple[str, str]]:
    messages: list[Message] = list(task.prompt(Sample(index=0, data=data)))
    return [(message.role, message.text) for message in messages]


def test_chat_asks_the_question_and_for_a_box() -> None:
    ((role, text),) = asked(Math(), **VERL)
    assert role == "user"
    assert text == "What is {x}?\n\nReason step by step, and put your final answer in \\boxed{}."


def test_raw_sends_the_row_s_own_prompt_as_it_is_and_the_question_where_it_has_none() -> None:
    raw = Math(prompt_style="raw")
    assert asked(raw, **VERL) == [("user", "What is x? Use \\boxed{}.\n")]
    assert asked(raw, problem="P", answer="1")[0][1].startswith("P\n\nReason")


def test_a_template_of_one_s_own_has_the_question_and_the_columns() -> None:
    assert asked(Math(user="{question} ({level})"), problem=" P ", level=3) == [("user", "P (3)")]


def test_the_box_is_an_answer_and_less_counts_at_the_end_only() -> None:
    task = Math()
    assert task.answer(r"so \boxed{5} and \boxed{\frac{1}{2}}") == r"\frac{1}{2}"
    assert task.answer("The answer is 5.") == ""
    assert task.final_answer("The answer is 5.") == "5"


@pytest.mark.parametrize(
    ("data", "words"), [({"answer": "5"}, "no question"), ({"problem": "P", "answer": ""}, "no answer")]
)
def test_a_row_without_its_question_or_answer_is_refused(data: dict[str, str], words: str) -> None:
    with pytest.raises(EpisodeError, match=words):
        Math().check(Sample(index=0, data=data))


def test_a_dataset_without_either_is_refused_before_the_run() -> None:
    assert Math().fitted(["problem", "answer", "solution"]) == Math()
    with pytest.raises(InputError, match="no answer"):
        Math().fitted(["problem"])


def test_the_rule_changes_scores_alone() -> None:
    (rule,) = [one for one in fields(Math) if one.name == "rule"]
    assert rule.metadata["shapes_text"] is False
    assert Math(rule="original").rewards[0].rule == "original"
    assert list(Math.scores) == ["score", "parse_success", "truncated"]


def test_a_critique_row_is_asked_as_it_is_and_checked() -> None:
    task = Critique()
    assert asked(task, prompt="Judge.", target="right") == [("user", "Judge.")]
    assert task.answer("It holds.\nConclusion: right [END]") == "right"
    with pytest.raises(EpisodeError, match="neither right nor wrong"):
        task.check(Sample(index=0, data={"prompt": "Judge.", "target": "?"}))


def test_the_built_in_jobs_load_with_their_defaults() -> None:
    job, task = load_job("math", base_url=(), model=None, knobs={"dataset.path": "x.json"})
    assert isinstance(task, Math)
    assert (job.episode.rollouts, job.episode.choices, job.episode.max_turns, job.episode.final_turn) == (
        8,
        8,
        1,
        False,
    )
    assert (job.sampling.temperature, job.sampling.top_p, job.sampling.max_tokens) == (0.7, 0.9, 4096)
    assert job.dataset.num_samples == -1
    job, task = load_job("critique", base_url=(), model=None, knobs={"dataset.path": "x.json"})
    assert isinstance(task, Critique)
    assert (job.accept, job.episode.max_turns) == ("score = 1", 1)


@pytest.mark.parametrize("name", ["math", "critique"])
def test_a_built_in_job_s_file_begins_with_what_it_does_and_a_command(name: str) -> None:
    first, second, *_ = job_file(name).read_text("utf-8").splitlines()
    assert first.startswith("# ")
    assert second.startswith(f"#   asyncgen run {name} ")
    assert read_yaml(job_file(name))["task"] == name
