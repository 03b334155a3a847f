"""SQL over sheets: a DuckDB that reaches nothing else, the names that a query may use, and what is wrong with one.

A bare name is the first of `reward_score`, `metadata`, `sample_data` that has it, and `reward.`, `meta.`, `data.` say
which. Does not know where traces come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from asyncgen.core.errors import DataError, InputError
from asyncgen.export.sheet import FILE, OWN, PLACE, ROW, SOURCE, Catalogued, Sheet
from asyncgen.store.cells import BIGINT, NULL
from asyncgen.store.columns import FAILURE, PARTS, TOP, Column
from asyncgen.store.layout import CATALOG

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

T = TypeVar("T")
FETCH = 500
"""Rows at a time."""
_ROOM = 1 << 20
"""Bytes of a line that there is room for at least."""
_FIRST = ("id", "sample_index", "rollout", *FAILURE, "answer")
"""What `SELECT *` begins with."""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "memory_limit": "1GB",
}

_NO_FIELD = re.compile(r'Could not find key "(.+?)" in struct')
_EXPLAIN = re.compile(r"\A\s*EXPLAIN(\s+ANALYZE)?\b", re.IGNORECASE)


@contextmanager
def shut(folder: Path, files: Sequence[Path] = ()) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reads and writes in the folder, where it spills what is too large, and these files, and
    reaches nothing else: no other file, no network, no Python variable, no setting."""
    import duckdb

    connection = duckdb.connect(":memory:", config={**_CONFIG, "temp_directory": str(folder / "spill")})
    try:
        connection.execute("SET enable_progress_bar = false")  # it would go to stdout
        connection.execute(f"SET allowed_directories = {_texts([folder])}")
        connection.execute(f"SET allowed_paths = {_texts(files)}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def catalogs_of(sheet: Sheet) -> list[Path]:
    """The files that its rows are read from, besides those in its folder."""
    return [piece.catalog.path for piece in sheet.pieces if isinstance(piece, Catalogued)]


def check_catalogs(connection: duckdb.DuckDBPyConnection, sheet: Sheet) -> None:
    """Raises DataError where one of its catalogs, a stranger's, has not the columns that its footer says."""
    import duckdb

    if not (catalogs := catalogs_of(sheet)):
        return
    try:
        connection.execute(f"SELECT 1 FROM {stored(sheet)} LIMIT 0")  # noqa: S608  # names and paths, all quoted
    except duckdb.Error as error:
        folders = " and in ".join(dict.fromkeys(str(path.parent) for path in catalogs))
        raise DataError(
            f"a catalog is not what it says; remove *{CATALOG} in {folders}: they are made again"
        ) from error


def stored(sheet: Sheet) -> str:
    """The rows of its pieces, in order, as what can stand after FROM."""
    own = dict.fromkeys(PLACE, BIGINT) | {OWN + name: kind for name, kind in sheet.top.items()}
    parts = {one.stored: one.kind for columns in sheet.parts.values() for one in columns if one.kind != NULL}
    found: list[str] = []
    for cells, some in groupby(sheet.pieces, lambda piece: _cells(piece, sheet)):
        pieces = list(some)
        files = [piece for piece in pieces if isinstance(piece, str)]
        catalogs = [piece for piece in pieces if isinstance(piece, Catalogued)]
        rows = _of_catalogs(catalogs, cells) if catalogs else rows_in(sheet.folder, files, own | parts, sheet.longest)
        found.append(f"FROM {rows}")
    if len(found) > 1:
        return f"({' UNION ALL '.join(found)})"
    return found[0].removeprefix("FROM ") if found else rows_in(sheet.folder, [], own | parts)


def _cells(piece: str | Catalogued, sheet: Sheet) -> tuple[str, ...]:
    """SQL of the sheet's columns in a catalog, each with its type there: DuckDB reads several files as one, and has for
    all of them the types of the first. None for a file of JSON lines, whose columns are the sheet's."""
    if isinstance(piece, str):
        return ()
    catalog = piece.catalog
    cells = [f"{quoted(name)}::{kind} AS {OWN}{name}" for name, kind in sheet.top.items()]
    for prefix, columns in sheet.parts.items():
        there = {one.name: f"{quoted(one.stored)}::{one.kind}" for one in catalog.parts[prefix] if one.stored}
        cells += [f"{there.get(one.name, NULL)}::{one.kind} AS {one.stored}" for one in columns if one.kind != NULL]
    return tuple(cells)


def _of_catalogs(pieces: Sequence[Catalogued], cells: Sequence[str]) -> str:
    """Their rows. A catalog has the place and the key of each under our names, without what they begin with."""
    places = {
        ROW: f"{_by_file([piece.before for piece in pieces])} + file_row_number",
        SOURCE: _by_file([piece.source for piece in pieces]),
        FILE: _by_file([piece.file for piece in pieces]),
    }
    columns = [f"({places.get(name, quoted(name.removeprefix(OWN)))})::{BIGINT} AS {name}" for name in PLACE]
    paths = _texts([piece.catalog.path for piece in pieces])
    return f"(SELECT {', '.join([*columns, *cells])} FROM read_parquet({paths}, hive_partitioning = false))"  # noqa: S608  # names and paths, all quoted


def _by_file(numbers: Sequence[int]) -> str:
    """The number of the file that a row is from."""
    return f"list_extract({list(numbers)}, file_index::{BIGINT} + 1)" if len(set(numbers)) > 1 else str(numbers[0])


def rows_in(folder: Path, files: Sequence[str], kinds: Mapping[str, str], longest: int = 0) -> str:
    """The rows of these files, as what can stand after FROM; without a file, no row of columns of these types.
    `longest`: bytes of the longest line, for which DuckDB makes room."""
    if not files:
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
        return f"(SELECT {columns} WHERE false)"
    paths = _texts([folder / name for name in files])
    types = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in kinds.items())
    room = max(_ROOM, longest)
    return f"read_json({paths}, format = 'newline_delimited', columns = {{{types}}}, maximum_object_size = {room})"


