"""`accept`: of which finished traces the job's condition is true.

Knows the names and types that a condition may use before there is any trace, and how DuckDB is asked about several
traces at once. Does not know when they come. Every value is a query's parameter: what a model or a row says is never
part of the SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import duckdb

from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.core.text import repaired
from asyncgen.core.trace import Trace
from asyncgen.core.types import Json
from asyncgen.engine.acceptor import Verdict
from asyncgen.export.sql import quoted, reason
from asyncgen.source.conditions import ambiguity, one_condition
from asyncgen.source.matching import SHUT, named_columns
from asyncgen.store.card import METADATA
from asyncgen.store.columns import PARTS, TOP

TOP_PART = "top"
_SQL: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}

Kinds: TypeAlias = Mapping[str, Mapping[str, str]]
"""SQL types by part (`reward`, `meta`, `data`, `top`) and name."""


def kinds_of(task: Task, data: Mapping[str, str]) -> Kinds:
    """Of the task's traces; `data` are those of the dataset's columns."""
    reward = {name: _SQL[score_type(value)] for name, value in task.scores.items()}
    metadata = {name: _SQL[kind] for name, kind in METADATA.items() if name != "accepted"}  # it is what is asked
    headline = {name: reward[score] for name, score in task.headline.items() if score in reward}
    return {"reward": reward, "meta": {**metadata, **headline}, "data": data, TOP_PART: TOP}


def score_type(failure: float | bool | str) -> type:  # a score
    """Of a score, by the task's value for no answer: whole numbers are stored as floats."""
    return float if isinstance(failure, int) and not isinstance(failure, bool) else type(failure)


class Condition:
    """A condition over traces. `close` it."""

    def __init__(self, where: str, kinds: Kinds) -> None:
        """Raises InputError for wrong SQL, and for names that no trace has."""
        self._lock = threading.Lock()
        """A caller that is cancelled leaves its thread at work."""
        self._where = where
        self._kinds = kinds
        self._columns = _named(where, kinds)
        self._refuse_ambiguous()
        self._connection = duckdb.connect(":memory:", config={**SHUT, "threads": 1})
        try:
            self._connection.execute("SET lock_configuration=true")
            self._query = one_condition(self._connection, _query(where, self._columns, kinds), where)
            self._rows([])
        except duckdb.Error as error:
            self._connection.close()
            raise InputError(f"accept {where!r}: {self._reason(error)}") from error

    def close(self) -> None:
        """Give its memory back."""
        self._connection.close()

    def judge(self, traces: Sequence[Trace]) -> list[Verdict]:
        """Of each trace whether the condition is true, or why that cannot be computed. Blocks."""
        with self._lock:
            return self._judge(traces)

    def _judge(self, traces: Sequence[Trace]) -> list[Verdict]:
        try:
            rows = self._rows(traces)
        except duckdb.Error as error:
            if len(traces) == 1:
                return [self._reason(error)]
            half = len(traces) // 2  # one trace spoils the query for all
            return [*self._judge(traces[:half]), *self._judge(traces[half:])]
        return [number in rows for number in range(len(traces))]

    def _rows(self, traces: Sequence[Trace]) -> set[int]:
        """The places of those for which it is true. Raises duckdb.Error."""
        columns = [
            [_value(_cell(trace, part, name), self._kinds[part][name]) for trace in traces]
            for part, name in self._columns
        ]
        found = self._connection.execute(self._query, [list(range(len(traces))), *columns]).fetchall()
        return {row for (row,) in found}

    def _refuse_ambiguous(self) -> None:
        bare: dict[str, str] = {}
        for part in PARTS:
            for name in self._kinds[part]:
                bare.setdefault(name.lower(), part)
        names = [name for part in PARTS for name in self._kinds[part] if bare[name.lower()] == part]
        looks = [ambiguity(self._where, list(self._kinds[part]), prefix=part) for part in PARTS]
        for unclear in filter(None, [*looks, ambiguity(self._where, names)]):
            raise InputError(f"accept {self._where!r}: {unclear}")

    def _reason(self, error: duckdb.Error) -> str:
        """One line, with the names that there are where a name is wrong."""
        names = list(dict.fromkeys(name for part in self._kinds.values() for name in part))
        return reason(error, self._where, names)


def _named(where: str, kinds: Kinds) -> list[tuple[str, str]]:
    """(part, name) of what the condition may mean: those whose name stands in it."""
    return [(part, name) for part in kinds for name in named_columns(where, list(kinds[part]))]


def _query(where: str, columns: Sequence[tuple[str, str]], kinds: Kinds) -> str:
    """The rows for which `where` is true; the first parameter has their numbers, then comes one for each column.

    A bare name is the first of reward, meta, data, top that has it; SQL takes no notice of case. Whole numbers are
    HUGEINT, so that arithmetic with them does not overflow.
    """
    bare: dict[str, str] = {}
    structs = {part: dict[str, str]() for part in PARTS if part in where.lower()}
    for number, (part, name) in enumerate(columns, 1):
        bare.setdefault(name.lower(), f"c{number} AS {quoted(name)}")
        if part in structs:
            structs[part].setdefault(name.lower(), f"{quoted(name)} := c{number}")
    for part, fields in structs.items():
        bare[part] = f"struct_pack({', '.join(fields.values()) or 'nothing := NULL'}) AS {part}"
    inside = ", ".join(["c0 AS __row", *(one for name, one in bare.items() if name != "__row")])
    types = ["BIGINT", *(kinds[part][name].replace("BIGINT", "HUGEINT") for part, name in columns)]
    lists = [f"unnest(?::{kind}[]) AS c{number}" for number, kind in enumerate(types)]
    return f"SELECT __row FROM (SELECT {inside} FROM (SELECT {', '.join(lists)})) WHERE ({where}\n)"  # noqa: S608  # the user's own SQL is meant to run


def _cell(trace: Trace, part: str, name: str) -> Json:
    return getattr(trace, name) if part == TOP_PART else getattr(trace, PARTS[part]).get(name)


def _value(value: Json, kind: str) -> Json:
    """Null where it is of another type: a row's value need not be what the first rows had."""
    match value:
        case bool():
            fits = kind == "BOOLEAN"
        case int():
            fits = kind in {"BIGINT", "DOUBLE"}
        case float():
            fits = kind == "DOUBLE"
        case _:
            fits = False
    if kind == "VARCHAR" and isinstance(value, str | int | float):
        return repaired(str(value))
    return value if fits else None
