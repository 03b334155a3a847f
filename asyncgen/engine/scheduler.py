"""The scheduler as a pure state machine: events in, actions out.

Knows how many episodes are alive, how many requests are open, who waits, and when to stop. Decides who may start and
who may send, never how. Time is an argument. The driver carries out what it says, and tells it what happened.

Limits: at most N requests are open over all endpoints, at most 2 N episodes are alive (so that the next ones are ready,
pictures and all, when a slot comes free), those under way go first. Bytes held by episodes have a budget too.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from asyncgen.endpoint.faults import Fault
from asyncgen.endpoint.limiter import Limiter
from asyncgen.endpoint.pool import Pool

ALIVE_PER_SLOT = 2
"""Episodes alive for each request that may be open."""
BURST = 128
"""By how many the open requests, and the living episodes, may exceed their highest number so far, a tick: connections
opened by the thousand stall the loop, those that are open already cost nothing."""
BEGUN = -1
"""In the place of an order: under way, before all that are not."""
BYTE_BUDGET = 4 << 30
"""Encoded bytes that living episodes may hold before no more are started."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode wants to send a request."""

    ticket: int
    order: int
    """The number of its Admit; BEGUN for what has a turn behind it."""
    sticky: int | None
    """The endpoint of its last turn."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A waiting ticket was given up."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A request succeeded."""

    endpoint: int
    seconds: float
    tokens: int = 0
    """That were generated."""


@dataclass(frozen=True, slots=True)
class Faulted:
    """A request failed."""

    endpoint: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request was cancelled: its slot is free, and it says nothing about the endpoint."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A living episode holds so many bytes more (or fewer)."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An episode is over."""

    order: int
    """The number of its Admit."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There was no sample left for an Admit."""

    order: int
    """Its number."""


@dataclass(frozen=True, slots=True)
class Draining:
    """Start nothing new: no episode, and no first turn."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The store cannot write now (True), or can again (False): no new episodes meanwhile."""

    blocked: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """An endpoint was asked whether it is back."""

    endpoint: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event: TypeAlias = (
    Wanted | Withdrawn | Passed | Faulted | Dropped | Holding | Ended | Exhausted | Draining | Blocked | Probed | Tick
)


@dataclass(frozen=True, slots=True)
class Admit:
    """Start the next episode."""

    order: int
    """From 0. First turns are granted in this order."""


@dataclass(frozen=True, slots=True)
class Grant:
    """This ticket may send, to this endpoint."""

    ticket: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """This ticket gets no slot: the run is draining, and its episode has no turn yet."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask this endpoint whether it is back."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing lives and nothing will start."""


Action: TypeAlias = Admit | Grant | Refuse | Probe | Finished


