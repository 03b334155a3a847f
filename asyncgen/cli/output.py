"""stdout, for results: what is to be done when it takes nothing.

Knows the stream. Does not know what is printed; everything else goes to stderr (`view.terminal.note`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asyncgen.core.errors import AsyncgenError
from asyncgen.view.terminal import drop


class OutputError(AsyncgenError):
    """stdout takes nothing: its disk is full."""


def line(text: str) -> None:
    """A line of the result. Raises OutputError, and BrokenPipeError where its reader is gone."""
    with _stdout():
        sys.stdout.write(f"{text}\n")


def flush() -> None:
    """What `line` was given is out. Raises as it does."""
    with _stdout():
        sys.stdout.flush()


@contextmanager
def _stdout() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        drop(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"the result cannot be written to stdout: {error.strerror}") from error


def print_json(value: Any) -> int:
    """The result as JSON."""
    import orjson

    line(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    return 0
