"""What counts as a retry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.store_fakes import a_failure, a_trace

from asyncgen.core.trace import Trace
from asyncgen.engine.progress import Progress


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
