"""What the rules of a job change: for which rows, and in what.

Knows the job's own settings and those that a rule puts in their place. Which rule takes which row was found out by the
selection. Does not know SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncgen.config.schema import Job, Rule, chunk_of, parse_partition
from asyncgen.core.task import Task
from asyncgen.runs.shape import sampling_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncgen.source.base import Selected, Selection


def selection_of(job: Job, task: Task) -> Selection:
    """What is asked of the source."""
    from asyncgen.source.base import RowRule, Selection

    dataset = job.dataset
    return Selection(
        where=dataset.where or None,
        order=dataset.order,
        order_by=dataset.order_by or None,
        difficulty=task.difficulty,
        rules=tuple(RowRule(where=rule.where, limit=rule.limit, drop=rule.drop) for rule in job.rules),
        num_samples=dataset.num_samples,
        partition=parse_partition(job.schedule.partition),
        chunk=chunk_of(dataset),
    )


@dataclass(frozen=True, kw_only=True)
class RowSettings:
    """What the episodes of a row are done with."""

    job: Job
    rule_of: NDArray[Any] | None = None
    """Of each row of the dataset the number of its rule, -1 for none; None where there are no rules."""

    def max_turns(self, index: int) -> int:
        """Of a row number."""
        rule = self._rule(index)
        return self.job.episode.max_turns if rule is None or rule.max_turns is None else rule.max_turns

    def sampling(self, index: int, rollout: int) -> dict[str, Any]:
        """The request's sampling fields for a row number and a rollout."""
        return sampling_of(self.job, rollout, self._rule(index))

    def rollouts(self, indexes: NDArray[Any]) -> int | NDArray[Any]:
        """How many there are of each of these rows, or of all."""
        import numpy as np

        own = self.job.episode.rollouts
        by_rule = [own if rule.rollouts is None else rule.rollouts for rule in self.job.rules]
        if self.rule_of is None or set(by_rule) <= {own}:
            return own
        each: NDArray[Any] = np.asarray([*by_rule, own])[self.rule_of[indexes]]  # -1 is the last of them
        return each

    def _rule(self, index: int) -> Rule | None:
        number = -1 if self.rule_of is None else int(self.rule_of[index])
        return None if number < 0 else self.job.rules[number]


def most_tokens(job: Job) -> int:
    """That an episode of any row may generate."""
    own = Rule(where="")
    return max(
        ((rule.max_turns or job.episode.max_turns) + job.episode.final_turn)
        * (rule.max_tokens or job.sampling.max_tokens)
        for rule in (own, *job.rules)
    )


def rule_notes(job: Job, selected: Selected) -> list[str]:
    """A line for each rule: how many rows it took, and how many of those it leaves out."""
    return [
        f"rules[{number}] ({' '.join(rule.where.split())}): {taken} rows" + (f", {out} of them left out" if out else "")
        for number, (rule, taken, out) in enumerate(zip(job.rules, selected.taken, selected.left_out, strict=True))
    ]
