"""The command line: parse, call, print; the one error boundary.

Knows what an error means for stderr and the exit code. Does not know the commands (`app`). Loads nothing heavy:
`--help` must answer in under 0.3 s of CPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from asyncgen.core.errors import AsyncgenError


def main(argv: Sequence[str] | None = None) -> None:
    """The `asyncgen` command. Exits with the code of the error that ended it (`core.errors`), or the command's own."""
    _open_streams()
    sys.exit(call(sys.argv[1:] if argv is None else argv))


def _open_streams() -> None:
    """Give stdin, stdout and stderr somewhere to go where a supervisor closed them: else their numbers go to the next
    files and sockets, and the event loop aborts the process."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def call(tokens: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    from cyclopts import CycloptsError

    from asyncgen.cli.app import dispatch

    try:
        return _flushed(dispatch(tokens))
    except AsyncgenError as error:
        return _complain(str(error), error.exit_code)
    except CycloptsError as error:
        from asyncgen.cli.mistakes import describe

        return _complain(describe(error), 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as error:
        if not error.filename:
            raise
        return _complain(f"{error.filename}: {error.strerror}", 2)


def _flushed(code: int) -> int:
    """The command's own code, once its output is out; what it did is done, whoever reads of it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        _drop_output()
        return _complain(f"the result cannot be written to stdout: {error.strerror}", code or 1)
    return code


def _drop_output() -> None:
    """Nobody takes it: give the interpreter's last flush somewhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str, code: int) -> int:
    from asyncgen.view.terminal import clean

    print(f"asyncgen: {clean(text)}", file=sys.stderr)  # noqa: T201  # this is the screen
    return code
