"""The turn journal: what the unfinished episodes of a run have been through, entry by entry, for the next start.

    {"id":"<job>/<index>/<rollout>","seq":0,"config_id":…,"prev":"","kind":…, … ,"crc":"9f3a12c0"}\n

The entries of an episode are a chain: `seq` counts them, `prev` is the `crc` of the one before. Knows files, chains and
which episodes are open. Does not know what an entry says, nor when to sync: the writer's thread does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from asyncgen.core.types import Json
from asyncgen.store.chains import read_chains
from asyncgen.store.files import FileLayer
from asyncgen.store.growing import GrowingFile
from asyncgen.store.layout import JOURNAL, QUARANTINE, journal_files, journal_path
from asyncgen.store.line import line_crc, line_key, parse_line, sealed_line
from asyncgen.store.scan import pack, split_lines

ROTATE_BYTES = 64 << 20
"""A journal over this, and over twice what of it is still needed, is written anew without what is not."""
_COPY_BYTES = 1 << 20
"""Copied at once: the loop's entries wait for no more than that."""
END = "end"
"""The kind of the entry after which an episode's others do not count: it failed, and that is saved."""

Key: TypeAlias = tuple[int, int]
Entry: TypeAlias = Mapping[str, Json]


@dataclass(slots=True)
class _Open:
    """An episode with entries."""

    bytes: int = 0
    seq: int = 0
    """Of its next entry."""
    prev: str = ""


_NEW = _Open()
"""An episode without entries; never changed."""


