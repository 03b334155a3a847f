"""Names of the files and folders of a run directory, and the names of its writers and parts.

Knows names and listings. Does not know what stands in a file, and writes none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from asyncgen.core.clock import Clock

Kind: TypeAlias = Literal["traces", "failed"]
"""The two families of shards; also the name of their folder and the first word of their files."""

KINDS: tuple[Kind, ...] = ("traces", "failed")
QUARANTINE = "quarantine"
JOURNAL = "journal"
RUN_FILE = "run.json"
LOCK_FILE = "LOCK"
PROBE_FILE = f".{LOCK_FILE}.now"
"""Touched to learn the time of the file system, and removed at once."""
CARD_FILE = "README.md"
EVENTS_FILE = "events.jsonl"
CONTROL_FILE = "control.json"
"""Where a run that is going takes commands."""
OWN_NAMES = frozenset(
    (
        *KINDS,
        QUARANTINE,
        JOURNAL,
        LOCK_FILE,
        PROBE_FILE,
        EVENTS_FILE,
        f".{RUN_FILE}.tmp",
        CONTROL_FILE,
        f".{CONTROL_FILE}.tmp",
    )
)
"""What may lie in a directory whose first start ended before `run.json` was written."""
SEALED = ".jsonl"
OPEN = ".jsonl.part"
CATALOG = ".catalog.parquet"
SUSPECT = ".suspect"
"""Before OPEN: a sync of the shard has failed, and it is never synced again."""

_UNFIT = re.compile(r"[^A-Za-z0-9._+@=-]")
_PART = re.compile(r"part-(\d{3,})-of-(\d{3,})")
_CHUNK = re.compile(r"chunk-(\d{3,})")


def new_writer(directory: Path, clock: Clock) -> str:
    """A name for one start of one writer, `YYYYmmddTHHMMSS-xxxx` (UTC and random): names sort by start.

    No file of the run directory, whose LOCK the caller holds, has it yet.
    """
    while True:
        writer = f"{datetime.fromtimestamp(clock.wall(), UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        if not any(directory.glob(f"*/*{writer}*")):
            return writer


def open_shard(directory: Path, kind: Kind, writer: str, number: int) -> Path:
    """Where a writer's shard `number` (from 0) stands while it is written."""
    return directory / kind / f"{kind}-{writer}-{number:05d}{OPEN}"


def journal_path(directory: Path, writer: str, number: int) -> Path:
    """A writer's journal: the first, and those that came after it."""
    return directory / JOURNAL / (f"{writer}-{number:05d}{SEALED}" if number else f"{writer}{SEALED}")


def journal_files(directory: Path) -> list[Path]:
    """The journals of a run directory."""
    return sorted(_named(directory / JOURNAL, SEALED))


def sealed_path(part: Path) -> Path:
    """The name that an open shard gets when it is sealed, or when the whole lines of a suspect one are copied."""
    return part.with_name(_stem(part) + SEALED)


def suspect_path(part: Path) -> Path:
    """The name that an open shard gets when a sync of it has failed."""
    return part.with_name(_stem(part) + SUSPECT + OPEN)


def is_suspect(part: Path) -> bool:
    """Whether it has that name."""
    return part.name.endswith(SUSPECT + OPEN)


def present_names(shard: Path) -> tuple[Path, ...]:
    """The names that a shard may have by now which was listed under this one, in the order in which it gets them."""
    if not shard.name.endswith(OPEN):
        return (shard,)
    return tuple(dict.fromkeys((shard, suspect_path(shard), sealed_path(shard))))


def _stem(part: Path) -> str:
    return part.name.removesuffix(OPEN).removesuffix(SUSPECT)


def catalog_path(shard: Path) -> Path:
    """Where the catalog of a sealed shard stands."""
    return shard.with_name(shard.name.removesuffix(SEALED) + CATALOG)


def open_shards(directory: Path, kind: Kind) -> list[Path]:
    """The `.part` files of a run directory, oldest writer first."""
    return sorted(_named(directory / kind, OPEN))


def sealed_shards(directory: Path, kind: Kind) -> list[Path]:
    """The sealed shards of a run directory, oldest writer first."""
    return sorted(_named(directory / kind, SEALED))


def stray_catalogs(directory: Path) -> list[Path]:
    """Catalogs of shards that are not there, and unfinished ones. While none is made."""
    found: list[Path] = []
    for kind in KINDS:
        shards = {catalog_path(shard).name for shard in sealed_shards(directory, kind)}
        found += [path for path in _named(directory / kind, CATALOG) if path.name not in shards]
        found += _named(directory / kind, f"{CATALOG}.tmp")
    return sorted(found)


def _named(folder: Path, suffix: str) -> Iterator[Path]:
    try:
        names = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    except FileNotFoundError:
        return
    yield from names


def file_name(text: str) -> str:
    """A name that others gave, as a model's, which may be a path, as that of a file or folder: what none should have
    becomes `_`. Two names may become one."""
    return _UNFIT.sub("_", text).lstrip(".") or "model"


def part_name(number: int, total: int) -> str:
    """The folder of partition `number` (from 0) of `total`: `part-002-of-008`."""
    return f"part-{number:03d}-of-{total:03d}"


def parse_part(name: str) -> tuple[int, int] | None:
    """`part-002-of-008` → (2, 8); None for any other name."""
    match = _PART.fullmatch(name)
    if match is None:
        return None
    number, total = int(match[1]), int(match[2])
    return (number, total) if number < total else None


def chunk_name(number: int) -> str:
    """The folder of chunk `number` (from 0): `chunk-002`."""
    return f"chunk-{number:03d}"


def parse_chunk(name: str) -> int | None:
    """`chunk-002` → 2; None for any other name."""
    match = _CHUNK.fullmatch(name)
    return int(match[1]) if match else None
