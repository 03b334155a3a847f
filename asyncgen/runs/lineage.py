"""What a copy of runs is made of, and what may become one run: one job, one dataset.

Knows run files. Reads no trace, writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.trace_folder import JOB
from asyncgen.runs.reading import in_a_run, is_trace_folder
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import read_run

FILE_SUFFIXES = (".jsonl", ".json")
"""Of an output that is one file."""
_OTHER_FILES = (".csv", ".gz", ".parquet", ".txt", ".tsv", ".xlsx", ".yaml", ".yml", ".zip", ".zst")
"""Endings of a name that is not meant for a folder."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A path that traces are taken from."""

    path: Path
    runs: Sequence[Mapping[str, Any]]
    """Its run file, or those of its partitions; none for a folder of trace_*.json."""

    @property
    def name(self) -> str:
        """The job's."""
        return str(self.runs[0].get("name", "")) if self.runs else JOB


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a copy says of where it comes from."""

    command: str
    sources: Sequence[Source]
    said: Mapping[str, Json] = field(default_factory=dict[str, Any])
    """Further members of `derived` in its run file."""
    changes: Mapping[str, Json] = field(default_factory=dict[str, Any])
    """What its run file has otherwise than the first source's."""

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        """Every run file, in order."""
        return [run for source in self.sources for run in source.runs]


def sources_of(paths: Sequence[Path]) -> list[Source]:
    """What lies at the paths. Raises InputError, DataError."""
    return [Source(path=path, runs=() if is_trace_folder(path) else _runs(path)) for path in paths]


def _runs(path: Path) -> list[dict[str, Any]]:
    return [read_run(directory) for directory in run_directories(path)]


def is_file_output(out: Path) -> bool:
    """Whether the output is to be one `.json` or `.jsonl` file, and not a run directory."""
    return out.suffix in FILE_SUFFIXES and not out.is_dir()


def check_output(out: Path, sources: Sequence[Source]) -> None:
    """Refuse an output that would hurt what is there. Raises InputError."""
    place = out.absolute().resolve()
    for source in sources:
        home = source.path.absolute().resolve()
        if place == home or home in place.parents:
            raise InputError(f"{out} lies in {source.path}, which is read; give another -o")
        if place in home.parents:
            raise InputError(f"{source.path}, which is read, lies in {out}; give another -o")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; give -o a new folder")
    if in_a_run(out):
        raise InputError(f"{out} lies in a run directory, which holds only what the run itself wrote; give another -o")
    if is_file_output(out) or out.is_dir():
        return
    if out.exists():
        raise InputError(f"{out} is a file; give -o a new folder, or a file named *.jsonl or *.json")
    if out.suffix.lower() in _OTHER_FILES:
        raise InputError(f"-o {out}: a file is named *.jsonl or *.json; to other formats asyncgen export writes")


def refuse_two_jobs(sources: Sequence[Source]) -> None:
    """One run directory holds the traces of one job. Raises InputError."""
    _refuse_two(
        [(source.path, str(run.get("name", ""))) for source, run in _each(sources)],
        "have the job names",
        "one run has one; give -o a file named *.jsonl or *.json, or choose traces of one job",
    )


def refuse_two_datasets(sources: Sequence[Source]) -> None:
    """An index is a row of one dataset. Of a folder of trace_*.json nobody knows which. Raises InputError."""
    found = [(source.path, str(run.get("dataset", {}).get("fingerprint", ""))) for source, run in _each(sources)]
    _refuse_two(
        [(path, fingerprint) for path, fingerprint in found if fingerprint],
        "are of datasets with the fingerprints",
        "a row number means one row; choose traces of one dataset",
    )


def _each(sources: Sequence[Source]) -> Iterator[tuple[Source, Mapping[str, Any]]]:
    for source in sources:
        for run in source.runs or ({"name": source.name},):
            yield source, run


def _refuse_two(found: Sequence[tuple[Path, str]], have: str, advice: str) -> None:
    for path, value in found[1:]:
        if value != found[0][1]:
            raise InputError(f"{found[0][0]} and {path} {have} {found[0][1]!r} and {value!r}: {advice}")
