"""Which questions tell right solutions from wrong ones: a question's class for each model, and who is kept.

Knows results, classes, and the row of a filtered file. Does not know files, nor how a result came to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.solutions import RESULTS, RIGHT, WRONG, Solutions, with_index


class Class(StrEnum):
    """What a question is for one model. Truncated and unknown solutions count neither way."""

    ALL_RIGHT = "all_right"
    ALL_WRONG = "all_wrong"
    MIXED = "mixed"
    UNKNOWN = "unknown"
    """No solution is known to be right or wrong."""


class Outcome(StrEnum):
    """What becomes of a question."""

    MIXED = "mixed"
    """Kept: for a model at least it has right and wrong solutions."""
    DIFFER = "differ"
    """No model is mixed; one is all right, another all wrong or unknown. Kept, unless strict."""
    WRONG_OR_UNKNOWN = "wrong_or_unknown"
    """One model is all wrong, for the others nothing is known. Kept, unless strict."""
    ALL_RIGHT = "all_right"
    ALL_WRONG = "all_wrong"
    UNKNOWN = "unknown"
    MISSING = "missing"
    """A model has no row for it."""
    NO_TRUTH = "no_truth"
    """Its answer is not known."""


def class_of(results: Sequence[str]) -> Class:
    """A question's class for a model whose solutions have these results."""
    right, wrong = RIGHT in results, WRONG in results
    if right and wrong:
        return Class.MIXED
    if right:
        return Class.ALL_RIGHT
    return Class.ALL_WRONG if wrong else Class.UNKNOWN


def outcome_of(classes: Sequence[Class]) -> Outcome:
    """Of a question's classes, one a model."""
    if Class.MIXED in classes:
        return Outcome.MIXED
    if len(set(classes)) == 1:
        return Outcome(classes[0])
    return Outcome.DIFFER if Class.ALL_RIGHT in classes else Outcome.WRONG_OR_UNKNOWN


def is_kept(outcome: Outcome, *, strict: bool) -> bool:
    """Whether such a question is in the filtered file."""
    return outcome is Outcome.MIXED or (outcome in {Outcome.DIFFER, Outcome.WRONG_OR_UNKNOWN} and not strict)


def filtered_row(row: Mapping[str, Json], found: Mapping[str, Solutions]) -> dict[str, Json]:
    """All fields of the dataset's row, then each label's solutions, flags and results. Raises InputError where the row
    has such a field itself."""
    index = next(iter(found.values())).index
    classes = {label: class_of(one.results) for label, one in found.items()}
    added: dict[str, Json] = {solutions_key(label): list(one.texts) for label, one in found.items()}
    for label, one in classes.items():
        right, wrong = flags_keys(label)
        added |= {right: one is Class.ALL_RIGHT, wrong: one is Class.ALL_WRONG}
    added |= {results_key(label): list(one.results) for label, one in found.items()}
    if twice := sorted(added.keys() & row.keys()):
        raise InputError(f"question {index} has a field {twice[0]!r} already; give that model another label")
    return {**with_index(row, index), **added}


def solutions_key(label: str) -> str:
    """The field with a label's solutions."""
    return f"{label}_solutions"


def flags_keys(label: str) -> tuple[str, str]:
    """The fields that say whether all of them are right, and whether all are wrong."""
    return f"{label}_all_correct", f"{label}_all_incorrect"


def results_key(label: str) -> str:
    """The field with what they are."""
    return f"{label}_results"


@dataclass(kw_only=True)
class Tally:
    """Questions by outcome and by class, solutions by result."""

    labels: Sequence[str]
    strict: bool = False
    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    classes: Counter[tuple[str, Class]] = field(default_factory=Counter[tuple[str, Class]])
    """(label, class): over the questions that have a class for every model."""
    together: Counter[tuple[Class, ...]] = field(default_factory=Counter[tuple[Class, ...]])
    """The classes of a question, in the order of the labels."""
    results: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """(label, result), over the same questions."""

    def note(self, found: Mapping[str, Solutions]) -> Outcome:
        """A question that has a truth, and a row for every model."""
        classes = tuple(class_of(found[label].results) for label in self.labels)
        outcome = outcome_of(classes)
        self.outcomes[outcome] += 1
        self.together[classes] += 1
        for label, one in zip(self.labels, classes, strict=True):
            self.classes[label, one] += 1
            self.results.update((label, result) for result in found[label].results)
        return outcome

    @property
    def kept(self) -> int:
        """Questions in the filtered file."""
        return sum(count for outcome, count in self.outcomes.items() if is_kept(outcome, strict=self.strict))

    def json(self) -> dict[str, Json]:
        """All of it; every class and result has a number."""
        return {
            "questions": self.outcomes.total(),
            "kept": self.kept,
            "dropped": self.outcomes.total() - self.kept,
            "strict": self.strict,
            "outcomes": {str(one): self.outcomes[one] for one in Outcome},
            "models": {
                label: {
                    "classes": {str(one): self.classes[label, one] for one in Class},
                    "solutions": {result: self.results[label, result] for result in RESULTS},
                }
                for label in self.labels
            },
            "together": [
                {**dict(zip(self.labels, map(str, classes), strict=True)), "questions": count}
                for classes, count in sorted(self.together.items(), key=lambda one: (-one[1], one[0]))
            ],
        }
