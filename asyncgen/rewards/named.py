"""Rewards by name, as a job file lists them: `[format, region, {length: {cap: 0.5}}, {total: {variant: length}}]`.

Knows names and options. Does not know what a reward looks at.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from asyncgen.config.convert import convert
from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Reward, Sample, Scores
from asyncgen.rewards.judge import JUDGE_FAILURE, judge_scores

REWARDS: Final[Mapping[str, str]] = {
    "critique": "critique:CritiqueReward",
    "format": "format:FormatReward",
    "geo": "geo:GeoReward",
    "judge": "process_judge:ProcessJudge",
    "length": "length:LengthReward",
    "math": "maths:MathReward",
    "qa": "qa:QaReward",
    "region": "region:RegionReward",
    "total": "total:TotalReward",
}
"""Name → module:class; the class's fields are the options."""
BASE: Final[Scores] = {"score": 0.0, "parse_success": False}
"""What each trace has. Several rewards may give these: the last one counts."""
JUDGED: Final = ("process", "answer")


@dataclass(frozen=True)
class AnswerJudge:
    """`{judge: {of: answer}}`: whether the answer means the same as one that a question's row accepts."""

    failure: ClassVar[Scores] = JUDGE_FAILURE

    async def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:
        """`judge`, see `judge_scores`."""
        return await judge_scores(context, sample, trace)


def named_rewards(spec: Sequence[str | Mapping[str, Any]], where: str = "rewards") -> tuple[Reward, ...]:
    """The rewards, in this order: each a name, or a mapping of one name to its options.

    `judge` is about the thinking (`of: process`, the default) or about the answer to a question (`of: answer`). Raises
    InputError for a name or option that there is not, two rewards of one score, a total of scores that nobody before it
    gives, and a list in which nobody gives the score; `where` says in the text where the list stands.
    """
    if isinstance(spec, str) or not isinstance(spec, Sequence) or not spec:
        raise InputError(f"{where}: it is {spec!r:.80}; give a list, as [format, region]")
    rewards = tuple(_reward(one, f"{where}[{number}]") for number, one in enumerate(spec))
    _check_scores(rewards, where)
    return rewards


def failure_scores(rewards: Iterable[Reward]) -> Scores:
    """Every score of these rewards, and its value where there is no answer: a task's `scores`."""
    scores = dict(BASE)
    for reward in rewards:
        scores |= getattr(reward, "failure", {})
    return scores


def _reward(one: str | Mapping[str, Any], where: str) -> Reward:
    name, options = _named(one, where)
    if name not in REWARDS:
        raise InputError(f"{where}: there is no reward {name!r}{nearest(name, REWARDS)}")
    where = f"{where}.{name}"
    if name == "judge" and _judged(options, where) == "answer":
        return _made(AnswerJudge, options, where)
    module, _, class_name = REWARDS[name].partition(":")
    return _made(getattr(importlib.import_module(f"asyncgen.rewards.{module}"), class_name), options, where)


def _judged(options: dict[str, Any], where: str) -> str:
    """What the judge looks at: `of` is taken out of the options."""
    of = options.pop("of", JUDGED[0])
    if of not in JUDGED:
        raise InputError(f"{where}: of is {of!r}; give {' or '.join(JUDGED)}")
    return str(of)


def _named(one: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Name and options of one entry; options may be null."""
    if isinstance(one, str):
        return one, {}
    if isinstance(one, Mapping) and len(one) == 1:
        ((name, options),) = one.items()
        if isinstance(name, str) and (options is None or isinstance(options, Mapping)):
            return name, dict(options or {})
    raise InputError(f"{where}: it is {one!r:.80}; give a name, or {{name: {{option: value}}}}")


def _made(made: type[Any], options: Mapping[str, Any], where: str) -> Reward:
    known = [one.name for one in fields(made)]
    for key in options:
        if key not in known:
            raise InputError(f"{where}: there is no option {key!r}{nearest(str(key), known)}")
    reward: Reward = convert(options, made, where)
    return reward


def _check_scores(rewards: Sequence[Reward], where: str) -> None:
    given: set[str] = set()
    for number, reward in enumerate(rewards):
        own: Scores = getattr(reward, "failure", {})
        if twice := (given & own.keys()) - BASE.keys():
            names = ", ".join(sorted(twice))
            raise InputError(f"{where}[{number}]: an earlier reward gives {names} already; leave one of them out")
        for part in getattr(reward, "parts", {}):
            if part not in given:
                raise InputError(f"{where}[{number}]: no reward before it gives {part!r}{nearest(part, sorted(given))}")
        given |= own.keys()
    if "score" not in given:
        known = ", ".join(sorted(given))
        raise InputError(f"{where}: nobody gives the score; add {{total: {{weights: {{…}}}}}} of {known}")
