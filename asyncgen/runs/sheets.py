"""Questions in SQL about traces, wherever they are: a run that goes on or is over, several, folders of trace_*.json.

Knows how traces become tables, from catalogs where what is asked stands in them, else in a temporary folder, which is
gone at the end; and what of a query is refused. Does not know what is printed.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.sheet import (
    FILE,
    INDEX,
    LENGTH,
    OFFSET,
    ROLLOUT,
    SOURCE,
    Sheet,
    SheetWriter,
    Spot,
    has_all,
    takes,
)
from asyncgen.export.sql import (
    arrow_table,
    catalogs_of,
    check_catalogs,
    columns_of,
    names_of,
    one_query,
    reason,
    rows_in,
    rows_of,
    shut,
    unclear,
    view,
)
from asyncgen.export.turns import RowWriter, call_writer, turn_writer
from asyncgen.export.where import Clause, Judged
from asyncgen.runs.pieces import pieces_of
from asyncgen.runs.places import Place, Placed, Places, Seen, first_placed, placed
from asyncgen.runs.reading import is_trace_folder
from asyncgen.store.layout import Kind
from asyncgen.store.line import parse_line
from asyncgen.store.read import run_directories

if TYPE_CHECKING:
    import duckdb

TABLES = ("traces", "turns", "calls", "failed")
"""What a query may read."""
_EVERY_COLUMN = re.compile(r"\b(columns|describe|summarize|table)\b|\A((?!\bselect\b).)*\Z", re.IGNORECASE | re.DOTALL)
"""A query that means columns which it does not name, but for `*`."""
_NO_TABLE = re.compile(r"Table with name (.+?) does not exist")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gives."""

    columns: Sequence[str]
    """No name twice."""
    rows: Iterator[tuple[Any, ...]]
    """As they are found. Raises InputError where a value cannot be computed."""
    note: str = ""
    """What could not be checked."""


