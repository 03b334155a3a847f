"""The traces of a sheet as rows of a list, or its failures: which figures, in which order, how many.

Knows which columns of a trace say most, and how a column to sort by may be written. Does not know how a row is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.sheet import OWN, ROW, Sheet
from asyncgen.export.sql import columns_of, names_of, rows_of, stored
from asyncgen.runs.sheets import OpenSheet
from asyncgen.store.cells import NULL
from asyncgen.store.columns import PARTS

TRUTH = ("lat", "lon", "answer")
"""Columns of a row that are the truth where the run does not say which are."""
_FIGURES: Mapping[str, Sequence[tuple[str, str]]] = {
    "score": (("reward", "score"), ("meta", "score")),
    "distance_km": (("reward", "distance@km"), ("meta", "distance_km")),
    "turns": (("meta", "total_turns"),),
    "prompt_tokens": (("meta", "prompt_tokens"),),
    "completion_tokens": (("meta", "completion_tokens"),),
    "tool_calls": (("meta", "num_tool_calls"),),
    "stop": (("meta", "stop"),),
    "accepted": (("meta", "accepted"),),
}
"""Where each is, first the part that is looked at first."""
_TOKENS = "tokens"
_SHORT = {"km": "distance_km", "distance": "distance_km", "calls": "tool_calls"}
"""Other names to sort by."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A list of traces."""

    total: int
    """How many there are, listed or not."""
    rows: Iterator[dict[str, Json]]
    """Of a trace: id, sample_index, rollout, answer, truth (by column), score, distance_km, turns, prompt_tokens,
    completion_tokens, tool_calls, stop, accepted; of a failure: id, sample_index, rollout, reason, error, turns,
    attempts. What a trace has not is null."""
    columns: Collection[str]
    """The keys of a row that say something: not a figure that no trace has, nor `accepted` where all are."""


def overview(
    opened: OpenSheet,
    *,
    truth: Sequence[str] = (),
    where: str = "",
    sort: str = "",
    limit: int = 0,
    more: Sequence[str] = (),
) -> Overview:
    """The first `limit` traces (0: all) for which `where` is true, by the column `sort`, else as they are stored.

    `truth`: the columns of a row to show beside the answer, by default TRUTH; `more`: further ones, of any part. Raises
    InputError for wrong SQL and an unknown column.
    """
    sheet = opened.sheet
    figures = _of_failures(sheet) if opened.table == "failed" else _of_traces(sheet)
    known = {column.name: column.stored for column in sheet.parts["data"] if column.kind != NULL}
    beside = [name for name in truth or TRUTH if name in known] if opened.table == "traces" else []
    columns = [*figures.values(), *(known[name] for name in beside), *_further(sheet, figures, more)]
    silent = {name for name, sql in figures.items() if sql == NULL} | (set() if beside else {"truth"})
    if not sheet.rows and not where:
        return Overview(0, iter(()), {*figures, "truth"} - silent)
    order = _order(sheet, figures, sort) if sort and sheet.rows else ""
    rows = stored(sheet)
    total = sheet.rows
    if where:
        verdict = opened.kept(where)
        rows += f" SEMI JOIN {verdict.judged.rows} USING ({ROW})"
        total = verdict.kept_count
    end = f"ORDER BY {order}{ROW}" + (f" LIMIT {limit}" if 0 < limit < total else "")
    found = rows_of(opened.connection, f"SELECT {', '.join(columns)} FROM {rows} {end}")[1]  # noqa: S608  # names of ours
    if _all_accepted(opened):
        silent.add("accepted")
    rows_found = (_row(list(figures), beside, more, values) for values in found)
    return Overview(total, rows_found, {*figures, *more, "truth"} - silent)


def _of_traces(sheet: Sheet) -> dict[str, str]:
    """SQL by the name of a figure."""
    top = {name: OWN + name for name in ("id", "sample_index", "rollout", "answer")}
    return top | {name: _first(sheet, places) for name, places in _FIGURES.items()}


