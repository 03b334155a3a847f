"""Whatever a power loss leaves, nothing that was durable is lost or doubled; a store that forgets a sync is found out.

Sampled states of recorded lives of a run directory: a few hundred here, twenty thousand marked deep.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from support.crash_files import Image, Operation, RecordingFiles, memory_folder
from support.crash_prover import Forgotten, next_start_on, prove, prove_start, recorded, violation
from support.crash_runs import SCENARIOS, Promised, Scenario, journal, killed, lost_sync, papers, pieces, shards
from support.store_fakes import a_trace

from asyncgen.store.files import DISK
from asyncgen.store.layout import is_suspect
from asyncgen.store.line import encode_trace, has_mark
from asyncgen.store.recovery import Lines, recover

STATES, DEEP_STATES = 45, 1_700
"""Of each scenario; with those of the starts on them over 500 in all, and over 20,000."""
SEARCHED = 400
"""States in which a forgotten sync must be found out."""


@pytest.fixture
def scratch() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_no_crash_takes_what_was_durable(scenario: Scenario, scratch: Path):
    assert await prove(scenario, scratch, Random(5), STATES) * len(SCENARIOS) > 500


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_none_of_thousands_of_crashes_takes_what_was_durable(scenario: Scenario, scratch: Path):
    assert await prove(scenario, scratch, Random(6), DEEP_STATES) * len(SCENARIOS) > 20_000


def _touches(one: Operation | None, name: str, *parts: str) -> bool:
    return one is not None and one.name == name and all(part in one.path for part in parts)


def _seals(one: Operation | None, after: Operation | None) -> bool:
    return after is not None and one is not None and after.name == "rename" and after.path == one.path


FORGOTTEN: dict[str, tuple[Scenario, Forgotten]] = {
    "the sync of a commit": (
        shards,
        lambda _, one, after: _touches(one, "sync", "traces/", ".part") and not _seals(one, after),
    ),
    "the sync before a seal": (
        shards,
        lambda _, one, after: _touches(one, "sync", "traces/", ".part") and _seals(one, after),
    ),
    "the sync of failures before a seal": (
        shards,
        lambda _, one, after: _touches(one, "sync", "failed/", ".part") and _seals(one, after),
    ),
    "the journal's sync at a commit": (
        journal,
        lambda _, one, after: _touches(one, "sync", "journal/") and not _touches(after, "unlink", "journal/"),
    ),
    "the journal's sync before older ones are removed": (
        journal,
        lambda _, one, after: _touches(one, "sync", "journal/") and _touches(after, "unlink", "journal/"),
    ),
    "the folder's sync after a shard is made": (
        shards,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "create", "traces/"),
    ),
    "the folder's sync after a journal is made": (
        journal,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "create", "journal/"),
    ),
    "the sync after a folder is made": (
        shards,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "make_directory"),
    ),
    "the sync of a file that replaces another": (
        papers,
        lambda _, one, __: _touches(one, "sync", ".run.json.tmp"),
    ),
    "the folder's sync after a file was replaced": (
        papers,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "rename", ".run.json.tmp"),
    ),
    "the sync of a part that is recovered": (
        killed,
        lambda before, one, _: _touches(one, "sync", "traces/", ".part") and _touches(before, "sync", "LOCK"),
    ),
    "the sync of a suspect's copy": (
        lost_sync,
        lambda _, one, __: _touches(one, "sync", "traces/.", ".jsonl.tmp"),
    ),
}
HARMLESS: dict[str, tuple[Scenario, Forgotten]] = {
    "the folder's sync after a seal: the old name is recovered as well": (
        shards,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "rename", ".jsonl.part"),
    ),
    "the folder's sync after a recovered part is sealed: the same": (
        killed,
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "rename", ".jsonl.part"),
    ),
    "the sync of the events, which promise nothing": (papers, lambda _, one, __: _touches(one, "sync", "events.jsonl")),
    "the sync of LOCK, which a crash sets free": (killed, lambda _, one, __: _touches(one, "sync", "LOCK")),
}


@pytest.mark.parametrize("what", FORGOTTEN)
async def test_a_store_that_forgets_a_sync_is_found_out(what: str, scratch: Path):
    scenario, forgotten = FORGOTTEN[what]
    sound = await recorded(scenario, scratch / "life")
    broken = sound.forgetting(forgotten)
    assert len(broken.operations) < len(sound.operations)
    assert await violation(broken.states(Random(1), SEARCHED), scratch)


@pytest.mark.parametrize("what", HARMLESS)
async def test_a_store_may_forget(what: str, scratch: Path):
    scenario, forgotten = HARMLESS[what]
    sound = await recorded(scenario, scratch / "life")
    broken = sound.forgetting(forgotten)
    assert len(broken.operations) < len(sound.operations)
    assert await violation(broken.states(Random(1), STATES), scratch) == ""


def _ended_lines(path: Path) -> Iterator[bytes]:
    """What a recovery would take that looks for the end of a line."""
    with path.open("rb") as part:
        yield from (line for line in part if line.endswith(b"\n"))


def _marked_lines(path: Path) -> Iterator[bytes]:
    """What one would take that sees a checksum and does not compute it."""
    with path.open("rb") as part:
        for line in part:
            if not has_mark(line):
                return
            yield line


@pytest.mark.parametrize("lines", [_ended_lines, _marked_lines])
async def test_a_recovery_that_does_not_compute_checksums_is_found_out(lines: Lines, scratch: Path):
    states = (await recorded(shards, scratch / "life")).states(Random(1), SEARCHED)
    assert await violation(states, scratch, lambda run: recover(run, DISK, lines))


class _WritesOnce(RecordingFiles):
    """A store without the loop over short writes."""

    def write_all(self, descriptor: int, data: bytes) -> None:
        self.write(descriptor, memoryview(data))


async def test_a_store_that_takes_a_short_write_for_a_whole_one_is_found_out(scratch: Path):
    careless = await recorded(pieces, scratch / "life", _WritesOnce)
    assert await violation(careless.states(Random(1), SEARCHED), scratch)


class _KeepsNames(RecordingFiles):
    """A store that leaves a file whose sync has failed under its name."""

    def rename(self, old: Path, new: Path) -> None:
        if is_suspect(new):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().rename(old, new)


async def test_a_start_that_syncs_a_file_again_whose_sync_has_failed_is_found_out(scratch: Path):
    careless = await recorded(lost_sync, scratch / "life", _KeepsNames)
    assert await violation(careless.states(Random(1), SEARCHED), scratch)


LINES = b"".join(encode_trace(a_trace(index)) for index in range(3))


def _left(name: str, data: bytes) -> Image:
    """A run directory with one file in `traces/`."""
    return {"run": None, "run/failed": None, "run/traces": None, f"run/traces/{name}": data}


PART, SUSPECT = (f"traces-20250101T000000-abcd-00000{suffix}" for suffix in (".jsonl.part", ".suspect.jsonl.part"))


@pytest.mark.parametrize("count", [20, pytest.param(0, marks=pytest.mark.deep)], ids=["some", "every"])
@pytest.mark.parametrize("tail", [b"", b'{"id":"geo/3/0","torn', bytes(600)], ids=["whole", "torn", "zeroes"])
@pytest.mark.parametrize("name", [PART, SUSPECT])
async def test_a_start_may_end_after_any_operation_and_takes_no_line_that_it_has_found(
    name: str, tail: bytes, count: int, scratch: Path
):
    assert await prove_start(_left(name, LINES + tail), Promised(), scratch, Random(3), count) >= 20


async def test_a_rescue_that_forgets_to_sync_the_name_of_its_copy_is_found_out(scratch: Path):
    start = await next_start_on(_left(SUSPECT, LINES), Promised(), scratch)
    broken = start.forgetting(
        lambda before, one, _: one.name == "sync_directory" and _touches(before, "rename", "traces/.", ".jsonl.tmp")
    )
    assert len(broken.operations) == len(start.operations) - 1
    assert await violation(broken.states(Random(1), SEARCHED), scratch)
