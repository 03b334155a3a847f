"""The scheduler as a pure state machine: events in, actions out.

Knows how many episodes are alive, how many requests are open, who waits, and when to stop. Decides who may start and
who may send, never how. Time is an argument. The driver carries out what it says, and tells it what happened.

Limits: at most N requests are open over all endpoints, at most 2 N episodes are alive (so that the next ones are ready,
pictures and all, when a slot comes free), those under way go first. Bytes held by episodes have a budget too.
"""

from __future__ import annotations

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
BYTE_BUDGET = 4 << 30
"""Encoded bytes that living episodes may hold before no more are started."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode wants to send a request."""

    ticket: int
    begun: bool
    """It has a turn behind it."""
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

    bytes: int = 0
    """That it held."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There was no sample left for an Admit."""


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
        self._fresh: deque[Wanted] = deque()
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
                (self._begun if event.begun else self._fresh).append(event)
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
            case Ended(count):
                self.alive -= 1
                self.held_bytes -= count
            case Probed(endpoint, ok):
                self.pool.on_probe(endpoint, ok, now)
            case Exhausted():
                self.exhausted = True
                self.alive -= 1
            case Draining():
                self.draining = True
            case Blocked(blocked):
                self.blocked = blocked
            case Tick():
                pass

    def _release(self, endpoint: int) -> None:
        self.limiter.release()
        self.pool.release(endpoint)

    def _grants(self, now: float) -> list[Action]:
        actions: list[Action] = []
        while self.open < self._most_open and self.open < self.limiter.limit and (wanted := self._head()):
            endpoint = self.pool.choose(wanted.sticky, now)
            if endpoint is None:
                break
            (self._begun if wanted.begun else self._fresh).popleft()
            self.pool.acquire(endpoint)
            self.limiter.acquire()
            actions.append(Grant(wanted.ticket, endpoint))
        return actions

    def _refusals(self) -> list[Action]:
        refused = [wanted.ticket for wanted in self._fresh if wanted.ticket not in self._withdrawn]
        self._withdrawn.difference_update(wanted.ticket for wanted in self._fresh)
        self._fresh.clear()
        return [Refuse(ticket) for ticket in refused]

    def _head(self) -> Wanted | None:
        """The next ticket: those under way first, then in order of asking."""
        for queue in (self._begun, self._fresh):
            while queue and queue[0].ticket in self._withdrawn:
                self._withdrawn.remove(queue.popleft().ticket)
            if queue:
                return queue[0]
        return None

    def _admissions(self, now: float) -> list[Action]:
        if self.exhausted or self.draining or self.blocked or self.pool.all_down(now):
            return []
        room = min(ALIVE_PER_SLOT * self.limiter.limit, self._most_alive) - self.alive
        if self.held_bytes >= self.byte_budget:
            room = min(room, 1 - self.alive)  # one always may, or a single large episode would stop the run
        if room <= 0:
            return []
        self.alive += room
        return [Admit() for _ in range(room)]

    def validate(self) -> None:
        """The invariants, for tests."""
        assert self.open >= 0  # noqa: S101  # an invariant, checked in tests
        assert self.alive >= 0  # noqa: S101
        assert self.waiting >= 0  # noqa: S101
        assert self.held_bytes >= 0 or self.alive > 0  # noqa: S101
        self.pool.validate()
