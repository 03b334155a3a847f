"""The thread that makes the catalogs of sealed shards, one by one, beside a run that goes on.

It works for a fraction of a millisecond, then sleeps, so that an event loop beside it does not notice; when the run is
over it makes haste. What it cannot make is no error of the run: catalogs are a cache. Does not know what is in one.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from asyncgen.core.errors import DataError
from asyncgen.store.catalog import NoCatalog, read_catalogs, write_catalog
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import Kind, stray_catalogs

PAUSE = 0.002
"""Seconds, ten times as long as the work between two pauses."""


class _Stopped(Exception):
    """In the middle of a catalog."""


class Cataloguer:
    """`add` from any thread, then `finish`, then `close`, which always must be called."""

    def __init__(self, files: FileLayer) -> None:
        self._problems: list[str] = []
        self._files = files
        self._pool = ThreadPoolExecutor(1, "asyncgen-catalogs")  # its thread starts with the first shard
        self._waiting: list[Future[None]] = []
        self._haste = threading.Event()
        self._stop = threading.Event()

    def add(self, shard: Path, kind: Kind) -> None:
        """A sealed shard, whose catalog is made where it has none that is valid. After `close` none is any more."""
        if not self._stop.is_set():
            self._waiting = [one for one in self._waiting if not one.done()]
            self._waiting.append(self._pool.submit(self._make, shard, kind))

    def sweep(self, directory: Path) -> None:
        """Remove the catalogs of shards that are gone, and what a killed start left of one."""
        if not self._stop.is_set():
            self._waiting.append(self._pool.submit(self._sweep, directory))

    def finish(self, seconds: float | None) -> None:
        """Make what is left without pauses, for so long at most; None: to the end."""
        self._haste.set()
        wait(self._waiting, timeout=seconds)

    def stop(self) -> None:
        """Make nothing any more; `finish` returns."""
        self._stop.set()
        self._haste.set()

    def close(self) -> None:
        """Stop, and end the thread. Twice is harmless."""
        self.stop()
        self._pool.shutdown()  # what waits ends at once; were it cancelled, `finish` would never hear of it

    def told(self) -> list[str]:
        """What could not be made, and why: since the last call."""
        told, self._problems = self._problems, []
        return told

    def _make(self, shard: Path, kind: Kind) -> None:
        try:
            self._pause()
            if not read_catalogs([shard]):
                write_catalog(shard, kind, self._files, pause=self._pause)
        except _Stopped:
            pass
        except (OSError, DataError, NoCatalog) as error:
            self._problems.append(f"{shard}: {error}")

    def _sweep(self, directory: Path) -> None:
        import pyarrow.parquet  # noqa: F401  # now, and not in the middle of a run, whose memory is to stay flat

        try:
            self._pause()
            for path in stray_catalogs(directory):
                self._files.unlink(path)
        except _Stopped:
            pass
        except OSError as error:
            self._problems.append(f"{directory}: {error}")

    def _pause(self) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._haste.wait(PAUSE)
