"""The scheduler as a pure state machine: events in, actions out.

Knows how many episodes are alive, how many requests are open, who waits, and when to stop. Decides who may start and
who may send, never how. Time is an argument. The driver carries out what it says, and tells it what happened.

Limits: at most N requests are open over all endpoints, at most 2 N episodes are alive (so that the next ones are ready,
pictures and all, when a slot comes free), those under way go first, first turns in order. Bytes held have a budget too.
"""

from __future__ import annotations

import heapq
from collections import deque

from asyncgen.endpoint.limiter import Limiter
from asyncgen.endpoint.pool import Pool
from asyncgen.engine.events import (
    BEGUN,
    Action,
    Admit,
    Blamed,
    Blocked,
    Draining,
    Dropped,
    Ended,
    Event,
    Exhausted,
    Faulted,
    Finished,
    Grant,
    Holding,
    Passed,
    Paused,
    Probe,
    Probed,
    Refuse,
    Resumed,
    Suspected,
    Tick,
    Wanted,
    Withdrawn,
)

ALIVE_PER_SLOT = 2
"""Episodes alive for each request that may be open."""
BURST = 128
"""By how many the open requests, and the living episodes, may exceed their highest number so far, a tick: connections
opened by the thousand stall the loop, those that are open already cost nothing."""
BYTE_BUDGET = 4 << 30
"""Encoded bytes that living episodes may hold before no more are started."""


