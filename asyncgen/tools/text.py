"""How a model's own words are quoted back to it.

Knows that they are hostile: long, broken, or written to look like our own marks. Knows nothing of tools.
"""

from __future__ import annotations

import json


def quoted(value: object, limit: int = 80) -> str:
    """A JSON value in at most `limit` characters, for an error text."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} that cannot be shown"
    return cleaned(text, limit)


def cleaned(text: str, limit: int = 80) -> str:
    """One line of at most `limit` characters that any encoder takes.

    Angle brackets go, so that no quotation reads as `<image:0>` or `</tool_response>`.
    """
    flat = " ".join(text.replace("<", "").replace(">", "").split())
    short = flat if len(flat) <= limit else flat[: limit - 1] + "…"
    return short.encode("utf-8", "replace").decode("utf-8")
