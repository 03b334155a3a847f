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
    sys.exit(call(sys.argv[1:] if argv is None else argv))


def call(tokens: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    from cyclopts import CycloptsError

    from asyncgen.cli.app import dispatch

    try:
        code = dispatch(tokens)
        sys.stdout.flush()
    except AsyncgenError as error:
        return _complain(str(error), error.exit_code)
    except CycloptsError as error:
        from asyncgen.cli.mistakes import describe

        return _complain(describe(error), 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read our output is gone; give the interpreter's last flush somewhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if not error.filename:
            raise
        return _complain(f"{error.filename}: {error.strerror}", 2)
    return code


def _complain(text: str, code: int) -> int:
    from asyncgen.view.terminal import clean

    print(f"asyncgen: {clean(text)}", file=sys.stderr)  # noqa: T201  # this is the screen
    return code
