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
CARD_FILE = "README.md"
EVENTS_FILE = "events.jsonl"
CONTROL_FILE = "control.json"
"""Where a run that is going takes commands."""
OWN_NAMES = frozenset(
    (*KINDS, QUARANTINE, JOURNAL, LOCK_FILE, EVENTS_FILE, f".{RUN_FILE}.tmp", CONTROL_FILE, f".{CONTROL_FILE}.tmp")
)
"""What may lie in a directory whose first start ended before `run.json` was written."""
SEALED = ".jsonl"
OPEN = ".jsonl.part"

_PART = re.compile(r"part-(\d{3,})-of-(\d{3,})")


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


def sealed_path(part: Path) -> Path:
    """The name that an open shard gets when it is sealed."""
    return part.with_name(part.name.removesuffix(OPEN) + SEALED)


def open_shards(directory: Path, kind: Kind) -> list[Path]:
    """The `.part` files of a run directory, oldest writer first."""
    return sorted(_named(directory / kind, OPEN))


def sealed_shards(directory: Path, kind: Kind) -> list[Path]:
    """The sealed shards of a run directory, oldest writer first."""
    return sorted(_named(directory / kind, SEALED))


def _named(folder: Path, suffix: str) -> Iterator[Path]:
    try:
        names = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    except FileNotFoundError:
        return
    yield from names


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
