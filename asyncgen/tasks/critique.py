"""The critique job: is a student's solution right or wrong?

Written with the public API only, like any user's task file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from asyncgen import Message, Sample, Task, rewards


@dataclass(frozen=True)
class Critique(Task):
    """One turn: the prompt of a critique set's row as it is in, a critique that ends with `Conclusion: right` out."""

    scores: ClassVar = rewards.CritiqueReward.failure
    rewards: ClassVar = (rewards.critique_scores,)
    columns: ClassVar = ("prompt",)
    flags: ClassVar = {"input-file": "dataset.path"}

    def check(self, sample: Sample) -> None:
        """A row without a prompt or a verdict is no sample."""
        rewards.critique_messages(sample.data)
        rewards.critique_target(sample.data)

    def prompt(self, sample: Sample) -> Sequence[Message]:
        """As the row has it."""
        return rewards.critique_messages(sample.data)

    def answer(self, text: str) -> str:
        """`right` or `wrong`, after the last `Conclusion:`."""
        return rewards.conclusion(text)
