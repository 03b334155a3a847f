"""Figures of a run made of counters, by a clock that the test moves."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from support.figures import CountedRun
from support.store_fakes import a_failure, a_trace

from asyncgen.config.load import resolve
from asyncgen.config.problems import problems
from asyncgen.config.schema import Dataset, EndpointOptions, Job
from asyncgen.core.task import Task
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.engine.driver import Living
from asyncgen.engine.events import Draining, Paused
from asyncgen.rewards.geo import GEO_FAILURE
from asyncgen.runs.figures import Figures, Meter, accepted_of, cost_of, order_by_difficulty
from asyncgen.runs.rates import MIN_DONE, PARTS, WINDOW, Z80, History, Mark


@dataclass(frozen=True)
class Rated(Task):
    scores: ClassVar = {"parse_success": False, "verdict": "", "good": False, "score": 0.0, "acc@1km": 0.0}
    difficulty: ClassVar = "hard"


@dataclass(frozen=True)
class Geo(Task):
    scores: ClassVar = GEO_FAILURE


def watched(run: CountedRun, meter: Meter, per_second: list[int]) -> Figures:
    """So many episodes in each second, and a look after each."""
    found = meter.look(run)
    for episodes in per_second:
        run.clock.now += 1
        run.finish(episodes, tokens=100 * episodes)
        found = meter.look(run)
    return found


def test_a_first_look_has_counts_and_no_rates():
    run = CountedRun(total=10)
    run.finish(3)
    seen = Meter().look(run)
    assert (seen.done, seen.left, seen.rate, seen.rate_now, seen.seconds_left) == (3, 7, 0.0, 0.0, None)
    assert seen.parsed == 0.0


def test_a_run_that_has_done_nothing_has_no_shares():
    seen = Meter().look(CountedRun(task=Geo()))
    assert {seen.parsed, seen.turns, seen.with_tools, seen.tool_errors, seen.retries} == {None}
    assert {one.value for one in seen.scores} == {None}


def test_the_rate_of_now_is_that_of_the_last_minute_and_the_other_that_of_ten():
    seen = watched(CountedRun(total=100_000), Meter(), [1] * 540 + [3] * 60)
    assert seen.rate_now == pytest.approx(180.0)
    assert seen.rate == pytest.approx((540 + 180) / 10)
    assert seen.tokens_a_second == pytest.approx(100 * 720 / 600)


def test_what_is_older_than_the_window_does_not_count_any_more():
    seen = watched(CountedRun(total=100_000), Meter(), [50] * 100 + [1] * int(WINDOW))
    assert seen.rate == pytest.approx(60.0)


def test_looks_as_often_as_one_likes_keep_one_mark_a_second():
    history = History()
    for step in range(4_000):
        history.rates(Mark(step / 4, step, 0, ()))
    assert WINDOW <= len(history._marks) <= WINDOW + 2


def test_rare_looks_have_rates_too():
    run, meter = CountedRun(total=10_000), Meter()
    meter.look(run)
    run.clock.now += 7200
    run.finish(1200)
    assert meter.look(run).rate == pytest.approx(10.0)


def test_the_time_left_is_the_rest_at_the_rate_of_the_window():
    seen = watched(CountedRun(total=1000), Meter(), [1] * 100)
    assert seen.seconds_left == pytest.approx(900.0)
    assert seen.seconds_spread == pytest.approx(0.0)


def test_no_time_left_is_given_before_enough_is_done():
    assert watched(CountedRun(), Meter(), [1] * (MIN_DONE - 1)).seconds_left is None
    assert watched(CountedRun(), Meter(), [1] * MIN_DONE).seconds_left is not None


def test_a_run_that_stands_still_has_no_time_left():
    seen = watched(CountedRun(total=1000), Meter(), [10] * 10 + [0] * 700)
    assert (seen.rate, seen.seconds_left, seen.seconds_spread) == (0.0, None, None)


def test_the_spread_is_that_of_the_windows_parts():
    by_part = [4, 0, 2, 6, 3, 5, 1, 3, 2, 4]
    seen = watched(CountedRun(total=1000), Meter(), [count for count in by_part for _ in range(10)])
    assert seen.seconds_left is not None
    error = Z80 * statistics.stdev(by_part) / math.sqrt(PARTS) / statistics.fmean(by_part)
    assert seen.seconds_spread == pytest.approx(error * seen.seconds_left)


def test_failed_episodes_count_for_the_time_left_and_those_not_needed_are_not_left():
    run, meter = CountedRun(total=100), Meter()
    run.progress.skipped = 10
    meter.look(run)
    run.clock.now += 40
    run.finish(30, failed=10)
    seen = meter.look(run)
    assert (seen.left, seen.failed, seen.skipped) == (50, 10, 10)
    assert seen.seconds_left == pytest.approx(50.0)


def test_what_was_there_before_this_start_is_counted_and_has_no_rate():
    run = CountedRun(total=100)
    run.progress.done_before, run.progress.failed_before, run.store.durable = 40, 5, 2
    seen = watched(run, Meter(), [1, 1, 1])
    assert (seen.done, seen.failed, seen.left, seen.durable) == (43, 5, 52, 42)
    assert seen.rate == pytest.approx(60.0)


def test_each_server_has_a_rate_of_its_own():
    run, meter = CountedRun(servers=("a", "b")), Meter()
    meter.look(run)
    for _ in range(120):
        run.clock.now += 1
        run.answer(0, 2)
        seen = meter.look(run)
    assert [one.rate for one in seen.endpoints] == [pytest.approx(120.0), 0.0]
    assert [(one.name, one.done, one.state, one.p50) for one in seen.endpoints] == [
        ("a", 240, "ok", 1.5),
        ("b", 0, "ok", 0.0),
    ]


def test_a_server_that_is_down_says_why():
    run = CountedRun()
    for _ in range(50):
        run.scheduler.pool.on_fault(0, Fault(FaultKind.TRANSPORT, "refused"), run.clock.now)
    (server,) = Meter().look(run).endpoints
    assert (server.state, server.last_fault) == ("down", "refused")


def test_scores_are_those_that_are_numbers_with_score_first_and_flags_as_shares():
    run = CountedRun(task=Rated())
    for number, good in enumerate([True, False, False, False]):
        scores = {"parse_success": True, "verdict": "x", "good": good, "score": 0.5, "acc@1km": 1.0}
        run.progress.add_trace(replace(a_trace(number), reward_score=scores))
    seen = Meter().look(run)
    assert [(one.name, one.kind, one.value) for one in seen.scores] == [
        ("score", "mean", 0.5),
        ("good", "share", 0.25),
        ("acc@1km", "share", 1.0),
    ]


def test_the_distance_is_the_median_of_what_could_be_read():
    run = CountedRun(task=Geo())
    for number, distance in enumerate([100.0, 200.0, 900.0]):
        scores = GEO_FAILURE | {"parse_success": True, "distance@km": distance}
        run.progress.add_trace(replace(a_trace(number), reward_score=scores))
    run.progress.add_trace(replace(a_trace(3), reward_score=dict(GEO_FAILURE)))
    seen = Meter().look(run)
    (median,) = [one for one in seen.scores if one.kind == "median"]
    assert (median.name, median.value) == ("distance@km", pytest.approx(200.0, rel=0.01))
    assert seen.parsed == 0.75


def test_the_tasks_own_tools_come_first_even_when_nobody_called_them():
    run = CountedRun(tools=("zoom", "rotate"))
    run.progress.tools.update({"zomm": 9, "rotate": 2, "look": 1})
    assert list(Meter().look(run).tools.items()) == [("zoom", 0), ("rotate", 2), ("zomm", 9), ("look", 1)]


def test_tool_errors_are_a_share_of_calls_and_retries_one_of_requests():
    run = CountedRun()
    run.progress.add_trace(a_trace(0, calls=2))
    failure = a_failure(1)
    run.progress.add_failure(
        replace(failure, trace=replace(failure.trace, metadata=failure.trace.metadata | {"attempts": 3}))
    )
    seen = Meter().look(run)
    assert (seen.with_tools, seen.tool_errors, seen.turns) == (1.0, 0.0, 1.0)
    assert seen.retries == pytest.approx(1 / 4)


def test_the_cost_is_that_of_both_kinds_of_tokens_and_goes_on_as_it_began():
    job = Job(task="t", endpoint=EndpointOptions(price_input=2.0, price_output=10.0))
    run = CountedRun(job=job, total=90)
    run.progress.prompt_tokens, run.progress.completion_tokens = 1_000_000, 100_000
    assert (Meter().look(run).cost, Meter().look(run).cost_at_end) == (3.0, None)
    run.finish(MIN_DONE)
    assert Meter().look(run).cost_at_end == pytest.approx(3.0 * 90 / MIN_DONE)


def test_without_prices_nothing_costs_and_one_of_them_is_enough():
    run = CountedRun()
    run.progress.completion_tokens = 500_000
    assert Meter().look(run).cost is None
    assert cost_of(EndpointOptions(price_output=4.0), run.progress) == 2.0


@pytest.mark.parametrize(
    ("dataset", "columns", "order"),
    [
        (Dataset(order="hardest_first"), ("hard",), "hardest first"),
        (Dataset(order="easiest_first"), ("hard",), "easiest first"),
        (Dataset(order="hardest_first"), ("other",), ""),
        (Dataset(), ("hard",), ""),
        (Dataset(order="hardest_first", order_by="other"), ("hard", "other"), ""),
        (Dataset(order_by="hard"), ("hard",), "hardest first"),
        (Dataset(order_by="hard desc"), ("hard",), "easiest first"),
    ],
)
def test_an_order_by_difficulty_is_told(dataset: Dataset, columns: tuple[str, ...], order: str):
    assert order_by_difficulty(Job(task="t", dataset=dataset), Rated(), columns) == order


def test_a_task_without_a_difficulty_skews_nothing():
    assert not order_by_difficulty(Job(task="t", dataset=Dataset(order="hardest_first")), Task(), ("x",))


OLD = Living(id="job/1/0", turn=3, seconds=50.0, idle=4.0)


def test_the_oldest_episodes_are_shown_near_the_end_only():
    run, meter = CountedRun(total=100, limit=4, living=[OLD] * 9), Meter()
    assert meter.look(run).oldest == []
    run.finish(92)
    assert meter.look(run).oldest == [OLD] * 3


def test_a_drain_shows_the_oldest_too_since_it_waits_for_them():
    run = CountedRun(living=[OLD])
    run.scheduler.handle(Draining(), 0.0)
    seen = Meter().look(run)
    assert (seen.draining, seen.oldest) == (True, [OLD])


def test_a_pause_and_its_notice_are_told():
    run = CountedRun()
    run.scheduler.handle(Paused(True), 0.0)
    run.progress.notice = "paused by ctl"
    seen = Meter().look(run)
    assert (seen.paused, seen.notice) == (True, "paused by ctl")


def test_accepted_traces_are_counted_where_the_job_accepts_some():
    run = CountedRun(job=Job(task="t", name="job", accept="score > 0.5"))
    run.progress.accepted_before, run.progress.accepted = 4, 3
    assert Meter().look(run).accepted == 7
    assert accepted_of(Job(task="t"), run.progress) is None


def test_figures_are_ready_for_json():
    run = CountedRun(task=Geo(), total=4, living=[OLD], reasons={"timeout": 2})
    seen = Meter().look(run)
    parsed = orjson.loads(orjson.dumps(asdict(seen)))
    assert parsed["endpoints"][0]["name"] == "e0"
    assert parsed["oldest"] == [{"id": "job/1/0", "turn": 3, "seconds": 50.0, "idle": 4.0}]
    assert parsed["reasons"] == {"timeout": 2}


def test_prices_are_dollars_of_0_or_more():
    def said(**prices: float) -> list[str]:
        job = Job(task="t", dataset=Dataset(path="data"), endpoint=EndpointOptions(**prices))
        return problems(job)

    assert said(price_input=0.0, price_output=0.25) == []
    assert said(price_input=-1.0) == ["endpoint.price_input is -1.0: give 0 or more US dollars, or null"]
    assert said(price_output=-0.5) == ["endpoint.price_output is -0.5: give 0 or more US dollars, or null"]


def test_a_price_may_be_given_as_a_flag_or_a_variable(tmp_path: Path):
    path = tmp_path / "job.yaml"
    path.write_text("task: geo\ndataset: {path: data}\n")
    environ = {"ASYNCGEN_ENDPOINT_PRICE_OUTPUT": "2"}
    job = resolve(path, environ=environ, flags={"endpoint.price_input": "0.5"}, task_knobs=())
    assert (job.endpoint.price_input, job.endpoint.price_output) == (0.5, 2.0)
