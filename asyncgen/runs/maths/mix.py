"""Questions that tell right solutions from wrong ones, of several models, in one file.

Knows how the models' solutions meet: by index, in one pass; and that results that no file has are worked out before.
Does not know classes (`export.mixed`) nor how an answer is judged.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.json_array import ArrayWriter, whole_array
from asyncgen.export.mixed import Outcome, Tally, filtered_row, is_kept
from asyncgen.export.solutions import RESULTS, UNKNOWN, Row, Solutions, is_blank, question_of, truth_of
from asyncgen.rewards.maths import Rule
from asyncgen.rewards.maths_judge import JudgeMany, Pair
from asyncgen.runs.maths.completeness import Original, check_complete
from asyncgen.runs.maths.faults import COUNTS, Fault, Report, beside, forget_report, write_report
from asyncgen.runs.maths.judging import all_judged
from asyncgen.runs.maths.merge import check_file, note_content
from asyncgen.runs.maths.solution_set import SolutionSet, paths_of, read_solutions

LABEL = re.compile(r"(?!.*\.json$)[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_COMPARED = ("question", "problem")


@dataclass(frozen=True, kw_only=True)
class Filtering:
    """What `filter-mixed` is asked for."""

    sources: Mapping[str, Sequence[Path]]
    """Label → the paths of that model's solutions; two or more."""
    strict: bool = False
    rule: Rule = "verify"
    original: Path | None = None
    """The dataset: rows are taken from it, and its questions are those that each model is to have."""


@dataclass(kw_only=True)
class Filtered:
    """What `filter-mixed` did."""

    out: str
    tally: Tally
    reports: Sequence[Report]
    judged: int = 0
    """Solutions whose results no file had."""
    judge_seconds: float = 0.0
    missing: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """Label → questions that other models have, and it has not."""

    @property
    def is_complete(self) -> bool:
        """Every model has every question that has an answer, each once, and with all its solutions."""
        return not self.lacking

    @property
    def lacking(self) -> dict[str, int]:
        """The counts that make it incomplete, over all models; a question without an answer is none of them."""
        found: Counter[str] = Counter()
        for one in self.reports:
            found.update(one.lacking)
            told = {*one.indexes(Fault.MISSING), *one.indexes(Fault.SHORT)}
            found[Fault.MISSING] += len(set(self.missing.get(one.label, ())) - told)
        return {kind: count for kind, count in found.items() if count}

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "out": self.out,
            "complete": self.is_complete,
            **self.tally.json(),
            "missing": self.missing,
            "judged": self.judged,
            "judge_seconds": round(self.judge_seconds, 3),
            "sources": [report.json() for report in self.reports],
        }


def parse_sources(words: Sequence[str]) -> dict[str, Sequence[Path]]:
    """`LABEL=PATH`, two or more; a label that comes again has several paths. Raises InputError."""
    found: dict[str, Sequence[Path]] = {}
    for word in words:
        label, equals, path = word.partition("=")
        if not equals or not path or not LABEL.fullmatch(label):
            raise InputError(f"{word!r} is not LABEL=PATH, e.g. qwen25=runs/qwen25; a label is letters, digits, . _ -")
        found[label] = [*found.get(label, ()), *paths_of(path)]
    if len(found) < 2:
        raise InputError(f"{len(found)} model given: filter-mixed compares two or more, LABEL=PATH LABEL=PATH")
    return found


def filter_mixed(wanted: Filtering, out: Path, judge: JudgeMany, *, clock: Clock) -> Filtered:
    """Write the questions that are kept to `out`, and the counts beside it. Raises InputError, DataError, OSError."""
    paths = [path for one in wanted.sources.values() for path in one]
    check_file(out, [*paths, *([wanted.original] if wanted.original else [])])
    original = Original(wanted.original) if wanted.original else None
    with ExitStack() as stack:
        sets = {label: stack.enter_context(read_solutions(sources, label)) for label, sources in wanted.sources.items()}
        for one in sets.values():
            check_complete(one, rollouts=None, original=original)
        mixing = _Mixing(sets, original, wanted)
        found = Filtered(out=str(out), tally=mixing.tally, reports=[one.report for one in sets.values()])
        started = clock.monotonic()
        found.judged = mixing.judge(judge)
        found.judge_seconds = clock.monotonic() - started if found.judged else 0.0
        with whole_array(out) as file:
            mixing.write(file)
            forget_report(beside(out, COUNTS))
        found.missing = mixing.missing
    write_report(beside(out, COUNTS), found.json())
    return found


