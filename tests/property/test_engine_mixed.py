"""Questions that stop when right and wrong are both there: every order of verdicts, every order of chains."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.mixed_world import check_asked, drawn, is_mixed, own, saved

from asyncgen.engine.mixed import WAVE, Bank, MixedQuota, most_rollouts, waves, whole
from asyncgen.engine.quota import Outcome

OUTCOMES = {"r": Outcome.RIGHT, "w": Outcome.WRONG, "t": Outcome.TRUNCATED, "f": Outcome.FAILED}


def quota_of(bank: Bank, index: int, rollouts: int) -> MixedQuota:
    return MixedQuota(index, range(rollouts), range(rollouts, most_rollouts(rollouts)), bank)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[int, list[str]]:
    """Rollouts, and questions of one side more often than not."""
    rollouts = draw(st.integers(1, 7))
    letters = st.sampled_from(["r", "w", "rw", "rrrrw", "wwwwr", "wwt", "f", "wf", "rwtf"])
    question = letters.flatmap(lambda some: st.text(some, min_size=2 * rollouts, max_size=2 * rollouts))
    return rollouts, draw(st.lists(question, max_size=8))


@settings(max_examples=100, deadline=None)
@given(worlds(), st.data())
def test_every_question_is_asked_for_exactly_what_it_needs_and_others_have_left(
    world: tuple[int, list[str]], data: st.DataObject
) -> None:
    rollouts, questions = world
    total = len(questions) * rollouts
    bank = Bank(0, len(questions) * (most_rollouts(rollouts) - rollouts))
    waiting = [(index, quota_of(bank, index, rollouts)) for index in range(len(questions))]
    under_way: list[tuple[int, MixedQuota, int]] = []
    asked: list[tuple[int, int]] = []
    skipped = over = 0
    while True:
        steps = ["begin"] * bool(waiting) + ["end"] * bool(under_way)
        if not steps:
            due = bank.due()
            if due is None:
                break
            waiting.append(due)
            continue
        if data.draw(st.sampled_from(steps)) == "begin":
            index, quota = waiting.pop(0)
        else:
            index, quota, rollout = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            gained = quota.give(OUTCOMES[questions[index][rollout]])
            assert gained >= 0
            skipped += gained
            over += 1
        if (following := quota.take()) is not None:
            asked.append((index, following))
            under_way.append((index, quota, following))
        assert bank.saved >= 0
        assert over + len(under_way) + skipped <= total
    check_asked(asked, questions, rollouts)
    assert len(asked) + skipped == total  # nothing is left


@settings(max_examples=100, deadline=None)
@given(st.text("rwtf", min_size=12, max_size=12), st.integers(1, 6), st.integers(0, 8))
def test_one_question_stops_at_the_first_wave_with_both(letters: str, rollouts: int, there: int) -> None:
    bank = Bank(there // WAVE * WAVE, most_rollouts(rollouts) - rollouts)
    quota = quota_of(bank, 0, rollouts)
    assert (quota.chains, quota.left, quota.waits) == (1, most_rollouts(rollouts), False)
    used: list[int] = []
    while (rollout := quota.take()) is not None:
        assert set(quota.unused) <= {rollout + 1}  # a request asks for no more than the wave
        used.append(rollout)
        quota.give(OUTCOMES[letters[rollout]])
    first = own(letters, rollouts)
    more = min(drawn(letters, rollouts), there // WAVE * WAVE)
    assert used == [*range(first), *range(rollouts, rollouts + more)]
    assert bank.saved == there // WAVE * WAVE - more + saved(letters, rollouts)
    if more < drawn(letters, rollouts):
        assert quota.waits
        assert bank.due() is None
        bank.save(WAVE)
        assert bank.due() == (0, quota)
        assert quota.take() == rollouts + more


def test_a_wave_begins_where_it_always_does() -> None:
    assert waves([3, 4, 5, 8]) == [[3], [4, 5], [8]]
    assert whole([3, 4, 5, 8]) == [4, 5]
    assert whole([5, 6, 7], 5) == [5, 6]
    assert [most_rollouts(rollouts) for rollouts in (1, 2, 5, 8)] == [1, 4, 9, 16]


def test_a_question_that_waits_first_is_first_and_none_gets_half_a_wave() -> None:
    bank = Bank(0, 8)
    one, two = (MixedQuota(index, (), [2, 3], bank) for index in range(2))
    assert (one.take(), two.waits) == (None, True)
    bank.park(two, first=True)
    bank.save(1)
    assert bank.due() is None
    bank.save(1)
    assert bank.due() == (1, two)
    assert (two.unused, two.take(), bank.saved, bank.due()) == ((2, 3), 2, 0, None)


def test_is_mixed_needs_both_and_truncated_ones_are_neither() -> None:
    assert [is_mixed(letters) for letters in ("rw", "rt", "wf", "rtw")] == [True, False, False, True]