class Journal:
    """The journal of one writer, which holds the run's LOCK.

    `append_all`, `sync`, `is_long`, `rotate` and `finish` are the writer thread's, the others the loop's; `adopt` comes
    before both. File errors are OSErrors, but in `append`.
    """

    def __init__(self, directory: Path, writer: str, files: FileLayer) -> None:
        self.unsynced_since: float | None = None
        """When the oldest entry was written that a power loss may take."""
        self.broken = False
        """A sync failed: never tried again on that file."""
        self._directory = directory
        self._writer = writer
        self._files = files
        self._number = 0
        self._file: GrowingFile | None = None
        """The newest; None before the first entry."""
        self._older: list[Path] = []
        """Files of this writer whose open entries are not all in the newest one yet."""
        self._open: dict[int, _Open] = {}
        self._past: dict[int, list[bytes]] = {}
        self._failed = False
        """An entry could not be written at once, and perhaps never was."""
        self.lost = 0
        """Entries that are in no file, when it is finished."""
        self._lock = threading.Lock()
        """Held while the file is written to."""

    @property
    def episodes(self) -> int:
        """How many have entries and are not over."""
        return len(self._open)

    def adopt(self, config_id: str, is_over: Callable[[Key, bool], bool], now: float) -> Adopted:
        """Take over what the writers before have left, into a file of this one's own, durably.

        `is_over(key, ended)`: whether the episode needs no journal any more; `ended`: its last entry says so. Entries
        of another config, and chains that are not whole, go; files with damage go to `quarantine/`. Raises OSError.
        """
        old = journal_files(self._directory)
        if not old:
            return Adopted()
        found = read_chains(old, config_id, skip=lambda key: is_over(_pair(key), False))
        for key, chain in found.whole.items():
            if not is_over(_pair(key), chain[-1].kind == END):
                lines = [link.line for link in chain]
                self._past[key] = lines
                self._open[key] = _Open(sum(map(len, lines)), len(lines), line_crc(lines[-1]))
        if self._past:
            for lines in self._past.values():
                self._append(b"".join(lines), now)
            self.sync()
        if found.bad_lines or found.broken:
            self._set_aside(old)
        else:
            self._remove(old)
        return Adopted(tuple(map(_pair, self._past)), found.foreign, found.broken, found.bad_lines)

    def has_past(self, key: Key) -> bool:
        """An earlier start has begun this episode, and `past` has not been asked for it."""
        return pack(*key) in self._past

    def past(self, key: Key) -> list[dict[str, Any]]:
        """The entries of an earlier start, in order; given out once."""
        return [parse_line(line) for line in self._past.pop(pack(*key), ())]

    def encode(self, trace_id: str, key: Key, config_id: str, kind: str, fields: Entry) -> bytes:
        """The next entry of an episode. To be appended before the next one is encoded, or not at all."""
        state = self._open.get(pack(*key), _NEW)
        head = {"id": trace_id, "seq": state.seq, "config_id": config_id, "prev": state.prev, "kind": kind}
        return sealed_line({**head, **fields})

    def note(self, key: Key, line: bytes) -> None:
        """This line is, or will be, the episode's latest entry."""
        packed = pack(*key)
        state = self._open.get(packed)
        if state is None:
            state = self._open[packed] = _Open()
        state.bytes += len(line)
        state.seq += 1
        state.prev = line_crc(line)

    def append(self, line: bytes, now: float) -> bool:
        """Write from the loop: a few KB into the page cache. False where that did not work at once: a full disk, a file
        that is being written to. Then the writer's thread is to do it.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._append(line, now)
        except OSError:
            self._failed = True
            return False  # the thread meets it again, and knows what it means
        finally:
            self._lock.release()
        return True

    def append_all(self, data: bytes, now: float) -> None:
        """Write whole lines from the thread. On an error the file is cut back to its last whole line."""
        with self._lock:
            self._append(data, now)

    def _append(self, data: bytes, now: float) -> None:
        file = self._file or self._begin()
        file.append(data)
        if self.unsynced_since is None:
            self.unsynced_since = now

    def _begin(self) -> GrowingFile:
        """The next file."""
        self._files.make_directories(self._directory / JOURNAL)
        path = journal_path(self._directory, self._writer, self._number)
        self._file = GrowingFile(path, self._files)
        self._number += 1
        return self._file

    def close_episode(self, key: Key) -> None:
        """Its trace is saved."""
        self._open.pop(pack(*key), None)

    def end_episode(self, trace_id: str, key: Key, config_id: str, now: float) -> None:
        """Its failure is saved: what it went through is nothing to the attempt after it. (Where that cannot be written,
        that attempt goes on from there.)"""
        if pack(*key) in self._open:
            self.append(self.encode(trace_id, key, config_id, END, {}), now)
            self.close_episode(key)

    @property
    def path(self) -> Path:
        """Of the file that is written to, or the next one to be."""
        return self._file.path if self._file else journal_path(self._directory, self._writer, self._number)

    def sync(self) -> None:
        """What is written is durable, as far as it was written before the call."""
        if self.unsynced_since is None or self.broken or self._file is None:
            return
        since, self.unsynced_since = self.unsynced_since, None
        try:
            self._file.sync()
        except OSError:
            self.broken = True
            self.unsynced_since = since
            raise

    def _sync_last(self, file: GrowingFile) -> None:
        """Of a file that nothing is written to any more: it is still needed where the copy of it fails."""
        try:
            file.sync()
        except OSError:
            self.broken = True
            raise
        finally:
            file.close()

    @property
    def is_long(self) -> bool:
        """Whether it is to be rotated."""
        size = self._file.size if self._file else 0
        return size > ROTATE_BYTES and size > 2 * sum([one.bytes for one in list(self._open.values())])

    def rotate(self, now: float) -> None:
        """Go on in a new file, with the open episodes' entries, and remove the old one. A crash in between leaves
        entries twice, which `seq` tells."""
        with self._lock:
            before = self._file
            self._begin()
        if before is not None:
            self._older.append(before.path)
            self._sync_last(before)
        for older in self._older:
            for data in _copied(older, set(self._open)):
                self.append_all(data, now)
        self.sync()
        self._remove(self._older)
        self._older.clear()

    def finish(self, *, keep: bool = False) -> None:
        """Make durable what the next start needs; without any, no file is left. `keep`: a trace is saved that a power
        loss may take, so its episode's entries are needed too."""
        try:
            if self._open or keep:
                self.sync()
        finally:
            if self._file is not None:
                self._file.close()
        own = [*self._older, *([self._file.path] if self._file else [])]
        self._file = None
        if not (self._open or keep):
            self._remove(own)
        elif self._failed:
            self._count_lost(own)

    def _count_lost(self, own: list[Path]) -> None:
        """What was to be written last may have found no room."""
        chains = read_chains(own).whole
        self.lost = sum(one.seq - len(chains.get(key, ())) for key, one in self._open.items())
        self._open = {key: one for key, one in self._open.items() if key in chains}

    def _remove(self, paths: list[Path]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                self._files.unlink(path)
        if paths:
            self._files.sync_directory(self._directory / JOURNAL)

    def _set_aside(self, paths: list[Path]) -> None:
        """As they are, to `quarantine/`."""
        quarantine = self._directory / QUARANTINE
        self._files.make_directories(quarantine)
        for path in paths:
            self._files.rename(path, quarantine / f"journal-{path.name}")
        self._files.sync_directory(quarantine)
        self._files.sync_directory(self._directory / JOURNAL)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a start has found in the journals of those before."""

    keys: tuple[Key, ...] = ()
    """Of the episodes that can go on."""
    foreign: int = 0
    """Episodes of another config: they start over."""
    broken: int = 0
    """Episodes whose chains have a gap: they start over."""
    bad_lines: int = 0
    """Lines that are no entry, torn ends aside."""


def _pair(key: int) -> Key:
    return key >> 16, key & 0xFFFF


def _copied(path: Path, keys: set[int]) -> Iterator[bytes]:
    """The entries of these episodes, many lines at a time."""
    batch: list[bytes] = []
    size = 0
    for line, problem in split_lines(path):
        if not problem and pack(*line_key(line)) in keys:
            batch.append(line)
            size += len(line)
            if size >= _COPY_BYTES:
                yield b"".join(batch)
                batch, size = [], 0
    if batch:
        yield b"".join(batch)
