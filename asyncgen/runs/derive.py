"""Copies of traces: a sealed run directory, or one file, that is there whole or not at all.

Knows what makes a folder a run that is complete: shards, run file, card, events. Does not know which traces are copied
nor why (`merge`, `keep`, `rescore`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from asyncgen.core.clock import Clock
from asyncgen.core.types import Json
from asyncgen.export.files import whole_file
from asyncgen.runs.lineage import Lineage, is_file_output
from asyncgen.store.card import METADATA, write_card
from asyncgen.store.copy import SealedShards, whole_directory, without_crc
from asyncgen.store.events import EventLog
from asyncgen.store.files import DISK
from asyncgen.store.layout import KINDS, new_writer
from asyncgen.store.line import parse_line
from asyncgen.store.run_file import redact, write_run

_TYPES: Mapping[str, type] = {"bool": bool, "int": float, "float": float, "str": str}
_OF_THE_JOB = ("name", "task", "config", "config_id", "temperatures", "dataset", "columns", "scores", "versions")
"""Keys of a run file that a copy has as its first source has them."""


class Copy(Protocol):
    """Takes lines, each with `crc` and LF, in the order in which they are to stand."""

    def add(self, line: bytes) -> None:
        """A trace."""

    def fail(self, line: bytes) -> None:
        """A failed episode; one file of traces leaves it out."""

    def finish(self, counts: Mapping[str, Json]) -> None:
        """All lines are there; `counts` are for the run file."""


@contextmanager
def open_copy(out: Path, lineage: Lineage, clock: Clock) -> Iterator[Copy]:
    """Where the traces go. The block calls `finish` at its end; what it raises before leaves nothing at `out`.

    Raises DirectoryInUse, OSError.
    """
    if not is_file_output(out):
        with whole_directory(out.absolute(), argv=redact(sys.argv), files=DISK, clock=clock) as directory:
            copy = DirectoryCopy(directory, lineage, clock)
            try:
                yield copy
            finally:
                copy.close()
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as file:
        yield ArrayCopy(file) if out.suffix == ".json" else LinesCopy(file)


class LinesCopy:
    """One `.jsonl` file of traces, without checksums."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, line: bytes) -> None:
        """One line."""
        self._file.write(without_crc(line) + b"\n")

    def fail(self, line: bytes) -> None:
        """No trace."""

    def finish(self, counts: Mapping[str, Json]) -> None:
        """A line ends by itself."""


class ArrayCopy:
    """One `.json` file: a list of traces, without checksums."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._before = b"[\n"

    def add(self, line: bytes) -> None:
        """One member, on a line of its own."""
        self._file.write(self._before + without_crc(line))
        self._before = b",\n"

    def fail(self, line: bytes) -> None:
        """No trace."""

    def finish(self, counts: Mapping[str, Json]) -> None:  # noqa: ARG002  # a list holds no figures
        """Close the list."""
        self._file.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class DirectoryCopy:
    """A sealed run directory."""

    def __init__(self, directory: Path, lineage: Lineage, clock: Clock) -> None:
        self._directory = directory
        self._lineage = lineage
        self._clock = clock
        writer = new_writer(directory, clock)
        self._shards = {kind: SealedShards(directory, kind, writer, DISK) for kind in KINDS}
        self._events = EventLog(directory, writer, files=DISK, clock=clock)
        self._events.write(
            "start", done=0, failed=0, left=0, stored=0, stored_failed=0, name=self._run["name"], by=lineage.command
        )
        self._types = ScoreTypes(self._run["scores"], alike=all(source.runs for source in lineage.sources))

    def add(self, line: bytes) -> None:
        """Byte by byte."""
        self._shards["traces"].add(line)
        self._types.note(line)

    def fail(self, line: bytes) -> None:
        """Into `failed/`."""
        self._shards["failed"].add(line)

    def finish(self, counts: Mapping[str, Json]) -> None:
        """Seal; then run file, card and events."""
        for shards in self._shards.values():
            shards.seal()
        traces, failed = self._shards["traces"].lines, self._shards["failed"].lines
        run = self._run
        write_card(
            self._directory,
            name=run["name"],
            score_types=self._types.scores,
            headline_types=self._types.headline,
            traces=traces,
            files=DISK,
        )
        self._events.write("stop", signal=0, error="", saved=traces, failed=failed)
        self._events.close()
        derived = {**run["derived"], "counts": dict(counts)}
        found: dict[str, Json] = {"total": traces + failed, "derived": derived}
        if not run["scores"]:
            found["scores"] = {key: kind.__name__ for key, kind in self._types.scores.items()}
        write_run(self._directory, {**run, **found}, files=DISK, clock=self._clock)

    def close(self) -> None:
        """Twice is harmless."""
        for shards in self._shards.values():
            shards.abandon()
        self._events.close()

    @property
    def _run(self) -> dict[str, Any]:
        """The run file but for what the traces say."""
        lineage = self._lineage
        runs = lineage.runs
        first = runs[0] if runs else {"name": lineage.sources[0].name}
        none: dict[str, Json] = {
            "name": "", "task": "", "config": {}, "config_id": "", "temperatures": [],
            "dataset": {"path": "", "fingerprint": "", "rows": 0}, "columns": [], "scores": {}, "versions": {},
        }  # fmt: skip
        configs = [one for run in reversed(runs) for one in run.get("configs", {}).items()]
        return {
            **{key: first.get(key, none[key]) for key in _OF_THE_JOB},
            "argv": sys.argv,
            "configs": dict(configs),
            **lineage.changes,
            "derived": {
                "command": lineage.command,
                "sources": [str(source.path.absolute()) for source in lineage.sources],
                **lineage.said,
            },
        }


class ScoreTypes:
    """The types of scores and headline, for the card: from the run file, and from traces."""

    def __init__(self, named: Mapping[str, str], *, alike: bool) -> None:
        """`alike`: the traces of one config have the same keys, so one of each is looked at."""
        self.scores: dict[str, type] = {key: _TYPES.get(name, str) for key, name in named.items()}
        self.headline: dict[str, type] = {}
        self._alike = alike
        self._seen: set[bytes] = set()

    def note(self, line: bytes) -> None:
        """A line that is copied."""
        if self._alike:
            start = line.find(b'"config_id":')
            config = line[start : line.find(b",", start)]
            if config in self._seen:
                return
            self._seen.add(config)
        trace = parse_line(line)
        _widen(self.scores, trace["reward_score"])
        _widen(self.headline, {key: value for key, value in trace["metadata"].items() if key not in METADATA})


def _widen(types: dict[str, type], values: Mapping[str, Json]) -> None:
    """Take up the types of these values: a number beside a truth value is a number, a text beside either a text."""
    for key, value in values.items():
        if value is None:
            continue
        kind = _TYPES.get(type(value).__name__, str)
        known = types.setdefault(key, kind)
        if known is not kind:
            types[key] = str if str in {known, kind} else float
