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
from asyncgen.rewards.maths import is_truncated

TARGET_PLACES: Final = ("target", "answer", "gt_answer", "reward_model.ground_truth")
"""Where the right verdict is looked for; the first that is `right` or `wrong`."""
ROLES: Final = frozenset({"system", "user", "assistant"})

_DECORATION = r"(?:[\s*_`'\"“”(\[{=>$\\-]|</?[A-Za-z][^<>]{0,40}>|\\?(?:boxed|text(?:bf)?)\{)*"
_CLOSING = r"(?:[\s*_`'\"“”)\]}>$\\]|</?[A-Za-z][^<>]{0,40}>)*"
_CONCLUSION = re.compile(rf"conclusion(?:\s+is)?{_DECORATION}[:：]", re.IGNORECASE)
_VERDICT = re.compile(rf"{_DECORATION}(right|wrong)\b", re.IGNORECASE)
_AFTER = re.compile(
    rf"{_CLOSING}(?:\Z|\[|[.,;:!?(（。，；—–]|(?:because|since|as)\b)|[^\S\n]*[*_`'\"”)\]}}$]*[^\S\n]*\n", re.IGNORECASE
)
"""What may come after a verdict: `right-angled` and `right or wrong` are none."""
_LATER = re.compile(r"([:：][\s*_`]*)?\b(right|wrong)\b(?!-)", re.IGNORECASE)
_END = re.compile(r"\[\s*END\s*\]", re.IGNORECASE)


def conclusion(text: str) -> str:
    """`right` or `wrong` after the last `Conclusion:` of a critique, marks and tags aside; `""` if neither is there.

    `right? No: wrong` is wrong: what is named with a colon in the same line counts. `right, not wrong` is neither.
    """
    last = next(iter(deque(_CONCLUSION.finditer(text), maxlen=1)), None)
    verdict = _VERDICT.match(text, last.end()) if last else None
    if not verdict or not _AFTER.match(text, verdict.end()):
        return ""
    found = verdict[1].lower()
    line = _END.split(text[verdict.end() :].partition("\n")[0], maxsplit=1)[0]
    for later in _LATER.finditer(line):
        if later[1]:
            found = later[2].lower()
        elif later[2].lower() != found:
            return ""
    return found


def is_cut_off(trace: Trace) -> bool:
    """Whether a critique was cut off at its length before the end of its conclusion, `[END]`."""
    if not is_truncated(trace):
        return False
    text = trace.final_response
    last = next(iter(deque(_CONCLUSION.finditer(text), maxlen=1)), None)
    return last is None or not _END.search(text, last.end())


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
    """`score` 1.0 where the conclusion is the row's target, else 0.0. A critique that was cut off has none."""

    failure: ClassVar[Scores] = {"score": 0.0, "parse_success": False}
    """A task's `scores`."""

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """The scores. Raises EpisodeError(bad_sample) where the row has no target."""
        target = critique_target(sample.data)
        if is_cut_off(trace):
            return dict(self.failure)
        return {"score": float(trace.answer == target), "parse_success": bool(trace.answer)}


critique_scores: Final = CritiqueReward()
"""A task's reward as it is."""
