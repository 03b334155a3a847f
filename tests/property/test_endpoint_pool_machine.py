"""The pool under any order of events."""

from __future__ import annotations

import copy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.pool import PROBE_CAP, EndpointSpec, Pool

LIMITS = (None, 3, 1)
MARGIN = 2


class AnyPool(RuleBasedStateMachine):
    """A driver with any mood: requests, outcomes, probes and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool([EndpointSpec(f"e{n}", limit) for n, limit in enumerate(LIMITS)], margin=MARGIN)
        self.now = 0.0
        self.open: list[int] = []
        self.probes: list[int] = []

    @rule(sticky=st.none() | st.integers(0, 2))
    def send(self, sticky: int | None) -> None:
        before = self.pool.snapshot(self.now)
        number = self.pool.choose(sticky, self.now)
        if number is None:
            return
        state = before[number]
        assert state.state in {"ok", "probing"}
        if sticky is not None and number != sticky:
            busier = before[sticky].in_flight - state.in_flight > MARGIN
            full = before[sticky].in_flight >= (LIMITS[sticky] or 10**9)
            assert busier or full or before[sticky].state != "ok"
        self.pool.acquire(number)
        self.open.append(number)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), kind=st.none() | st.sampled_from(FaultKind), wait=st.none() | st.floats(0, 600))
    def end(self, data: st.DataObject, kind: FaultKind | None, wait: float | None) -> None:
        number = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.pool.release(number)
        if kind is None:
            self.pool.on_success(number, self.now, 1.0)
            assert self.pool.down_since is None
        else:
            self.pool.on_fault(number, Fault(kind, "x", retry_after=wait), self.now)

    @rule(number=st.integers(0, 2))
    def break_down(self, number: int) -> None:
        for _ in range(5):
            self.pool.on_fault(number, Fault(FaultKind.TRANSPORT, "x"), self.now)

    @rule()
    def probe(self) -> None:
        down = {number for number, state in enumerate(self.pool.snapshot(self.now)) if state.state == "down"}
        due = self.pool.due_probes(self.now)
        assert set(due) <= down
        assert self.pool.due_probes(self.now) == []
        self.probes.extend(due)

    @precondition(lambda self: self.probes)
    @rule(ok=st.booleans())
    def probed(self, ok: bool) -> None:
        self.pool.on_probe(self.probes.pop(0), ok, self.now)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def holds_together(self) -> None:
        self.pool.validate()
        shown = self.pool.snapshot(self.now)
        assert [state.in_flight for state in shown] == [self.open.count(number) for number in range(3)]
        assert self.pool.all_down(self.now) == (not any(state.state in {"ok", "paused"} for state in shown))

    @invariant()
    def every_open_endpoint_is_probed_some_day(self) -> None:
        down = [number for number, state in enumerate(self.pool.snapshot(self.now)) if state.state == "down"]
        later = copy.deepcopy(self.pool)
        assert set(down) <= set(later.due_probes(self.now + PROBE_CAP))


AnyPool.TestCase.settings = settings(max_examples=100, deadline=None)
TestAnyPool = AnyPool.TestCase
