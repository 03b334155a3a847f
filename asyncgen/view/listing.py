"""Rows as an aligned table for the terminal, and their values as text, JSON and CSV.

Knows widths of characters and of the terminal. Values may be hostile: what is printed is cleaned and on one line.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, TypeAlias

from asyncgen.core.types import Json
from asyncgen.store.line import dump
from asyncgen.view.terminal import one_line

LOOK_AT = 200
"""Rows whose widths count; later ones are fitted to them."""
WIDEST = 120
"""Cells of a column where there is no terminal to fit it to."""
NARROWEST = 8
"""Cells that a column keeps, if it needs them, while there are others to take from."""
_GAP = "  "
_CSV_END = "\r\n"  # a value with either of them is quoted

Row: TypeAlias = Sequence[Any]


def terminal_width() -> int | None:
    """In cells; None where stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class Table:
    """A table, its rows taken as they come."""

    def __init__(
        self,
        names: Sequence[str],
        rows: Iterable[Row],
        *,
        width: int | None,
        right: Collection[str] | None = None,
        uncut: Collection[str] = (),
    ) -> None:
        """`right`: the columns of numbers; by default those that have only numbers at the start. `uncut`: those that
        are of no use without their end."""
        rows = iter(rows)
        first = list(islice(rows, LOOK_AT))
        texts = [[short_text(value) for value in row] for row in first]
        self._names = [one_line(name) for name in names]
        needed = [
            max(map(_cells, (name, *column)))
            for name, column in zip(self._names, _columns(texts, len(names)), strict=True)
        ]
        self._widths = fitted(needed, width, {number for number, name in enumerate(names) if name in uncut})
        self._whole = width is None
        self._right = [
            name in right if right is not None else _are_numbers(column)
            for name, column in zip(names, _columns(first, len(names)), strict=True)
        ]
        self._texts = chain(texts, ([short_text(value) for value in row] for row in rows))
        self.left_out = self._names[len(self._widths) :]
        """The columns for which there is no room."""

    def lines(self) -> Iterator[str]:
        """The header, and a line a row."""
        yield self._line(self._names)
        for row in self._texts:
            yield self._line(row)

    def _line(self, texts: Sequence[str]) -> str:
        cells = [
            _padded(text if self._whole else cropped(text, width), width, right=right)
            for text, width, right in zip(texts, self._widths, self._right, strict=False)
        ]
        return _GAP.join(cells).rstrip()


def fitted(needed: Sequence[int], width: int | None, uncut: Collection[int] = ()) -> list[int]:
    """The widths of the columns, the widest narrowed first, but for those that are not cut unless they alone take half
    of the width; of those at the end none where there is no room."""
    if width is None:
        return list(needed)

    def narrowed(most: int) -> list[int]:
        return [one if at in uncut and 2 * one <= width else min(one, most) for at, one in enumerate(shown)]

    shown = list(needed)
    while len(shown) > 1 and _total(narrowed(NARROWEST)) > width:
        shown.pop()
    most = max(shown, default=0)
    while most > 1 and _total(narrowed(most)) > width:
        most -= 1
    return narrowed(most)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def cropped(text: str, width: int) -> str:
    """At most so many cells, with an ellipsis where something is missing."""
    from rich.cells import set_cell_size

    return text if _cells(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def _padded(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _cells(text))
    return blanks + text if right else text + blanks


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _columns(rows: Sequence[Row], count: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count


def _are_numbers(values: Iterable[Any]) -> bool:
    found = [value for value in values if value is not None]
    return bool(found) and all(isinstance(one, int | float | Decimal) and not isinstance(one, bool) for one in found)


def short_text(value: Any) -> str:
    """A value in a table: one line, at most WIDEST cells; nothing for null."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else plain_text(value)
    return cropped(one_line(text[: 4 * WIDEST]), WIDEST) if text else ""


def plain_text(value: Any) -> str:
    """A value in full: nothing for null, JSON for what has parts."""
    found = plain(value)
    if found is None:
        return ""
    return found if isinstance(found, str) else dump(found).decode()


def plain(value: Any) -> Json:
    """What DuckDB gave, as JSON has it: a decimal as a number, a time as ISO 8601, bytes as hex digits."""
    if isinstance(value, dict):
        return {str(plain(key)): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def json_lines(objects: Iterable[Any]) -> Iterator[str]:
    """The lines of a JSON list, an object a line."""
    waiting = ""
    for one in objects:
        yield f"{waiting}," if waiting else "["
        waiting = "  " + dump(plain(one)).decode()
    yield from (waiting, "]") if waiting else ("[]",)


def csv_line(values: Iterable[Any]) -> str:
    """A line of CSV, which is several where a value has line breaks."""
    out = io.StringIO()
    csv.writer(out, lineterminator=_CSV_END).writerow([plain_text(value) for value in values])
    return out.getvalue().removesuffix(_CSV_END)
