"""A value read from YAML in its declared type, or one line on what to give instead.

Knows annotations and msgspec's messages. Does not know which keys there are, nor what they mean.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from asyncgen.core.errors import InputError

T = TypeVar("T")

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "null"}
_WORDS = {
    "int": KINDS[int],
    "float": KINDS[float],
    "bool": "a truth value",
    "str": KINDS[str],
    "null": KINDS[NoneType],
    "array": "a list",
    "object": "a mapping",
}
"""msgspec's."""
_BAD_CHOICE = re.compile(r"Invalid enum value '(.*)'", re.DOTALL)
_BAD_KIND = re.compile(r"Expected (.*), got (.*)", re.DOTALL)
_BAD_LENGTH = re.compile(r"Expected array of (.*), got (\d+)")
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def convert(value: Any, wanted: type[T], where: str) -> T:
    """Check and coerce a value read from YAML. Raises InputError naming the key."""
    try:
        return msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).replace("`", "").partition(" - at ")
        key = place.removeprefix("$.")
        text = _said(reason, list(_allowed(_annotation(wanted, key))) if key else [])
        raise InputError(f"{where}: {key}: {text}" if key else f"{where}: {text}") from error


def _said(reason: str, allowed: list[str]) -> str:
    """msgspec's reason in our words, and what to give."""
    if choice := _BAD_CHOICE.fullmatch(reason):
        reason = f"{choice[1]!r} is no choice"
        if close := difflib.get_close_matches(choice[1], allowed, n=1, cutoff=0.6):
            return f"{reason}: did you mean {close[0]!r}?"
    elif length := _BAD_LENGTH.fullmatch(reason):
        return f"it is a list of length {length[2]}; give one of {length[1]}"
    elif kind := _BAD_KIND.fullmatch(reason):
        allowed = allowed or [_WORDS.get(word, word) for word in kind[1].split(" | ")]
        reason = f"it is {_WORDS.get(kind[2], kind[2])}"
    if not allowed:
        return reason
    *others, last = allowed
    return f"{reason}; give {', '.join(others)} or {last}" if others else f"{reason}; give {last}"


def _annotation(wanted: Any, key: str) -> Any:
    """What is declared at `key` (`dataset.order`, `temperatures[0]`) of a dataclass or struct; None where unknown."""
    for part in key.split("."):
        name, bracket, at = part.partition("[")
        wanted = get_type_hints(wanted).get(name) if isinstance(wanted, type) else None
        if bracket:
            elements = list(_elements(wanted))
            number = int(at[:-1]) if at[:-1].isdigit() else 0
            wanted = elements[min(number, len(elements) - 1)] if elements else None
    return wanted


def _elements(annotation: Any) -> Iterator[Any]:
    """The types of a tuple's or list's elements."""
    if get_origin(annotation) in {Union, UnionType}:
        for one in get_args(annotation):
            yield from _elements(one)
    elif get_origin(annotation) in {tuple, list}:
        yield from (one for one in get_args(annotation) if one is not Ellipsis)


def _allowed(annotation: Any) -> Iterator[str]:
    """The words of a Literal, and the kinds of plain values."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) in {Union, UnionType}:
        for one in get_args(annotation):
            yield from _allowed(one)
    elif get_origin(annotation) in {tuple, list}:
        inside = " or ".join(dict.fromkeys(_PLURALS[one] for one in _elements(annotation) if one in _PLURALS))
        yield f"a list of {inside} in square brackets" if inside else "a list in square brackets"
    elif get_origin(annotation) in {dict, Mapping}:
        yield "a mapping, as {key: value}"
    elif annotation in KINDS:
        yield KINDS[annotation]
