"""How the demo speaks, and how it calls asyncgen: as its user does, as a command.

Knows exit codes, and whose business a signal is. Does not know what is shown.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ASYNCGEN = (sys.executable, "-m", "asyncgen")
TOO_MANY_FAILED = 4
"""The exit code of a run that is done, with more failed episodes than it should have."""
RESUMABLE = 75
"""Exit codes from here on mean that nothing is wrong with the input: paused, drained, no key, killed."""
MAX_OUTAGE = 60
"""Seconds without the endpoint after which the run gives up: it would wait for ever if this process were killed."""


def say_aloud(text: str) -> None:
    """Flushed at once: the commands that the demo starts write to the same place."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Stage:
    """Where it plays."""

    asyncgen: Sequence[str] = ASYNCGEN
    say: Callable[[str], None] = say_aloud

    def run(self, arguments: Sequence[str]) -> int:
        """`asyncgen run …`, said and done; its exit code."""
        self.say(f"command    asyncgen {shlex.join(arguments)}\n")
        command = [*self.asyncgen, *arguments, "--endpoint.max-outage", str(MAX_OUTAGE)]
        with subprocess.Popen(command) as child, _signals_to(child):  # noqa: S603  # asyncgen itself
            code = child.wait()
        return 128 - code if code < 0 else code

    def is_done(self, code: int) -> bool:
        """Whether there is something to look at; says so where not."""
        if code in {0, TOO_MANY_FAILED}:
            return True
        further = "the same command goes on where it stopped" if code >= RESUMABLE else "see above"
        self.say(f"\nThe run ended with exit code {code}: {further}.")
        return False

    def look(self, *arguments: str) -> None:
        """A command that reads a run, with its line before it."""
        self.say(f"\n$ asyncgen {shlex.join(arguments)}")
        subprocess.run([*self.asyncgen, *arguments], check=False)  # noqa: S603  # asyncgen itself


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """While the run goes on, signals are its business: it drains, and this process waits for it.

    Ctrl-C reaches both from the terminal; SIGTERM comes to this process alone and is passed on.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
    }
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def programs() -> tuple[str, str]:
    """How to call this Python and asyncgen from here: as in a virtual environment that is not activated."""
    script = Path(sys.executable).with_name("asyncgen")
    if not script.exists():
        return "python", "asyncgen"
    python, asyncgen = (shlex.quote(_from_here(path)) for path in (Path(sys.executable), script))
    return python, asyncgen


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
