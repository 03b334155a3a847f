"""The rewards of a finished trace.

Knows what a reward may give. Does not know whether the episode has just ended or was stored long ago.
"""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Mapping
from dataclasses import replace

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample
from asyncgen.engine.ledger import with_scores

CRASH_LIMIT = 20
"""So many crashes of a task's, a reward's or a tool's code in a row are a bug in it, not in its rows."""


async def scored(task: Task, context: Context, sample: Sample, trace: Trace) -> Trace:
    """The trace with its `reward_score` and headline. Without an answer they are the task's failure values, but for
    what rewards with `without_answer = True` give. A reward finds in `trace.reward_score` what those before it gave.

    Raises EpisodeError(internal) where a reward gives what it may not, and whatever a reward raises.
    """
    scores = dict(task.scores)
    if trace.answer and "parse_success" in scores:
        scores["parse_success"] = True
    for reward in task.rewards:
        if trace.answer or getattr(reward, "without_answer", False):
            given = reward(context, sample, replace(trace, reward_score=scores))
            given = await given if inspect.isawaitable(given) else given
            _check_scores(task, reward, given)
            scores = {**scores, **given}
    return with_scores(trace, task, scores)


def _check_scores(task: Task, reward: object, given: object) -> None:
    """What a reward gives is a dict with the task's keys and finite numbers. Raises EpisodeError(internal)."""
    name = getattr(reward, "__name__", type(reward).__name__)
    if not isinstance(given, Mapping):
        raise EpisodeError(FailReason.INTERNAL, f"reward {name} gave {type(given).__name__}; give a dict of scores")
    for key, value in given.items():
        if key not in task.scores:
            known = ", ".join(task.scores)
            raise EpisodeError(FailReason.INTERNAL, f"reward {name} gave {key!r}; the task's scores are {known}")
        if not _is_score(value, task.scores[key]):
            raise EpisodeError(FailReason.INTERNAL, f"reward {name} gave {value!r:.80} for {key!r}")


def _is_score(value: object, failure_value: float | bool | str) -> bool:  # a score
    if isinstance(failure_value, str):
        return isinstance(value, str)
    try:
        return math.isfinite(value)  # type: ignore[arg-type]  # numpy's numbers count, and what is none raises
    except (TypeError, OverflowError):
        return False


def where(error: BaseException) -> str:
    """The error and the last line that it came from: enough to find it, and no dump of anybody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    last = f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:500]}{last}"


def internal_error(error: Exception) -> EpisodeError:
    """Whatever a task or a reward raised, as the episode's failure."""
    return EpisodeError(FailReason.INTERNAL, where(error))
