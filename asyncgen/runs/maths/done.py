"""What a step has made, and of what: a small file beside each output, `X.done.json`, written before and after.

Knows files, their digests, and what they say of an output that is there. Does not know what a step does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from asyncgen.core.types import Json
from asyncgen.runs.maths.faults import DONE, beside, read_report, write_report
from asyncgen.store.layout import RUN_FILE

_BLOCK = 1 << 20


class State(StrEnum):
    """Of an output."""

    ABSENT = "absent"
    DONE = "done"
    """Made, whole, of these inputs with these options, and not changed since."""
    OLD = "old"
    """Made so too, but of what these inputs were then."""
    BEGUN = "begun"
    """Whatever is there, an earlier start was making it, and it was ours to replace."""
    OTHER = "other"
    """Made, whole, of other files or with other options."""
    FOREIGN = "foreign"
    """Not made here, or changed since."""


class Marks:
    """The files that say so."""

    def __init__(self) -> None:
        self._digests: dict[Path, str] = {}
        """Of the paths that were looked at, by this process."""

    def state(self, out: Path, inputs: Sequence[Path], options: Mapping[str, Json]) -> State:
        """Of an output. Raises OSError."""
        if not out.exists():
            return State.ABSENT
        said = read_report(beside(out, DONE))
        if not said:
            return State.FOREIGN
        if said.get("state") != "done":
            return State.BEGUN
        if said.get("output", {}).get("digest") != self.digest(out):
            return State.FOREIGN
        before, now = said.get("inputs") or {}, self._inputs(inputs)
        if before.keys() != now.keys() or said.get("options") != _plain(options):
            return State.OTHER
        return State.DONE if before == now else State.OLD

    @staticmethod
    def are_there(out: Path) -> bool:
        """Whether there is a mark for this output."""
        return beside(out, DONE).exists()

    def rows(self, out: Path) -> int:
        """That a finished output has, as its mark says."""
        return int(read_report(beside(out, DONE)).get("rows") or 0)

    def begin(self, out: Path, inputs: Sequence[Path], options: Mapping[str, Json]) -> None:
        """From now on what is at `out` is ours to replace. Raises OSError."""
        out.parent.mkdir(parents=True, exist_ok=True)
        self._digests.pop(out, None)
        self._write(out, {"state": "begun", "inputs": self._inputs(inputs), "options": _plain(options)})

    def finish(self, out: Path, rows: int) -> None:
        """It is whole. Raises OSError."""
        self._digests.pop(out, None)
        output = {**_look(out), "digest": self.digest(out)}
        self._write(out, {**read_report(beside(out, DONE)), "state": "done", "rows": rows, "output": output})

    def digest(self, path: Path) -> str:
        """Of a file's bytes, of the files in a folder, or of the shards of a run, which only grow. Raises OSError."""
        if path not in self._digests:
            self._digests[path] = self._known(path) or _digest(path)
        return self._digests[path]

    def _known(self, path: Path) -> str:
        """What its own mark says, while size and time are those that it had then."""
        output = read_report(beside(path, DONE)).get("output", {}) if path.is_file() else {}
        return str(output["digest"]) if output and {**_look(path), "digest": output.get("digest")} == output else ""

    def _inputs(self, inputs: Sequence[Path]) -> dict[str, str]:
        return {str(path): self.digest(path) for path in inputs}

    @staticmethod
    def _write(out: Path, said: Mapping[str, Json]) -> None:
        write_report(beside(out, DONE), said)


def _look(path: Path) -> dict[str, Json]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns} if path.is_file() else {}


def _plain(options: Mapping[str, Json]) -> Any:
    return orjson.loads(orjson.dumps(options))


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if path.is_file():
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()
    whole_run = any(path.glob(f"**/{RUN_FILE}"))
    for file_path in sorted(path.glob("**/*.jsonl*" if whole_run else "*.json")):
        is_shard = file_path.parent.name in {"traces", "failed"}
        if not whole_run or is_shard:
            digest.update(f"{file_path.relative_to(path).as_posix()}\0{file_path.stat().st_size}\0".encode())
            digest.update(b"" if whole_run else _digest(file_path).encode())
    return digest.hexdigest()
