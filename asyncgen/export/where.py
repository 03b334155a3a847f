"""Which traces a condition keeps, and which of its parts dropped the others.

Knows the parts of a condition: what its top-level `AND`s join, as DuckDB reads them. Does not know where traces come
from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.sheet import OWN, ROW, Sheet
from asyncgen.export.sql import names_of, reason, rows_of, source, stored, unclear

if TYPE_CHECKING:
    import duckdb

_FATE = f"{OWN}fate"
"""The number of the first clause that is not true of a trace, from 1; 0 where all are."""
_AND = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|(?P<and>\band\b)""", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a condition."""

    text: str
    dropped: int
    """Traces of which it is the first that is not true; over all clauses they add up to what is dropped."""
    false: int
    """Traces of which it is not true, whatever the others are."""


class Judged:
    """A condition and every trace of a sheet."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, sheet: Sheet, where: str) -> None:
        """Raises InputError for wrong SQL, and for unknown names where there is any trace."""
        self._connection = connection
        self._sheet = sheet
        self._where = where
        check(connection, sheet, where)
        self._texts = clause_texts(connection, where)
        table = f"{OWN}judged_{_tables(connection)}"
        self.rows = f"(SELECT {ROW} FROM {table} WHERE {_FATE} = 0)"  # noqa: S608  # our names
        """The numbers of the kept traces, as what can stand after FROM."""
        cases = " ".join(f"WHEN (({text}\n)::BOOLEAN) IS NOT TRUE THEN {n}" for n, text in enumerate(self._texts, 1))
        fate = f"CASE {cases} ELSE 0 END"  # as in a WHERE, a clause is not looked at where one before it is not true
        self._ask(
            f"CREATE TABLE {table} AS SELECT {ROW}, {fate if sheet.rows else 0} AS {_FATE} "  # noqa: S608  # the user's SQL
            f"FROM {source(sheet)}"
        )
        fates = dict(self._ask(f"SELECT {_FATE}, count(*) FROM {table} GROUP BY ALL"))  # noqa: S608  # our name
        self._dropped = [int(fates.get(number, 0)) for number in range(1, len(self._texts) + 1)]
        self.total = sheet.rows
        self.kept = sheet.rows - sum(self._dropped)

    def clauses(self) -> list[Clause]:
        """In order."""
        false = self._false()
        given = zip(self._texts, self._dropped, false, strict=True)
        return [Clause(text.strip(), dropped, alone) for text, dropped, alone in given]

    def _false(self) -> list[int]:
        if len(self._texts) == 1 or not self.total:
            return self._dropped
        import duckdb

        try:
            try:
                return self._count("TRY({})")  # alone, a clause meets rows that those before it had kept away
            except duckdb.BinderException:  # TRY takes no subquery and no random()
                return self._count("{}")
        except duckdb.Error as error:
            raise _wrong(error, self._where, self._sheet) from error

    def _count(self, form: str) -> list[int]:
        counts = (
            f"count(*) FILTER (WHERE {form.format(f'(({text}' + chr(10) + ')::BOOLEAN)')} IS NOT TRUE)"
            for text in self._texts
        )
        query = f"SELECT {', '.join(counts)} FROM {source(self._sheet)}"  # noqa: S608  # the user's SQL
        _, rows = rows_of(self._connection, query)
        return [int(count) for count in next(iter(rows))]

    def select(self, columns: str) -> str:
        """A query of the kept traces, in the order of reading; the columns are those of the files."""
        rows = f"{stored(self._sheet)} SEMI JOIN {self.rows} USING ({ROW})"
        return f"SELECT {columns} FROM {rows} ORDER BY {ROW}"  # noqa: S608  # names of ours

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return list(rows_of(self._connection, query)[1])
        except duckdb.Error as error:
            raise _wrong(error, self._where, self._sheet) from error


def check(connection: duckdb.DuckDBPyConnection, sheet: Sheet, where: str) -> None:
    """Raises InputError where it is not one condition over these traces. Without a trace any name may be right."""
    import duckdb

    from asyncgen.source.conditions import one_condition

    if text := unclear(sheet, where):
        raise InputError(f"--where {where!r}: {text}")
    query = f"SELECT 1 FROM {source(sheet)} WHERE ({where}\n) LIMIT 0"  # noqa: S608  # the user's SQL
    try:
        statement = one_condition(connection, query, where)
        if sheet.rows:
            connection.execute(statement)
    except duckdb.Error as error:
        raise _wrong(error, where, sheet) from error


def _wrong(error: duckdb.Error, where: str, sheet: Sheet) -> InputError:
    return InputError(f"--where {where!r}: {reason(error, where, names_of(sheet))}")


def _tables(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0])


def clause_texts(connection: duckdb.DuckDBPyConnection, where: str) -> list[str]:
    """The condition cut at its top-level `AND`s, as it was written; uncut where DuckDB reads the pieces otherwise."""
    whole = _conjuncts(connection, where)
    pieces: list[str] = []
    read: list[Json] = []
    start = 0
    ends = [match.span("and") for match in _AND.finditer(where) if match["and"]]
    for end, after in [*ends, (len(where), len(where))]:
        found = _conjuncts(connection, where[start:end])
        if found and found == whole[len(read) : len(read) + len(found)]:
            pieces.append(where[start:end])
            read += found
            start = after
    return pieces if whole and read == whole else [where]


def _conjuncts(connection: duckdb.DuckDBPyConnection, where: str) -> list[Json]:
    """What DuckDB reads, joined by AND, without the places in the text; empty where that cannot be had."""
    query = f"SELECT 1 WHERE ({where}\n)"  # parsed, never run
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree = orjson.loads(text)
    if tree.get("error") or len(tree["statements"]) != 1:
        return []
    condition = _unplaced(tree["statements"][0]["node"]["where_clause"])
    return list(condition["children"]) if condition["type"] == "CONJUNCTION_AND" else [condition]


def _unplaced(tree: Json) -> Json:
    if isinstance(tree, dict):
        return {key: _unplaced(part) for key, part in tree.items() if not key.startswith("query_location")}
    return [_unplaced(part) for part in tree] if isinstance(tree, list) else tree
