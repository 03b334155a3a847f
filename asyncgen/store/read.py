"""Reading a run directory: live, dead or empty, never locked, never changed.

Knows shards, partitions and which of two lines with one id counts. Does not know what a trace is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from asyncgen.core.errors import InputError
from asyncgen.store.catalog import read_catalogs
from asyncgen.store.index import DoneIndex
from asyncgen.store.keys import Keys, keys_of
from asyncgen.store.layout import (
    OPEN,
    RUN_FILE,
    Kind,
    open_shards,
    parse_chunk,
    parse_part,
    present_names,
    sealed_path,
    sealed_shards,
)
from asyncgen.store.line import id_key, line_key, parse_line
from asyncgen.store.scan import keyed_lines, pack, whole_lines

_NAMED = 5
"""Runs that are named where a folder is none."""


class StoredLine(NamedTuple):
    """A line, and where it stands."""

    path: Path
    """Its shard; a `.part` may have another name by now (`store.layout.present_names`)."""
    offset: int
    """Of its first byte."""
    line: bytes
    """With its LF."""


def run_directories(path: Path) -> list[Path]:
    """The run directory itself, or the `part-kkk-of-KKK`, or the `chunk-kkk`, in it. Raises InputError if it is none
    of these."""
    if (path / RUN_FILE).is_file():
        return [path]
    parts = [
        child
        for child in (sorted(path.iterdir()) if path.is_dir() else [])
        if (parse_part(child.name) or parse_chunk(child.name) is not None) and (child / RUN_FILE).is_file()
    ]
    if not path.exists():
        raise InputError(f"{path} does not exist; give a run directory")
    if not parts and (inside := _runs_inside(path)):
        raise InputError(f"{path} is not a run directory; the runs in it: {', '.join(inside)}")
    if not parts:
        raise InputError(f"{path} is not a run directory (no {RUN_FILE})")
    return parts


def _runs_inside(path: Path) -> list[str]:
    folders = sorted(path.iterdir()) if path.is_dir() else []
    runs = [str(one) for one in folders if (one / RUN_FILE).is_file()]
    return runs if len(runs) <= _NAMED else [*runs[:_NAMED], "…"]


def shards(directory: Path, kind: Kind = "traces", *, live: bool = True) -> list[Path]:
    """The shards by age; with `live` also the `.part` files.

    A `.part` may be sealed at any moment, so it is listed first, and left out if it has its final name by now.
    """
    parts = open_shards(directory, kind) if live else []
    sealed = sealed_shards(directory, kind)
    known = set(sealed)
    return sorted([*sealed, *(part for part in parts if sealed_path(part) not in known)])


def iter_lines(directory: Path, kind: Kind = "traces", *, live: bool = True) -> Iterator[bytes]:
    """Lines with their LF, oldest first; of a `.part` up to its last whole one.

    Raises DataError at a bad sealed line.
    """
    return (stored.line for stored in every_line(directory, kind, live=live))


def every_line(directory: Path, kind: Kind = "traces", *, live: bool = True) -> Iterator[StoredLine]:
    """What `iter_lines` gives, with the places: lines with one id too."""
    for path in shards(directory, kind, live=live):
        yield from lines_of(path)


def lines_of(shard: Path) -> Iterator[StoredLine]:
    """Every line of a shard, of a `.part` up to its last whole one. Raises DataError at a bad sealed line."""
    offset = 0
    for line in _shard_lines(shard):
        yield StoredLine(shard, offset, line)
        offset += len(line)


def _shard_lines(path: Path) -> Iterator[bytes]:
    if not path.name.endswith(OPEN):
        yield from (line for _, line in keyed_lines(path))
        return
    for name in present_names(path):  # or none of them: deleted, being empty
        with suppress(FileNotFoundError):
            yield from whole_lines(name) if name.name.endswith(OPEN) else (line for _, line in keyed_lines(name))
            return


def keys_by_shard(directory: Path, kind: Kind = "traces", *, live: bool = True) -> Iterator[Keys]:
    """The keys of each shard, doubles too, in order: from its catalog, or from its lines. Raises DataError at a bad
    sealed line of a shard without a catalog."""
    found = shards(directory, kind, live=live)
    catalogs = read_catalogs(found, keys_only=True)
    for shard in found:
        if shard in catalogs:
            yield catalogs[shard].keys
        else:
            yield keys_of(((line_key(stored.line), stored.line) for stored in lines_of(shard)), kind)


def iter_traces(path: Path, kind: Kind = "traces", *, live: bool = True) -> Iterator[dict[str, Any]]:
    """The traces of a run or of all its partitions, each `(index, rollout)` once: the first line counts.

    With `kind="failed"`: the failures without a trace since, of several the last. Raises InputError, DataError.
    """
    return (parse_line(stored.line) for stored in stored_lines(run_directories(path), kind, live=live))


def stored_lines(directories: Sequence[Path], kind: Kind = "traces", *, live: bool = True) -> Iterator[StoredLine]:
    """The lines that `iter_traces` parses, with their places."""
    return _done_lines(directories, live=live) if kind == "traces" else _failed_lines(directories, live=live)


def _done_lines(directories: Sequence[Path], *, live: bool) -> Iterator[StoredLine]:
    seen = DoneIndex()
    for directory in directories:
        for stored in every_line(directory, "traces", live=live):
            if seen.add(*line_key(stored.line)):
                yield stored


def _failed_lines(directories: Sequence[Path], *, live: bool) -> Iterator[StoredLine]:
    last: dict[int, int] = {}
    for number, stored in enumerate(_every_failure(directories, live=live)):
        last[pack(*line_key(stored.line))] = number
    if not last:
        return
    done = DoneIndex()
    for directory in directories:
        for line in iter_lines(directory, live=live):
            done.add(*line_key(line))
    for number, stored in enumerate(_every_failure(directories, live=live)):
        key = line_key(stored.line)
        if last.get(pack(*key)) == number and key not in done:
            yield stored


def _every_failure(directories: Sequence[Path], *, live: bool) -> Iterator[StoredLine]:
    return chain.from_iterable(every_line(directory, "failed", live=live) for directory in directories)


def find_trace(path: Path, id_or_index: str | int, rollout: int = 0) -> dict[str, Any] | None:
    """The trace of an id `<job>/<index>/<rollout>`, or of a row number and rollout; else its failure; else None.

    Raises InputError for an id of another form.
    """
    text = str(id_or_index)
    try:
        key = id_key(text) if "/" in text else (int(text), rollout)
    except ValueError:
        raise InputError(f"{text!r} is no trace id; give JOB/INDEX/ROLLOUT or a row number") from None
    directories = run_directories(path)
    for directory in directories:
        for line in iter_lines(directory):
            if line_key(line) == key:
                return parse_line(line)
    found: bytes | None = None
    for directory in directories:
        for line in iter_lines(directory, "failed"):
            found = line if line_key(line) == key else found
    return parse_line(found) if found else None
