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
_TYPES = {bool: "BOOLEAN", int: "DOUBLE", float: "DOUBLE", str: "VARCHAR"}


def filtered(read: Callable[[], Iterable[Mapping[str, Json]]], where: str) -> Iterator[Mapping[str, Json]]:
    """The traces for which `where` is true. `read` gives them anew each time. Raises InputError for wrong SQL."""
    import duckdb

    kinds = _kinds(read())
    connection = duckdb.connect(config={"enable_external_access": "false"})
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
    """SQL type of each scalar of each part; text where a column has two types."""
    kinds: dict[str, dict[str, str]] = {alias: {} for alias, _ in _PARTS}
    for trace in traces:
        for alias, part in _PARTS:
            for name, value in trace[part].items():
                kind = _TYPES.get(type(value))
                if kind is None:
                    continue
                known = kinds[alias].setdefault(name, kind)
                if known != kind:
                    kinds[alias][name] = "VARCHAR"
    return kinds


def _kept(
    connection: Any, batch: list[Mapping[str, Json]], kinds: Mapping[str, Mapping[str, str]], where: str
) -> Iterator[Mapping[str, Json]]:
    import duckdb
    import pyarrow as pa

    columns: dict[str, Any] = {"__row": pa.array(range(len(batch)))}
    for alias, part in _PARTS:
        for number, (name, kind) in enumerate(kinds[alias].items()):
            values = [_value(trace[part].get(name), kind) for trace in batch]
            columns[f"__{alias}_{number}"] = pa.array(values, type=_arrow(kind))
    for name in _TOP:
        columns[f"__top_{name}"] = pa.array([trace[name] for trace in batch])
    connection.register("__batch", pa.table(columns))
    try:
        query = f"SELECT __row FROM ({_select(kinds)}) WHERE ({where})"
        rows = connection.execute(query).fetchall()
    except duckdb.Error as error:
        raise InputError(f"--where {where!r}: {str(error).splitlines()[0]}{_names(kinds)}") from error
    finally:
        connection.unregister("__batch")
    for (row,) in rows:
        yield batch[row]


def _select(kinds: Mapping[str, Mapping[str, str]]) -> str:
    """Bare columns first, then one struct a part."""
    bare: dict[str, str] = {}
    structs = []
    for alias, _ in _PARTS:
        fields = []
        for number, name in enumerate(kinds[alias]):
            bare.setdefault(name.lower(), f"__{alias}_{number} AS {_quoted(name)}")
            fields.append(f"{_quoted(name)} := __{alias}_{number}")
        structs.append(f"struct_pack({', '.join(fields) or 'none := NULL'}) AS {alias}")
    for name in _TOP:
        bare.setdefault(name, f"__top_{name} AS {name}")
    for alias, _ in _PARTS:
        bare.pop(alias, None)
    return f"SELECT __row, {', '.join([*bare.values(), *structs])} FROM __batch ORDER BY __row"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(value: Json, kind: str) -> Json:
    if value is None or not isinstance(value, bool | int | float | str):
        return None
    if kind == "VARCHAR":
        return str(value)
    return value if kind == "BOOLEAN" else float(value)


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    return {"BOOLEAN": pa.bool_(), "DOUBLE": pa.float64(), "VARCHAR": pa.string()}[kind]


def _names(kinds: Mapping[str, Mapping[str, str]]) -> str:
    names = [_quoted(name) if not name.isidentifier() else name for alias, _ in _PARTS for name in kinds[alias]]
    return f" (names: {', '.join(dict.fromkeys(names))})"
