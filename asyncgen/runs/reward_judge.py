"""The model that rewards may ask: a judge's servers, behind the limits and retries that episodes have.

Knows when servers are looked for (at the first question) and who carries out what the scheduler says. Does not know
what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from asyncgen.config.schema import Job
from asyncgen.core.clock import Clock
from asyncgen.core.types import Completion, Json, Message
from asyncgen.endpoint.faults import Fault
from asyncgen.endpoint.limiter import make_limiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.context import ask
from asyncgen.engine.driver import TICK
from asyncgen.engine.events import Dropped, Event, Grant, Probe, Probed, Refuse, Tick
from asyncgen.engine.requests import Requests, Server
from asyncgen.engine.scheduler import Scheduler
from asyncgen.runs.servers import resolve_models, targets_of
from asyncgen.runs.shape import sampling_of

PROBE_SECONDS = 10.0
_ALIVE = {401, 403, 404, 405}
"""Statuses of a server that answers, and has no list of models for us."""


class Model(Protocol):
    """What a reward's question goes to."""

    async def complete(self, messages: Sequence[Message], sampling: Mapping[str, Json]) -> Completion:
        """Raises EpisodeError, AsyncgenError."""


class JudgeServers:
    """Implements Model with the job's endpoints. `start` gives it the TaskGroup in which it probes servers."""

    def __init__(
        self, job: Job, *, transport: Transport, environ: Mapping[str, str], clock: Clock, deadline: float
    ) -> None:
        """`deadline`: seconds of requests that a question may take. Raises InputError for a key beside a user."""
        self._job = job
        self._asked = targets_of(job.endpoints, environ)
        self._transport = transport
        self._clock = clock
        self._deadline = deadline
        self._sampling = sampling_of(job, 0, None)
        self._finding = asyncio.Lock()
        self._requests: Requests | None = None
        self._scheduler = self._new_scheduler()
        self._start: Callable[[Coroutine[Any, Any, None]], object] | None = None

    def _new_scheduler(self) -> Scheduler:
        names = [one.target.name for one in self._asked]
        pool = Pool(
            [EndpointSpec(name, one.max_concurrency) for name, one in zip(names, self._job.endpoints, strict=True)]
        )
        scheduler = Scheduler(pool, make_limiter(self._job.schedule.concurrency))
        scheduler.exhausted = True  # there are questions only: no episode is ever to be started
        return scheduler

    async def find(self) -> Requests:
        """The servers, and which model each is asked for, once. Raises InputError, AccountError."""
        async with self._finding:
            if self._requests is None:
                models = await resolve_models(self._asked, self._transport, known="", new=True)
                self._requests = Requests(
                    scheduler=self._scheduler,
                    tell=self._tell,
                    transport=self._transport,
                    servers=[
                        Server(target=one.target, model=model) for one, model in zip(self._asked, models, strict=True)
                    ],
                    turn_timeout=self._job.endpoint.turn_timeout,
                    clock=self._clock,
                )
        return self._requests

    async def complete(self, messages: Sequence[Message], sampling: Mapping[str, Json]) -> Completion:
        """One answer. Raises EpisodeError, and AsyncgenError where no server can be asked."""
        requests = await self.find()
        late = f"the judge has not answered within {self._deadline:g} s; raise --deadline"
        return await ask(requests, messages, {**self._sampling, **sampling}, deadline=self._deadline, late=late)

    async def run(self, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """Look at the clock for the scheduler, until cancelled; `start` runs a probe."""
        self._start = start
        while True:
            await self._clock.sleep(TICK)
            if self._requests is not None:
                self._tell(Tick())

    def _tell(self, event: Event) -> None:
        pending = [event]
        while pending:
            actions = self._scheduler.handle(pending.pop(), self._clock.monotonic())
            pending += [follow for action in actions if (follow := self._carry_out(action))]

    def _carry_out(self, action: object) -> Event | None:
        assert self._requests is not None  # noqa: S101  # only its events come here
        match action:
            case Grant(ticket, endpoint) if not self._requests.grant(ticket, endpoint):
                return Dropped(endpoint)
            case Refuse(ticket):
                self._requests.refuse(ticket)
            case Probe(endpoint) if self._start is not None:
                self._start(self._probe(endpoint))
        return None

    async def _probe(self, endpoint: int) -> None:
        outcome = await self._transport.models(self._asked[endpoint].target, timeout=PROBE_SECONDS)
        self._tell(Probed(endpoint, not isinstance(outcome, Fault) or outcome.status in _ALIVE))
