"""Whether a response is thinking and an answer in their tags, and nothing else.

Knows the tags, English and Chinese. Does not look at what stands in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Sample, Scores
from asyncgen.rewards.tags import last_response

FORMAT_SCORE: Final = 0.5
Tags: TypeAlias = Literal["both", "en", "zh"]
_NAMES: Final = {"en": ("think", "answer"), "zh": ("思考", "答案")}


def in_format(response: str, tags: Tags = "both") -> bool:
    """Whether the stripped text is `<think>…</think>`, blanks, `<answer>…</answer>` from its start to its end, with one
    opening tag of each: `^<think>(?:(?!</think>).)*</think>\\s*<answer>(?:(?!</answer>).)*</answer>$`.

    The tags stand as they are written here, without blanks in them; both are of one language.
    """
    languages = _NAMES if tags == "both" else (tags,)
    return any(_matches(response.strip(), *_NAMES[language]) for language in languages)


def _matches(text: str, think: str, answer: str) -> bool:
    if text.count(f"<{think}>") != 1 or text.count(f"<{answer}>") != 1 or not text.startswith(f"<{think}>"):
        return False
    _, closed, rest = text.partition(f"</{think}>")
    rest = rest.lstrip()
    # The answer's closing tag ends the text, and there is none before it.
    end = rest.find(f"</{answer}>")
    return bool(closed) and rest.startswith(f"<{answer}>") and end >= 0 and end + len(f"</{answer}>") == len(rest)


@dataclass(frozen=True)
class FormatReward:
    """`format`: 0.5 or 0.0 for the last response (see `in_format`).

    A server that puts the thinking in a field of its own has taken the tags off: there the field counts as
    `<think>…</think>` before the response. A template that opens `<think>` in the prompt leaves a response without it;
    that is not the format.
    """

    tags: Tags = "both"

    failure: ClassVar[Scores] = {"format": 0.0}
    """To be joined to a task's `scores`."""
    without_answer: ClassVar[bool] = True
    """It has something to say of a trace without an answer, too."""

    def __post_init__(self) -> None:
        """Raises InputError for tags that there are not."""
        if self.tags not in {"both", *_NAMES}:
            raise InputError(f"format: tags {self.tags!r}: give both, en or zh")

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """`format`."""
        response = last_response(trace).strip()
        turns = trace.conversation_history
        thinking = turns[-1].reasoning if turns else ""
        languages: tuple[Literal["en", "zh"], ...] = ("en", "zh") if self.tags == "both" else (self.tags,)
        kept = any(in_format(_with_thinking(response, thinking, _NAMES[one][0]), one) for one in languages)
        return {"format": FORMAT_SCORE if kept else 0.0}


def _with_thinking(response: str, thinking: str, tag: str) -> str:
    """The response as the model wrote it, before a server took the thinking out."""
    return response if not thinking.strip() or f"<{tag}>" in response else f"<{tag}>{thinking}</{tag}>{response}"
