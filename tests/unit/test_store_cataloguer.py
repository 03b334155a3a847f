"""Who makes catalogs and when, and that what reads them finds what the lines say."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.catalogs import catalog_of, catalogs_in, flipped, shard_of
from support.runs_on_disk import failed, line
from support.store_fakes import (
    FaultyFiles,
    a_failure,
    a_trace,
    keys_on_disk,
    open_store,
    writing,
)
from support.traces import trace_line

from asyncgen.core.errors import DataError
from asyncgen.runs.reading import status_of
from asyncgen.runs.verify import verify
from asyncgen.store import cataloguer as cataloguers
from asyncgen.store.catalog import read_catalogs
from asyncgen.store.cataloguer import Cataloguer
from asyncgen.store.copy import SealedShards
from asyncgen.store.events import read_events
from asyncgen.store.files import DISK, FileLayer
from asyncgen.store.layout import KINDS, Kind, catalog_path, sealed_shards
from asyncgen.store.ledger import Ledger
from asyncgen.store.marks import Marks
from asyncgen.store.salvage import salvage
from asyncgen.store.store import Store


def open_run(directory: Path, **options: Any) -> Store:
    """As a run does it, catalogs and all."""
    return open_store(directory, **{"cataloguer": Cataloguer, **options})


def shards_of(directory: Path) -> list[Path]:
    return [shard for kind in KINDS for shard in sealed_shards(directory, kind)]


def all_catalogued(directory: Path) -> bool:
    shards = shards_of(directory)
    return list(read_catalogs(shards)) == shards and len(catalogs_in(directory)) == len(shards)


async def a_run(directory: Path, *indexes: int, **options: Any) -> None:
    async with writing(open_run(directory, **options)) as store:
        for index in indexes:
            await store.append(a_trace(index))
        await store.fail(a_failure(1000 + len(keys_on_disk(directory, "failed"))))


async def test_every_shard_that_a_run_seals_gets_a_catalog(tmp_path: Path):
    await a_run(tmp_path, *range(10), shard_traces=3)
    assert len(sealed_shards(tmp_path, "traces")) == 4
    assert all_catalogued(tmp_path)


async def test_a_start_makes_what_is_missing_and_sweeps_what_is_nobodys(tmp_path: Path):
    await a_run(tmp_path, *range(6), shard_traces=2)
    first, second, third = (catalog_path(shard) for shard in sealed_shards(tmp_path, "traces"))
    first.unlink()
    flipped(second, 50)
    flipped(third, -40)
    orphan = third.with_name("traces-gone-00000.catalog.parquet")
    shutil.copy(third, orphan)
    unfinished = third.with_name(".traces-gone-00000.catalog.parquet.tmp")
    unfinished.write_bytes(b"PAR1")
    await a_run(tmp_path, 77)
    assert all_catalogued(tmp_path)
    assert not orphan.exists()
    assert not unfinished.exists()
    assert len(Ledger(tmp_path).done) == 7


async def test_a_shard_that_a_killed_start_left_open_gets_one_too(tmp_path: Path):
    part = tmp_path / "traces" / "traces-old-00000.jsonl.part"
    part.parent.mkdir()
    part.write_bytes(line(1) + line(2) + b"{torn")
    await a_run(tmp_path)
    assert (tmp_path / "traces" / "traces-old-00000.catalog.parquet").exists()
    assert all_catalogued(tmp_path)


async def test_a_start_that_is_given_up_leaves_no_catalog(tmp_path: Path):
    shard_of(tmp_path, line(0))
    store = open_run(tmp_path)
    await store.discard()
    assert catalogs_in(tmp_path) == []


async def test_a_start_with_nothing_to_do_makes_all_that_are_missing(tmp_path: Path):
    said: list[str] = []
    for number in range(12):
        shard_of(tmp_path, line(number), number=number)
    store = open_run(tmp_path)
    await store.make_catalogs(said.append)
    assert all_catalogued(tmp_path)
    assert said == ["making 12 catalogs, which save reading the shards; Ctrl-C puts that off to the next start"]
    await store.close()
    again = open_run(tmp_path)
    await again.make_catalogs(said.append)
    assert len(said) == 1
    await again.close()


class Gated(FileLayer):
    """Writes nothing that is called a catalog until it may."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open_up = threading.Event()

    def atomic_write(self, path: Path, data: bytes) -> None:
        if path.name.endswith(".catalog.parquet"):
            self.reached.set()
            self.open_up.wait(10)
        super().atomic_write(path, data)


