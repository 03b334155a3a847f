"""The critique set: solutions of all models to a question, some of them drawn, each with the prompt that asks for its
critique and with what the critique is to conclude.

Knows the row of a filtered file and that of the critique set. Does not know files.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeGuard

from asyncgen.core.errors import InputError
from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.export.mixed import flags_keys, results_key, solutions_key
from asyncgen.export.solutions import RIGHT, TRUNCATED, WRONG, is_blank, question_of, row_index, truth_of

INSTRUCTION: Final = (
    "You are a mathematics expert. A student is trying to solve a question. Please explain briefly whether his answer "
    "is correct or not. Finally, conclude your judgement with 'Conclusion: right/wrong [END]'"
)
DATA_SOURCE: Final = "deepscaler_critique"
_SOLUTIONS = solutions_key("")
_KNOWN = frozenset({RIGHT, WRONG})
NO_TEXT: Final = "no_text"
"""What a solution is that is none: null, a number."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How solutions are drawn."""

    most: int = 4
    """Of a question, from all models together."""
    seed: int = 42
    """A question's own seed is this plus its index: questions are drawn alike in any order, each otherwise."""
    balance: bool = False
    """As many right as wrong ones where a question has both, so of an odd number one fewer; else as many as may be."""
    dedup: bool = False
    """Of equal texts the first counts."""

    def __post_init__(self) -> None:
        """Raises InputError for a number that nothing can be drawn with."""
        if self.most < 1 + self.balance:
            why = (
                "give 2 or more, for a right and a wrong one, or leave balance out"
                if self.balance
                else "give 1 or more"
            )
            raise InputError(f"max-samples-per-question {self.most}: {why}")


class Candidate(NamedTuple):
    """A solution that a critique may be asked for."""

    label: str
    number: int
    """Within its model's solutions, from 0."""
    text: str
    result: str
    """Right or wrong."""


def labels_of(row: Mapping[str, Json]) -> list[str]:
    """The models that a filtered row is of, in the order of its fields: each has solutions and a flag (the dataset
    itself may have a field that ends so)."""
    labels = (key.removesuffix(_SOLUTIONS) for key in row if key.endswith(_SOLUTIONS))
    return [label for label in labels if flags_keys(label)[0] in row]


def solutions_in(row: Mapping[str, Json], label: str) -> list[Json]:
    """A label's solutions, as they stand there; none where that is no list."""
    found = row.get(solutions_key(label))
    return found if isinstance(found, list) else []


def has_text(solution: Json) -> TypeGuard[str]:
    """Whether a solution is a text in which something could be seen."""
    return isinstance(solution, str) and not is_blank(solution)


def results_of(row: Mapping[str, Any], label: str) -> list[str]:
    """Of each solution; none where the row does not say of all."""
    results = row.get(results_key(label))
    fits = isinstance(results, list) and len(results) == len(solutions_in(row, label))
    return [repaired(str(one)) for one in results] if isinstance(results, list) and fits else []


def candidates(row: Mapping[str, Any], results: Mapping[str, Sequence[str]], left_out: Counter[str]) -> list[Candidate]:
    """Solutions known to be right or wrong, model by model. `results`: by label; `left_out` counts the others by
    theirs."""
    found: list[Candidate] = []
    for label, known in results.items():
        for number, (text, result) in enumerate(zip(solutions_in(row, label), known, strict=True)):
            if not isinstance(text, str):
                left_out[NO_TEXT] += 1
            elif result in _KNOWN and not is_blank(text):
                found.append(Candidate(label=label, number=number, text=text, result=result))
            else:
                left_out["empty" if is_blank(text) and result != TRUNCATED else result] += 1
    return found


def drawn(found: Sequence[Candidate], index: int, drawing: Drawing) -> list[Candidate]:
    """At most so many of a question's candidates, in their order."""
    if drawing.dedup:
        first = {one.text: one for one in reversed(found)}
        found = [one for one in found if first[one.text] is one]
    chance = random.Random(drawing.seed + index)  # noqa: S311  # a sample, no secret
    if drawing.balance:
        numbers = [[at for at, one in enumerate(found) if one.result == result] for result in (RIGHT, WRONG)]
        if each := min(drawing.most // 2, *map(len, numbers)):
            return [found[number] for number in sorted(at for kind in numbers for at in chance.sample(kind, each))]
    if len(found) <= drawing.most:
        return list(found)
    return [found[number] for number in sorted(chance.sample(range(len(found)), drawing.most))]


def critique_rows(row: Mapping[str, Any], place: int, chosen: Sequence[Candidate]) -> Iterator[dict[str, Json]]:
    """The rows of a question. `place`: where it stands in its file, for one without an index."""
    question, truth, index, extra = question_of(row), truth_of(row), row_index(row, place), row.get("extra_info")
    level = row.get("level", extra.get("level") if isinstance(extra, Mapping) else None)
    for one in chosen:
        yield {
            "prompt": prompt_of(question, one.text),
            "target": one.result,
            "question": question,
            "solution": one.text,
            "gt_answer": truth,
            "subject": _plain(row.get("subject")),
            "level": _plain(level),
            "data_source": DATA_SOURCE,
            "extra_info": {
                "original_index": index,
                "solution_index": one.number,
                "model_source": one.label,
            },
        }


def prompt_of(question: str, solution: str) -> str:
    """What asks for a critique."""
    return f"{INSTRUCTION}\n\nQuestion: {question}\n\nStudent's solution:\n{solution}\n\nCritique:"


def _plain(value: Json) -> str | int | float:
    """A text or a number; `""` for anything else."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
