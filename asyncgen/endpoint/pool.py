"""All endpoints of a job: which one gets the next request, and which are well.

Knows counts and times that it is told. Does no I/O: the driver sends the requests and the probes, and reports.

An endpoint's circuit is *closed* (well), *open* (down after 5 faults in a row; only probes go there), or *half-open* (a
probe passed: one trial request at a time). Independently of that it is *paused* while a `Retry-After` runs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from asyncgen.endpoint.faults import Fault, FaultKind

TRIP = 5
"""Faults in a row that open an endpoint's circuit (Envoy's outlier detection has the same)."""
TRIP_TIMEOUTS = 10
"""Time-outs in a row that do so: one is a long answer, ten are a server that hangs."""
PROBE_FIRST = 1.0
"""Seconds until the first probe."""
PROBE_CAP = 30.0
"""Seconds between probes, at most; each failure doubles."""
RING = 256
"""Latest requests whose seconds are kept."""

_TRIPPING = {FaultKind.TRANSPORT, FaultKind.STALE, FaultKind.SERVER, FaultKind.BAD_ANSWER}
_SILENT = {FaultKind.CONFIG}
"""Faults that say nothing about health. All others show that the server answers."""


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """An endpoint as the job names it."""

    name: str
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint as `status` shows it."""

    name: str
    state: str
    """`ok`, `paused`, `down` or `probing`."""
    in_flight: int
    done: int
    faults: int
    p50: float
    """Seconds of a request, median of the latest; 0.0 before the first."""
    p95: float
    last_fault: str = ""
    """What went wrong last, in words."""

    @property
    def down(self) -> bool:
        """It takes no requests, but for a trial."""
        return self.state in {"down", "probing"}


class _Circuit(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF = "half-open"


@dataclass(slots=True)
class _Endpoint:
    spec: EndpointSpec
    circuit: _Circuit = _Circuit.CLOSED
    in_flight: int = 0
    started: int = 0
    done: int = 0
    faults: int = 0
    last_fault: str = ""
    row: int = 0
    """Tripping faults in a row."""
    timeouts: int = 0
    """In a row."""
    blames: int = 0
    """Requests since its last success that it refused and another endpoint served."""
    paused_until: float = -math.inf
    probe_at: float = math.inf
    probe_wait: float = PROBE_FIRST
    probing: bool = False
    older: int = 0
    """Half-open: requests in flight from before; the trial comes on top of them."""
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RING))

    @property
    def full(self) -> bool:
        return self.spec.max_concurrency is not None and self.in_flight >= self.spec.max_concurrency

    def usable(self, now: float) -> bool:
        if self.full or now < self.paused_until or self.circuit is _Circuit.OPEN:
            return False
        return self.circuit is _Circuit.CLOSED or self.in_flight == self.older

    def trip(self, now: float) -> None:
        """Open the circuit; after a failed trial, for twice as long as before."""
        if self.circuit is _Circuit.HALF:
            self.probe_wait = min(PROBE_CAP, 2 * self.probe_wait)
        self.circuit, self.probing = _Circuit.OPEN, False
        self.probe_at = now + self.probe_wait

    def close(self) -> None:
        self.circuit, self.probing, self.row, self.timeouts, self.older = _Circuit.CLOSED, False, 0, 0, 0
        self.probe_at, self.probe_wait = math.inf, PROBE_FIRST

    def state(self, now: float) -> EndpointState:
        name = {_Circuit.CLOSED: "ok", _Circuit.OPEN: "down", _Circuit.HALF: "probing"}[self.circuit]
        if self.probing:
            name = "probing"
        elif self.circuit is _Circuit.CLOSED and now < self.paused_until:
            name = "paused"
        ranked = sorted(self.seconds)
        p50, p95 = (_rank(ranked, share) for share in (0.5, 0.95))
        return EndpointState(self.spec.name, name, self.in_flight, self.done, self.faults, p50, p95, self.last_fault)