class Verdict:
    """Which traces a condition keeps. Good as long as its sheet is open."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sheet: Sheet, where: str) -> None:
        """Raises InputError for wrong SQL."""
        self._connection = connection
        self._sheet = sheet
        self.judged = Judged(connection, sheet, where)
        self.total = self.judged.total
        self.kept_count = self.judged.kept

    @cached_property
    def clauses(self) -> list[Clause]:
        """The parts of the condition, and what each dropped."""
        return self.judged.clauses()

    def places(self) -> Iterator[Place]:
        """Of the kept traces, in the order in which they lie."""
        query = self.judged.select(f"{SOURCE}, {FILE}, {OFFSET}, {LENGTH}")
        for number, file, offset, length in rows_of(self._connection, query)[1]:
            yield Place(number, self._sheet.paths[file], offset, length)

    def keys(self) -> Iterator[tuple[int, int]]:
        """(index, rollout) of the kept traces, in the same order."""
        rows = rows_of(self._connection, self.judged.select(f"{INDEX}, {ROLLOUT}"))[1]
        return ((index, rollout) for index, rollout in rows)

    def traces(self) -> Iterator[dict[str, Json]]:
        """The kept traces, parsed, in the same order. Raises DataError where one is gone."""
        with Places() as places:
            for place in self.places():
                yield parse_line(places.line(place))


class OpenSheet:
    """A sheet, and a database to ask about it, which is opened when something is asked."""

    def __init__(self, sheet: Sheet, table: str, stack: ExitStack) -> None:
        """`table`: the sheet's name in a query; the stack closes the database."""
        self.sheet = sheet
        self.table = table
        self._stack = stack

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Shut off from everything but the sheet. Raises DataError for a catalog that is not what it says."""
        connection = self._stack.enter_context(shut(self.sheet.folder, catalogs_of(self.sheet)))
        check_catalogs(connection, self.sheet)
        return connection

    @property
    def traces(self) -> int:
        """How many."""
        return self.sheet.rows

    def kept(self, where: str) -> Verdict:
        """Raises InputError for wrong SQL."""
        return Verdict(self.connection, self.sheet, where)

    def query(self, sql: str) -> Answer:
        """One query over `traces` (`failed`, where the sheet is of failures). Raises InputError for wrong SQL."""
        statement = one_query(self.connection, sql)
        return _answer(self.connection, statement, sql, {self.table: self.sheet})

    def arrow(self, where: str = "") -> Any:
        """The bare columns as a pyarrow.Table, a row a trace, or a row a trace for which `where` is true."""
        return arrow_table(self.connection, self.sheet, self.kept(where).judged.rows if where else "")


@contextmanager
def sheet_of(
    paths: Sequence[Path], *, sql: str = "", failed: bool = False, seen: Seen | None = None
) -> Iterator[OpenSheet]:
    """The traces (with `failed`: the failures without a trace) of run directories and trace folders as a sheet.

    `sql`: what will be asked; `final_response` and columns of long texts are there only where it names them, or has a
    `*`. With `seen`, of traces with one id only the first is there. Raises InputError, DataError.
    """
    with ExitStack() as stack:
        sheet = _sheet(paths, stack.enter_context(_folder()), sql, failed=failed, seen=seen)
        yield OpenSheet(sheet, "failed" if failed else "traces", stack)


@contextmanager
def answer_of(paths: Sequence[Path], query: str) -> Iterator[Answer]:
    """The answer to one query over the TABLES, each made only where it is named. Raises InputError for what is no query
    that reads, and for wrong SQL; InputError, DataError for the paths.
    """
    with _folder() as folder:
        with shut(folder) as parser:
            statement = one_query(parser, query)
        tables = _tables(paths, folder, query)
        files = [path for table in tables.values() if isinstance(table, Sheet) for path in catalogs_of(table)]
        with shut(folder, files) as connection:
            for table in tables.values():
                if isinstance(table, Sheet):
                    check_catalogs(connection, table)
            yield _answer(connection, statement, query, tables)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="asyncgen-") as name:
        yield Path(name)


def _add(writer: SheetWriter, one: Placed, trace: Mapping[str, Json]) -> None:
    place = one.place
    writer.add(Spot(place.source, place.path, place.offset, place.length), one.key, trace)


def _sheet(paths: Sequence[Path], folder: Path, sql: str, *, failed: bool = False, seen: Seen | None = None) -> Sheet:
    """As `sheet_of`, with its files in the folder."""
    kind: Kind = "failed" if failed else "traces"
    if takes(sql, "final_response"):  # which no catalog has: one look at each line, and none for the catalogs
        writer = SheetWriter(folder, sql=sql, failed=failed, name=kind)
        for one in placed(paths, kind) if seen is None else first_placed(paths, seen):
            _add(writer, one, one.trace())
        return writer.finish()
    pieces = pieces_of(paths, kind, folder, seen)
    by_line: set[Path] = set()
    while True:
        writer = SheetWriter(folder, sql=sql, failed=failed, name=kind)
        for piece in pieces:
            if piece.catalog and not piece.dropped and piece.path not in by_line and has_all(piece.catalog, sql):
                writer.add_catalog(piece.source, piece.catalog)
                continue
            for one in piece.lines():
                _add(writer, one, one.trace())
        if not (misread := writer.misread()):
            return writer.finish()
        by_line |= misread


def _tables(paths: Sequence[Path], folder: Path, query: str) -> dict[str, Sheet | RowWriter]:
    """Those that the query names, by name; of the traces one look is enough for three."""
    for path in paths:  # looked at also where the query names none of the tables
        _ = is_trace_folder(path) or run_directories(path)
    named = {table for table in TABLES if re.search(rf"\b({table}|show)\b", query, re.IGNORECASE)}
    sql = "*" if _EVERY_COLUMN.search(query) else query
    tables: dict[str, Sheet | RowWriter] = {}
    if named & {"turns", "calls"}:
        tables |= _by_line(paths, folder, sql, named)
    elif "traces" in named:
        tables["traces"] = _sheet(paths, folder, sql)
    if "failed" in named:
        tables["failed"] = _sheet(paths, folder, sql, failed=True)
    return tables


def _by_line(paths: Sequence[Path], folder: Path, sql: str, named: Collection[str]) -> dict[str, Sheet | RowWriter]:
    """Turns and calls, which stand in no catalog; and the traces beside them."""
    rows = {"turns": turn_writer(folder, sql=sql), "calls": call_writer(folder, sql=sql)}
    wanted = {name: writer for name, writer in rows.items() if name in named}
    traces = SheetWriter(folder, sql=sql) if "traces" in named else None
    for one in placed(paths):
        trace = one.trace()
        if traces:
            _add(traces, one, trace)
        for writer in wanted.values():
            writer.add(trace)
    return {**({"traces": traces.finish()} if traces else {}), **wanted}


def _answer(
    connection: duckdb.DuckDBPyConnection,
    statement: duckdb.Statement,
    query: str,
    tables: Mapping[str, Sheet | RowWriter],
) -> Answer:
    import duckdb

    for name, table in tables.items():
        select = view(table) if isinstance(table, Sheet) else f"FROM {_rows_in(table)}"
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {select}")
        if isinstance(table, Sheet) and (text := unclear(table, query)):
            raise InputError(f"sql {query!r}: {text}")
    try:
        columns, rows = rows_of(connection, statement)
    except duckdb.BinderException as error:
        empty = [name for name, table in tables.items() if not table.rows]
        if not empty:
            raise _wrong(error, query, tables) from error
        fixed = next((list(columns_of(one)) for one in tables.values() if isinstance(one, Sheet)), [])
        return Answer(fixed, iter(()), f"no rows in {', '.join(empty)} yet, so the names in the query are not checked")
    except duckdb.Error as error:
        raise _wrong(error, query, tables) from error
    return Answer(_distinct(columns), _fetched(rows, query, tables))


def _rows_in(table: RowWriter) -> str:
    return rows_in(table.folder, table.finish(), table.kinds, table.longest)


def _fetched(
    rows: Iterator[tuple[Any, ...]], query: str, tables: Mapping[str, Sheet | RowWriter]
) -> Iterator[tuple[Any, ...]]:
    import duckdb

    try:
        yield from rows
    except duckdb.Error as error:
        raise _wrong(error, query, tables) from error


def _wrong(error: duckdb.Error, query: str, tables: Mapping[str, Sheet | RowWriter]) -> InputError:
    from asyncgen.config.load import nearest

    if missing := _NO_TABLE.search(str(error)):
        return InputError(f"sql {query!r}: no table {missing[1]!r}{nearest(missing[1], TABLES)}")
    parts = any(isinstance(one, Sheet) for one in tables.values())
    names = [name for one in tables.values() for name in (names_of(one) if isinstance(one, Sheet) else one.columns)]
    return InputError(f"sql {query!r}: {reason(error, query, list(dict.fromkeys(names)), parts=parts)}")


def _distinct(columns: Sequence[str]) -> list[str]:
    """A number after a name that was there before."""
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names
