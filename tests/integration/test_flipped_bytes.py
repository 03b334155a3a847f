"""One byte of a run directory is another one: it is found, named, set aside, and nothing else goes with it."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from support.runs_on_disk import WRITER, failed, line, lines_of, make_run
from support.store_fakes import StillClock, open_store

from asyncgen.core.errors import DataError
from asyncgen.runs.salvaging import salvage_runs
from asyncgen.runs.verify import verify
from asyncgen.store.files import DISK

FLIPS = 200


def whole_run(directory: Path) -> Path:
    """Nine traces in three shards, and three failures."""
    lines = [line(row, data={"lat": 1.0, "lon": 2.0, "text": 'é \u2028 "quoted",\n'}) for row in range(9)]
    return make_run(directory, lines[:3], lines[3:6], lines[6:], failures=[failed(20 + row) for row in range(3)])


def special(data: bytes) -> list[int]:
    """Offsets that matter more than others."""
    end = data.index(b"\n")
    crc = data.index(b',"crc":"')
    return [0, 1, len(data) - 1, len(data) - 2, end, end - 1, end - 5, crc, crc + 8, data.index(b'"', 40), end + 1]


def flips(directory: Path) -> Iterator[tuple[Path, int, int]]:
    """(shard, offset, new byte): each special place, then any, with one bit or the whole byte changed."""
    chance = random.Random(20250101)
    shards = [path for kind in ("traces", "failed") for path in sorted((directory / kind).glob("*.jsonl"))]
    places = [(shard, offset) for shard in shards for offset in special(shard.read_bytes())]
    while len(places) < FLIPS:
        shard = chance.choice(shards)
        places.append((shard, chance.randrange(shard.stat().st_size)))
    for shard, offset in places:
        old = shard.read_bytes()[offset]
        values = [old ^ 1 << chance.randrange(8), chance.randrange(256), ord("\n"), ord('"'), ord("0"), 0]
        yield shard, offset, next(new for new in values[chance.randrange(6) :] + values if new != old)


def hit(shard: Path, offset: int) -> int:
    """The number of the line, from 1."""
    return shard.read_bytes().count(b"\n", 0, offset) + 1


def flipped(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]


def test_each_of_many_flipped_bytes_is_named_with_file_and_line(tmp_path: Path):
    directory = whole_run(tmp_path / "run")
    found = 0
    for shard, offset, value in flips(directory):
        number, whole = hit(shard, offset), shard.read_bytes()
        shard.write_bytes(flipped(whole, offset, value))
        (report,) = verify(directory)
        shard.write_bytes(whole)
        pieces = 1 + (value == ord("\n"))  # a new LF makes two bad lines of one
        assert [text.rpartition(": ")[0] for text in report.bad.first] == [
            f"{shard}:{number + more}" for more in range(pieces)
        ], (shard, offset, value)
        assert report.faults
        found += 1
    assert found == FLIPS
    assert verify(directory)[0].faults == []


@pytest.mark.parametrize("count", [60, pytest.param(FLIPS, marks=pytest.mark.deep)])
def test_salvage_keeps_every_other_line_and_sets_the_bad_one_aside_whichever_byte_is_flipped(
    tmp_path: Path, count: int
):
    directory = whole_run(tmp_path / "run")
    for shard, offset, value in islice(flips(directory), count):
        copy = shutil.copytree(directory, tmp_path / "copy")
        lines = shard.read_bytes().splitlines(keepends=True)
        number = hit(shard, offset) - 1
        start, end = sum(map(len, lines[:number])), sum(map(len, lines[: number + 1]))
        broken = flipped(shard.read_bytes(), offset, value)
        (copy / shard.relative_to(directory)).write_bytes(broken)
        (one,) = salvage_runs(copy, files=DISK, clock=StillClock())
        kept = Counter(lines_of(copy, "traces") + lines_of(copy, "failed"))
        kept[lines[number]] += 1
        assert kept == Counter(lines_of(directory, "traces") + lines_of(directory, "failed")), (shard, offset, value)
        assert one.quarantine.read_bytes() == broken[start:end]
        assert verify(copy)[0].faults == []
        shutil.rmtree(copy)


def test_after_a_salvage_a_start_has_all_but_the_lost_trace(tmp_path: Path):
    directory = whole_run(tmp_path / "run")
    shard = directory / "traces" / f"traces-{WRITER}-00001.jsonl"
    shard.write_bytes(flipped(shard.read_bytes(), shard.read_bytes().index(b"\n"), ord(" ")))
    with pytest.raises(DataError, match=f"{shard}:1: "):
        open_store(directory)
    salvage_runs(directory, files=DISK, clock=StillClock())
    store = open_store(directory)
    assert [row for row in range(9) if (row, 0) not in store.done] == [3]
    asyncio.run(store.close())
