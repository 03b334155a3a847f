r"""Is this solution's answer the true one? Reading it out of the text, comparing it, and a trace's scores for it.

Knows which part of a text is the answer, and what a verdict means. What two answers have to do with each other is in
`maths_forms`, `maths_value` and, for what these leave open, `math-verify`; that may hang, so answers are judged in
worker processes (`maths_judge`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores, StopReason
from asyncgen.rewards.maths_forms import same_answer
from asyncgen.rewards.maths_original import original_answer, original_same
from asyncgen.rewards.maths_rows import math_truth
from asyncgen.rewards.maths_verify import OutOfBoundsError, bounded_memory, bounded_time, equivalent, prepare
from asyncgen.rewards.text import last_boxed

Rule: TypeAlias = Literal["verify", "original"]
"""`verify`: the last box, compared by what it means; `original`: as the scripts did that this job replaces."""
RULES: Final = ("verify", "original")
Verdict: TypeAlias = Literal["right", "wrong", "unknown"]
"""`unknown`: it could not be told within bounds of time and memory."""

_TAIL = 4_000
"""Characters at the end of a text in which an answer without a box is looked for."""
_SAID = re.compile(r"\banswer\b[^.\n]{0,60}?(?:\bis\b|:|=)[:\s]*([^\n]+)", re.IGNORECASE)
_MATH = re.compile(r"\$\$([^$]+)\$\$|\$([^$\n]+)\$|\\\(([^\n]+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.,])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")


def answer_of(text: str, rule: Rule = "verify") -> str:
    r"""The answer in a solution; `""` if there is none.

    The last `\boxed{}` behind the thinking; else, as `math-verify` orders it, what follows the last `answer is`, else
    the last formula, else the last number. `original`: `maths_original.original_answer` of the whole text.
    """
    if rule == "original":
        return original_answer(text)
    text = text.rpartition("</think>")[2].partition("<think>")[0]
    boxed = last_boxed(text)
    return _unboxed(text[-_TAIL:]) if boxed is None else boxed


def _unboxed(text: str) -> str:
    said = [match[1] for match in _SAID.finditer(text)]
    place = said[-1] if said else text
    if formulas := list(_MATH.finditer(place)):
        chosen = formulas[0] if said else formulas[-1]
        return next(group for group in chosen.groups() if group).strip()
    if said:
        return place.strip(" *_`").rstrip(".")
    numbers = _NUMBER.findall(place)
    return numbers[-1].rstrip(",") if numbers else ""


def judge_answer(answer: str, truth: str, rule: Rule = "verify") -> bool:
    """Whether the answer is the true one. Never raises; may take seconds, and where nobody ends it for ever."""
    return _verdict(answer, truth, rule) == "right"


def judge_answers(pairs: Sequence[tuple[str, str]], rule: Rule = "verify") -> list[Verdict]:
    """The verdict on each (answer, truth). For a worker process: see `maths_judge.judged`."""
    with bounded_memory():
        verdicts = {pair: _verdict(*pair, rule) for pair in dict.fromkeys(pairs)}
    return [verdicts[pair] for pair in pairs]


def judge_many(pairs: Sequence[tuple[str, str]], rule: Rule = "verify") -> list[Verdict]:
    """The verdict on each (solution's whole text, truth). For a worker process too."""
    return judge_answers([(answer_of(text, rule), truth) for text, truth in pairs], rule)


def _verdict(answer: str, truth: str, rule: Rule) -> Verdict:
    if rule == "original":
        return "right" if original_same(answer, truth) else "wrong"
    try:
        with bounded_time():
            same = same_answer(answer, truth)
        if same is None:
            prepare()
            with bounded_time():
                same = same_answer(answer, truth, equivalent)
    except (OutOfBoundsError, MemoryError):
        return "unknown"
    except Exception:  # noqa: BLE001  # the boundary: whatever sympy makes of a model's text, it is not the truth
        same = False
    return "right" if same else "wrong"


@dataclass(frozen=True)
class MathReward:
    """Scores a solution: `score` 1.0 or 0.0, `parse_success`, `truncated`.

    A solution that was cut off at `sampling.max_tokens` is `truncated` and scores 0.0, whatever it says: count it
    apart. `parse_success` is False without an answer, and for one on which there is no verdict (`unknown`).
    """

    rule: Rule = "verify"

    failure: ClassVar[Scores] = {"score": 0.0, "parse_success": False, "truncated": False}
    """A task's `scores`."""
    without_answer: ClassVar[bool] = True
    """It has something to say of a trace without an answer, too: whether it was cut off."""

    def __post_init__(self) -> None:
        """Raises InputError for a rule that there is not."""
        if self.rule not in RULES:
            raise InputError(f"rule {self.rule!r}: give {' or '.join(RULES)}")

    async def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:
        """The scores. Raises EpisodeError(bad_sample) where the row has no true answer."""
        if is_truncated(trace):
            return {"score": 0.0, "parse_success": bool(trace.answer), "truncated": True}
        answer = original_answer(_response(trace)) if self.rule == "original" else trace.answer
        if not answer:
            return dict(self.failure)
        verdict = await self._verdict(context, answer, math_truth(sample.data))
        return {"score": float(verdict == "right"), "parse_success": verdict != "unknown", "truncated": False}

    async def _verdict(self, context: Context, answer: str, truth: str) -> Verdict:
        from asyncgen.rewards.maths_judge import Judge, judged

        if self.rule == "original" or answer.strip() == truth.strip():
            return _verdict(answer, truth, self.rule)
        try:
            judge = context.shared(Judge)
        except InputError:  # a stored trace is scored: there is no run in which a service could live
            return (await judged(context.in_process, [(answer, truth)]))[0]
        return await judge.verdict(context.in_process, answer, truth)


math_scores: Final = MathReward()
"""A task's reward as it is."""


def _response(trace: Trace) -> str:
    """The last turn's whole response, thinking and all."""
    turns = trace.conversation_history
    return turns[-1].response if turns else trace.final_response


def is_truncated(trace: Trace) -> bool:
    """Whether the last turn was cut off at its length."""
    turns = trace.conversation_history
    return trace.metadata.get("stop") == StopReason.LENGTH or bool(turns and turns[-1].finish_reason == "length")
