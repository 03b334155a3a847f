"""`ls` and `sql`: traces as rows.

Knows which columns of a list a reader wants, and in which form rows go out. Does not know how a trace lies on disk, nor
how a condition is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from asyncgen.cli.output import line
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.runs.overview import Overview, overview
from asyncgen.runs.reading import truth_columns
from asyncgen.runs.sheets import answer_of, sheet_of
from asyncgen.view.listing import Table, csv_line, json_lines, short_text, terminal_width
from asyncgen.view.terminal import clean, note

_OF_TRACE = (
    "id", "answer", "truth", "score", "distance_km", "turns", "tokens", "tool_calls", "stop", "accepted",
)  # fmt: skip
_FIXED = ("id", "answer", "score", "turns", "tokens", "tool_calls", "stop")
"""Shown whether a trace has them or not."""
_OF_FAILURE = ("id", "reason", "error", "turns", "attempts")
_HEADINGS: Mapping[str, str] = {"distance_km": "km", "tool_calls": "calls"}
_NUMBERS = ("score", "km", "turns", "tokens", "calls", "attempts")
_EXPLAINED = ["explain_key", "explain_value"]
"""The columns of EXPLAIN: its plan is a drawing of several lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `ls`."""

    where: str = ""
    sort: str = ""
    columns: str = ""
    limit: int = 50
    failed: bool = False
    json: bool = False


def print_list(directory: Path, wanted: Wanted) -> int:
    """`ls`."""
    if wanted.limit < 0:
        raise InputError(f"--limit {wanted.limit}: give how many traces to list, or 0 for all")
    truth = [] if wanted.failed else truth_columns(directory)
    more = list(dict.fromkeys(name for part in wanted.columns.split(",") if (name := part.strip())))
    named = " ".join((wanted.where, wanted.sort, *truth, *more))
    with sheet_of([directory], sql=named, failed=wanted.failed) as opened:
        found = overview(opened, truth=truth, where=wanted.where, sort=wanted.sort, limit=wanted.limit, more=more)
        if wanted.json:
            _out(json_lines(found.rows))
            return 0
        names, fixed = (_OF_FAILURE, _OF_FAILURE) if wanted.failed else (_OF_TRACE, _FIXED)
        _print(_table(found, [*names, *more], [*fixed, *more]))
        listed = min(found.total, wanted.limit or found.total)
        if found.total > listed:
            line(f"… {found.total - listed:,} more: --limit 0 shows all")
        if not found.total:
            note(_nothing(opened.traces, wanted))
    return 0


def _nothing(there: int, wanted: Wanted) -> str:
    if there:
        return f"--where {wanted.where!r} is true for none of {there:,}"
    return "no episode has failed" if wanted.failed else "no traces yet"


def _table(found: Overview, names: Sequence[str], always: Collection[str]) -> Table:
    """A row of the list as a row of cells."""
    shown = [name for name in names if name in always or name in found.columns]
    rows = ([_cell(row, name) for name in shown] for row in found.rows)
    headings = [_HEADINGS.get(name, name) for name in shown]
    return Table(headings, rows, width=terminal_width(), right=_NUMBERS, uncut=("id",))


def _cell(row: Mapping[str, Json], name: str) -> Json:
    match name:
        case "truth":
            return ", ".join(short_text(value) for value in row["truth"].values())
        case "tokens":
            counts = [row[key] for key in ("prompt_tokens", "completion_tokens") if row[key] is not None]
            return sum(counts) if counts else None
        case "score" if isinstance(row["score"], float):
            return f"{row['score']:.4f}"
        case "distance_km" if isinstance(row["distance_km"], float):
            return f"{row['distance_km']:.1f}"
        case _:
            return row[name]


def print_answer(directory: Path, query: str, *, as_json: bool, as_csv: bool) -> int:
    """`sql`."""
    if as_json and as_csv:
        raise InputError("--json and --csv: give one of them")
    with answer_of([directory], query) as answer:
        if answer.note:
            note(answer.note)
        if as_json:
            _out(json_lines(dict(zip(answer.columns, row, strict=True)) for row in answer.rows))
        elif as_csv:
            tidy = clean if sys.stdout.isatty() else str
            _out(tidy(csv_line(row)) for row in chain([answer.columns], answer.rows))
        elif answer.columns == _EXPLAINED:
            _out(clean(plan) for _, plan in answer.rows)
        else:
            _print(Table(answer.columns, answer.rows, width=terminal_width()))
    return 0


def _print(table: Table) -> None:
    _out(table.lines())
    if table.left_out:
        note(f"no room for {', '.join(table.left_out)}; --json has all")


def _out(lines: Iterable[str]) -> None:
    for one in lines:
        line(one)
