"""A run, from Python: its traces as objects, also while it goes on.

Knows run directories, their partitions, and folders of trace_*.json. Reads anew each time, holds no trace, never locks,
never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, SupportsIndex, TypeVar

from asyncgen.core.errors import InputError
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import Json
from asyncgen.runs.objects import failure_of, trace_of
from asyncgen.runs.reading import failures_of, is_trace_folder, one_trace, status_of, traces_of
from asyncgen.store.read import run_directories, stored_lines
from asyncgen.store.run_file import read_run

if TYPE_CHECKING:
    from os import PathLike

    from PIL.Image import Image

    from asyncgen.runs.execute import Summary

T = TypeVar("T")

FIRST = 10
"""Rows of the table that a notebook shows."""


class Lazy(Generic[T]):
    """What is read anew each time that it is looked through."""

    def __init__(self, what: str, read: Callable[[], Iterator[T]], count: Callable[[], int]) -> None:
        """`what`: what it holds, in words."""
        self._what = what
        self._read = read
        self._count = count

    def __iter__(self) -> Iterator[T]:
        return self._read()

    def __len__(self) -> int:
        return self._count()

    def __getitem__(self, number: int) -> T:
        """By its place, from 0. Raises IndexError."""
        start = number if number >= 0 else number + len(self)
        for one in islice(self, max(start, 0), None) if start >= 0 else ():
            return one
        raise IndexError(number)

    def __repr__(self) -> str:
        return f"<Lazy: {self._what}>"


class Run:
    """`Run.open(directory)`; also what `asyncgen.run` returns, which has a `summary` then."""

    def __init__(self, directory: str | PathLike[str], *, summary: Summary | None = None) -> None:
        """Raises InputError where there is no run."""
        self.directory = Path(directory)
        self.summary = summary
        """How the start ended that made this object."""
        self._folder = is_trace_folder(self.directory)
        if not self._folder:
            run_directories(self.directory)

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> Self:
        """A run directory, a folder of partitions, or a folder of trace_*.json. Raises InputError."""
        return cls(directory)

    @property
    def name(self) -> str:
        """The job's, as in ids."""
        return str(self._run_file().get("name", "trace"))

    @property
    def config(self) -> Mapping[str, Json]:
        """The job as its latest start resolved it, without secrets; empty where files do not say. Raises DataError."""
        return dict(self._run_file().get("config", {}))

    @property
    def image_root(self) -> str | None:
        """Where the run's relative image paths start. Raises DataError."""
        dataset = self.config.get("dataset")
        root = dataset.get("image_root") if isinstance(dataset, Mapping) else None
        return root if isinstance(root, str) else None

    def _run_file(self) -> Mapping[str, Json]:
        return {} if self._folder else read_run(run_directories(self.directory)[0])

    def __len__(self) -> int:
        """Traces that there are now."""
        if self._folder:
            return sum(1 for _ in self.directory.glob("trace_*.json"))
        return sum(1 for _ in stored_lines(run_directories(self.directory)))

    def __iter__(self) -> Iterator[Trace]:
        """In the order in which they were saved. Raises DataError."""
        return (trace_of(line) for line in traces_of([self.directory]))

    __reversed__ = None

    def __getitem__(self, which: str | SupportsIndex | tuple[SupportsIndex, int]) -> Trace:
        """By id, by row number (its first rollout), or by (row number, rollout). Raises KeyError, and TypeError for a
        slice."""
        if isinstance(which, slice):
            raise TypeError("a run has no slices: give an id, a row number or (row, rollout)")
        row, rollout = which if isinstance(which, tuple) and len(which) == 2 else (which, 0)
        if not isinstance(row, str | SupportsIndex) or row == "":
            raise KeyError(f"{which!r} is no trace's id, row number, or (row number, rollout)")
        if not isinstance(row, str) and index(row) < 0:
            raise KeyError(f"{self.directory} has no trace {which!r}: row numbers are from 0")
        try:
            line = one_trace(self.directory, str(row), rollout)
        except InputError as error:
            raise KeyError(str(error)) from None
        if "reason" in line:
            raise KeyError(f"{line['id']} has no trace, it failed ({line['reason']}); `failed` has it")
        return trace_of(line)

    def __contains__(self, which: object) -> bool:
        """Whether there is such a trace, by id, row number, or (row number, rollout)."""
        try:
            self[which]  # type: ignore[index]  # what is of no such type is not there either
        except (KeyError, TypeError):
            return False
        return True

    def where(self, sql: str) -> Lazy[Trace]:
        """The traces for which this is true; names as in `asyncgen ls --where`. Looking through them raises InputError
        for wrong SQL."""
        return Lazy(f"traces where {sql}", lambda: self._kept(sql), lambda: self._count_kept(sql))

    def _kept(self, sql: str) -> Iterator[Trace]:
        from asyncgen.runs.sheets import sheet_of

        with sheet_of([self.directory], sql=sql) as sheet:
            for line in sheet.kept(sql).traces():
                yield trace_of(line)

    def _count_kept(self, sql: str) -> int:
        from asyncgen.runs.sheets import sheet_of

        with sheet_of([self.directory], sql=sql) as sheet:
            return sheet.kept(sql).kept_count

    @property
    def failed(self) -> Lazy[Failure]:
        """The episodes without a trace."""
        return Lazy(
            f"failed episodes of {self.directory}",
            lambda: (failure_of(line) for line in failures_of([self.directory])),
            lambda: sum(1 for _ in failures_of([self.directory])),
        )

    def to_pandas(self, where: str = "", *, texts: bool = False) -> Any:
        """A `pandas.DataFrame`, a row a trace (for which `where` is true): id, answer and every scalar of the scores,
        the metadata and the dataset's row. `texts`: with `final_response` and columns of long texts, which are left
        out otherwise. Raises InputError for wrong SQL.
        """
        from asyncgen.runs.sheets import sheet_of

        with sheet_of([self.directory], sql="*" if texts else where) as sheet:
            return sheet.arrow(where).to_pandas()

    def status(self) -> dict[str, Json]:
        """What `asyncgen status --json` says. Raises InputError for a folder of trace_*.json."""
        return status_of(self.directory)

    def restore_images(self, trace: Trace, *, dataset_path: str | Path | None = None) -> list[Image]:
        """`asyncgen.restore_images` with the run's own `image_root`."""
        from asyncgen.runs.restore import restore_images

        return restore_images(trace, dataset_path=dataset_path, image_root=self.image_root)

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: counts, and the first traces as a table."""
        from asyncgen.core.markup import table_html

        first = list(islice(self, FIRST))
        scores = list(dict.fromkeys(name for trace in first for name in trace.reward_score))[:6]
        rows = [
            [
                trace.id,
                trace.answer,
                *(trace.reward_score.get(name) for name in scores),
                len(trace.conversation_history),
                trace.metadata.get("stop"),
            ]
            for trace in first
        ]
        counts = [str(self.directory), self.name, len(self), len(self.failed)]
        table = table_html(["id", "answer", *scores, "turns", "stop"], rows)
        return f"<div>{table_html(['directory', 'job', 'traces', 'failed'], [counts])}{table}</div>"
