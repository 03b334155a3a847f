"""The traces of which a condition is true, copied byte by byte; and what each part of it dropped.

Knows how a condition and a copy meet. Knows neither SQL (`sheets`) nor how a copy is written (`derive`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DataError
from asyncgen.core.types import Json
from asyncgen.export.where import Clause
from asyncgen.runs.derive import open_copy
from asyncgen.runs.lineage import (
    Lineage,
    check_output,
    is_file_output,
    refuse_two_datasets,
    refuse_two_jobs,
    sources_of,
)
from asyncgen.runs.places import Places, Seen
from asyncgen.runs.sheets import sheet_of
from asyncgen.store.layout import CATALOG


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What `filter` did."""

    out: str
    total: int
    """Traces with different ids: kept + dropped."""
    kept: int
    dropped: int
    duplicates: int
    """Traces whose id came before; only the first was looked at."""
    clauses: Sequence[Clause]
    """The top-level parts of the condition; what they dropped adds up to `dropped`."""

    def json(self) -> dict[str, Json]:
        """All of it."""
        return asdict(self)


def keep(paths: Sequence[Path], where: str, out: Path, *, clock: Clock) -> Kept:
    """Copy the traces of all paths for which `where` is true, in the order in which they lie.

    Raises InputError (wrong SQL, a wrong output), DataError, OSError.
    """
    sources = sources_of(paths)
    check_output(out, sources)
    if not is_file_output(out):
        refuse_two_jobs(sources)
        refuse_two_datasets(sources)
    seen = Seen(by_job=is_file_output(out))
    with sheet_of(paths, sql=where, seen=seen) as sheet:
        verdict = sheet.kept(where)
        found = Kept(
            out=str(out),
            total=verdict.total,
            kept=verdict.kept_count,
            dropped=verdict.total - verdict.kept_count,
            duplicates=seen.doubles,
            clauses=verdict.clauses,
        )
        lineage = Lineage(command="filter", sources=sources, said={"where": where})
        with open_copy(out, lineage, clock) as copy, Places() as places:
            copied = 0
            for place in verdict.places():
                copy.add(places.line(place))
                copied += 1
            if copied != found.kept:
                raise DataError(
                    f"{found.kept} traces are to be kept, and {copied} are there: a catalog is not what it says; "
                    f"remove *{CATALOG} beside the shards, they are made again"
                )
            copy.finish({key: value for key, value in found.json().items() if key != "out"})
    return found
