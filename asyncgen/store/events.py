"""`events.jsonl`: what happened to a run, one line an event, oldest first.

Knows how to append a line and how to read past a torn one. Does not know what the events mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock
from asyncgen.core.errors import DataError
from asyncgen.core.types import Json
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import EVENTS_FILE
from asyncgen.store.line import dump, parse_line
from asyncgen.store.recovery import cut_tail
from asyncgen.store.sink import FULL


class EventLog:
    """The open log of one writer, which holds the run's LOCK."""

    def __init__(self, directory: Path, writer: str, *, files: FileLayer, clock: Clock) -> None:
        """Open it; a last line that a crash tore goes to quarantine first. Raises OSError."""
        path = directory / EVENTS_FILE
        self.silent = False
        """Another writer has the LOCK by now: the log is its own, and takes nothing more from this one."""
        self._writer = writer
        self._files = files
        self._clock = clock
        self._size = _repaired_size(directory, path, files)
        self._descriptor: int | None = files.open(path, create=True)

    def write(self, event: str, **fields: Json) -> bool:
        """Append one event; False if the log loses it: the disk is full, or it is `silent`. Raises other OSErrors."""
        if self._descriptor is None:
            raise RuntimeError(f"the event log is closed; {event!r} came too late")
        if self.silent:
            return False
        time = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds")
        line = dump({"time": time, "writer": self._writer, "event": event, **fields}) + b"\n"
        try:
            self._files.write_all(self._descriptor, line)
        except OSError as error:
            self._files.truncate(self._descriptor, self._size)
            if error.errno not in FULL:
                raise
            return False
        self._size += len(line)
        return True

    def close(self) -> None:
        """Sync and close. Twice is harmless. Raises OSError, but not for a full disk."""
        if self._descriptor is None:
            return
        try:
            self._files.sync(self._descriptor)
        except OSError as error:
            if error.errno not in FULL:
                raise
        finally:
            self._files.close(self._descriptor)
            self._descriptor = None


def _repaired_size(directory: Path, path: Path, files: FileLayer) -> int:
    """Bytes up to the end of the last line; what follows is cut off."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return 0
    good = text.rfind(b"\n") + 1
    if good < len(text):
        cut_tail(directory, path, good, files)
    return good


def read_events(directory: Path) -> Iterator[dict[str, Any]]:
    """The events so far; lines that are torn or not JSON are left out. Works while the run goes on."""
    try:
        file = (directory / EVENTS_FILE).open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                event = parse_line(line)
            except DataError:
                continue
            if line.endswith(b"\n"):
                yield event