async def test_the_end_of_a_run_waits_for_catalogs_only_so_long(tmp_path: Path):
    for number in range(20):
        shard_of(tmp_path, line(number), number=number)
    files = Gated()
    cataloguer = Cataloguer(files)
    for shard in sealed_shards(tmp_path, "traces"):
        cataloguer.add(shard, "traces")
    assert files.reached.wait(10)
    cataloguer.finish(0.01)
    cataloguer.stop()
    files.open_up.set()
    cataloguer.close()
    assert len(catalogs_in(tmp_path)) == 1


async def test_who_interrupts_a_start_that_makes_catalogs_ends_it_in_the_middle(tmp_path: Path):
    for number in range(20):
        shard_of(tmp_path, line(number), number=number)
    files = Gated()
    store = open_run(tmp_path, files=files)
    async with asyncio.TaskGroup() as group:
        making = group.create_task(store.make_catalogs(print))
        await asyncio.to_thread(files.reached.wait, 10)
        making.cancel()
        files.open_up.set()
    assert making.cancelled()
    assert len(catalogs_in(tmp_path)) < 20
    await store.close()


async def test_a_catalog_that_cannot_be_written_is_an_event_and_no_error(tmp_path: Path):
    class NoCatalogs(FileLayer):
        def atomic_write(self, path: Path, data: bytes) -> None:
            if path.name.endswith(".catalog.parquet"):
                raise OSError(28, "No space left on device")
            super().atomic_write(path, data)

    await a_run(tmp_path, *range(4), shard_traces=2, files=NoCatalogs())
    assert len(keys_on_disk(tmp_path)) == 4
    assert catalogs_in(tmp_path) == []
    (event,) = [one for one in read_events(tmp_path) if one["event"] == "catalog_error"]
    assert event["shards"] == 3
    assert "No space left" in event["text"]


def test_nothing_is_made_once_the_cataloguer_is_closed(tmp_path: Path):
    shard = shard_of(tmp_path, line(0))
    cataloguer = Cataloguer(DISK)
    cataloguer.close()
    cataloguer.add(shard, "traces")
    cataloguer.sweep(tmp_path)
    cataloguer.finish(None)
    cataloguer.close()
    assert catalogs_in(tmp_path) == []
    assert cataloguer.told() == []


def test_beside_a_run_the_work_is_cut_into_slices_and_at_its_end_is_not(tmp_path: Path):
    shard = shard_of(tmp_path, *(line(number) for number in range(200)))
    pauses: list[float | None] = []

    class Counted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return self.is_set()

    cataloguer = Cataloguer(DISK)
    cataloguer._haste = Counted()
    cataloguer.add(shard, "traces")
    cataloguer.close()
    assert set(pauses) <= {cataloguers.PAUSE}


# What reads them.


def everything(directory: Path) -> tuple[Any, ...]:
    """What a start and `status` find."""
    ledger, marks = Ledger(directory), Marks(directory)
    keys = [(index, rollout) for index in range(30) for rollout in range(3)]
    status = status_of(directory)
    return (
        [key for key in keys if key in ledger.done],
        [key for key in keys if key in ledger.failed],
        [ledger.reason(key) for key in keys],
        ledger.failed_reasons,
        ledger.totals,
        len(ledger.done),
        len(ledger.failed),
        marks.total,
        [marks.of(index) for index in range(30)],
        {name: status[name] for name in ("stored", "accepted", "done", "failed", "left", "failed_reasons")},
    )


def refused(index: int, rollout: int = 0) -> dict[str, Any]:
    found = trace_line(index, rollout)
    found["metadata"]["accepted"] = False
    return found


def with_doubles(run: Path) -> None:
    """Within a shard and over shards, accepted and not, in both orders."""
    shard_of(run, refused(1), line(1), line(2), refused(2), line(3))
    shard_of(run, line(3), refused(3), refused(4), line(5, 1), number=1)
    shard_of(run, line(4), line(6, 2), refused(7), number=2)


def with_failures(run: Path) -> None:
    """Twice for two reasons, before and after a trace, and for good."""
    shard_of(run, line(1), line(2))
    shard_of(run, failed(1), failed(3, reason="internal"), failed(4), kind="failed")
    shard_of(run, failed(3), failed(5, reason="bad_image"), failed(2), failed(5), kind="failed", number=1)


