"""What a critique concludes, and whether that agrees with what is known of the solution.

Knows the form `Conclusion: right/wrong [END]` and the rows of the critique set, before and after formatting. Does not
know mathematics.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Json, Message, Sample, Scores

TARGET_PLACES: Final = ("target", "answer", "gt_answer", "reward_model.ground_truth")
"""Where the right verdict is looked for; the first that is `right` or `wrong`."""
ROLES: Final = frozenset({"system", "user", "assistant"})

_DECORATION = r"(?:[\s*_`'\"“”(\[{=>$\\-]|</?[A-Za-z][^<>]{0,40}>|\\?(?:boxed|text(?:bf)?)\{)*"
_CONCLUSION = re.compile(rf"conclusion(?:\s+is)?{_DECORATION}[:：]", re.IGNORECASE)
_VERDICT = re.compile(rf"{_DECORATION}(right|wrong)\b(?!{_DECORATION}/)", re.IGNORECASE)


def conclusion(text: str) -> str:
    """`right` or `wrong` after the last `Conclusion:` of a critique, marks and tags aside; `""` if neither is there."""
    last = next(iter(deque(_CONCLUSION.finditer(text), maxlen=1)), None)
    verdict = _VERDICT.match(text, last.end()) if last else None
    return verdict[1].lower() if verdict else ""


def critique_target(data: Mapping[str, Json]) -> str:
    """`right` or `wrong`. Raises EpisodeError(bad_sample) where the row says neither."""
    for place in TARGET_PLACES:
        column, _, key = place.partition(".")
        value = data.get(column)
        if key:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str) and value.strip().lower() in {"right", "wrong"}:
            return value.strip().lower()
    raise EpisodeError(
        FailReason.BAD_SAMPLE, f"the row says neither right nor wrong: looked in {', '.join(TARGET_PLACES)}"
    )


def critique_messages(data: Mapping[str, Json]) -> Sequence[Message]:
    """The row's `prompt` as it is: a text is the user's, a list has messages. Raises EpisodeError(bad_sample)."""
    prompt = data.get("prompt")
    if isinstance(prompt, str) and prompt.strip():
        return [Message("user", prompt)]
    messages = prompt if isinstance(prompt, list | tuple) else ()
    found = [
        Message(one["role"], one["content"])
        for one in messages
        if isinstance(one, Mapping) and one.get("role") in ROLES and isinstance(one.get("content"), str)
    ]
    if not found or len(found) < len(messages):
        raise EpisodeError(
            FailReason.BAD_SAMPLE, "the row's prompt is neither a text nor a list of messages with role and content"
        )
    return found


@dataclass(frozen=True)
class CritiqueReward:
    """`score` 1.0 where the conclusion is the row's target, else 0.0."""

    failure: ClassVar[Scores] = {"score": 0.0, "parse_success": False}
    """A task's `scores`."""

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """The scores. Raises EpisodeError(bad_sample) where the row has no target."""
        return {"score": float(trace.answer == critique_target(sample.data)), "parse_success": bool(trace.answer)}


critique_scores: Final = CritiqueReward()
"""A task's reward as it is."""