def columns_of(sheet: Sheet, *, wide: bool = True) -> dict[str, str]:
    """SQL by bare name. With `wide`, whole numbers have 128 bits, so that arithmetic does not overflow."""
    bare: dict[str, str] = {}
    for columns in sheet.parts.values():
        taken = {name.lower() for name in bare}
        for lowered, column in _distinct(columns).items():
            if lowered not in taken and lowered not in PARTS and not lowered.startswith(OWN):
                bare[column.name] = _cell(column, wide=wide)
    taken = {name.lower() for name in bare}
    top = {name: OWN + name for name in sheet.top if name not in taken}
    first = {name: top[name] for name in _FIRST if name in top}
    return first | bare | {name: sql for name, sql in top.items() if name not in first}


def view(sheet: Sheet) -> str:
    """The query of a view: bare columns, and a struct a part."""
    bare = [f"{sql} AS {quoted(name)}" for name, sql in columns_of(sheet).items()]
    return f"SELECT {', '.join([*bare, *_structs(sheet)])} FROM {stored(sheet)}"  # noqa: S608  # names and paths, all quoted


def source(sheet: Sheet) -> str:
    """The same with the columns of the files: what a condition is asked of, in brackets, on one line."""
    bare = [f"{sql} AS {quoted(name)}" for name, sql in columns_of(sheet).items()]
    columns = ", ".join(["*", *bare, *_structs(sheet)])
    return f"(SELECT {columns} FROM {stored(sheet)})"  # noqa: S608  # names and paths, all quoted


def arrow_table(connection: duckdb.DuckDBPyConnection, sheet: Sheet, kept: str = "") -> pa.Table:
    """The bare columns in the order of reading; `kept`: what has the numbers of the rows, all without it."""
    columns = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns_of(sheet, wide=False).items())
    rows = f"{stored(sheet)} SEMI JOIN {kept} USING ({ROW})" if kept else stored(sheet)
    return connection.sql(f"SELECT {columns} FROM {rows} ORDER BY {ROW}").to_arrow_table()  # noqa: S608  # names, all quoted


def _structs(sheet: Sheet) -> list[str]:
    return [
        f"struct_pack({', '.join(_fields(columns)) or 'none := NULL'}) AS {prefix}"
        for prefix, columns in sheet.parts.items()
    ]


def _fields(columns: Sequence[Column]) -> list[str]:
    return [f"{quoted(column.name)} := {_cell(column, wide=True)}" for column in _distinct(columns).values()]


