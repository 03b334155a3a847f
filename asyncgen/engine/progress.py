"""What a run has done so far, in numbers: the only thing that a screen needs to look at.

Knows counters, and keeps nothing that grows with the run. Does not know how they are shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from asyncgen.core.trace import NOT_RUN, Failure, Trace
from asyncgen.core.types import NAME_LENGTH
from asyncgen.engine.sketch import Sketch
from asyncgen.store.totals import Totals

MAX_TOOLS = 50
"""Names of tools are a model's words: so many different ones are told apart, and always those of tools that worked."""
OTHER_TOOLS = "(other)"
DISTANCE = "distance@km"
"""The score of which the median is wanted: its mean says little."""


@dataclass(slots=True)
class Progress:
    """Counters of one start of a run; `total` and the `before` ones are set by whoever starts it."""

    before: Totals = field(default_factory=Totals)
    """What the starts before this one have cost."""
    seconds_before: float = 0.0
    """That they took."""
    starts_before: int = 0

    total: int = 0
    """Episodes of the job: samples x rollouts."""
    done_before: int = 0
    failed_before: int = 0
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter[str])
    turns: int = 0
    trace_turns: int = 0
    """Those of traces alone."""
    tool_calls: int = 0
    tool_errors: int = 0
    """Calls that came to nothing."""
    tools: Counter[str] = field(default_factory=Counter[str])
    """Calls by the name that the model wrote."""
    with_tools: int = 0
    """Traces with a tool call."""
    parsed: int = 0
    sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Of each score of the traces that is a number or a truth value."""
    distances: Sketch = field(default_factory=Sketch)
    """The DISTANCE of the traces whose answer could be read, in km."""
    accepted: int = 0
    """Traces that are marked as accepted."""
    accepted_before: int = 0
    skipped: int = 0
    """Episodes that are not needed any more: neither done nor left."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0
    retries: int = 0
    """Requests beyond the first of a turn."""
    last_failure: str = ""
    """Reason and text of the latest failed episode."""
    notice: str = ""
    """What keeps the run from going on: servers down, disk full, draining. `""` when nothing does."""
    on_trace: Callable[[Trace], None] | None = None
    on_failure: Callable[[Failure], None] | None = None

    @property
    def totals(self) -> Totals:
        """What this start's episodes have cost."""
        return Totals(
            turns=self.turns,
            tool_calls=self.tool_calls,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            requests=self.requests,
            retries=self.retries,
        )

    @property
    def left(self) -> int:
        """Episodes that are neither done nor failed, and still wanted."""
        before = self.done_before + self.failed_before
        return self.total - before - self.done - self.failed.total() - self.skipped

    def add_trace(self, trace: Trace) -> None:
        """A trace is saved."""
        self.done += 1
        self._count(trace, asked=len(trace.conversation_history))
        self.trace_turns += len(trace.conversation_history)
        self.with_tools += bool(trace.tool_calls)
        self.accepted += bool(trace.metadata["accepted"])
        self._score(trace)
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
        attempts = trace.metadata["attempts"]
        self.turns += len(trace.conversation_history)
        self.prompt_tokens += trace.metadata["prompt_tokens"]
        self.completion_tokens += trace.metadata["completion_tokens"]
        self.requests += attempts
        self.retries += max(0, attempts - asked)
        self.tool_calls += len(trace.tool_calls)
        for entry in trace.tool_calls:
            name = entry.tool_call.name[:NAME_LENGTH]
            known = name in self.tools or entry.success or len(self.tools) < MAX_TOOLS
            self.tools[name if known else OTHER_TOOLS] += 1
            self.tool_errors += not (entry.success or entry.error.startswith(NOT_RUN))

    def _score(self, trace: Trace) -> None:
        scores, sums = trace.reward_score, self.sums
        parsed = bool(scores.get("parse_success", trace.answer != ""))
        self.parsed += parsed
        for name, value in scores.items():
            if not isinstance(value, str):
                sums[name] += value
        if parsed and isinstance(distance := scores.get(DISTANCE), int | float):
            self.distances.add(distance)
