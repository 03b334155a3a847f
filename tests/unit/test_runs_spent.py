"""The time of all starts, by events; prices; and what is added up over partitions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support.figures import CountedRun, figures
from support.store_fakes import a_trace

from asyncgen.config.schema import EndpointOptions, Job
from asyncgen.core.errors import DataError
from asyncgen.runs.figures import Meter
from asyncgen.runs.noting import COUNTERS_EVERY, PAUSE_LOOK, note_states
from asyncgen.runs.rates import MIN_DONE
from asyncgen.runs.spent import Spent, added_up, price, spent_of, time_of
from asyncgen.store.totals import Totals
from asyncgen.view.panel import screen

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float, event: str, writer: str = "a", **more: Any) -> dict[str, Any]:
    return {"time": (NOON + timedelta(seconds=seconds)).isoformat(), "writer": writer, "event": event, **more}


def test_a_start_lasts_to_its_stop_and_a_killed_one_to_its_last_event() -> None:
    killed = [at(0, "start"), at(60, "counters"), at(70, "pause")]
    next_one = [at(1000, "config_change", "b"), at(1001, "start", "b"), at(1011, "stop", "b")]
    assert time_of(killed, live=False) == (70.0, 1)
    assert time_of(killed + next_one, live=False) == (80.0, 2)
    assert time_of([*killed, at(500, "salvage", "s"), *next_one], live=False) == (80.0, 2)
    assert time_of([], live=False) == (0.0, 0)


def test_a_start_that_is_going_on_lasts_until_now_and_one_that_is_over_does_not() -> None:
    begun = {"event": "start", "writer": "a", "time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    ended = {**begun, "event": "stop"}
    seconds, starts = time_of([begun], live=True)
    assert (starts, seconds) == (1, pytest.approx(3600, abs=60))
    assert time_of([begun, ended], live=True) == (0.0, 1)


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    assert time_of([at(100, "start"), at(0, "stop")], live=False) == (0.0, 1)


def test_the_making_of_a_copy_is_no_start() -> None:
    assert time_of([at(0, "start", by="filter"), at(9, "stop")], live=False) == (0.0, 0)


def test_an_event_without_a_time_is_damage() -> None:
    with pytest.raises(DataError, match=r"events\.jsonl is damaged"):
        time_of([{"event": "start"}], live=False)


def test_the_price_is_by_million_tokens_and_needs_one_of_two_prices() -> None:
    tokens = Totals(prompt_tokens=2_000_000, completion_tokens=500_000)
    assert [price(tokens, 1.0, 4.0), price(tokens, 1.0, None), price(tokens, None, 4.0)] == [4.0, 2.0, 2.0]
    assert price(tokens, None, None) is None


@pytest.mark.parametrize("config", [{}, {"endpoint": None}, {"endpoint": {"price_input": "x", "price_output": None}}])
def test_a_run_file_without_a_price_has_no_cost(config: dict[str, Any]) -> None:
    found = spent_of({"config": config}, [Totals(turns=1), Totals(turns=2)], [], live=False)
    assert (found["turns"], found["cost"], found["seconds"], found["starts"]) == (3, None, 0.0, 0)
    assert "requests" not in found


def test_partitions_are_added_up_and_cost_something_where_each_does() -> None:
    run = {"config": {"endpoint": {"price_output": 2.0}}}
    parts = [
        spent_of(run, [Totals(completion_tokens=10**6)], [at(0, "start"), at(5, "stop")], live=False) for _ in range(2)
    ]
    whole = added_up(parts)
    assert (whole["completion_tokens"], whole["seconds"], whole["starts"], whole["cost"]) == (2 * 10**6, 10.0, 2, 4.0)
    assert added_up([*parts, {**parts[0], "cost": None}])["cost"] is None


def test_the_screen_tells_what_all_starts_have_cost_and_the_rest_by_this_one() -> None:
    run = CountedRun(job=Job(task="t", endpoint=EndpointOptions(price_output=10.0)), total=MIN_DONE * 3)
    run.progress.before, run.progress.seconds_before = Totals(prompt_tokens=5, completion_tokens=10**6), 3600.0
    run.finish(MIN_DONE, tokens=10**5)
    seen = Meter().look(run)
    assert (seen.prompt_tokens, seen.completion_tokens, seen.elapsed_before) == (5, 1_100_000, 3600.0)
    assert (seen.start_prompt_tokens, seen.start_completion_tokens) == (0, 10**5)
    assert (seen.cost, seen.cost_at_end) == (11.0, pytest.approx(11.0 + 2 * 1.0))


def test_the_screen_of_a_resume_has_this_start_beside_the_whole() -> None:
    resumed = figures(start_prompt_tokens=10, start_completion_tokens=2, elapsed=60.0, elapsed_before=3600.0)
    lines = [text.rstrip() for text, _style in screen(resumed, width=160, height=50)]
    assert lines[0].endswith("elapsed 0:01:00 of 1:01:00")
    assert "tokens 12,345,678 + 3,456,789   this start 10 + 2" in lines
    first = "\n".join(text for text, _style in screen(figures(), width=160, height=50))
    assert "this start" not in first
    assert "elapsed 1:12:04" in first


def test_counters_of_a_start_are_those_of_its_traces() -> None:
    run = CountedRun()
    run.progress.add_trace(a_trace(1, calls=2))
    assert run.progress.totals == Totals(1, 2, 10, 5, 1, 0)
    flat = Spent(totals=run.progress.totals, seconds=1.23456, cost=None).json()
    assert flat == {
        "turns": 1, "tool_calls": 2, "prompt_tokens": 10, "completion_tokens": 5, "retries": 0, "seconds": 1.235,
        "cost": None,
    }  # fmt: skip


async def test_a_run_says_what_it_has_done_soon_and_then_once_a_minute() -> None:
    run = CountedRun()
    events: list[dict[str, Any]] = []
    run.store.events = SimpleNamespace(write=lambda event, **fields: events.append({"event": event, **fields}))
    run.store.notice = run.driver.hindrance = ""
    run.progress.add_trace(a_trace(1))
    looks = 0

    class Looked(Meter):
        def look(self, view: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks > 3 * COUNTERS_EVERY / PAUSE_LOOK + 2:
                raise asyncio.CancelledError
            return super().look(view)

    with pytest.raises(asyncio.CancelledError):
        await note_states(run, Looked())
    assert [one["event"] for one in events] == ["counters"] * 8  # after 1, 2, 4, 8, 16, 32, 64 seconds, and so on
    assert events[0] == {
        "event": "counters", "done": 1, "failed": 0, "skipped": 0, "turns": 1, "tool_calls": 0, "prompt_tokens": 10,
        "completion_tokens": 5, "requests": 1, "retries": 0,
    }  # fmt: skip
