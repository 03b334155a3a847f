"""Where a row of a maths set has its question and its answer.

Knows the keys of DeepScaleR, of verl's rows made of it, and of sets shaped like them. Does not know what an answer
means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.types import Json

QUESTION_PLACES: Final = ("question", "problem", "prompt", "extra_info.question")
"""Where a question is looked for, in this order; of `prompt`, a list of messages, it is the first message."""
TRUTH_PLACES: Final = ("extra_info.answer", "answer", "gt_answer", "reward_model.ground_truth", "target")
"""Where the true answer is looked for; the first that is a text with something in it, or a number."""


def check_math_columns(columns: Sequence[str]) -> None:
    """Raises InputError where no row with these columns can have a question, or an answer."""
    for what, places in (("question", QUESTION_PLACES), ("answer", TRUTH_PLACES)):
        if not {place.partition(".")[0] for place in places}.intersection(columns):
            raise InputError(
                f"the dataset has no {what}: it is looked for in {', '.join(places)}, and the columns are "
                f"{', '.join(columns)}; rename one of them to {what}"
            )


def math_question(data: Mapping[str, Json]) -> str:
    """The row's question without blanks around it. Raises EpisodeError(bad_sample) where it has none."""
    return _first(data, QUESTION_PLACES, "question")


def math_truth(data: Mapping[str, Json]) -> str:
    """The row's true answer. Raises EpisodeError(bad_sample) where it has none."""
    return _first(data, TRUTH_PLACES, "answer")


def raw_prompt(data: Mapping[str, Json]) -> str:
    """What the row's own prompt says, as it is; `""` where it has none."""
    text = _at(data, "prompt")
    return text if isinstance(text, str) and text.strip() else ""


def _first(data: Mapping[str, Json], places: Sequence[str], what: str) -> str:
    for place in places:
        if text := _text(_at(data, place)):
            return text
    raise EpisodeError(FailReason.BAD_SAMPLE, f"the row has no {what}, or an empty one: looked in {', '.join(places)}")


def _at(data: Mapping[str, Json], place: str) -> Json:
    """What stands at `column` or `column.key`, at `prompt` the first message's content; None where nothing does."""
    column, _, key = place.partition(".")
    value = data.get(column)
    if column == "prompt" and isinstance(value, list | tuple):
        value, key = (value[0] if value else None), "content"
    if not key:
        return value
    return value.get(key) if isinstance(value, Mapping) else None


def _text(value: Json) -> str:
    """A number counts as it is written, without an exponent; a truth value does not."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return format(Decimal(repr(value)), "f")
    return str(value).strip()
