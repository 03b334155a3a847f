r"""The maths job: solve a problem, with the answer in a box.

Written with the public API only, like any user's task file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from asyncgen import Message, Sample, Task, last_boxed, rewards

USER = r"""{question}

Reason step by step, and put your final answer in \boxed{}."""


@dataclass(frozen=True)
class Math(Task):
    """One turn: a problem in, a solution out.

    A row has its question in `question`, `problem`, `prompt[0].content` or `extra_info.question`, and its answer in
    `extra_info.answer`, `answer`, `gt_answer`, `reward_model.ground_truth` or `target`.
    """

    user: str = USER
    rule: Literal["verify", "original"] = field(default="verify", metadata={"shapes_text": False})
    """`verify`: is the last box, as mathematics, the true answer? `original`: the first box, compared as a text, as the
    scripts did that this job replaces."""

    scores: ClassVar = rewards.MathReward.failure
    flags: ClassVar = {"input-file": "dataset.path"}

    @property
    def rewards(self) -> Sequence[Any]:  # type: ignore[override]  # the rule is the task's
        """Right or wrong, or cut off."""
        return (rewards.MathReward(rule=self.rule),)

    def fitted(self, columns: Sequence[str]) -> Task:
        """A dataset without a place for a question or an answer is refused."""
        rewards.check_math_columns(columns)
        return self

    def check(self, sample: Sample) -> None:
        """A row without its question or its answer is no sample."""
        rewards.math_question(sample.data)
        rewards.math_truth(sample.data)

    def prompt(self, sample: Sample) -> Sequence[Message]:
        """The question, wherever the row has it. Raw: the row's own prompt as it is, where it has one."""
        if self.prompt_style == "raw" and (text := rewards.raw_prompt(sample.data)):
            return [Message("user", text)]
        return super().prompt(replace(sample, data={**sample.data, "question": rewards.math_question(sample.data)}))

    def answer(self, text: str) -> str:
        """The last box."""
        return last_boxed(text) or ""

    def final_answer(self, text: str) -> str:
        """What is called the answer, or the last formula or number, counts now, too."""
        return rewards.answer_of(text)