def _of_failures(sheet: Sheet) -> dict[str, str]:
    top = {name: OWN + name for name in ("id", "sample_index", "rollout", "reason", "error")}
    return top | {"turns": _first(sheet, _FIGURES["turns"]), "attempts": _first(sheet, (("meta", "attempts"),))}


def _first(sheet: Sheet, places: Sequence[tuple[str, str]]) -> str:
    for prefix, name in places:
        for column in sheet.parts[prefix]:
            if column.name == name and column.kind != NULL:
                return column.stored
    return NULL


def _row(figures: Sequence[str], truth: Sequence[str], more: Sequence[str], values: Sequence[Json]) -> dict[str, Json]:
    row = dict(zip(figures, values, strict=False))
    further = dict(zip(more, values[len(figures) + len(truth) :], strict=True))
    if "answer" not in row:
        return row | further
    found = dict(zip(truth, values[len(figures) :], strict=False))
    names = list(row)
    after = names.index("answer") + 1
    return {
        **{name: row[name] for name in names[:after]},
        "truth": found,
        **{name: row[name] for name in names[after:]},
        **further,
    }


def _further(sheet: Sheet, figures: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """SQL of the columns; without a trace any name may be right. Raises InputError."""
    known = _sortable(sheet, figures)
    for name in names:
        if name.lower() not in known and sheet.rows:
            from asyncgen.config.load import nearest

            near = nearest(name, dict.fromkeys([*names_of(sheet), *figures]))
            raise InputError(f"--columns: no column {name!r}{near}")
    return [known.get(name.lower(), NULL) for name in names]


def _all_accepted(opened: OpenSheet) -> bool:
    sheet = opened.sheet
    accepted = _first(sheet, _FIGURES["accepted"])
    query = f"SELECT count(*) FROM {stored(sheet)} WHERE NOT {accepted}"  # noqa: S608  # names of ours
    return not next(rows_of(opened.connection, query)[1])[0]


def _order(sheet: Sheet, figures: Mapping[str, str], sort: str) -> str:
    """What ORDER BY begins with. `COL`, `COL desc` or `-COL`; quotes around the name are not needed."""
    from asyncgen.config.load import nearest  # reads YAML, of which a list has none

    known = _sortable(sheet, figures)
    for name, direction in _readings(sort.strip()):
        if sql := known.get(name.lower()):
            return "" if NULL in sql.split() else f"{sql} {direction} NULLS LAST, "
    name, _ = _readings(sort.strip())[-1]
    raise InputError(f"--sort {sort!r}: no column {name!r}{nearest(name, dict.fromkeys([*names_of(sheet), *figures]))}")


def _sortable(sheet: Sheet, figures: Mapping[str, str]) -> dict[str, str]:
    """SQL by name in small letters; of two with one name the last counts."""
    names = dict(figures)
    names |= {short: figures[name] for short, name in _SHORT.items() if name in figures}
    if "prompt_tokens" in figures:
        names[_TOKENS] = f"{figures['prompt_tokens']} + {figures['completion_tokens']}"
    for prefix in PARTS:
        columns = reversed(sheet.parts[prefix])
        names |= {f"{prefix}.{one.name}": NULL if one.kind == NULL else one.stored for one in columns}
    names |= columns_of(sheet, wide=False)
    return {name.lower(): sql for name, sql in names.items()}


def _readings(text: str) -> list[tuple[str, str]]:
    """(column, direction) that may be meant, the most literal first: a name may itself begin with a dash."""
    found = [(text, "ASC")]
    if text.startswith("-"):
        found.append((text[1:].strip(), "DESC"))
    head, _, tail = text.rpartition(" ")
    if tail.lower() in {"asc", "desc"}:
        found.append((head.strip(), tail.upper()))
    quoted = [(_unquoted(name), direction) for name, direction in found]
    return [*found, *quoted]


def _unquoted(name: str) -> str:
    prefix, dot, rest = name.partition(".")
    if dot and prefix.lower() in PARTS:
        return f"{prefix}.{_unquoted(rest)}"
    return name[1:-1].replace('""', '"') if len(name) > 1 and name[0] == name[-1] == '"' else name
