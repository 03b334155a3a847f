"""A value read from YAML in its declared type, or one line on what to give instead.

Knows annotations and msgspec's messages. Does not know which keys there are, nor what they mean.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from asyncgen.core.errors import InputError

T = TypeVar("T")

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
_BAD_CHOICE = re.compile(r"Invalid enum value '(.*)'", re.DOTALL)


def convert(value: Any, wanted: type[T], where: str) -> T:
    """Check and coerce a value read from YAML. Raises InputError naming the key."""
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).replace("`", "").partition(" - at ")
        key = place.removeprefix("$.")
        text = reason + _instead(reason, list(_allowed(_annotation(wanted, key))) if key else [])
        raise InputError(f"{where}: {key}: {text}" if key else f"{where}: {text}") from error


def _instead(reason: str, allowed: list[str]) -> str:
    found = _BAD_CHOICE.fullmatch(reason)
    if found and (close := difflib.get_close_matches(found[1], allowed, n=1, cutoff=0.6)):
        return f": did you mean {close[0]!r}?"
    return f"; give {', '.join(allowed[:-1])}{' or ' if allowed[:-1] else ''}{allowed[-1]}" if allowed else ""


def _annotation(wanted: Any, key: str) -> Any:
    """What is declared at `key` (`dataset.order`, `temperatures[0]`) of a dataclass or struct; None where unknown."""
    for part in key.split("."):
        name, bracket, _ = part.partition("[")
        wanted = get_type_hints(wanted).get(name) if isinstance(wanted, type) else None
        if bracket:
            wanted = next(iter(_elements(wanted)), None)
    return wanted


def _elements(annotation: Any) -> Iterator[Any]:
    """The types of a tuple's or list's elements."""
    if get_origin(annotation) in {Union, UnionType}:
        for one in get_args(annotation):
            yield from _elements(one)
    elif get_origin(annotation) in {tuple, list}:
        yield get_args(annotation)[0]


def _allowed(annotation: Any) -> Iterator[str]:
    """The words of a Literal, and the kinds of plain values."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in {Union, UnionType}:
        for one in get_args(annotation):
            yield from _allowed(one)
    elif annotation in KINDS:
        yield KINDS[annotation]
