"""The name and arguments of a tool call: from the text that a model wrote to an object, and to what any server takes.

Knows JSON. Knows nothing of the tools' schemas.
"""

from __future__ import annotations

import re

import orjson

from asyncgen.core.types import NAME_LENGTH, NAME_LETTERS, Json

_NO_NAME = re.compile(f"[^{NAME_LETTERS}]")


def sent_name(name: str) -> str:
    """A function's name as it goes back to a server: strict ones refuse every later turn over one bad name in the
    history. Names of tools that exist never change.
    """
    return _NO_NAME.sub("_", name)[:NAME_LENGTH] or "unnamed"


def parse_arguments(text: str) -> dict[str, Json] | None:
    """The object that `text` holds; `{}` for nothing and for null; None where it is no object.

    An object inside a JSON string (some models encode twice) is accepted.
    """
    if not text.strip():
        return {}
    value = _loads(text)
    if isinstance(value, str):
        value = _loads(value)
    elif value is None and text.strip() == "null":
        return {}
    return value if isinstance(value, dict) else None


def canonical_arguments(text: str) -> str:
    """Compact JSON of the object in `text`, `{}` where there is none.

    A history goes back to the server in this form only: vLLM and SGLang parse every old call's arguments again and
    answer 400 to each later turn if one is malformed, and some templates crash on a scalar.
    """
    arguments = parse_arguments(text)
    try:
        return orjson.dumps(arguments or {}).decode()
    except orjson.JSONEncodeError:  # deeper than orjson writes, though it reads it
        return "{}"


def _loads(text: str) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
