"""What a finished trace means for the rollouts that its sample still has.

Knows a trace's mark, and how it tells that it was cut off. Does not know what follows.
"""

from __future__ import annotations

from asyncgen.core.trace import Trace
from asyncgen.engine.quota import Outcome
from asyncgen.store.sides import is_cut_off


def outcome_of(trace: Trace) -> Outcome:
    """By its mark; one that is not accepted and was cut off is neither right nor wrong."""
    if trace.metadata["accepted"]:
        return Outcome.RIGHT
    turns = trace.conversation_history
    finish_reason = turns[-1].finish_reason if turns else ""
    cut = is_cut_off(trace.reward_score, trace.metadata, finish_reason)
    return Outcome.TRUNCATED if cut else Outcome.WRONG
