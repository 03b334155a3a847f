"""The index of what is done."""

from __future__ import annotations

from array import array

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncgen.store.index import _FRESH, DoneIndex
from asyncgen.store.line import MAX_INDEX, MAX_ROLLOUT
from asyncgen.store.scan import pack


def test_an_empty_index_has_nothing_and_misses_everything_sample_by_sample():
    index = DoneIndex()
    assert len(index) == 0
    assert (0, 0) not in index
    assert list(index.missing(np.array([7, 3]), 2)) == [(7, 0), (7, 1), (3, 0), (3, 1)]


def test_doubles_in_the_given_keys_count_once():
    index = DoneIndex([array("Q", [pack(5, 1), pack(2, 0)]), array("Q", [pack(5, 1)]), array("Q")])
    assert len(index) == 2
    assert (5, 1) in index
    assert (2, 0) in index
    assert (5, 0) not in index


def test_the_largest_keys_are_not_rounded():
    index = DoneIndex([array("Q", [pack(MAX_INDEX, MAX_ROLLOUT)])])
    assert (MAX_INDEX, MAX_ROLLOUT) in index
    assert (MAX_INDEX, MAX_ROLLOUT - 1) not in index
    assert list(index.missing(np.array([MAX_INDEX], dtype=np.uint64), 1)) == [(MAX_INDEX, 0)]


def test_what_is_added_while_missing_is_walked_is_not_given_out():
    index = DoneIndex()
    walk = index.missing(np.arange(4), 1)
    assert next(walk) == (0, 0)
    index.add(2, 0)
    assert list(walk) == [(1, 0), (3, 0)]


def test_keys_stay_findable_when_the_fresh_ones_move_to_the_array():
    index = DoneIndex([array("Q", [pack(number, 0) for number in range(0, 2 * _FRESH, 2)])])
    assert all(index.add(number, 0) for number in range(1, 2 * _FRESH + 3, 2))
    assert not index.add(1, 0)
    assert len(index) == 2 * _FRESH + 1
    assert list(index.missing(np.arange(2 * _FRESH + 3), 1)) == [(2 * _FRESH, 0), (2 * _FRESH + 2, 0)]


def test_a_key_can_be_taken_out_of_both_places():
    index = DoneIndex([array("Q", [pack(1, 0), pack(2, 0)])])
    index.add(3, 0)
    assert index.discard(1, 0)
    assert index.discard(3, 0)
    assert not index.discard(4, 0)
    assert len(index) == 1
    assert (2, 0) in index


pairs = st.tuples(st.integers(0, 300), st.integers(0, 3))


@settings(max_examples=100, deadline=None)
@given(st.lists(pairs), st.lists(pairs), st.lists(st.integers(0, 300), unique=True), st.integers(1, 4))
def test_missing_is_what_a_plain_set_says(old, new, wanted, rollouts):
    index = DoneIndex([array("Q", [pack(*pair) for pair in old])])
    for pair in new:
        index.add(*pair)
    done = {*old, *new}
    expected = [(sample, k) for sample in wanted for k in range(rollouts) if (sample, k) not in done]
    assert list(index.missing(np.array(wanted, dtype=np.int64), rollouts)) == expected
    assert len(index) == len(done)