class Scheduler:
    """Feed events to `handle`, carry out what it returns."""

    def __init__(self, pool: Pool, limiter: Limiter, *, byte_budget: int = BYTE_BUDGET) -> None:
        self.pool = pool
        self.limiter = limiter
        self.byte_budget = byte_budget
        self.alive = 0
        self.held_bytes = 0
        self.exhausted = False
        self.draining = False
        self.blocked = False
        self._begun: deque[Wanted] = deque()
        self._fresh: list[tuple[int, int]] = []
        """A heap of (order, ticket)."""
        self._admitted = 0
        self._preparing: deque[int] = deque()
        """Orders from the first episode on that has not asked for its first turn."""
        self._prepared: set[int] = set()
        """Those of them that have asked, or are over."""
        self._withdrawn: set[int] = set()
        self._most_open = BURST
        self._most_alive = BURST
        self._finished = False

    @property
    def open(self) -> int:
        """Requests that are open."""
        return self.limiter.in_flight

    @property
    def waiting(self) -> int:
        """Tickets in the queue."""
        return len(self._begun) + len(self._fresh) - len(self._withdrawn)

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in what happened; say what to do."""
        self._take(event, now)
        if isinstance(event, Holding) and event.bytes > 0:
            return []  # it can only forbid
        actions: list[Action] = []
        if isinstance(event, Tick):
            self._most_open = max(self._most_open, self.open + BURST)
            self._most_alive = max(self._most_alive, self.alive + BURST)
            actions += [Probe(endpoint) for endpoint in self.pool.due_probes(now)]
        if self.draining:
            actions += self._refusals()
        actions += self._grants(now)
        actions += self._admissions(now)
        if not self._finished and self.alive == 0 and (self.exhausted or self.draining):
            self._finished = True
            actions.append(Finished())
        return actions

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Wanted():
                self._queue(event)
            case Withdrawn(ticket):
                self._withdrawn.add(ticket)
            case Passed(endpoint, seconds, tokens):
                self._release(endpoint)
                self.pool.on_success(endpoint, now, seconds)
                self.limiter.on_success(now, tokens)
            case Faulted(endpoint, fault):
                self._release(endpoint)
                self.pool.on_fault(endpoint, fault, now)
                self.limiter.on_fault(fault, now)
            case Dropped(endpoint):
                self._release(endpoint)
            case Holding(count):
                self.held_bytes += count
            case Ended(order):
                self.alive -= 1
                self._note_prepared(order)
            case Probed(endpoint, ok):
                self.pool.on_probe(endpoint, ok, now)
            case Exhausted(order):
                self.exhausted = True
                self.alive -= 1
                self._note_prepared(order)
            case Draining():
                self.draining = True
            case Blocked(blocked):
                self.blocked = blocked
            case Tick():
                pass

    def _release(self, endpoint: int) -> None:
        self.limiter.release()
        self.pool.release(endpoint)

    def _queue(self, wanted: Wanted) -> None:
        if wanted.order == BEGUN:
            self._begun.append(wanted)
            return
        self._note_prepared(wanted.order)
        heapq.heappush(self._fresh, (wanted.order, wanted.ticket))

    def _note_prepared(self, order: int) -> None:
        if not self._preparing or order < self._preparing[0]:
            return  # known already: a first turn that is asked for again, or an episode that had one
        self._prepared.add(order)
        while self._preparing and self._preparing[0] in self._prepared:
            self._prepared.remove(self._preparing.popleft())

    def _grants(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self.open < self._most_open and self.open < self.limiter.limit and (wanted := self._head()):
            endpoint = self.pool.choose(wanted.sticky, now)
            if endpoint is None:
                break
            self._pop(wanted)
            self.pool.acquire(endpoint)
            self.limiter.acquire()
            actions.append(Grant(wanted.ticket, endpoint))
        return actions

    def _refusals(self) -> list[Action]:
        refused = [ticket for _, ticket in self._fresh if ticket not in self._withdrawn]
        self._withdrawn.difference_update(ticket for _, ticket in self._fresh)
        self._fresh.clear()
        return [Refuse(ticket) for ticket in refused]

    def _head(self) -> Wanted | None:
        """The next ticket: those under way first; then first turns in order, none before an earlier one has asked."""
        while self._begun and self._begun[0].ticket in self._withdrawn:
            self._withdrawn.remove(self._begun.popleft().ticket)
        if self._begun:
            return self._begun[0]
        while self._fresh and self._fresh[0][1] in self._withdrawn:
            self._withdrawn.remove(heapq.heappop(self._fresh)[1])
        if not self._fresh:
            return None
        order, ticket = self._fresh[0]
        return Wanted(ticket, order, None) if not self._preparing or order < self._preparing[0] else None

    def _pop(self, wanted: Wanted) -> None:
        if wanted.order == BEGUN:
            self._begun.popleft()
        else:
            heapq.heappop(self._fresh)

    def _admissions(self, now: float) -> list[Action]:
        if self.exhausted or self.draining or self.blocked or self.pool.all_down(now):
            return []
        room = min(ALIVE_PER_SLOT * self.limiter.limit, self._most_alive) - self.alive
        if self.held_bytes >= self.byte_budget:
            room = min(room, 1 - self.alive)  # one always may, or a single large episode would stop the run
        if room <= 0:
            return []
        self.alive += room
        orders = range(self._admitted, self._admitted + room)
        self._admitted += room
        self._preparing.extend(orders)
        return [Admit(order) for order in orders]

    def validate(self) -> None:
        """The invariants, for tests."""
        assert self.open >= 0  # noqa: S101  # an invariant, checked in tests
        assert self.alive >= 0  # noqa: S101
        assert self.waiting >= 0  # noqa: S101
        assert self.held_bytes >= 0 or self.alive > 0  # noqa: S101
        self.pool.validate()
