"""Which queries go next, in what sizes; and what is still known."""

from __future__ import annotations

import pytest

from asyncgen.tools.batches import GROWTH, LONE, WINDOW, Answers, Halves, Queue
from asyncgen.tools.hits import Hit

HITS = (Hit("t", "x" * 9),)


def filled(count: int, *, batch: int = 64, topk: int = 5, now: float = 0.0) -> Queue:
    queue = Queue(batch)
    for number in range(count):
        queue.add(f"q{number}", topk, now)
    return queue


def test_a_query_waits_for_others_until_its_window_is_over() -> None:
    queue = filled(1, now=10.0)
    assert queue.due_in(10.0) == pytest.approx(WINDOW)
    assert queue.due_in(10.0 + WINDOW) == 0
    assert queue.take(11.0, free=8).queries == ["q0"]
    assert queue.due_in(11.0) is None


def test_a_whole_batch_goes_at_once() -> None:
    queue = filled(130)
    assert queue.due_in(0.0) == 0
    assert len(queue.take(0.0, free=8).queries) == 64
    assert queue.due_in(0.0) == 0
    assert len(queue.take(0.0, free=8).queries) == 64
    assert queue.due_in(0.0) == WINDOW
    assert queue.take(WINDOW, free=8).queries == ["q128", "q129"]


def test_what_came_while_all_requests_were_open_makes_the_next_batches_larger() -> None:
    assert len(filled(1000).take(0.0, free=1).queries) == GROWTH * 64
    queue = filled(1000)
    assert [len(queue.take(0.0, free=free).queries) for free in range(8, 0, -1)] == [125] * 8
    assert queue.due_in(1.0) is None


def test_queries_of_different_topk_go_apart_and_the_one_that_waits_longest_goes_first() -> None:
    queue = filled(200, topk=5, now=0.0)
    queue.add("other", 3, 0.001)
    first = queue.take(0.002, free=8)
    assert (first.topk, len(first.queries)) == (5, 64)
    assert queue.take(0.01, free=8).topk == 5  # a whole batch has waited since 0.002
    assert queue.take(0.01, free=8).queries == ["other"]


def test_after_a_request_that_was_too_slow_batches_are_half_as_large_until_they_pass() -> None:
    queue = filled(1000)
    queue.too_slow(len(queue.take(0.0, free=1).queries))
    assert len(queue.take(0.0, free=1).queries) == 128
    queue.too_slow(1)
    assert len(queue.take(0.0, free=1).queries) == 1
    queue.passed(1)
    assert len(queue.take(0.0, free=1).queries) == 2
    for _ in range(20):
        queue.passed(GROWTH * 64)
    assert len(queue.take(0.0, free=1).queries) == GROWTH * 64


def test_the_least_recently_used_answer_goes_first() -> None:
    answers = Answers(2)
    answers.put(("a", 5), HITS)
    answers.put(("b", 5), ())
    assert answers.get(("a", 5)) == HITS
    answers.put(("c", 5), HITS)
    assert answers.get(("b", 5)) is None
    assert answers.get(("a", 5)) == answers.get(("c", 5)) == HITS
    assert answers.get(("a", 3)) is None


def test_answers_are_bounded_in_characters_and_an_empty_answer_is_one() -> None:
    answers = Answers(100, characters=25)
    for name in "abc":
        answers.put((name, 5), HITS)  # 11 characters each
    assert [answers.get((name, 5)) for name in "abc"] == [None, HITS, HITS]
    answers.put(("b", 5), ())
    assert answers.get(("b", 5)) == ()
    answers.put(("huge", 5), (Hit("", "x" * 100),))
    assert answers.get(("huge", 5)) is None


def test_without_room_nothing_is_kept() -> None:
    answers = Answers(0)
    answers.put(("a", 5), HITS)
    assert answers.get(("a", 5)) is None


def asked(queries: list[str], bad: set[str]) -> tuple[list[str], list[str], int]:
    """Against a server that refuses what has a bad query: those that passed, those that failed, and requests."""
    halves = Halves(queries)
    passed: list[str] = []
    failed: list[str] = []
    count = 0
    while part := halves.next():
        count += 1
        if bad & set(part):
            failed += halves.refused(part)
        else:
            passed += part
            halves.passed()
    return passed, failed, count


def test_one_query_at_fault_fails_alone() -> None:
    queries = [f"q{number}" for number in range(256)]
    for bad in ("q0", "q100", "q255"):
        passed, failed, count = asked(queries, {bad})
        assert failed == [bad]
        assert sorted([*passed, bad]) == sorted(queries)
        assert count <= 17


def test_several_neighbours_at_fault_fail_alone_as_well() -> None:
    queries = [f"q{number}" for number in range(256)]
    for start in (0, 40, 246):
        bad = set(queries[start : start + 10])
        passed, failed, _ = asked(queries, bad)
        assert set(failed) == bad
        assert len(passed) == 246


def test_a_server_that_refuses_everything_is_asked_a_few_times() -> None:
    queries = [f"q{number}" for number in range(256)]
    passed, failed, count = asked(queries, set(queries))
    assert passed == []
    assert sorted(failed) == sorted(queries)
    assert count <= 2 * 8 + LONE


def test_what_is_lost_ends_the_batch() -> None:
    halves = Halves(["a", "b", "c", "d"])
    assert halves.refused(halves.next()) == []
    part = halves.next()
    assert sorted(halves.lost(part)) == ["a", "b", "c", "d"]
    assert halves.next() == []
