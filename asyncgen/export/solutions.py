"""One question, one model's solutions to it, and what is known of each; and the rows that say so in files.

Knows the keys of such rows, where a row has its index, and what of a trace is a solution. Does not know files, nor how
a solution is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import Json
from asyncgen.rewards.maths_rows import math_question, math_truth

RIGHT, WRONG, TRUNCATED, UNKNOWN = RESULTS = ("right", "wrong", "truncated", "unknown")
"""What a solution is: `unknown` is a blank one, or one that nobody has judged."""
MODEL_NAME, MODEL_SOLUTIONS, MODEL_RESULTS = "model_name", "model_solutions", "model_results"
CHUNK_ID, CHUNK_INDEX = "chunk_id", "chunk_index"
ADDED = frozenset({MODEL_NAME, MODEL_SOLUTIONS, MODEL_RESULTS, CHUNK_ID, CHUNK_INDEX})
"""What a row of solutions has over the dataset's row."""
ROW_INDEX = "row_index"
"""Where a row's index stands that cannot stand in its `extra_info`, since there is something else there."""
_KNOWN = frozenset(RESULTS)

Row: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solutions:
    """One model's solutions to one question."""

    index: int
    """The row's own (`row_index`)."""
    position: int
    """Of the row in its dataset, as far as the files tell."""
    row: Row
    """The dataset's, as it is."""
    truth: str
    """Of the row; `""` if it has none."""
    model: str
    """Its name; `""` where nothing tells."""
    texts: tuple[str, ...]
    """In rollout order."""
    results: tuple[str, ...]
    """Of each text one of `RESULTS`; none at all where the file has none: then they are to be worked out."""
    file: str
    """Where the row, or its first trace, stands."""

    @property
    def is_judged(self) -> bool:
        """Whether there is a result for each text."""
        return len(self.results) == len(self.texts)


def row_index(row: Row, position: int) -> int:
    """`extra_info.index` where it is a whole number, also one that is written as a text; where something else stands
    there, or in the place of `extra_info`, the same of `row_index`; else the position."""
    extra = row.get("extra_info")
    found = _whole_number(extra.get("index") if isinstance(extra, Mapping) else None)
    if found is None and _is_taken(extra):
        found = _whole_number(row.get(ROW_INDEX))
    return position if found is None else found


def _whole_number(value: Json) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= 15 else None
    return int(value) if isinstance(value, int | float) and 0 <= value < 1 << 48 and value == int(value) else None


def _is_taken(extra: Json) -> bool:
    """Whether an index in `extra_info` would take the place of something of the row's own."""
    return extra.get("index") is not None if isinstance(extra, Mapping) else extra is not None


def with_index(row: Row, index: int) -> dict[str, Json]:
    """The row, with its index where `row_index` finds it, since its place in a file is another one: nothing that the
    dataset has is lost."""
    if row_index(row, -1) == index:
        return dict(row)
    extra = row.get("extra_info")
    if not _is_taken(extra):
        return {**row, "extra_info": {**(extra or {}), "index": index}}
    return {**row, ROW_INDEX: index} if row.get(ROW_INDEX) is None else dict(row)


def truth_of(row: Row) -> str:
    """The question's answer (`rewards.maths_rows`); `""` if the row has none."""
    with suppress(EpisodeError):
        return math_truth(row)
    return ""


def question_of(row: Row) -> str:
    """Its text; `""` if the row has none."""
    with suppress(EpisodeError):
        return math_question(row)
    return ""


def solutions_of_row(row: Mapping[str, Any], *, index: int, position: int, model: str, file: str) -> Solutions:
    """Of a row of a merged file or a chunk file. Raises ValueError where it is none."""
    texts = texts_of(row)
    if texts is None:
        raise ValueError(f"{MODEL_SOLUTIONS!r} is no list of texts")
    results = tuple(row[MODEL_RESULTS]) if has_results(row) else ()
    if results and has_blank(texts):
        known = zip(texts, results, strict=True)
        results = tuple(one if one == TRUNCATED else result_of_text(text, one) for text, one in known)
    return Solutions(
        index=index,
        position=position,
        row={key: value for key, value in row.items() if key not in ADDED},
        truth=truth_of(row),
        model=model,
        texts=tuple(texts),
        results=results,
        file=file,
    )


def texts_of(row: Mapping[str, Any]) -> list[str] | None:
    """The solutions in a row of a file; None where it has none."""
    texts = row.get(MODEL_SOLUTIONS)
    return texts if isinstance(texts, list) and set(map(type, texts)) <= {str} else None


def has_results(row: Mapping[str, Any]) -> bool:
    """Whether a row with solutions says of each what it is."""
    results, texts = row.get(MODEL_RESULTS), row[MODEL_SOLUTIONS]
    return isinstance(results, list) and len(results) == len(texts) and _KNOWN.issuperset(map(str, results))


def solutions_of_traces(traces: Sequence[Mapping[str, Any]], *, index: int, model: str, file: str) -> Solutions:
    """Of the traces of one row, in rollout order; at least one."""
    first = traces[0]
    row = {key: value for key, value in first["sample_data"].items() if key not in ADDED}
    texts = tuple(str(trace["final_response"]) for trace in traces)
    return Solutions(
        index=index,
        position=int(first["sample_index"]),
        row=row,
        truth=truth_of(row),
        model=model,
        texts=texts,
        results=tuple(map(result_of_trace, traces)),
        file=file,
    )


def result_of_trace(trace: Mapping[str, Any]) -> str:
    """What the run says of a solution. One that was cut off is neither right nor wrong; one without an answer is wrong;
    of one that has an answer and was not parsed there is no verdict."""
    scores, turns = trace["reward_score"], trace["conversation_history"]
    if scores.get("truncated") or trace["metadata"].get("stop") == "length":
        return TRUNCATED
    if turns and turns[-1]["finish_reason"] == "length":
        return TRUNCATED
    if trace["answer"] and not scores.get("parse_success"):
        return UNKNOWN
    return result_of_text(str(trace["final_response"]), RIGHT if scores.get("score") == 1.0 else WRONG)


def result_of_text(text: str, result: str) -> str:
    """A blank text is no solution, whatever is said of it."""
    return UNKNOWN if is_blank(text) else result


def is_blank(text: str) -> bool:
    """Nothing in it that could be seen."""
    return not text or text.isspace()


def has_blank(texts: Sequence[str]) -> bool:
    """Whether one of them is blank."""
    return "" in texts or any(map(str.isspace, texts))


def merged_row(found: Solutions) -> dict[str, Json]:
    """A row of a merged file; results stand in it where they are known."""
    row = {**with_index(found.row, found.index), MODEL_NAME: found.model, MODEL_SOLUTIONS: list(found.texts)}
    return {**row, MODEL_RESULTS: list(found.results)} if found.is_judged else row


def chunk_row(found: Solutions, chunk: int, place: int) -> dict[str, Json]:
    """A row of a chunk file: the question number `place` of chunk `chunk`."""
    row = {
        **found.row,
        MODEL_SOLUTIONS: list(found.texts),
        MODEL_NAME: found.model,
        CHUNK_ID: chunk,
        CHUNK_INDEX: place,
    }
    return {**row, MODEL_RESULTS: list(found.results)} if found.is_judged else row
