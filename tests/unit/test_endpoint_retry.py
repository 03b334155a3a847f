"""What a turn does about its faults, and the fixed limiter."""

from __future__ import annotations

import random
from typing import Any

import pytest

from asyncgen.core.errors import AccountError, FailReason, InputError
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.limiter import FixedLimiter, make_limiter
from asyncgen.endpoint.retry import MAX_FAULTS, Abort, Decision, Fail, Free, Refit, TextMode, TurnRetries, Wait

K = FaultKind


class Longest(random.Random):
    """Jitter at its upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def decide(retries: TurnRetries, kind: FaultKind, *, others_passed: bool = True, **more: Any) -> Decision:
    return retries.on_fault(Fault(kind, "HTTP 500: oh", **more), others_passed=others_passed, rng=Longest())


def test_waits_double_up_to_the_cap():
    retries = TurnRetries()
    waits = [decide(retries, K.SERVER, others_passed=False) for _ in range(9)]
    assert waits == [Wait(s) for s in (0.5, 1, 2, 4, 8, 16, 30, 30, 30)]


@pytest.mark.parametrize("kind", [K.TRANSPORT, K.SERVER, K.BAD_ANSWER, K.EMPTY])
def test_a_fault_of_the_servers_fails_a_turn_only_after_twelve_while_others_pass(kind: FaultKind):
    retries = TurnRetries()
    assert all(isinstance(decide(retries, kind), Wait) for _ in range(MAX_FAULTS - 1))
    last = decide(retries, kind)
    assert isinstance(last, Fail)
    assert last.reason is FailReason.SERVER_ERROR
    assert "HTTP 500: oh" in last.text


def test_an_outage_is_waited_for_however_long():
    retries = TurnRetries()
    decisions = [decide(retries, K.TRANSPORT, others_passed=False) for _ in range(5000)]
    assert all(isinstance(decision, Wait) for decision in decisions)
    assert isinstance(decide(retries, K.TRANSPORT), Wait)


def test_being_throttled_is_no_attempt_and_waits_as_long_as_was_asked():
    retries = TurnRetries()
    assert decide(retries, K.THROTTLED, retry_after=600) == Wait(660)
    assert decide(retries, K.THROTTLED, retry_after=0) == Wait(0.5)
    assert all(isinstance(decide(retries, K.THROTTLED), Wait) for _ in range(100))
    assert retries.attempts == 1


def test_two_stale_connections_are_free_and_the_third_counts():
    retries = TurnRetries()
    assert [decide(retries, K.STALE) for _ in range(2)] == [Free(), Free()]
    assert (retries.attempts, retries.faults) == (1, 0)
    assert isinstance(decide(retries, K.STALE), Wait)
    assert (retries.attempts, retries.faults) == (2, 1)


def test_the_second_timeout_fails_the_turn_and_names_the_knob():
    retries = TurnRetries()
    assert isinstance(decide(retries, K.TIMEOUT), Wait)
    last = decide(retries, K.TIMEOUT)
    assert isinstance(last, Fail)
    assert last.reason is FailReason.TIMEOUT
    assert "raise endpoint.turn_timeout" in last.text


def test_an_overflow_is_refitted_once_by_an_exact_count():
    retries = TurnRetries()
    assert decide(retries, K.OVERFLOW, context_limit=1000, prompt_tokens=600) == Refit(336)
    again = decide(retries, K.OVERFLOW, context_limit=1000, prompt_tokens=600)
    assert isinstance(again, Fail)
    assert again.reason is FailReason.CONTEXT_OVERFLOW


def test_refits_by_a_lower_bound_shrink_and_end():
    retries = TurnRetries()
    bound = {"context_limit": 8192, "prompt_tokens": 6145, "prompt_at_least": True}
    decisions = [decide(retries, K.OVERFLOW, **bound) for _ in range(4)]
    assert decisions[:3] == [Refit(1983), Refit(495), Refit(123)]
    assert isinstance(decisions[3], Fail)


@pytest.mark.parametrize("numbers", [{}, {"context_limit": 1000}, {"context_limit": 1000, "prompt_tokens": 990}])
def test_an_overflow_without_room_or_numbers_fails_at_once(numbers: dict[str, int]):
    assert isinstance(decide(TurnRetries(), K.OVERFLOW, **numbers), Fail)


def test_refused_tools_lead_to_text_once():
    retries = TurnRetries()
    assert decide(retries, K.TOOLS_REFUSED) == TextMode()
    assert isinstance(decide(retries, K.TOOLS_REFUSED), Fail)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (K.BAD_REQUEST, FailReason.BAD_REQUEST),
        (K.TOO_LARGE, FailReason.IMAGE_TOO_LARGE),
        (K.CONTENT_FILTER, FailReason.CONTENT_FILTER),
    ],
)
def test_what_is_wrong_with_the_row_fails_it_at_once(kind: FaultKind, reason: FailReason):
    assert decide(TurnRetries(), kind) == Fail(reason, "HTTP 500: oh")


def test_a_refused_key_is_confirmed_before_the_run_ends():
    retries = TurnRetries()
    assert isinstance(decide(retries, K.AUTH), Wait)
    last = decide(retries, K.AUTH)
    assert isinstance(last, Abort)
    assert isinstance(last.error, AccountError)


@pytest.mark.parametrize(("kind", "error"), [(K.QUOTA, AccountError), (K.NO_MODEL, InputError), (K.CONFIG, InputError)])
def test_what_no_waiting_repairs_ends_the_run(kind: FaultKind, error: type[Exception]):
    decision = decide(TurnRetries(), kind)
    assert isinstance(decision, Abort)
    assert type(decision.error) is error


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_of_fault_has_a_decision_and_a_turn_that_only_has_it_ends_or_waits(kind: FaultKind):
    retries = TurnRetries()
    decisions = [decide(retries, kind) for _ in range(20)]
    assert all(isinstance(decision, Decision) for decision in decisions)
    assert isinstance(decisions[-1], Wait if kind is K.THROTTLED else Fail | Abort)


def test_lowering_the_limit_lets_open_requests_end():
    limiter = FixedLimiter(3)
    assert [limiter.acquire() for _ in range(4)] == [True, True, True, False]
    limiter.limit = 1
    limiter.release()
    assert not limiter.acquire()
    limiter.release()
    limiter.release()
    assert limiter.acquire()
    assert limiter.in_flight == 1


def test_a_limiter_is_made_from_a_number_or_auto():
    assert make_limiter(7).limit == 7
    assert make_limiter("auto").limit == 32
    for wrong in (0, "many"):
        with pytest.raises(InputError, match="concurrency"):
            make_limiter(wrong)
