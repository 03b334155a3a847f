"""Mending a run directory whose sealed shards have bad lines, so that the run can go on and do the lost ones again.

Knows the LOCK and the events. How a shard is salvaged is the store's business.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.runs.reading import is_trace_folder
from asyncgen.store.events import EventLog
from asyncgen.store.files import FileLayer
from asyncgen.store.index import DoneIndex
from asyncgen.store.layout import new_writer
from asyncgen.store.line import line_key
from asyncgen.store.lock import take_lock
from asyncgen.store.read import iter_lines, run_directories
from asyncgen.store.run_file import redact
from asyncgen.store.salvage import Salvaged, salvage


def salvage_runs(path: Path, *, files: FileLayer, clock: Clock) -> list[Salvaged]:
    """A run directory, or each partition in a folder of them. Raises InputError, DirectoryInUse, OSError."""
    if is_trace_folder(path):
        raise InputError(f"{path} is a folder of trace_*.json, which has no shards to salvage; leave --salvage out")
    return [one for directory in run_directories(path) for one in _salvage(directory, files, clock)]


def _salvage(directory: Path, files: FileLayer, clock: Clock) -> list[Salvaged]:
    lock = take_lock(directory, files)
    try:
        lock.sign(redact(sys.argv), clock)
        writer = new_writer(directory, clock)
        found = salvage(directory, writer, files)
        if found:
            _tell(directory, writer, found, files, clock)
    except OSError as error:
        if error.filename:
            raise
        raise OSError(error.errno, error.strerror, str(directory)) from error  # as a full disk gives it
    finally:
        lock.release()
    return found


def _tell(directory: Path, writer: str, found: list[Salvaged], files: FileLayer, clock: Clock) -> None:
    """What is there now is what the next start is to find."""
    stored = DoneIndex()
    for line in iter_lines(directory):
        stored.add(*line_key(line))
    events = EventLog(directory, writer, files=files, clock=clock)
    try:
        bad, kept = sum(one.bad for one in found), sum(one.kept for one in found)
        events.write("salvage", bad=bad, kept=kept, shards=len(found), stored=len(stored))
    finally:
        events.close()
