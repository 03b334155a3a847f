"""The plan of a job that stops when right and wrong are both there, by what lies in its directory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mixed_world import check_asked
from support.store_fakes import a_failure, a_trace, open_store, writing

from asyncgen.core.trace import Trace, TurnRecord
from asyncgen.core.types import Usage
from asyncgen.engine.mixed import WAVE, most_rollouts
from asyncgen.engine.outcomes import outcome_of
from asyncgen.engine.quota import Outcome
from asyncgen.runs.plan import Counts, Plan
from asyncgen.store.sides import Sides
from asyncgen.store.store import Store

OUTCOMES = {"r": Outcome.RIGHT, "w": Outcome.WRONG, "t": Outcome.TRUNCATED, "f": Outcome.FAILED}
Key = tuple[int, int]


def trace_of(key: Key, letter: str, *, how: str = "reward") -> Trace:
    """`how`: what says that it was cut off."""
    made = a_trace(*key, text='"length" and "truncated":true', said='"truncated":true "length"')
    stop = "length" if (letter, how) == ("t", "stop") else "answered"
    metadata = {**made.metadata, "stop": stop, "accepted": letter == "r"}
    turn = TurnRecord(
        turn=1, messages=(), response="", reasoning="", usage=Usage(), endpoint="", model="m", request_id="",
        seconds=1.0, attempts=1, finish_reason="length" if (letter, how) == ("t", "turn") else "stop",
    )  # fmt: skip
    scores = {"score": 0.0, "truncated": (letter, how) == ("t", "reward")}
    return replace(made, metadata=metadata, conversation_history=(turn,), reward_score=scores)


class Made:
    """A run directory in which these rollouts are used, opened."""

    def __init__(self, directory: Path, questions: list[str], used: set[Key]) -> None:
        asyncio.run(self._fill(directory, questions, used))
        self.questions = questions
        self.store = open_store(directory)

    async def _fill(self, directory: Path, questions: list[str], used: set[Key]) -> None:
        async with writing(open_store(directory)) as store:
            await self._write(store, questions, sorted(used))

    async def _write(self, store: Store, questions: list[str], used: list[Key]) -> None:
        for key in used:
            letter = questions[key[0]][key[1]]
            if letter == "f":
                await store.fail(a_failure(*key))
            else:
                await store.append(trace_of(key, letter))

    def plan(self, rollouts: Any, *, retry: bool = False, rows: list[int] | None = None) -> Plan:
        return Plan(
            indexes=np.asarray(range(len(self.questions)) if rows is None else rows),
            rollouts=rollouts,
            store=self.store,
            retry=lambda _reason: retry,
            sides=Sides(self.store.directory),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run(self.store.close())


def played(plan: Plan, questions: list[str], *, most: int = 10**9, at_once: int = 3) -> tuple[list[Key], list[Key]]:
    """What is asked of these chains, some at once and by turns: what came to its end, and what `most` cut short."""
    pending, alive = plan.pending(), []
    over: list[Key] = []
    while True:
        while len(alive) < at_once and (chain := next(pending, None) or plan.bank.due()):
            alive.append([*chain, None])
        for one in list(alive):
            index, quota, rollout = one
            if len(over) >= most:
                return over, [(index, rollout) for index, _, rollout in alive if rollout is not None]
            if rollout is not None:
                quota.give(OUTCOMES[questions[index][rollout]])
                over.append((index, rollout))
            one[2] = quota.take()
            if one[2] is None:
                alive.remove(one)
        if not alive and (chain := next(pending, None) or plan.bank.due()):
            alive.append([*chain, None])
        if not alive:
            return over, []


questions_of = st.sampled_from(["r", "w", "rw", "rrrrw", "wwwwr", "wt", "f"]).flatmap(
    lambda some: st.text(some, min_size=12, max_size=12)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(questions_of, min_size=1, max_size=7), st.integers(1, 6), st.integers(0, 50), st.integers(0, 50))
def test_a_run_that_is_killed_twice_asks_for_what_one_without_a_kill_does(
    tmp_path_factory: pytest.TempPathFactory, questions: list[str], rollouts: int, first: int, second: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    used: set[Key] = set()
    for number, most in enumerate((first, second, 10**9)):
        with Made(folder / str(number), questions, used) as made:
            plan = made.plan(rollouts)
            counts = plan.counts()
            assert sum(counts) == plan.total == len(questions) * rollouts
            assert counts.done + counts.failed == len(used)
            over, _ = played(plan, questions, most=most)
            assert not used.intersection(over)
            assert len(over) <= counts.left
            used.update(over)
    check_asked(used, questions, rollouts)
    with Made(folder / "last", questions, used) as made:
        plan = made.plan(rollouts)
        failed = sum(questions[index][rollout] == "f" for index, rollout in used)
        assert plan.counts() == Counts(len(used) - failed, failed, 0, len(questions) * rollouts - len(used))
        assert played(plan, questions) == ([], [])


def test_rows_may_have_rollouts_of_their_own_and_others_are_not_looked_at(tmp_path: Path) -> None:
    questions = ["rw" + "r" * 14, "r" * 16, "w" * 16, "w" * 4 + "r" * 12]
    with Made(tmp_path / "run", questions, {(0, 0), (0, 1), (1, 0)}) as made:
        plan = made.plan(np.asarray([8, 2, 4, 4]))
        assert plan.counts() == Counts(done=3, failed=0, left=9 + 6, skipped=0)  # 10 may be claimed of the 6 saved
        assert plan.wants([(0, 2), (1, 1), (1, 3), (1, 4), (2, 7), (2, 8), (9, 0)]) == 3
        over, _ = played(plan, questions)
        assert sorted(over) == [(1, 1), (1, 2), (1, 3), *((2, k) for k in range(6)), *((3, k) for k in range(6))]
    with Made(tmp_path / "some", questions, {(0, 0), (0, 1), (1, 0)}) as made:
        assert made.plan(2, rows=[1, 3]).counts() == Counts(done=1, failed=0, left=3, skipped=0)


def test_an_interrupted_wave_is_done_to_its_end_also_where_the_row_is_decided(tmp_path: Path) -> None:
    questions = ["rrrwrrrr", "rw" + "r" * 6, "rrrrrw" + "rr"]
    used = {(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3), (2, 5)}
    with Made(tmp_path / "run", questions, used) as made:
        plan = made.plan(4)
        assert plan.counts() == Counts(done=10, failed=0, left=2, skipped=0)
        assert sorted(played(plan, questions)[0]) == [(0, 2), (2, 4)]


def test_what_a_job_of_more_rollouts_has_done_before_is_no_debt(tmp_path: Path) -> None:
    questions = ["r" * 8, "rw" * 4]
    used = {(0, k) for k in range(8)} | {(1, k) for k in range(8)}
    with Made(tmp_path / "run", questions, used) as made:
        assert made.plan(4).counts() == Counts(done=8, failed=0, left=0, skipped=0)
        assert made.plan(8).counts() == Counts(done=16, failed=0, left=0, skipped=0)


def test_failures_that_are_tried_again_are_wanted_again(tmp_path: Path) -> None:
    questions = ["ffrr" + "r" * 4, "rwff" + "f" * 4]
    used = {(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)}
    with Made(tmp_path / "run", questions, used) as made:
        assert made.plan(4).counts() == Counts(done=4, failed=2, left=2, skipped=0)
        assert made.plan(4, retry=True).counts() == Counts(done=4, failed=0, left=4, skipped=0)
        again, _ = played(made.plan(4, retry=True), ["wwrr" + "r" * 4, questions[1]])
        assert sorted(again) == [(0, 0), (0, 1)]


def test_choices_that_are_paid_for_are_the_first_that_the_bank_gives_to(tmp_path: Path) -> None:
    questions = ["r" * 8, "r" * 8, "rw" + "r" * 6]
    used = {(0, k) for k in range(4)} | {(1, k) for k in range(4)} | {(2, 0), (2, 1)}
    with Made(tmp_path / "run", questions, used) as made:
        asyncio.run(made.store.write_turn("geo/1/4", (1, 4), "cfg", "completion", {}))
    store = open_store(tmp_path / "run")
    made.store = store
    with made:
        assert store.adopt_turns("cfg").keys == ((1, 4),)
        assert store.has_past((1, 4))
        assert sorted(played(made.plan(4), questions)[0]) == [(1, 4), (1, 5)]


@pytest.mark.parametrize("how", ["reward", "stop", "turn"])
def test_sides_are_told_apart_by_mark_and_by_what_says_that_it_was_cut_off(tmp_path: Path, how: str) -> None:
    traces = {(1, 0): "r", (1, 1): "t", (2, 3): "w", (2, 4): "w", (4, 0): "t", (5, 0): "w", (5, 7): "r"}

    async def fill() -> None:
        async with writing(open_store(tmp_path / "run")) as store:
            for key, letter in traces.items():
                await store.append(trace_of(key, letter, how=how))

    asyncio.run(fill())
    sides = Sides(tmp_path / "run")
    found = {1: (True, False), 2: (False, True), 5: (True, True)}
    assert [sides.of(index) for index in range(7)] == [found.get(index, (False, False)) for index in range(7)]
    for key, letter in traces.items():
        assert outcome_of(trace_of(key, letter, how=how)) is OUTCOMES[letter]


def test_a_directory_without_traces_has_no_sides(tmp_path: Path) -> None:
    assert Sides(tmp_path).of(3) == (False, False)
    with Made(tmp_path / "run", ["r" * 16] * 5, set()) as made:
        plan = made.plan(8)
        assert plan.counts() == Counts(done=0, failed=0, left=40, skipped=0)
        assert [(index, quota.left) for index, quota in plan.pending()] == [
            (index, most_rollouts(8)) for index in range(5)
        ]
        assert WAVE == 2
