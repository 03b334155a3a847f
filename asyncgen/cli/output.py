"""stdout for results, stderr for everything else.

Knows the two streams and keeps others' texts from steering the terminal. Does not know what is printed.
"""

from __future__ import annotations

import sys
from typing import Any

from asyncgen.core.errors import AsyncgenError
from asyncgen.view.terminal import clean


class OutputError(AsyncgenError):
    """stdout takes nothing: its disk is full."""


def line(text: str) -> None:
    """A line of the result. Raises OutputError, and BrokenPipeError where its reader is gone."""
    try:
        sys.stdout.write(f"{text}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the result cannot be written to stdout: {error.strerror}") from error


def note(text: str) -> None:
    """A line, or several, beside the result: what a server or a row said in it cannot steer the terminal."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


def print_json(value: Any) -> int:
    """The result as JSON."""
    import orjson

    line(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    return 0
