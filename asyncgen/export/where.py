"""SQL over traces: which of them a condition keeps.

Knows the names that a condition may use: a bare name is the first of `reward_score`, `metadata`, `sample_data` that has
it, and `reward.`, `meta.`, `data.` say which. Reads the traces twice, in batches; memory does not grow with the run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json

BATCH = 2000
_PARTS = (("reward", "reward_score"), ("meta", "metadata"), ("data", "sample_data"))
_TOP = ("id", "rollout", "sample_index", "answer", "final_response", "config_id")
_ROW = "__row"
_NULL = "NULL"
_TYPES = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", type(None): _NULL}
_NUMBERS = {"BIGINT", "DOUBLE"}
_WIDEST = 2**63


def filtered(read: Callable[[], Iterable[Mapping[str, Json]]], where: str) -> Iterator[Mapping[str, Json]]:
    """The traces for which `where` is true. `read` gives them anew each time. Raises InputError for wrong SQL."""
    import duckdb

    from asyncgen.source.select import SHUT

    kinds = _kinds(read())
    _refuse_ambiguous(where, kinds)
    connection = duckdb.connect(config=SHUT)
    try:
        for batch in _batches(read()):
            yield from _kept(connection, batch, kinds, where)
    finally:
        connection.close()


def _batches(traces: Iterable[Mapping[str, Json]]) -> Iterator[list[Mapping[str, Json]]]:
    rest = iter(traces)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch


def _kinds(traces: Iterable[Mapping[str, Json]]) -> dict[str, dict[str, str]]:
    """SQL type of each scalar of each part: whole numbers stay so where all are; text where a column has two types."""
    kinds: dict[str, dict[str, str]] = {alias: {} for alias, _ in _PARTS}
    for trace in traces:
        for alias, part in _PARTS:
            for name, value in trace[part].items():
                if kind := _kind(value):
                    known = kinds[alias].setdefault(name, kind)
                    kinds[alias][name] = kind if known == kind else _both(known, kind)
    return {
        alias: {name: "VARCHAR" if kind == _NULL else kind for name, kind in names.items()}
        for alias, names in kinds.items()
    }


def _kind(value: Json) -> str:
    """The SQL type; `""` of a list or mapping, which is no column."""
    if isinstance(value, int) and not -_WIDEST <= value < _WIDEST:
        return "DOUBLE"
    return _TYPES.get(type(value), "")


def _both(one: str, other: str) -> str:
    """The type of a column that has values of both."""
    kinds = {one, other} - {_NULL}
    if len(kinds) == 1:
        return kinds.pop()
    return "DOUBLE" if kinds == _NUMBERS else "VARCHAR"


def _refuse_ambiguous(where: str, kinds: Mapping[str, Mapping[str, str]]) -> None:
    from asyncgen.source.conditions import ambiguity

    looks = [ambiguity(where, list(names), prefix=alias) for alias, names in kinds.items()]
    looks.append(ambiguity(where, _bare_names(kinds)))
    for unclear in filter(None, looks):
        raise InputError(f"--where {where!r}: {unclear}")


def _kept(
    connection: Any, batch: list[Mapping[str, Json]], kinds: Mapping[str, Mapping[str, str]], where: str
) -> Iterator[Mapping[str, Json]]:
    import duckdb
    import pyarrow as pa

    from asyncgen.source.conditions import one_condition

    columns: dict[str, Any] = {_ROW: pa.array(range(len(batch)))}
    for alias, part in _PARTS:
        for number, (name, kind) in enumerate(kinds[alias].items()):
            values = [_value(trace[part].get(name), kind) for trace in batch]
            columns[f"__{alias}_{number}"] = pa.array(values, type=_arrow(kind))
    for name in _TOP:
        columns[f"__top_{name}"] = pa.array([trace[name] for trace in batch])
    connection.register("__batch", pa.table(columns))
    try:
        query = f"SELECT {_ROW} FROM ({_select(kinds)}) WHERE ({where}\n) ORDER BY {_ROW}"  # noqa: S608  # the user's SQL
        rows = connection.execute(one_condition(connection, query, where)).fetchall()
    except duckdb.Error as error:
        raise InputError(f"--where {where!r}: {_reason(error, where, kinds)}") from error
    finally:
        connection.unregister("__batch")
    for (row,) in rows:
        yield batch[row]


def _select(kinds: Mapping[str, Mapping[str, str]]) -> str:
    """Bare columns first, then one struct a part. SQL ignores case: of `Lat` and `lat` the first counts."""
    bare: dict[str, str] = {}
    structs = []
    for alias, _ in _PARTS:
        fields: dict[str, str] = {}
        for number, name in enumerate(kinds[alias]):
            column = f"__{alias}_{number}"
            if kinds[alias][name] == "BIGINT":
                column += "::HUGEINT"  # so that arithmetic does not overflow
            bare.setdefault(name.lower(), f"{column} AS {_quoted(name)}")
            fields.setdefault(name.lower(), f"{_quoted(name)} := {column}")
        structs.append(f"struct_pack({', '.join(fields.values()) or 'none := NULL'}) AS {alias}")
    for name in _TOP:
        bare.setdefault(name, f"__top_{name} AS {name}")
    for taken in (_ROW, *(alias for alias, _ in _PARTS)):
        bare.pop(taken, None)
    return f"SELECT {_ROW}, {', '.join([*bare.values(), *structs])} FROM __batch"  # noqa: S608  # names, all quoted


def _bare_names(kinds: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What a bare name may mean: those of the first part that has it."""
    found: list[str] = []
    for names in kinds.values():
        taken = {name.lower() for name in found}
        found += [name for name in names if name.lower() not in taken]
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(value: Json, kind: str) -> Json:
    """Null where it does not fit: a run that goes on may have added it after the types were looked at."""
    own = _kind(value)
    if own in {"", _NULL}:
        return None
    if kind == "VARCHAR":
        return str(value)
    if kind == "DOUBLE" and own in _NUMBERS:
        return float(value)
    return value if own == kind else None


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    return {"BOOLEAN": pa.bool_(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}[kind]


def _reason(error: Any, where: str, kinds: Mapping[str, Mapping[str, str]]) -> str:
    """One line, with the names that there are where a name is wrong."""
    from asyncgen.source.conditions import NO_COLUMN, fault

    names = dict.fromkeys([*(name for alias, _ in _PARTS for name in kinds[alias]), *_TOP])
    text = fault(error, where, list(names))
    prefixes = ", ".join(f"{alias}." for alias, _ in _PARTS)
    return f"{text}; before a name {prefixes} say which is meant" if text.startswith(NO_COLUMN) else text
