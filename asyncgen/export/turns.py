"""Turns and tool calls of traces as rows of files of JSON lines.

Knows which columns they have. Does not know SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from asyncgen.core.types import Json
from asyncgen.export.rows import write_rows
from asyncgen.export.sheet import takes
from asyncgen.store.cells import BIGINT, BOOLEAN, DOUBLE, VARCHAR, cells_of

_OF_TRACE: Mapping[str, str] = {"id": VARCHAR, "sample_index": BIGINT, "rollout": BIGINT, "turn": BIGINT}
TURNS: Mapping[str, str] = {
    **_OF_TRACE,
    "response": VARCHAR,
    "reasoning": VARCHAR,
    "finish_reason": VARCHAR,
    "prompt_tokens": BIGINT,
    "completion_tokens": BIGINT,
    "cached_tokens": BIGINT,
    "endpoint": VARCHAR,
    "model": VARCHAR,
    "seconds": DOUBLE,
    "attempts": BIGINT,
}
CALLS: Mapping[str, str] = {
    **_OF_TRACE,
    "name": VARCHAR,
    "arguments": VARCHAR,
    "success": BOOLEAN,
    "error": VARCHAR,
    "seconds": DOUBLE,
}
_LONG = ("response", "reasoning", "arguments")
"""Stored where the query may mean them."""
_BATCH = 20_000
_BATCH_CHARACTERS = 64 << 20


def turn_writer(folder: Path, *, sql: str) -> RowWriter:
    """Of the table `turns`: a row a turn."""
    return RowWriter(folder, "turns", TURNS, _turn_rows, sql=sql)


def call_writer(folder: Path, *, sql: str) -> RowWriter:
    """Of the table `calls`: a row a tool call."""
    return RowWriter(folder, "calls", CALLS, _call_rows, sql=sql)


def _turn_rows(trace: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    of_trace = {name: trace[name] for name in ("id", "sample_index", "rollout")}
    for turn in trace["conversation_history"]:
        yield {**turn["usage"], **turn, **of_trace}


def _call_rows(trace: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    of_trace = {name: trace[name] for name in ("id", "sample_index", "rollout")}
    for call in trace["tool_calls"]:
        yield {**call["tool_call"], **call, **of_trace}


class RowWriter:
    """Add traces one by one; then the names of the files with their rows."""

    def __init__(
        self,
        folder: Path,
        name: str,
        columns: Mapping[str, str],
        rows_in: Callable[[Mapping[str, Json]], Iterator[Mapping[str, Json]]],
        *,
        sql: str,
    ) -> None:
        """`columns`: name and SQL type; `rows_in`: the rows of a trace, whose other keys count for nothing; `sql`: what
        will be asked of them.
        """
        self.folder = folder
        self.columns = list(columns)
        self.rows = 0
        self.longest = 0
        """Bytes of the longest line."""
        self._name = name
        self._rows_in = rows_in
        self.kinds = {one: kind for one, kind in columns.items() if one not in _LONG or takes(sql, one)}
        """SQL types, by the names of the columns that the files have."""
        self._values: dict[str, list[Json]] = {one: [] for one in self.kinds}
        self._waiting = self._characters = 0
        self._files: list[str] = []

    def add(self, trace: Mapping[str, Json]) -> None:
        """Its rows."""
        for row in self._rows_in(trace):
            for name, values in self._values.items():
                values.append(row.get(name))
                if name in _LONG:
                    self._characters += len(row.get(name) or "")
            self._waiting += 1
        if self._waiting >= _BATCH or self._characters >= _BATCH_CHARACTERS:
            self._flush()

    def finish(self) -> Sequence[str]:
        """The files are whole; none where there is no row."""
        if self._waiting:
            self._flush()
        return self._files

    def _flush(self) -> None:
        name = f"{self._name}-{len(self._files):05d}.jsonl"
        cells = {one: cells_of(self._values[one], kind) for one, kind in self.kinds.items()}
        self.longest = max(self.longest, write_rows(cells, self.folder / name))
        self._files.append(name)
        self._values = {one: [] for one in self.kinds}
        self.rows += self._waiting
        self._waiting = self._characters = 0