class Scheduler:
    """Feed events to `handle`, carry out what it returns."""

    def __init__(self, pool: Pool, limiter: Limiter, *, byte_budget: int = BYTE_BUDGET) -> None:
        self.pool = pool
        self.limiter = limiter
        self.byte_budget = byte_budget
        self.alive = 0
        self.suspects = 0
        """Living episodes whose turn is suspect."""
        self.held_bytes = 0
        self.exhausted = False
        self.draining = False
        self.blocked = False
        self.paused = False
        """By the user: no request is sent, unless a drain waits for it."""
        self._begun: deque[Wanted] = deque()
        self._suspect: deque[Wanted] = deque()
        self._suspect_next = False
        self._fresh: list[tuple[int, int, Wanted]] = []
        """A heap of (order, ticket, what was wanted)."""
        self._admitted = 0
        self._preparing: deque[int] = deque()
        """Orders from the first episode on that has not asked for its first turn."""
        self._prepared: set[int] = set()
        """Those of them that have asked, go on in their middle, or are over."""
        self._withdrawn: set[int] = set()
        self._most_open = BURST
        self._most_alive = BURST
        self._finished = False

    @property
    def open(self) -> int:
        """Requests that are open."""
        return self.limiter.in_flight

    @property
    def under_way(self) -> int:
        """Living episodes that have been granted their first turn."""
        return self.alive - len(self._fresh) - (len(self._preparing) - len(self._prepared))

    @property
    def waiting(self) -> int:
        """Tickets in the queue."""
        return len(self._begun) + len(self._suspect) + len(self._fresh) - len(self._withdrawn)

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
        if isinstance(event, Wanted):
            return actions  # it makes no room, and ends nothing
        actions += self._admissions(now)
        if not self._finished and self.alive == 0 and (self.exhausted or self.draining):
            self._finished = True
            actions.append(Finished())
        return actions

    def _take(self, event: Event, now: float) -> None:  # noqa: C901, PLR0912, PLR0915  # a line or two for each event
        match event:
            case Wanted():
                self._queue(event)
            case Passed(endpoint, seconds, tokens):
                self._release(endpoint)
                self.pool.on_success(endpoint, now, seconds)
                self.limiter.on_success(now, tokens)
            case Holding(count):
                self.held_bytes += count
            case Ended(order, held):
                self.alive -= 1
                self.held_bytes -= held
                self._note_prepared(order)
            case Resumed(order):
                self._note_prepared(order)
            case Withdrawn(ticket):
                self._withdrawn.add(ticket)
            case Faulted(endpoint, fault, suspect):
                self._release(endpoint)
                self.pool.on_fault(endpoint, fault, now, suspect=suspect)
                self.limiter.on_fault(fault, now)
            case Blamed(endpoint):
                self.pool.on_blame(endpoint, now)
            case Suspected(count):
                self.suspects += count
            case Dropped(endpoint):
                self._release(endpoint)
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
            case Paused(paused):
                self.paused = paused
            case Tick():
                pass

    def _release(self, endpoint: int) -> None:
        self.limiter.release()
        self.pool.release(endpoint)

    def _queue(self, wanted: Wanted) -> None:
        if wanted.suspect:
            self._suspect.append(wanted)
            return
        if wanted.order == BEGUN:
            self._begun.append(wanted)
            return
        self._note_prepared(wanted.order)
        heapq.heappush(self._fresh, (wanted.order, wanted.ticket, wanted))

    def _note_prepared(self, order: int) -> None:
        if not self._preparing or order < self._preparing[0]:
            return  # known already: a first turn that is asked for again, or an episode that had one
        self._prepared.add(order)
        while self._preparing and self._preparing[0] in self._prepared:
            self._prepared.remove(self._preparing.popleft())

    def _grants(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if self.paused and not self.draining:
            return actions
        while self.open < self._most_open and self.open < self.limiter.limit and (wanted := self._head()):
            endpoint = self.pool.choose(wanted.sticky, now, avoid=wanted.avoid)
            if endpoint is None:
                break
            self._pop(wanted)
            self.pool.acquire(endpoint)
            self.limiter.acquire()
            actions.append(Grant(wanted.ticket, endpoint))
        return actions

    def _refusals(self) -> list[Action]:
        """What may stop, stops. What may not (a judge's question about an episode that is over) is still granted."""
        fresh = [wanted for _, _, wanted in self._fresh]
        tickets = [one.ticket for one in (*fresh, *self._suspect, *self._begun) if one.may_stop]
        refused = [ticket for ticket in tickets if ticket not in self._withdrawn]
        self._withdrawn.difference_update(tickets)
        self._fresh.clear()
        self._suspect = deque(one for one in self._suspect if not one.may_stop)
        self._begun = deque(one for one in self._begun if not one.may_stop)
        return [Refuse(ticket) for ticket in refused]

    def _head(self) -> Wanted | None:
        """The next ticket. Suspect turns and the others by turns: neither may keep the other from being tried."""
        suspect, other = self._front(self._suspect), self._front(self._begun) or self._first_turn()
        return (suspect if self._suspect_next else other) or other or suspect

    def _front(self, queue: deque[Wanted]) -> Wanted | None:
        while queue and queue[0].ticket in self._withdrawn:
            self._withdrawn.remove(queue.popleft().ticket)
        return queue[0] if queue else None

    def _first_turn(self) -> Wanted | None:
        """In order: none before an earlier one has asked. None while what comes of it cannot be written."""
        if self.blocked:
            return None
        while self._fresh and self._fresh[0][1] in self._withdrawn:
            self._withdrawn.remove(heapq.heappop(self._fresh)[1])
        if not self._fresh:
            return None
        order, _, wanted = self._fresh[0]
        return wanted if not self._preparing or order < self._preparing[0] else None

    def _pop(self, wanted: Wanted) -> None:
        self._suspect_next = not wanted.suspect
        if wanted.suspect:
            self._suspect.popleft()
        elif wanted.order == BEGUN:
            self._begun.popleft()
        else:
            heapq.heappop(self._fresh)

    def _admissions(self, now: float) -> list[Action]:
        if self.exhausted or self.draining or self.blocked or self.paused:
            return []
        room = self._room(now)
        if self.held_bytes >= self.byte_budget:
            room = min(room, 1 - self.alive)  # one always may, or a single large episode would stop the run
        if room <= 0:
            return []
        self.alive += room
        orders = range(self._admitted, self._admitted + room)
        self._admitted += room
        self._preparing.extend(orders)
        return [Admit(order) for order in orders]

    def _room(self, now: float) -> int:
        """How many episodes may be started. Those with a suspect turn make room for others: if all that live were
        poisoned, nothing would ever pass and tell them from victims of a sick server. For the same reason one may start
        on an endpoint that is on trial, when all that live are suspect.
        """
        most = ALIVE_PER_SLOT * self.limiter.limit
        if self.pool.all_down(now):
            on_trial = 0 < self.suspects == self.alive < 2 * most and self.pool.choose(None, now) is not None
            return int(on_trial)
        return min(most + min(self.suspects, most), self._most_alive) - self.alive

    def validate(self) -> None:
        """The invariants, for tests."""
        assert self.open >= 0  # noqa: S101  # an invariant, checked in tests
        assert self.alive >= 0  # noqa: S101
        assert self.waiting >= 0  # noqa: S101
        assert self.held_bytes >= 0 or self.alive > 0  # noqa: S101
        self.pool.validate()
