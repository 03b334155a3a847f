"""What is wrong with a `where`: DuckDB's message as one line, with what was probably meant.

Knows DuckDB's wording and the usual slips. Runs nothing. The condition stands in a query as `({where}\\n)`, so the `)`
on the line after it is not the user's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from asyncgen.config.load import nearest

UNKNOWN_COLUMN = re.compile(r'Referenced column "(.+?)" not found')
NO_COLUMN = "no column"
"""How the line about an unknown name begins."""
_NEAR = re.compile(r'syntax error at or near "(.+?)"')
_NO_CODE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def one_condition(connection: duckdb.DuckDBPyConnection, query: str, where: str) -> duckdb.Statement:
    """The statement of `query`, which has `(where\\n)` in it. Raises duckdb.Error where that is not one condition: with
    a bracket of its own it could end the query's and go on with whatever it likes.
    """
    statements = connection.extract_statements(query)
    try:
        duckdb.SQLExpression(where)
    except (duckdb.ParserException, duckdb.InvalidInputException):
        statements = []
    if len(statements) != 1:
        raise duckdb.ParserException("give one condition, and nothing after it")
    return statements[0]


def ambiguity(where: str, names: Sequence[str], *, prefix: str = "") -> str:
    """SQL takes no notice of case: it cannot tell `Lat` from `lat`. One line where the condition names one of such a
    pair, behind `prefix.` or without any; else `""`.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.lower(), []).append(name)
    code = _NO_CODE.sub(" ", where).lower()
    before = rf"(?<![\w.]){prefix}\s*\.\s*\"?" if prefix else r"(?<![\w.\"])\"?"
    for lowered, same in alike.items():
        if len(same) > 1 and re.search(rf"{before}{re.escape(lowered)}(?!\w)", code):
            return f"{' and '.join(same)} differ only in case, which SQL does not tell apart"
    return ""


def fault(error: duckdb.Error, where: str, names: Sequence[str]) -> str:
    """One line; `names` are those that the condition may use."""
    text = str(error)
    near = _NEAR.search(text)
    if name := _bare_name(where, names, near[1] if near else ""):
        return f'write "{name}" in double quotes'
    if unknown := UNKNOWN_COLUMN.search(text):
        hint = _text_hint(where, unknown[1])
        return f"{NO_COLUMN} {unknown[1]!r}{hint or nearest(unknown[1], names)}"
    if near and near[1] == ")" and f"LINE {where.count(chr(10)) + 2}:" in text:
        return _end(where)
    return text.split("\n", 1)[0]


def _bare_name(where: str, names: Sequence[str], near: str) -> str:
    """A name that SQL takes apart, or for one of its own words, and that stands there without its quotes."""
    if near in names and near.isidentifier():
        return near
    bare = _QUOTED.sub(" ", where).lower()
    apart = [name for name in names if not name.isidentifier() and name.strip() and name.lower() in bare]
    return max(apart, key=len, default="")


def _text_hint(where: str, name: str) -> str:
    """On the right-hand side of a comparison an unknown name is most often a text."""
    right = re.compile(rf'(=|<>|\blike|\bin\s*\()\s*"?{re.escape(name)}"?(?![\w.(])', re.IGNORECASE)
    return f"; a text needs single quotes: '{name}'" if right.search(where) else ""


def _end(where: str) -> str:
    bare = _QUOTED.sub(" ", where)
    missing = bare.count("(") - bare.count(")")
    if missing < 0:
        return "it has a ')' too many"
    return "the condition ends too early" + (": a ')' is missing" if missing else "")
