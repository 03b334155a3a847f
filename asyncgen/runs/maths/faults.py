"""What is wrong with solutions as they lie in files: each fault by index and file, and the report of them.

Knows names of faults and which of them mean that something is missing. Does not read files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from asyncgen.core.types import Json
from asyncgen.export.files import sync_folder, whole_file
from asyncgen.store.line import dump

REPORT, COUNTS, DONE = "report", "counts", "done"
"""What a file beside an output is: `X.report.json`."""


class Fault(StrEnum):
    """What can be wrong."""

    MISSING = "missing"
    """A question without solutions."""
    DUPLICATE = "duplicate"
    """A question, or a solution of one, that came before: the first counts."""
    SHORT = "short"
    """A question with fewer solutions than there are to be."""
    LONG = "long"
    """A question with more solutions than most have, where nobody says how many there are to be."""
    TORN = "torn"
    """A file that ends too early, or has no row, or something in it that is no row of solutions: the rest counts."""
    CHUNK_TWICE = "chunk_twice"
    """A second file of a chunk."""
    CHUNK_SIZE = "chunk_size"
    """A chunk file of another size than the others."""
    CHUNK_MISSING = "chunk_missing"
    """No file of a chunk, though there is one of a later one."""
    CHUNK_HOLE = "chunk_hole"
    """A place of a chunk that no row has, where indexes do not tell which question that is."""
    EMPTY = "empty"
    """A blank solution."""
    NO_TRUTH = "no_truth"
    """A question whose answer is not known."""


NOTES = frozenset({Fault.EMPTY, Fault.NO_TRUTH})
"""Of these nothing is missing: the data are so."""
_OF_QUESTIONS = (Fault.MISSING, Fault.DUPLICATE, Fault.SHORT, Fault.LONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One fault."""

    kind: Fault
    text: str
    index: int | None = None
    """Of the question; None where it is the file that is wrong."""
    file: str = ""
    row: int | None = None
    """Its number in the dataset, where a run tells."""

    def __str__(self) -> str:
        where = f"question {self.index}" if self.index is not None else ""
        return ": ".join(part for part in (self.file, where, self.text) if part)


@dataclass(kw_only=True)
class Report:
    """What was found in the solutions of one model."""

    label: str = ""
    models: Sequence[str] = ()
    """Names, as the rows have them."""
    questions: int = 0
    solutions: int = 0
    rollouts: int = 0
    """Solutions that each question is to have; 0: nobody says."""
    faults: list[Found] = field(default_factory=list[Found])

    def add(self, kind: Fault, text: str, *, index: int | None = None, file: str = "", row: int | None = None) -> None:
        """One more."""
        self.faults.append(Found(kind=kind, text=text, index=index, file=file, row=row))

    def drop(self, kind: Fault, is_none: Callable[[int], bool]) -> None:
        """Take back the faults of a kind at questions that have none after all."""
        self.faults = [
            one for one in self.faults if one.kind is not kind or one.index is None or not is_none(one.index)
        ]

    @property
    def is_complete(self) -> bool:
        """Nothing is missing, nothing was there twice."""
        return all(fault.kind in NOTES for fault in self.faults)

    @property
    def lacking(self) -> dict[str, int]:
        """The counts that make it incomplete."""
        return {kind: count for kind, count in self.counts.items() if count and kind not in NOTES}

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind of fault."""
        found = Counter(fault.kind for fault in self.faults)
        return {str(kind): found[kind] for kind in Fault}

    def indexes(self, kind: Fault) -> list[int]:
        """The questions that have a fault, sorted, each once."""
        return sorted({fault.index for fault in self.faults if fault.kind is kind and fault.index is not None})

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "label": self.label,
            "complete": self.is_complete,
            "models": list(self.models),
            "questions": self.questions,
            "solutions": self.solutions,
            "rollouts": self.rollouts,
            "counts": self.counts,
            **{str(kind): self.indexes(kind) for kind in (*_OF_QUESTIONS, *sorted(NOTES))},
            "faults": [asdict(fault) for fault in self.faults],
        }


def of_kind(faults: Iterable[Found], kind: Fault) -> list[Found]:
    """Those of one kind, in order."""
    return [fault for fault in faults if fault.kind is kind]


def beside(out: Path, what: str) -> Path:
    """Where a report stands: `X.report.json` for the file `X.json`, and for the folder `X`, whatever dots it has."""
    return out.with_name(f"{out.name.removesuffix('.json')}.{what}.json")


def forget_report(path: Path) -> None:
    """It is not of what comes next: to be called right before an output gets its name, so that whoever is killed in
    between leaves an output without a report, never one with that of another. Raises OSError."""
    if path.exists():
        path.unlink()
        sync_folder(path.parent)


def read_report(path: Path) -> dict[str, Any]:
    """Empty where there is none, or none that is whole."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_report(path: Path, report: Mapping[str, Json]) -> None:
    """Whole or not at all. Raises OSError."""
    with whole_file(path) as file:
        file.write(orjson.dumps(orjson.loads(dump(report)), option=orjson.OPT_INDENT_2) + b"\n")
