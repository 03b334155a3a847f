"""What is counted, and what counts as a retry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.store_fakes import a_failure, a_trace

from asyncgen.core.trace import CallRecord, ToolCallRecord, Trace
from asyncgen.core.types import NAME_LENGTH
from asyncgen.engine.progress import MAX_TOOLS, OTHER_TOOLS, Progress


def with_attempts(trace: Trace, attempts: int, *, turns: int = 1) -> Trace:
    history = trace.conversation_history * turns
    return replace(trace, conversation_history=history, metadata={**trace.metadata, "attempts": attempts})


@pytest.mark.parametrize(("turns", "attempts", "retries"), [(1, 1, 0), (2, 2, 0), (2, 5, 3)])
def test_attempts_beyond_one_a_turn_are_retries_of_a_trace(turns: int, attempts: int, retries: int):
    progress = Progress()
    progress.add_trace(with_attempts(a_trace(0), attempts, turns=turns))
    assert progress.retries == retries


@pytest.mark.parametrize(
    ("turns", "attempts", "retries"),
    [(0, 0, 0), (0, 1, 0), (0, 3, 2), (2, 2, 0), (2, 3, 0), (2, 4, 1)],
)
def test_the_first_attempt_at_the_turn_that_never_came_is_no_retry(turns: int, attempts: int, retries: int):
    progress, failure = Progress(), a_failure(0)
    progress.add_failure(replace(failure, trace=with_attempts(failure.trace, attempts, turns=turns)))
    assert progress.retries == retries


def a_call(name: str, *, success: bool) -> ToolCallRecord:
    call = CallRecord(id="c", name=name, arguments="{}")
    return ToolCallRecord(turn=1, tool_call=call, success=success, error="" if success else "no", seconds=0.1)


def with_calls(trace: Trace, *names: str, success: bool = True) -> Trace:
    calls = [a_call(name, success=success) for name in names]
    return replace(trace, tool_calls=tuple(calls))


def test_tools_are_counted_by_name_with_their_errors_and_the_traces_that_have_any():
    progress = Progress()
    progress.add_trace(with_calls(a_trace(0), "zoom", "zoom", "rotate"))
    progress.add_trace(with_calls(a_trace(1), "zoom", success=False))
    progress.add_trace(a_trace(2))
    assert progress.tools == {"zoom": 3, "rotate": 1}
    assert (progress.tool_calls, progress.tool_errors, progress.with_tools) == (4, 1, 2)


def test_a_model_that_invents_names_without_end_fills_fifty_places_and_hides_no_tool_that_works():
    progress = Progress()
    for number in range(1000):
        progress.add_trace(with_calls(a_trace(number), f"{number}" + "x" * 10_000, success=False))
    progress.add_trace(with_calls(a_trace(1000), "zoom"))
    assert len(progress.tools) == MAX_TOOLS + 2
    assert progress.tools[OTHER_TOOLS] == 1000 - MAX_TOOLS
    assert progress.tools["zoom"] == 1
    assert max(map(len, progress.tools)) == NAME_LENGTH


def scored(index: int, **scores: Any) -> Trace:
    return replace(a_trace(index), reward_score=scores)


def test_scores_are_sums_and_the_distance_is_that_of_answers_that_could_be_read():
    progress = Progress()
    for number, parsed in enumerate([True, True, True, False]):
        distance = 10.0 * (number + 1) if parsed else 20_000.0
        scores = {"score": 0.25, "parse_success": parsed, "distance@km": distance, "verdict": "good"}
        progress.add_trace(scored(number, **scores))
    assert dict(progress.sums) == {"score": 1.0, "parse_success": 3, "distance@km": 20_060.0}
    assert progress.distances.quantile(0.5) == pytest.approx(20.0, rel=0.01)
    assert (progress.parsed, progress.distances.count) == (3, 3)


def test_accepted_traces_and_requests_are_counted_and_turns_of_failures_apart():
    progress = Progress(total=10, done_before=2, failed_before=1, skipped=3)
    progress.add_trace(with_attempts(a_trace(0), 3))
    rejected = a_trace(1)
    progress.add_trace(replace(rejected, metadata={**rejected.metadata, "accepted": False}))
    progress.add_failure(a_failure(2))
    assert (progress.accepted, progress.requests) == (1, 3 + 1 + 1)
    assert (progress.turns, progress.trace_turns) == (3, 2)
    assert progress.left == 1