def _distinct(columns: Sequence[Column]) -> dict[str, Column]:
    """By name in small letters: SQL ignores case, of `Lat` and `lat` the first counts. What is no name in SQL, however
    it is quoted, is left out."""
    found: dict[str, Column] = {}
    for column in columns:
        if column.name and "\0" not in column.name:
            found.setdefault(column.name.lower(), column)
    return found


def _cell(column: Column, *, wide: bool) -> str:
    if column.kind == NULL:
        return NULL  # of no type, so that it may be compared with anything
    return f"{column.stored}::HUGEINT" if wide and column.kind == BIGINT else column.stored


def quoted(name: str) -> str:
    """As a name in SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _texts(paths: Sequence[Path]) -> str:
    """As a list in SQL."""
    return f"[{', '.join(_text(str(path.absolute())) for path in paths)}]"


def names_of(sheet: Sheet) -> list[str]:
    """Those that SQL may use, as its author knows them."""
    parts = (column.name for columns in sheet.parts.values() for column in columns)
    return list(dict.fromkeys([*parts, *(name for name in (*TOP, *FAILURE) if name in TOP or name in sheet.top)]))


def unclear(sheet: Sheet, sql: str) -> str:
    """One line where the SQL names a column that another one has but for its case; else `""`."""
    from asyncgen.source.conditions import ambiguity

    bare: dict[str, str] = {}
    for prefix, columns in sheet.parts.items():
        for column in columns:
            bare.setdefault(column.name.lower(), prefix)
    first = [one.name for prefix, columns in sheet.parts.items() for one in columns if bare[one.name.lower()] == prefix]
    looks = [ambiguity(sql, [one.name for one in columns], prefix=prefix) for prefix, columns in sheet.parts.items()]
    return next(filter(None, [*looks, ambiguity(sql, first)]), "")


def reason(error: duckdb.Error, sql: str, names: Sequence[str], *, parts: bool = True) -> str:
    """One line, with the names that there are where a name is wrong; `parts`: they may be those of a part."""
    from asyncgen.config.load import nearest
    from asyncgen.source.conditions import NO_COLUMN, fault

    if missing := _NO_FIELD.search(str(error)):
        return f"{NO_COLUMN} {missing[1]!r} there{nearest(missing[1], names)}"
    text = fault(error, sql, names)
    prefixes = ", ".join(f"{prefix}." for prefix in PARTS)
    return f"{text}; before a name {prefixes} say which is meant" if parts and text.startswith(NO_COLUMN) else text


def one_query(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """The statement. Raises InputError where it is not one that only reads."""
    import duckdb

    reads = {duckdb.StatementType.SELECT}
    try:
        statements = connection.extract_statements(query)
        if len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN:
            inner = connection.extract_statements(_explained(query))
            reads |= {duckdb.StatementType.EXPLAIN} if [one.type for one in inner] == [*reads] else set()
    except duckdb.Error as error:
        raise InputError(f"sql {query!r}: {reason(error, query, [])}") from error
    if len(statements) != 1 or statements[0].type not in reads:
        raise InputError(f"sql {query!r}: give one query that reads: SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN")
    return statements[0]


def _explained(query: str) -> str:
    """What comes after EXPLAIN; as it is where that does not stand at its start, and so is no query that reads."""
    return _EXPLAIN.sub("", query, count=1)


def rows_of(
    connection: duckdb.DuckDBPyConnection, query: str | duckdb.Statement
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """The names of the columns, and the rows as they are found; Ctrl-C ends the query. Raises duckdb.Error, also while
    rows are fetched.
    """
    rows = _rows(connection, query)
    names = next(rows)
    return [str(name) for name in names], rows


def _rows(connection: duckdb.DuckDBPyConnection, query: str | duckdb.Statement) -> Iterator[tuple[Any, ...]]:
    """First the names."""
    with connection.cursor() as cursor, ThreadPoolExecutor(1) as thread:
        _waited(thread, cursor, lambda: cursor.execute(query))
        yield tuple(column[0] for column in cursor.description or ())
        while rows := _waited(thread, cursor, lambda: cursor.fetchmany(FETCH)):
            yield from rows


def _waited(thread: ThreadPoolExecutor, cursor: duckdb.DuckDBPyConnection, call: Callable[[], T]) -> T:
    """What the call gives. It has a thread of its own, since DuckDB hears no signal while it looks for rows."""
    under_way = thread.submit(call)
    try:
        return under_way.result()
    except KeyboardInterrupt:
        cursor.interrupt()
        raise
