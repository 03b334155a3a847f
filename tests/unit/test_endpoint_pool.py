"""Which endpoint gets a request, and how one goes down and comes back."""

from __future__ import annotations

import pytest

from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.pool import EndpointSpec, Pool

REFUSED = Fault(FaultKind.TRANSPORT, "refused")


def pool_of(count: int, limit: int | None = None) -> Pool:
    return Pool([EndpointSpec(f"e{number}", limit) for number in range(count)])


def fail(pool: Pool, number: int, times: int, now: float = 0.0, fault: Fault = REFUSED) -> None:
    for _ in range(times):
        pool.on_fault(number, fault, now)
    pool.validate()


def states(pool: Pool, now: float) -> list[str]:
    return [endpoint.state for endpoint in pool.snapshot(now)]


def test_the_least_busy_endpoint_comes_first_and_equals_take_turns():
    pool = pool_of(3)
    chosen = []
    for _ in range(6):
        number = pool.choose(None, 0.0)
        assert number is not None
        pool.acquire(number)
        chosen.append(number)
    assert chosen == [0, 1, 2, 0, 1, 2]
    pool.release(1)
    assert pool.choose(None, 0.0) == 1


def test_an_episode_stays_until_its_endpoint_is_more_than_the_margin_busier():
    pool = pool_of(2)
    pool.acquire(0)
    pool.acquire(0)
    assert pool.choose(0, 0.0) == 0
    pool.acquire(0)
    assert pool.choose(0, 0.0) == 1


def test_five_faults_in_a_row_take_an_endpoint_down_and_a_success_between_them_does_not():
    pool = pool_of(2)
    fail(pool, 0, 4)
    pool.on_success(0, 0.0, 1.0)
    fail(pool, 0, 4)
    assert states(pool, 0.0) == ["ok", "ok"]
    fail(pool, 0, 1)
    assert states(pool, 0.0) == ["down", "ok"]
    assert pool.choose(0, 0.0) == 1


def test_ten_time_outs_in_a_row_take_an_endpoint_down_and_nine_do_not():
    pool = pool_of(1)
    fail(pool, 0, 9, fault=Fault(FaultKind.TIMEOUT, "x"))
    assert states(pool, 0.0) == ["ok"]
    fail(pool, 0, 1, fault=Fault(FaultKind.TIMEOUT, "x"))
    assert states(pool, 0.0) == ["down"]


@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.BAD_REQUEST, FaultKind.OVERFLOW])
def test_what_is_no_fault_of_the_servers_takes_nothing_down(kind: FaultKind):
    pool = pool_of(1)
    fail(pool, 0, 50, fault=Fault(kind, "x"))
    assert states(pool, 0.0) == ["ok"]


def test_probes_come_after_one_second_and_double_to_thirty():
    pool = pool_of(1)
    fail(pool, 0, 5)
    now = 0.0
    for wait in (1, 2, 4, 8, 16, 30, 30):
        assert pool.due_probes(now + wait - 0.01) == []
        now += wait
        assert pool.due_probes(now) == [0]
        assert pool.due_probes(now) == []
        assert states(pool, now) == ["probing"]
        pool.on_probe(0, ok=False, now=now)
        pool.validate()


def test_after_a_probe_one_trial_at_a_time_until_a_success():
    pool = pool_of(1)
    fail(pool, 0, 5)
    assert pool.due_probes(1.0) == [0]
    pool.on_probe(0, ok=True, now=1.0)
    assert pool.choose(None, 1.0) == 0
    pool.acquire(0)
    assert pool.choose(None, 1.0) is None
    pool.on_success(0, 2.0, 1.0)
    assert pool.choose(None, 2.0) == 0
    assert states(pool, 2.0) == ["ok"]


def test_requests_from_before_the_outage_do_not_keep_the_trial_back():
    pool = pool_of(1)
    pool.acquire(0)
    pool.acquire(0)
    fail(pool, 0, 5)
    pool.due_probes(1.0)
    pool.on_probe(0, ok=True, now=1.0)
    assert pool.choose(None, 1.0) == 0
    pool.acquire(0)
    pool.release(0)  # one of the older ones, as far as is known
    assert pool.choose(None, 1.0) is None
    pool.release(0)
    pool.release(0)
    assert pool.choose(None, 1.0) == 0
    pool.validate()


def test_a_failed_trial_takes_the_endpoint_down_for_longer():
    pool = pool_of(1)
    fail(pool, 0, 5)
    pool.due_probes(1.0)
    pool.on_probe(0, ok=True, now=1.0)
    fail(pool, 0, 1, now=1.0)
    assert states(pool, 1.0) == ["down"]
    assert (pool.due_probes(2.9), pool.due_probes(3.0)) == ([], [0])


def test_an_old_requests_success_is_better_than_a_probe():
    pool = pool_of(1)
    fail(pool, 0, 5)
    pool.due_probes(1.0)
    pool.on_success(0, 1.5, 60.0)
    pool.on_probe(0, ok=False, now=2.0)
    assert states(pool, 2.0) == ["ok"]
    pool.validate()


def test_retry_after_pauses_one_endpoint_and_is_no_outage():
    pool = pool_of(1)
    pool.on_fault(0, Fault(FaultKind.THROTTLED, "slow", 429, 20.0), 0.0)
    assert states(pool, 19.0) == ["paused"]
    assert pool.choose(0, 19.0) is None
    assert not pool.all_down(19.0)
    assert pool.choose(0, 20.0) == 0


def test_an_outage_lasts_from_the_last_endpoint_down_until_a_request_succeeds():
    pool = pool_of(2)
    fail(pool, 0, 5, now=1.0)
    assert not pool.all_down(1.0)
    fail(pool, 1, 5, now=7.0)
    assert pool.all_down(7.0)
    assert pool.down_since == 7.0
    pool.due_probes(9.0)
    pool.on_probe(1, ok=True, now=9.0)
    assert pool.down_since == 7.0
    pool.on_success(1, 10.0, 1.0)
    assert pool.down_since is None
    assert not pool.all_down(10.0)


def test_the_snapshot_has_counts_and_percentiles():
    pool = pool_of(1, limit=4)
    for seconds in range(1, 101):
        pool.on_success(0, 0.0, float(seconds))
    pool.acquire(0)
    fail(pool, 0, 1)
    (shown,) = pool.snapshot(0.0)
    assert (shown.name, shown.in_flight, shown.done, shown.faults) == ("e0", 1, 100, 1)
    assert (shown.p50, shown.p95) == (50.0, 95.0)
    assert pool.successes == 100


def test_misuse_is_a_bug_that_shows():
    with pytest.raises(ValueError, match="no endpoints"):
        Pool([])
    pool = pool_of(1, limit=1)
    with pytest.raises(ValueError, match="release without acquire"):
        pool.release(0)
    pool.acquire(0)
    with pytest.raises(ValueError, match="over max_concurrency 1"):
        pool.acquire(0)
