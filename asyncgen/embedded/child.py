"""A server in a process of its own: started, waited for, stopped, and never left behind.

Knows the port file, the stdin that is watched, and TERM-wait-KILL. Does not know what is served.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.errors import InputError, TemporaryError

START_SECONDS = 60.0
STOP_SECONDS = 5.0


class ChildEnded(TemporaryError):
    """The server ended before it was ready."""


@contextmanager
def serving(command: Sequence[str], name: str, *, clock: Clock | None = None) -> Iterator[int]:
    """The server as a child process; its port on 127.0.0.1. Stopped at the end.

    The command takes `--port-file FILE`, to write its port to when it is ready, and `--watch-stdin`, to end when its
    stdin ends, as that does with this process however it ends. It has a process group of its own, so that Ctrl-C stops
    what this process does and not the server that is still needed for it.

    Raises TemporaryError when the server ends or does not get ready.
    """
    with (
        tempfile.TemporaryDirectory(prefix="asyncgen-") as folder,
        subprocess.Popen(  # noqa: S603  # a module of this package
            [*command, "--port-file", f"{folder}/port", "--watch-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        ) as child,
    ):
        try:
            yield wait_for_port(child, Path(folder) / "port", name, clock=clock)
        finally:
            stop(child)


def wait_for_port(
    child: subprocess.Popen[Any],
    port_file: Path,
    name: str,
    *,
    seconds: float = START_SECONDS,
    clock: Clock | None = None,
) -> int:
    """The port that the child announces. Raises ChildEnded, and TemporaryError when it takes longer than `seconds`."""
    clock = clock or SystemClock()
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        if port_file.exists():
            return int(port_file.read_text())
        try:
            code = child.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        raise ChildEnded(f"the {name} ended with exit code {code} before it was ready; see above")
    raise TemporaryError(f"the {name} was not ready in {seconds:.0f} s: try again on a quieter machine")


def announce(port_file: Path, port: int) -> None:
    """Write the port so that no reader sees half of it. Raises InputError where it cannot be written."""
    draft = port_file.with_name(f"{port_file.name}.{os.getpid()}")
    try:
        draft.write_text(f"{port}\n")
        draft.replace(port_file)
    except OSError as error:
        raise InputError(
            f"--port-file {port_file} cannot be written ({error.strerror}); give a file in a folder that is there"
        ) from error


def stop(child: subprocess.Popen[Any], seconds: float = STOP_SECONDS) -> None:
    """TERM, wait, KILL."""
    child.terminate()
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
