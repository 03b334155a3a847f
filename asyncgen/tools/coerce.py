"""A tool parameter's Python type: its JSON schema, and a model's value made to fit it.

Knows the types that a tool may take and how leniently models write them. Knows nothing of tools.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from asyncgen.core.types import Json
from asyncgen.tools.text import quoted

SUPPORTED: Final = "str, int, float, bool, Literal, list, dict, any of them `| None`, or Annotated with schema keys"

_NAMES: Final[Mapping[Any, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}


class Mismatch(ValueError):
    """A value cannot be made to fit; `str()` says what it must be."""


def schema_of(hint: Any) -> dict[str, Json]:
    """The JSON schema of a type. Raises TypeError for one that is not supported."""
    hint, keys = _bare(hint)
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    schema: dict[str, Json]
    if origin is Literal:
        kinds = {type(option) for option in arguments}
        if not kinds <= {str, int, bool}:
            raise TypeError(f"{hint} has options other than str, int and bool")
        schema = {"type": _NAMES[kinds.pop()]} if len(kinds) == 1 else {}
        schema["enum"] = list(arguments)
    elif origin in _NAMES:
        schema = {"type": _NAMES[origin]}
        if origin is list and arguments:
            schema["items"] = schema_of(arguments[0])
        elif origin is dict and arguments:
            schema["additionalProperties"] = schema_of(arguments[1]) if arguments[1] is not Any else True
    else:
        raise TypeError(f"{hint} is not supported")
    return {**schema, **keys}


def allows_none(hint: Any) -> bool:
    """Whether the type is `… | None`."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint)


def coerce(value: Json, hint: Any) -> Any:
    """The value as the type wants it. Numeric strings are numbers, 90.0 is an int, a bool is no number, a JSON string
    may stand for a list or a dict. Raises Mismatch.
    """
    hint, _ = _bare(hint)
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        return _option(value, arguments)
    if origin is list:
        return _list(value, arguments)
    if origin is dict:
        return _dict(value, arguments)
    if origin is bool:
        return _bool(value)
    if origin is str:
        return _str(value)
    return _int(value) if origin is int else _float(value)


def _bare(hint: Any) -> tuple[Any, Mapping[str, Json]]:
    """The type without Annotated and `| None`, and the schema keys that stood beside it."""
    keys: dict[str, Json] = {}
    while True:
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            keys = {key: value for extra in extras if isinstance(extra, dict) for key, value in extra.items()} | keys
        elif allows_none(hint) and len(get_args(hint)) == 2:
            hint = next(option for option in get_args(hint) if option is not type(None))
        else:
            return hint, keys


def _str(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    raise Mismatch("a string")


def _bool(value: Json) -> bool:
    known = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in known:
        return known[value.strip().lower()]
    raise Mismatch("true or false")


def _int(value: Json) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = int(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    if number is not None:
        return number
    try:
        real = _float(value)
    except Mismatch:
        raise Mismatch("a whole number") from None
    if not real.is_integer():
        raise Mismatch("a whole number")
    return int(real)


def _float(value: Json) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            real = float(value)
        except (ValueError, OverflowError):
            real = math.nan
        if math.isfinite(real):
            return real
    raise Mismatch("a finite number")


def _option(value: Json, options: tuple[Any, ...]) -> Any:
    for option in sorted(options, key=lambda option: type(option) is not type(value)):  # `"1"` is `"1"` before it is 1
        try:
            if coerce(value, type(option)) == option:
                return option
        except Mismatch:
            continue
    raise Mismatch(f"one of {', '.join(map(quoted, options))}")


def _list(value: Json, arguments: tuple[Any, ...]) -> list[Any]:
    values = _parsed(value)
    if not isinstance(values, list | tuple):
        raise Mismatch("a list")
    return (
        [_part(part, arguments[0], f"a list, at [{at}]") for at, part in enumerate(values)]
        if arguments
        else list(values)
    )


def _dict(value: Json, arguments: tuple[Any, ...]) -> dict[str, Any]:
    values = _parsed(value)
    if not isinstance(values, Mapping):
        raise Mismatch("an object")
    if not arguments or arguments[1] is Any:
        return dict(values)
    return {key: _part(part, arguments[1], f"an object, at [{quoted(key, 40)}]") for key, part in values.items()}


def _part(value: Json, hint: Any, where: str) -> Any:
    if value is None and allows_none(hint):
        return None
    try:
        return coerce(value, hint)
    except Mismatch as error:
        raise Mismatch(f"{where} {error}") from None


def _parsed(value: Json) -> Json:
    """Some models write a list or an object as a JSON string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
