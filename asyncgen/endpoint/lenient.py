"""JSON as servers really send it.

Knows how to read what orjson refuses. Knows nothing of what the JSON means.
"""

from __future__ import annotations

import json
import re

import orjson

from asyncgen.core.types import Json

# A pair of surrogates (12 characters), a lone one (6), any other escape (its first 2).
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)")
_STRAY = re.compile("[\udc80-\udcff]")


def loads(body: bytes) -> Json:
    """The value in `body`. Raises ValueError where there is none, also for one nested too deeply.

    What orjson refuses is tried again: with a BOM; with NaN and Infinity, which become null; with lone surrogates,
    which become U+FFFD; with bytes that are no UTF-8, which are taken for Latin-1; with control codes inside strings.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8-sig", "surrogateescape")
    text = _STRAY.sub(lambda stray: chr(ord(stray[0]) - 0xDC00), text)
    # Surrogates are repaired in the text, not in the value: that takes no recursion.
    text = _ESCAPE.sub(lambda escape: "\\ufffd" if len(escape[0]) == 6 else escape[0], text)
    try:
        return json.loads(text, strict=False, parse_constant=lambda _: None)
    except RecursionError:  # the C scanner counts its depth and stops in time
        raise ValueError("nested too deeply") from None