class _Mixing:
    """One filtering."""

    def __init__(self, sets: Mapping[str, SolutionSet], original: Original | None, wanted: Filtering) -> None:
        self.tally = Tally(labels=list(sets), strict=wanted.strict)
        self.missing: dict[str, list[int]] = {label: [] for label in sets}
        self._sets = sets
        self._original = original
        self._rule = wanted.rule
        self._results: dict[str, array[int]] = {}
        """Of solutions whose file has no results, question by question: numbers in RESULTS."""

    def judge(self, judge: JudgeMany) -> int:
        """Work out what no file says; how many solutions that were."""
        count = 0
        for label, one in self._sets.items():
            if one.judges:
                continue
            results = all_judged(self._pairs(one), judge, self._rule)
            self._results[label] = array("b", map(RESULTS.index, results))
            count += len(results)
        return count

    def _pairs(self, found: SolutionSet) -> Iterator[Pair]:
        for one in found:
            truth = self._truth(one)
            if truth and not one.is_judged:
                yield from ((text, truth) for text in one.texts if not is_blank(text))

    def _row(self, found: Solutions) -> Row:
        """The dataset's, as the original file has it where there is one."""
        if self._original is None:
            return found.row
        if found.index not in self._original:
            raise InputError(
                f"question {found.index} of {found.file} is not in --original; give the dataset that it is of"
            )
        return self._original.row(found.index)

    def _truth(self, found: Solutions) -> str:
        return found.truth if self._original is None else truth_of(self._row(found))

    def write(self, file: ArrayWriter) -> None:
        """All that is kept, by index."""
        results = {label: iter(numbers) for label, numbers in self._results.items()}
        for index, known in aligned(self._sets):
            found = {label: one and self._with_results(label, one, results) for label, one in known.items()}
            rows = [one for one in found.values() if one is not None]
            first = next((one for one in rows if self._truth(one)), None)
            if first is None:  # then nobody is asked, and nothing is missing
                self.tally.outcomes[Outcome.NO_TRUTH] += 1
                continue
            whole = {label: one for label, one in found.items() if one is not None and one.texts}
            lacking = [label for label in found if label not in whole]
            for label in lacking:
                self.missing[label].append(index)
            if lacking:
                self.tally.outcomes[Outcome.MISSING] += 1
                continue
            for one in rows:
                check_same(first, one)
            if is_kept(self.tally.note(whole), strict=self.tally.strict):
                file.add(filtered_row(self._row(first), whole))

    def _with_results(self, label: str, found: Solutions, results: Mapping[str, Iterator[int]]) -> Solutions:
        note_content(found, self._sets[label].report, truth=self._truth(found))
        if found.is_judged:
            return found
        if not self._truth(found):
            return replace(found, results=(UNKNOWN,) * len(found.texts))
        known = (UNKNOWN if is_blank(text) else RESULTS[next(results[label])] for text in found.texts)
        return replace(found, results=tuple(known))


def aligned(sets: Mapping[str, SolutionSet]) -> Iterator[tuple[int, dict[str, Solutions | None]]]:
    """Every index that a set has, in order, with what each set has of it."""
    streams = {label: iter(one) for label, one in sets.items()}
    heads = {label: next(stream, None) for label, stream in streams.items()}
    while left := [head.index for head in heads.values() if head is not None]:
        index = min(left)
        found = {label: head if head is not None and head.index == index else None for label, head in heads.items()}
        yield index, found
        heads |= {label: next(streams[label], None) for label, one in found.items() if one is not None}


def check_same(one: Solutions, other: Solutions) -> None:
    """Raises InputError where two models' rows of one index are of different questions."""
    if one is other:
        return
    texts = [(one.row.get(name), other.row.get(name)) for name in _COMPARED]
    texts.append((one.truth, other.truth))
    if any(mine != theirs for mine, theirs in texts if mine and theirs):
        raise InputError(
            f"question {one.index} is one in {one.file} ({question_of(one.row)[:60]!r}) and another in {other.file} "
            f"({question_of(other.row)[:60]!r}): give solutions to one dataset"
        )
