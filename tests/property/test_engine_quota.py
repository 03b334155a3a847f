"""Quota: outcomes in any order, and never a rollout more or fewer than they ask for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.engine.quota import Outcome, Quota

OUTCOMES = {True: Outcome.RIGHT, False: Outcome.WRONG}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 6), st.data())
def test_no_rollout_more_than_the_outcomes_ask_for_and_none_fewer(
    accepted: list[bool], wanted: int, data: st.DataObject
) -> None:
    """`accepted[k]`: what becomes of rollout k. Chains step in any order: begin the next rollout, or end the one that
    they are at."""
    quota = Quota(range(len(accepted)), wanted)
    at: dict[int, int | None] = dict.fromkeys(range(quota.chains))
    taken: list[int] = []
    superfluous = 0
    while at:
        chain = data.draw(st.sampled_from(sorted(at)))
        rollout = at[chain]
        if rollout is None:
            at[chain] = following = quota.take()
            if following is None:
                del at[chain]
                continue
            taken.append(following)
            assert sum(accepted[k] for k in taken if k not in at.values()) + quota.under_way <= wanted
        else:
            superfluous += quota.give(OUTCOMES[accepted[rollout]])
            at[chain] = None
    good = sum(accepted[k] for k in taken)
    assert taken == list(range(len(taken)))  # each once, the lowest first
    assert quota.under_way == 0
    assert good == wanted or (good < wanted and len(taken) == len(accepted))
    assert superfluous == (len(accepted) - len(taken) if good == wanted else 0)
    assert len(taken) + quota.left == len(accepted)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 5))
def test_one_after_the_other_ends_with_the_last_that_is_wanted(accepted: list[bool], wanted: int) -> None:
    quota = Quota(range(len(accepted)), wanted)
    used = 0
    while (rollout := quota.take()) is not None:
        used += 1
        quota.give(OUTCOMES[accepted[rollout]])
    places = [number + 1 for number, one in enumerate(accepted) if one]
    assert used == (places[wanted - 1] if len(places) >= wanted else len(accepted))
