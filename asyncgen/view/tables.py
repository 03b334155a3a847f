"""Tables as text for a terminal and as Markdown for a report.

Knows widths and what must not get through: cells may hold a model's or a row's words. Does not know figures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

from asyncgen.view.terminal import one_line

MAX_WIDTH = 40
"""Of a cell in the terminal, in columns."""
_GAP = "  "
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$!&]|(?<!\w)@)")
"""An @ within a word mentions nobody."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    """Said below it."""


Figure: TypeAlias = tuple[str, str]
"""Name and value."""


def list_text(title: str, figures: Sequence[Figure]) -> str:
    """A line a figure, the values one below the other; they may be long."""
    names = [_cell(name) for name, _ in figures]
    width = max(map(cell_len, names), default=0)
    lines = [
        f"{_padded(name, width, left=True)}{_GAP}{one_line(value)}"
        for name, (_, value) in zip(names, figures, strict=True)
    ]
    return "\n".join([*([one_line(title)] if title else []), *lines])


def list_markdown(title: str, figures: Sequence[Figure]) -> str:
    """A table of two columns."""
    rows = [f"| {markdown(name)} | {markdown(value)} |" for name, value in figures]
    return "\n".join([*([f"### {markdown(title)}", ""] if title else []), "| figure | value |", "| --- | --- |", *rows])


def render_text(table: Table) -> str:
    """Title, heading and rows; names to the left, figures to the right."""
    cells = [[_cell(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(table.columns))]
    padded = [[_padded(cell, widths[at], left=at == 0) for at, cell in enumerate(row)] for row in cells]
    lines = [f"  {_GAP.join(row)}".rstrip() for row in padded]
    note = [f"  {one_line(table.note)}"] if table.note else []
    return "\n".join([one_line(table.title), *lines, *note])


def render_markdown(table: Table) -> str:
    """A heading and a table as GitHub reads it."""
    rule = ["---", *(["---:"] * (len(table.columns) - 1))]
    rows = [[markdown(cell) for cell in row] for row in (table.columns, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    note = ["", markdown(table.note)] if table.note else []
    return "\n".join([f"### {markdown(table.title)}", "", *lines, *note])


def markdown(text: str) -> str:
    """Text that says in Markdown what it says here: no markup, link or mention of its own."""
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def _cell(text: str) -> str:
    plain = one_line(text)
    return plain if cell_len(plain) <= MAX_WIDTH else set_cell_size(plain, MAX_WIDTH - 1) + "…"


def _padded(cell: str, width: int, *, left: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return cell + blanks if left else blanks + cell
