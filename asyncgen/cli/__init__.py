"""The command line: parse, call, print; the one error boundary.

Knows what an error means for stderr and the exit code. Does not know the commands (`app`). Loads nothing heavy:
`--help` must answer in under 0.3 s of CPU.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from asyncgen.cli.output import OutputError, flush
from asyncgen.core.errors import AsyncgenError
from asyncgen.view.terminal import drop, note

STUCK = 2.0
"""Seconds that threads get to end after a command."""


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: as an interrupt, so that temporary files go. `run` has its own way with signals."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def main(argv: Sequence[str] | None = None) -> None:
    """The `asyncgen` command. Exits with the code of the error that ended it (`core.errors`), or the command's own."""
    _open_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup wants it ignored
            signal.signal(number, _terminate)
    code = call(sys.argv[1:] if argv is None else argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # all is done: the interpreter's own end would die of them
    _leave_stuck_threads(code)
    sys.exit(code)


def _leave_stuck_threads(code: int) -> None:
    """A tool's thread that hangs would hold the end for ever; what it was asked for was given up, and all is saved."""
    end = time.monotonic() + STUCK
    others = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    for one in others:
        one.join(max(0.0, end - time.monotonic()))
    if any(one.is_alive() for one in others):
        with suppress(OutputError, OSError):
            flush()
        os._exit(code)


def _terminate(number: int, _frame: object) -> None:
    raise Terminated(number)


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
    try:
        return _call(tokens)
    except KeyboardInterrupt as end:  # also while modules are loaded
        if tokens[:1] == ["run"]:
            note("asyncgen: interrupted before the first request, or after the last; the same command goes on")
        return 128 + end.number if isinstance(end, Terminated) else 130


def _call(tokens: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    from asyncgen.cli.app import dispatch

    try:
        return _flushed(dispatch(tokens))
    except AsyncgenError as error:
        return _complain(str(error), error.exit_code)
    except CycloptsError as error:
        from asyncgen.cli.mistakes import describe

        return _complain(describe(error), 2)
    except BrokenPipeError:
        drop(sys.stdout)
        return 0
    except OSError as error:
        if error.filename:
            return _complain(f"{error.filename}: {error.strerror}", 2)
        if error.errno != errno.ENOSPC:
            raise
        drop(sys.stdout)  # what writes a file names it; stdout has no name
        return _complain(f"stdout: {error.strerror}", 1)


def _flushed(code: int) -> int:
    """The command's own code, once its output is out; what it did is done, whoever reads of it."""
    try:
        flush()
    except BrokenPipeError:
        pass
    except OutputError as error:
        return _complain(str(error), code or error.exit_code)
    return code


def _complain(text: str, code: int) -> int:
    note(f"asyncgen: {text}")
    return code
