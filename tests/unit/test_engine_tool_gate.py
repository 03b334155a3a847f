"""When a tool is down, who may try, and when it is up again."""

from __future__ import annotations

from asyncgen.engine.tool_gate import FIRST_TRY, LONGEST, SHARE, WINDOW, ToolGate

FEW = int(SHARE * WINDOW)
"""Failures that the model is told of."""


def down(now: float = 0.0) -> ToolGate:
    gate = ToolGate()
    for _ in range(FEW):
        assert gate.failed("search", "no answer", now)
    assert not gate.failed("search", "no answer", now)
    return gate


def test_the_model_is_told_of_a_fifth_of_the_window_and_then_calls_wait() -> None:
    gate = ToolGate()
    told = [gate.failed("search", "no answer", 0.0) for _ in range(30)]
    assert told == [True] * FEW + [False] * (30 - FEW)
    assert gate.notice() == "the tool search is down, its calls wait: no answer"


def test_failures_among_many_that_pass_never_take_a_tool_down() -> None:
    gate = ToolGate()
    for number in range(1000):
        if number % 6 == 0:
            assert gate.failed("search", "no answer", 0.0)
        else:
            gate.passed("search")
    assert gate.notice() == ""


def test_old_failures_are_forgotten() -> None:
    gate = ToolGate()
    for _ in range(FEW):
        gate.failed("search", "no answer", 0.0)
    for _ in range(WINDOW):
        gate.passed("search")
    assert gate.failed("search", "no answer", 0.0)


def test_one_waiting_call_at_a_time_tries_again_after_longer_and_longer_waits() -> None:
    gate, now, waits = down(), 0.0, list[float]()
    for _ in range(8):
        wait = 0.0
        while not gate.may_try("search", now + wait):
            wait += 0.5
        assert not gate.may_try("search", now + wait)  # one is out
        now += wait
        waits.append(wait)
        assert not gate.failed("search", "no answer", now)
    assert waits == [FIRST_TRY, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]


def test_when_a_call_passes_all_go_on_and_the_past_is_forgotten() -> None:
    gate = down()
    assert gate.may_try("search", FIRST_TRY)
    gate.passed("search")
    assert (gate.notice(), gate.down_since()) == ("", None)
    assert all(gate.may_try("search", FIRST_TRY) for _ in range(100))
    assert [gate.failed("search", "again", 2.0) for _ in range(FEW)] == [True] * FEW


def test_a_call_that_says_nothing_lets_the_next_one_try() -> None:
    gate = down()
    assert gate.may_try("search", FIRST_TRY)
    gate.gave_up("search")
    assert gate.may_try("search", FIRST_TRY)


def test_a_call_from_before_the_tool_went_down_is_not_the_one_that_tries() -> None:
    gate = down()
    assert gate.may_try("search", FIRST_TRY)
    gate.gave_up("search", asked=FIRST_TRY / 2)
    gate.failed("search", "late", FIRST_TRY, asked=FIRST_TRY / 2)
    assert not gate.may_try("search", FIRST_TRY + LONGEST)
    gate.gave_up("search", asked=FIRST_TRY)
    assert gate.may_try("search", FIRST_TRY + LONGEST)


def test_tools_are_counted_apart() -> None:
    gate = down(5.0)
    assert gate.may_try("look", 5.0)
    assert gate.failed("look", "slow", 7.0)
    for _ in range(FEW):
        gate.failed("look", "slow", 9.0)
    assert gate.down_since() == 5.0
    assert gate.notice() == (
        "the tool search is down, its calls wait: no answer; the tool look is down, its calls wait: slow"
    )


def test_calls_that_were_out_when_the_tool_went_down_do_not_lengthen_the_wait() -> None:
    gate = down()
    for _ in range(20):
        assert not gate.failed("search", "late", 0.1)
    assert gate.may_try("search", FIRST_TRY)