class Pool:
    """The endpoints of a job, by their number. Every `now` is monotonic seconds."""

    def __init__(self, endpoints: Sequence[EndpointSpec], margin: int = 2) -> None:
        """`margin`: how many requests busier than the least busy an episode's own endpoint may be."""
        if not endpoints:
            raise ValueError("pool: no endpoints")
        self._endpoints = [_Endpoint(spec) for spec in endpoints]
        self._margin = margin
        self._down_since: float | None = None

    @property
    def successes(self) -> int:
        """Requests that have succeeded: a turn compares two readings to know whether others pass."""
        return sum(endpoint.done for endpoint in self._endpoints)

    @property
    def down_since(self) -> float | None:
        """When the last endpoint went down; None while one is well."""
        return self._down_since

    def choose(self, sticky: int | None, now: float, *, avoid: int | None = None) -> int | None:
        """The endpoint for the next request; None: none can take it now. `avoid` is taken only if no other can.

        An episode stays with `sticky`, whose prefix cache has its conversation, unless that one is unusable or busier
        than the least busy by more than the margin.
        """
        usable = [number for number, endpoint in enumerate(self._endpoints) if endpoint.usable(now)]
        usable = [number for number in usable if number != avoid] or usable
        if not usable:
            return None
        least = min(usable, key=lambda number: (self._endpoints[number].in_flight, self._endpoints[number].started))
        if sticky in usable and self._endpoints[sticky].in_flight - self._endpoints[least].in_flight <= self._margin:
            return sticky
        return least

    def acquire(self, number: int) -> None:
        """A request to endpoint `number` starts; it was chosen just before."""
        endpoint = self._endpoints[number]
        if endpoint.full:
            raise ValueError(f"endpoint {endpoint.spec.name}: over max_concurrency {endpoint.spec.max_concurrency}")
        endpoint.in_flight += 1
        endpoint.started += 1

    def release(self, number: int) -> None:
        """A request has ended, however it did; its outcome may be told before or after."""
        endpoint = self._endpoints[number]
        if endpoint.in_flight == 0:
            raise ValueError(f"endpoint {endpoint.spec.name}: release without acquire")
        endpoint.in_flight -= 1
        # Whose request ended is not known: while older ones are open, the trial is taken to be so too.
        endpoint.older = max(0, endpoint.older - 1)

    def on_success(self, number: int, now: float, seconds: float) -> None:
        """A request succeeded after `seconds`. Whatever the circuit's state was, this is proof of health."""
        endpoint = self._endpoints[number]
        endpoint.done += 1
        endpoint.seconds.append(seconds)
        endpoint.blames = 0
        endpoint.close()
        self._note_outage(now)

    def on_fault(self, number: int, fault: Fault, now: float, *, suspect: bool = False) -> None:
        """A request failed. `suspect`: of a turn that fails again and again, which may itself be at fault: it does not
        speak against the server."""
        endpoint = self._endpoints[number]
        endpoint.faults += 1
        endpoint.last_fault = fault.text
        if fault.kind is FaultKind.THROTTLED and fault.retry_after is not None:
            endpoint.paused_until = max(endpoint.paused_until, now + fault.retry_after)
        if fault.kind in _SILENT:
            return
        if fault.kind is FaultKind.TIMEOUT:
            endpoint.timeouts += 1
            self._trip(endpoint, now, due=endpoint.timeouts >= TRIP_TIMEOUTS)
        elif fault.kind not in _TRIPPING:
            endpoint.close()
        elif not suspect:
            endpoint.row += 1
            self._trip(endpoint, now, due=endpoint.row >= TRIP)
        self._note_outage(now)

    def on_blame(self, number: int, now: float) -> None:
        """Another endpoint served what this one refused."""
        endpoint = self._endpoints[number]
        endpoint.blames += 1
        self._trip(endpoint, now, due=endpoint.blames >= TRIP)
        self._note_outage(now)

    def _trip(self, endpoint: _Endpoint, now: float, *, due: bool) -> None:
        if endpoint.circuit is _Circuit.HALF or (due and endpoint.circuit is _Circuit.CLOSED):
            endpoint.trip(now)

    def due_probes(self, now: float) -> list[int]:
        """Endpoints to probe now (`GET /models`). Each is handed out once: the driver owes an `on_probe` for it."""
        due = [number for number, endpoint in enumerate(self._endpoints) if _is_due(endpoint, now)]
        for number in due:
            self._endpoints[number].probing = True
        return due

    def on_probe(self, number: int, ok: bool, now: float) -> None:
        """A probe ended. A pass lets one trial request through; a failure doubles the wait for the next probe."""
        endpoint = self._endpoints[number]
        if not endpoint.probing:
            return  # a request succeeded meanwhile
        endpoint.probing = False
        if ok:
            endpoint.circuit, endpoint.older, endpoint.probe_at = _Circuit.HALF, endpoint.in_flight, math.inf
        else:
            endpoint.probe_wait = min(PROBE_CAP, 2 * endpoint.probe_wait)
            endpoint.probe_at = now + endpoint.probe_wait

    def all_down(self, now: float) -> bool:
        """No endpoint is well. One that only asked to wait is well; one on trial is not yet."""
        return self._down_since is not None and self._down_since <= now

    def snapshot(self, now: float) -> list[EndpointState]:
        """Every endpoint, for people."""
        return [endpoint.state(now) for endpoint in self._endpoints]

    def validate(self) -> None:
        """Raise AssertionError where the state contradicts itself."""
        for endpoint in self._endpoints:
            limit = endpoint.spec.max_concurrency
            checks = {
                "in_flight within limits": 0 <= endpoint.in_flight <= (math.inf if limit is None else limit),
                "older are in flight": 0 <= endpoint.older <= endpoint.in_flight,
                "an open circuit has a probe ahead": (endpoint.circuit is _Circuit.OPEN)
                == (endpoint.probe_at < math.inf),
                "only the down are probed": not endpoint.probing or endpoint.circuit is _Circuit.OPEN,
                "a closed circuit has few faults": endpoint.circuit is not _Circuit.CLOSED or endpoint.row < TRIP,
                "the wait has bounds": PROBE_FIRST <= endpoint.probe_wait <= PROBE_CAP,
            }
            broken = [name for name, holds in checks.items() if not holds]
            if broken:
                raise AssertionError(f"pool: {endpoint.spec.name}: not so: {', '.join(broken)}")

    def _note_outage(self, now: float) -> None:
        if any(endpoint.circuit is _Circuit.CLOSED for endpoint in self._endpoints):
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now


def _is_due(endpoint: _Endpoint, now: float) -> bool:
    return endpoint.circuit is _Circuit.OPEN and not endpoint.probing and endpoint.probe_at <= now


def _rank(ranked: Sequence[float], share: float) -> float:
    """Nearest-rank percentile."""
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0
