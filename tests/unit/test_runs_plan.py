"""The plan: which chains there are, and counts that add up, by what lies in the directory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.store_fakes import a_failure, a_trace, open_store, writing

from asyncgen.core.trace import Trace
from asyncgen.runs.plan import Counts, Plan
from asyncgen.store.line import encode_trace, line_accepted
from asyncgen.store.marks import Marks


def marked(index: int, rollout: int, *, accepted: bool) -> Trace:
    trace = a_trace(index, rollout, text='no ,"accepted":true here', accepted='",\\"accepted\\":true')
    return replace(trace, metadata={**trace.metadata, "accepted": accepted})


Failures = tuple[tuple[int, int], ...]


class Made:
    """A run directory with some traces and failures, opened."""

    def __init__(self, directory: Path, traces: dict[tuple[int, int], bool], failures: Failures) -> None:
        asyncio.run(self._fill(directory, traces, failures))
        self.store = open_store(directory)

    async def _fill(self, directory: Path, traces: dict[tuple[int, int], bool], failures: Failures) -> None:
        async with writing(open_store(directory)) as store:
            for key, accepted in traces.items():
                await store.append(marked(*key, accepted=accepted))
            for key in failures:
                await store.fail(a_failure(*key))

    def close(self) -> None:
        asyncio.run(self.store.close())

    def plan(self, indexes: list[int], rollouts: Any, *, retry: bool = False, **more: Any) -> Plan:
        return Plan(
            indexes=np.asarray(indexes),
            rollouts=rollouts,
            store=self.store,
            retry=lambda _reason: retry,
            marks=Marks(self.store.directory) if more else None,
            **more,
        )


@pytest.fixture
def made(tmp_path: Path):
    """Row 0: two accepted; row 1: one accepted, one not, one failed; row 2: two not accepted; row 3: nothing."""
    traces = {(0, 0): True, (0, 2): True, (1, 0): True, (1, 1): False, (2, 0): False, (2, 1): False}
    one = Made(tmp_path / "run", traces, ((1, 2), (3, 0)))
    yield one
    one.close()


def drawn(plan: Plan) -> list[tuple[int, list[int]]]:
    """The chains, and what each would be given if it alone went on and nothing was accepted."""
    return [(index, list(quota._unused)) for index, quota in plan.pending()]


def test_without_a_quota_every_unused_rollout_is_a_chain_of_its_own(made: Made) -> None:
    plan = made.plan([3, 1, 0], 3)
    assert drawn(plan) == [(3, [1]), (3, [2]), (0, [1])]
    assert plan.counts() == Counts(done=4, failed=2, left=3, skipped=0)
    assert drawn(made.plan([3, 1], 3, retry=True)) == [(3, [0]), (3, [1]), (3, [2]), (1, [2])]


def test_rows_may_have_rollouts_of_their_own(made: Made) -> None:
    plan = made.plan([3, 1, 0, 2], np.asarray([2, 4, 0, 3]))
    assert drawn(plan) == [(3, [1]), (1, [3]), (2, [2])]
    assert plan.total == 9
    assert plan.counts() == Counts(done=4, failed=2, left=3, skipped=0)


def test_a_sample_has_as_many_chains_as_it_still_wants_accepted_traces(made: Made) -> None:
    plan = made.plan([0, 1, 2, 3], 5, until_accepted=2)
    assert drawn(plan) == [(1, [3, 4]), (2, [2, 3, 4]), (2, [2, 3, 4]), (3, [1, 2, 3, 4]), (3, [1, 2, 3, 4])]
    assert plan.counts() == Counts(done=6, failed=2, left=9, skipped=3)
    assert plan.accepted == 3


def test_chains_of_a_sample_share_its_quota(made: Made) -> None:
    quotas = [quota for index, quota in made.plan([2], 5, until_accepted=2).pending()]
    assert quotas[0] is quotas[1]
    assert [quota.take() for quota in quotas] == [2, 3]


def test_with_enough_accepted_traces_in_the_directory_nothing_is_left(made: Made) -> None:
    assert made.plan([3], 2, stop_after_accepted=3).counts() == Counts(done=0, failed=1, left=0, skipped=1)
    assert made.plan([3], 2, stop_after_accepted=4).counts() == Counts(done=0, failed=1, left=1, skipped=0)


def test_marks_are_counted_by_row_and_only_those_of_the_metadata(made: Made) -> None:
    marks = Marks(made.store.directory)
    assert (marks.total, [marks.of(index) for index in range(5)]) == (3, [2, 1, 0, 0, 0])
    assert marks.counts(np.asarray([4, 1, 0, 2])).tolist() == [0, 1, 2, 0]


def test_a_directory_without_traces_has_no_marks(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    assert (marks.total, marks.of(3), marks.counts(np.asarray([1, 2])).tolist()) == (0, 0, [0, 0])


@pytest.mark.parametrize("accepted", [True, False])
def test_a_line_says_whether_it_is_accepted(accepted: bool) -> None:
    assert line_accepted(encode_trace(marked(1, 0, accepted=accepted))) is accepted
    assert not line_accepted(b'{"id":"geo/1/0","crc":"00000000"}')


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.sampled_from(["yes", "no", "failed"])),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_counts_agree_with_a_plain_reckoning(
    tmp_path_factory: pytest.TempPathFactory, stored: dict[tuple[int, int], str], rollouts: int, until: int
) -> None:
    traces = {key: what == "yes" for key, what in stored.items() if what != "failed"}
    failures = tuple(key for key, what in stored.items() if what == "failed")
    one = Made(tmp_path_factory.mktemp("run") / "run", traces, failures)
    plan = one.plan([4, 2, 0, 1], rollouts, until_accepted=until)
    counts, quotas = plan.counts(), dict(plan.pending())
    one.close()
    keys = [(index, k) for index in (4, 2, 0, 1) for k in range(rollouts)]
    sated = {index for index in range(5) if sum(traces.get((index, k), False) for k in range(5)) >= until}
    unused = [key for key in keys if key not in stored]
    assert counts == Counts(
        done=sum(key in traces for key in keys),
        failed=sum(key in failures for key in keys),
        left=sum(key[0] not in sated for key in unused),
        skipped=sum(key[0] in sated for key in unused),
    )
    assert sum(counts) == plan.total == len(keys)
    assert {index: quota.left for index, quota in quotas.items()} == {
        index: sum(key[0] == index for key in unused) for index, _ in unused if index not in sated
    }
