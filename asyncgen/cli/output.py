"""stdout, for results: what is to be done when it takes nothing.

Knows the stream. Does not know what is printed; everything else goes to stderr (`view.terminal.note`).
"""

from __future__ import annotations

import os
import sys
from typing import IO, Any

from asyncgen.core.errors import AsyncgenError


class OutputError(AsyncgenError):
    """stdout takes nothing: its disk is full."""


def line(text: str) -> None:
    """A line of the result. Raises OutputError, and BrokenPipeError where its reader is gone."""
    try:
        sys.stdout.write(f"{text}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(error) from error


def flush() -> None:
    """What `line` was given is out. Raises as it does; what is not out then is dropped."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        raise
    except OSError as error:
        drop(sys.stdout)
        raise _unwritable(error) from error


def _unwritable(error: OSError) -> OutputError:
    return OutputError(f"the result cannot be written to stdout: {error.strerror}")


def drop(stream: IO[str]) -> None:
    """Nobody takes it: this and all that comes, the interpreter's last flush too, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_json(value: Any) -> int:
    """The result as JSON."""
    import orjson

    line(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    return 0
