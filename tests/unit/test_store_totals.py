"""What episodes have cost, read off their stored lines and off catalogs."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_fakes import a_failure, a_trace, open_store, save

from asyncgen.core.trace import Failure, Trace
from asyncgen.store.card import REUSED_FROM
from asyncgen.store.catalog import read_catalogs, write_catalog
from asyncgen.store.files import DISK
from asyncgen.store.layout import sealed_shards
from asyncgen.store.line import encode_failure, encode_trace
from asyncgen.store.totals import Totals

NASTY = '"metadata":{"total_turns":99,"prompt_tokens":99}, "crc":"00000000"}\n'


def with_metadata(trace: Trace, **more: Any) -> Trace:
    return replace(trace, metadata={**trace.metadata, **more})


def one(trace: Trace) -> Totals:
    return Totals.of_lines([encode_trace(trace)], "traces")


def test_the_sums_are_those_of_the_traces_metadata() -> None:
    trace = with_metadata(
        a_trace(1), total_turns=3, num_tool_calls=2, prompt_tokens=70, completion_tokens=9, attempts=5
    )
    assert one(trace) == Totals(3, 2, 70, 9, 5, retries=2)
    lines = [encode_trace(trace), encode_trace(a_trace(2))]
    assert Totals.of_lines(lines, "traces") == one(trace) + one(a_trace(2)) == Totals(4, 2, 80, 14, 6, 2)


def test_of_a_failed_episode_the_last_turn_was_asked_for_and_did_not_come() -> None:
    def failed(turns: int, attempts: int) -> Totals:
        trace = with_metadata(a_trace(1), total_turns=turns, attempts=attempts)
        return Totals.of_lines([encode_failure(Failure(trace=trace, reason="timeout", error=NASTY))], "failed")

    assert [failed(0, 0).retries, failed(0, 1).retries, failed(2, 7).retries] == [0, 0, 4]
    assert failed(2, 7).turns == 2


def test_what_a_model_or_a_row_says_counts_for_nothing() -> None:
    trace = replace(a_trace(1, text=NASTY, town=NASTY), reward_score={"verdict": NASTY})
    assert one(trace) == one(a_trace(1))
    assert one(with_metadata(a_trace(1), verdict=NASTY)) == one(a_trace(1))


def test_a_trace_that_was_taken_over_costs_nothing_here() -> None:
    assert one(with_metadata(a_trace(1), **{REUSED_FROM: "/runs/old"})) == Totals()
    assert one(with_metadata(a_trace(1), **{REUSED_FROM: ""})) == one(a_trace(1))


@pytest.mark.parametrize("line", [b"", b"{}", b'{"metadata":{"total_turns":[1],"attempts":null}}', b'{"metadata":{"a'])
def test_what_a_line_does_not_say_is_nothing(line: bytes) -> None:
    assert Totals.of_lines([line], "traces") == Totals()


def test_a_start_knows_what_the_ones_before_have_cost_with_catalogs_and_without(tmp_path: Path) -> None:
    save(tmp_path, a_trace(1, calls=2), a_trace(2))
    for catalog in tmp_path.rglob("*.catalog.parquet"):
        catalog.unlink()
    scanned = open_store(tmp_path)
    assert scanned.totals == Totals(2, 2, 20, 10, 2, 0)
    asyncio.run(scanned.close())
    for shard in sealed_shards(tmp_path, "traces"):
        write_catalog(shard, "traces", DISK)
    read = open_store(tmp_path)
    assert read.totals == scanned.totals
    asyncio.run(read.close())


Numbers = st.integers(min_value=0, max_value=1 << 40)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[Numbers] * 5), min_size=1, max_size=5), st.sampled_from(["traces", "failed"]))
def test_a_catalog_has_the_sums_of_its_shard(
    tmp_path_factory: pytest.TempPathFactory, episodes: list[tuple[int, ...]], kind: Any
) -> None:
    names = ("total_turns", "num_tool_calls", "prompt_tokens", "completion_tokens", "attempts")
    folder = tmp_path_factory.mktemp("run") / kind
    folder.mkdir()
    shard = folder / f"{kind}-w-00000.jsonl"
    lines = []
    for row, numbers in enumerate(episodes):
        metadata = dict(zip(names, numbers, strict=True))
        if kind == "traces":
            lines.append(encode_trace(with_metadata(a_trace(row), **metadata)))
        else:
            lines.append(encode_failure(replace(a_failure(row), trace=with_metadata(a_trace(row), **metadata))))
    shard.write_bytes(b"".join(lines))
    write_catalog(shard, kind, DISK)
    found = read_catalogs([shard], keys_only=True)[shard].keys.totals
    assert found == Totals.of_lines(lines, kind)
    assert astuple(found)[:5] == tuple(map(sum, zip(*episodes, strict=True)))