def with_an_open_end(run: Path) -> None:
    with_doubles(run)
    with_failures(run)
    (run / "traces" / "traces-20250101T000000-abcd-00001.jsonl.part").write_bytes(line(3) + line(20) + b"{torn")
    (run / "failed" / "failed-20250101T000000-abcd-00009.jsonl.part").write_bytes(failed(21))


def empty(run: Path) -> None:
    for kind in KINDS:
        (run / kind).mkdir()


RUNS: list[Callable[[Path], None]] = [with_doubles, with_failures, with_an_open_end, empty]


def described(run: Path, make: Callable[[Path], None]) -> Path:
    run.mkdir()
    make(run)
    (run / "run.json").write_text(
        '{"name": "geo-tools", "config_id": "0123456789ab", "total": 40, "config": {"accept": "score > 0"}}'
    )
    return run


@pytest.mark.parametrize("make", RUNS, ids=lambda make: make.__name__)
def test_with_catalogs_the_same_is_found_as_in_the_lines(tmp_path: Path, make: Callable[[Path], None]):
    run = described(tmp_path / "run", make)
    scanned = everything(run)
    shards = shards_of(run)
    for shard in shards[::2]:
        catalog_of(shard)
    assert everything(run) == scanned
    for shard in shards[1::2]:
        catalog_of(shard)
    assert list(read_catalogs(shards)) == shards
    assert everything(run) == scanned
    for shard in shards:
        flipped(catalog_path(shard), -30)
    assert everything(run) == scanned


def test_many_traces_are_counted_as_few_are(tmp_path: Path):
    run = described(tmp_path / "run", lambda directory: None)
    shard_of(run, *(line(number) for number in range(10_010)), line(0))
    scanned = status_of(run)
    catalog_of(shards_of(run)[0])
    assert status_of(run) == scanned
    assert (scanned["stored"], scanned["accepted"]) == (10_010, 10_010)


def test_catalogs_are_what_a_start_reads(tmp_path: Path):
    shard = shard_of(tmp_path, line(0), line(1))
    catalog_of(shard)
    before = shard.stat()
    flipped(shard, 50)
    with pytest.raises(DataError, match=":1: the checksum is wrong"):
        Ledger(tmp_path)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert len(Ledger(tmp_path).done) == 2


# Who else makes them.


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_copy_has_catalogs(tmp_path: Path, kind: Kind):
    (tmp_path / kind).mkdir()
    shards = SealedShards(tmp_path, kind, "w", DISK, shard_lines=2)
    for number in range(5):
        shards.add(failed(number) if kind == "failed" else line(number))
    shards.seal()
    assert all_catalogued(tmp_path)


def test_a_sealed_copy_does_without_them_where_the_disk_takes_none(tmp_path: Path):
    (tmp_path / "traces").mkdir()

    class Full(FaultyFiles):
        def atomic_write(self, path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    shards = SealedShards(tmp_path, "traces", "w", Full())
    shards.add(line(0))
    shards.seal()
    assert keys_on_disk(tmp_path) == [(0, 0)]
    assert catalogs_in(tmp_path) == []


def test_salvage_takes_the_catalog_of_a_shard_away_with_it(tmp_path: Path):
    bad, good = shard_of(tmp_path, line(0), line(1)), shard_of(tmp_path, line(2), number=1)
    for shard in (bad, good):
        catalog_of(shard)
    flipped(bad, 50)
    salvage(tmp_path, "w", DISK)
    assert keys_on_disk(tmp_path) == [(2, 0), (1, 0)]
    assert all_catalogued(tmp_path)


def test_verify_names_a_catalog_that_is_not_what_it_says(tmp_path: Path):
    run = described(tmp_path / "run", lambda directory: None)
    shard = shard_of(run, line(1))
    catalog = catalog_of(shard)
    assert verify(run)[0].notes == []
    before = shard.stat()
    shard.write_bytes(line(2))
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    (report,) = verify(run)
    assert report.notes == [f"remove {catalog.path}: its ids are not those of its shard"]
    assert report.faults == []
    os.utime(shard)
    (report,) = verify(run)
    assert report.notes == ["catalogs that do not fit their shards (as in a copy), and are made again: 1"]
    assert (report.stale_catalogs, report.faults) == (1, [])
