"""Where a row of a question set has its question, its accepted answers and the titles that support them.

Knows the column names of HotpotQA, NQ, SQuAD, TriviaQA, 2WikiMultihopQA and of verl's rows. Does not know scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.types import Json

QUESTION_PLACES = ("question", "extra_info.question", "prompt")
"""Where a question is looked for, in this order; of `prompt`, a list of messages, it is the last user message."""
TRUTH_PLACES = (
    "answer",
    "golden_answers",
    "answers",
    "extra_info.answer",
    "extra_info.golden_answers",
    "reward_model.ground_truth",
)
"""Where accepted answers are looked for; all of them count."""
SUPPORT_PLACES = ("supporting_facts", "extra_info.supporting_facts")
_IN_MAPPINGS = ("text", "target", "value", "aliases")
"""Where a mapping among the answers has them: SQuAD, Search-R1, TriviaQA."""
_DEPTH = 4
"""Lists and mappings in each other; no question set nests its answers deeper."""


def check_question_columns(columns: Sequence[str]) -> None:
    """Raises InputError where no row with these columns can have a question."""
    if not {place.partition(".")[0] for place in QUESTION_PLACES}.intersection(columns):
        raise InputError(
            f"the dataset has no question: it is looked for in {', '.join(QUESTION_PLACES)}, and the columns are "
            f"{', '.join(columns)}; rename one of them to question"
        )


def question(data: Mapping[str, Json]) -> str:
    """The row's question without blanks around it. Raises EpisodeError(bad_sample) where it has none."""
    for place in QUESTION_PLACES:
        value = _at(data, place)
        text = value if isinstance(value, str) else _last_user_text(value) if place == "prompt" else ""
        if text.strip():
            return text.strip()
    raise EpisodeError(
        FailReason.BAD_SAMPLE, f"the row has no question, or an empty one: looked in {', '.join(QUESTION_PLACES)}"
    )


def truths(data: Mapping[str, Json]) -> tuple[str, ...]:
    """The accepted answers, each once, in the order of TRUTH_PLACES; none where the row has none."""
    found = (text.strip() for place in TRUTH_PLACES for text in _texts(_at(data, place), _DEPTH))
    return tuple(dict.fromkeys(text for text in found if text))


def check_truth(data: Mapping[str, Json]) -> None:
    """Raises EpisodeError(bad_sample) where the row has columns for an answer, and no answer in them.

    A row without such columns passes: a dataset may have no answers, and then its scores stay 0.
    """
    there = [place for place in TRUTH_PLACES if _is_there(data, place)]
    if there and not truths(data):
        raise EpisodeError(FailReason.BAD_SAMPLE, f"the row has no accepted answer: looked in {', '.join(there)}")


def support_titles(data: Mapping[str, Json]) -> tuple[str, ...]:
    """The titles of `supporting_facts`, each once: `{"title": […], …}`, `[[title, n], …]` or `[{"title": …}, …]`."""
    found: dict[str, None] = {}
    for place in SUPPORT_PLACES:
        facts = _at(data, place)
        if isinstance(facts, Mapping):
            facts = facts.get("title")
        for fact in facts if isinstance(facts, list | tuple) else ():
            title = fact.get("title") if isinstance(fact, Mapping) else fact
            title = title[0] if isinstance(title, list | tuple) and title else title
            if isinstance(title, str) and title.strip():
                found[title.strip()] = None
    return tuple(found)


def _at(data: Mapping[str, Json], place: str) -> Json:
    """What stands at `column` or `column.key`; None where nothing does."""
    column, _, key = place.partition(".")
    value = data.get(column)
    if not key:
        return value
    return value.get(key) if isinstance(value, Mapping) else None


def _is_there(data: Mapping[str, Json], place: str) -> bool:
    column, _, key = place.partition(".")
    value = data.get(column)
    return column in data if not key else isinstance(value, Mapping) and key in value


def _texts(value: Json, depth: int) -> Iterator[str]:
    """The texts in an answer column; a number counts as it is written, a truth value does not."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif depth and isinstance(value, Mapping):
        for key in _IN_MAPPINGS:
            yield from _texts(value.get(key), depth - 1)
    elif depth and isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, depth - 1)


def _last_user_text(messages: Json) -> str:
    """Of a list of chat messages; its parts with a `text` joined."""
    said = [one for one in messages if isinstance(one, Mapping)] if isinstance(messages, list | tuple) else []
    content = next((one.get("content") for one in reversed(said) if one.get("role") == "user"), "")
    if isinstance(content, list | tuple):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
