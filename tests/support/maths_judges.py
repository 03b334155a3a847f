"""Judges for worker processes, which find them by name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any


def echo(pairs: Sequence[tuple[str, str]], rule: str) -> list[Any]:
    """The text is the verdict; `die` ends the process, `hang` does not end."""
    found: list[Any] = []
    for text, truth in pairs:
        if text == "die":
            os._exit(1)
        if text == "hang":
            time.sleep(60)
        found.append(("wrong", "right")[text == truth] if text.isdecimal() else text)
    return found
