"""What a run has done so far, in numbers: the only thing that a screen needs to look at.

Knows counters. Does not know how they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from asyncgen.core.trace import Failure, Trace


@dataclass(slots=True)
class Progress:
    """Counters of one start of a run; `total` and the `before` ones are set by whoever starts it."""

    total: int = 0
    """Episodes of the job: samples x rollouts."""
    done_before: int = 0
    failed_before: int = 0
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    turns: int = 0
    tool_calls: int = 0
    parsed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    last_failure: str = ""
    """Reason and text of the latest failed episode."""
    notice: str = ""
    """What keeps the run from going on: servers down, disk full, draining. `""` when nothing does."""
    on_trace: Callable[[Trace], None] | None = None
    on_failure: Callable[[Failure], None] | None = None

    @property
    def left(self) -> int:
        """Episodes that are neither done nor failed."""
        return self.total - self.done_before - self.failed_before - self.done - self.failed.total()

    def add_trace(self, trace: Trace) -> None:
        """A trace is saved."""
        self.done += 1
        self._count(trace, asked=len(trace.conversation_history))
        self.parsed += bool(trace.reward_score.get("parse_success", trace.answer != ""))
        if self.on_trace:
            self.on_trace(trace)

    def add_failure(self, failure: Failure) -> None:
        """A failed episode is saved."""
        self.failed[failure.reason] += 1
        self.last_failure = f"{failure.trace.id}: {failure.reason}: {failure.error}"
        self._count(failure.trace, asked=len(failure.trace.conversation_history) + 1)
        if self.on_failure:
            self.on_failure(failure)

    def _count(self, trace: Trace, *, asked: int) -> None:
        """`asked`: the turns that were asked for; of a failed episode one more than those that came, at most."""
        self.turns += len(trace.conversation_history)
        self.tool_calls += len(trace.tool_calls)
        self.prompt_tokens += trace.metadata["prompt_tokens"]
        self.completion_tokens += trace.metadata["completion_tokens"]
        self.retries += max(0, trace.metadata["attempts"] - asked)
