"""One completion, however often it must be asked for: waits for a slot, sends, decides what a fault gets.

Knows slots, retries and timeouts of a request. Does not know episodes: it gets encoded messages and gives a completion.
A slot is given back before any waiting, and a request's time starts when it has its slot.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asyncgen.core.clock import Clock
from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import Completion, Json
from asyncgen.endpoint.faults import Fault
from asyncgen.endpoint.retry import Abort, Fail, Free, Refit, TextMode, TurnRetries, Wait
from asyncgen.endpoint.transport import Target, Transport
from asyncgen.endpoint.wire import request_chunks
from asyncgen.engine.scheduler import Dropped, Event, Faulted, Passed, Scheduler, Wanted, Withdrawn


class ToolsRefusedError(Exception):
    """The server does not take `tools`: the episode starts over in text mode."""


class OutOfTimeError(Exception):
    """The episode's deadline is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An endpoint of the run, as requests need it."""

    target: Target
    model: str


@dataclass(slots=True)
class Budget:
    """An episode's seconds: those spent in requests and tools count, those spent waiting do not."""

    deadline: float
    spent: float = 0.0
    attempts: int = 0
    sticky: int | None = None

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - self.spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A completion and where it came from."""

    completion: Completion
    endpoint: int
    seconds: float
    attempts: int


class Requests:
    """The only place that sends completions."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        tell: Callable[[Event], None],
        transport: Transport,
        servers: Sequence[Server],
        turn_timeout: float,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        self.servers = servers
        self._scheduler = scheduler
        self._tell = tell
        self._transport = transport
        self._turn_timeout = turn_timeout
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # jitter, no secret
        self._tickets = itertools.count()
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def grant(self, ticket: int, endpoint: int) -> bool:
        """The scheduler's word; False when nobody waits any more."""
        future = self._waiting.pop(ticket, None)
        if future is None or future.done():
            return False
        future.set_result(endpoint)
        return True

    async def complete(
        self,
        messages: Sequence[Sequence[bytes]],
        *,
        sampling: Mapping[str, Json],
        tools_json: bytes | None,
        budget: Budget,
        begun: bool,
    ) -> Answer:
        """Ask until there is a completion.

        Raises EpisodeError (this turn cannot be had), AsyncgenError (the run cannot go on), ToolsRefusedError,
        OutOfTimeError.
        """
        retries = TurnRetries()
        passed_before = self._scheduler.pool.successes
        attempts = 0
        while True:
            if budget.left <= 0:
                raise OutOfTimeError
            endpoint = await self._slot(begun=begun, sticky=budget.sticky)
            attempts += 1
            budget.attempts += 1
            outcome, seconds = await self._send(endpoint, messages, sampling, tools_json, budget)
            if not isinstance(outcome, Fault):
                budget.sticky = endpoint
                return Answer(completion=outcome, endpoint=endpoint, seconds=seconds, attempts=attempts)
            others = self._others_passed(passed_before, outcome)
            match retries.on_fault(outcome, others_passed=others, rng=self._rng):
                case Wait(delay):
                    await self._clock.sleep(delay)
                case Free():
                    pass
                case Refit(max_tokens):
                    sampling = {**sampling, "max_tokens": max_tokens}
                case TextMode():
                    raise ToolsRefusedError(outcome.text)
                case Fail(reason, text):
                    if budget.left <= 0:
                        raise OutOfTimeError
                    raise EpisodeError(reason, text)
                case Abort(error):
                    raise error

    async def _send(
        self,
        endpoint: int,
        messages: Sequence[Sequence[bytes]],
        sampling: Mapping[str, Json],
        tools_json: bytes | None,
        budget: Budget,
    ) -> tuple[Completion | Fault, float]:
        server = self.servers[endpoint]
        chunks = request_chunks(messages, model=server.model, sampling=sampling, tools_json=tools_json)
        started = self._clock.monotonic()
        event: Event = Dropped(endpoint)
        try:
            outcome = await self._transport.complete(
                server.target, chunks, timeout=min(self._turn_timeout, budget.left)
            )
            seconds = self._clock.monotonic() - started
            if isinstance(outcome, Fault):
                event = Faulted(endpoint, outcome)
            else:
                event = Passed(endpoint, seconds, outcome[0].usage.completion_tokens)
        finally:
            budget.spent += self._clock.monotonic() - started
            self._tell(event)
        return (outcome if isinstance(outcome, Fault) else outcome[0]), seconds

    async def _slot(self, *, begun: bool, sticky: int | None) -> int:
        ticket = next(self._tickets)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        self._tell(Wanted(ticket, begun, sticky))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._tell(Dropped(future.result()))
            elif self._waiting.pop(ticket, None) is not None:
                self._tell(Withdrawn(ticket))
            raise

    def _others_passed(self, before: int, fault: Fault) -> bool:
        """Whether it is this turn that fails, and not the server: others got through meanwhile.

        The last episode of a run has no others. Where the server answers it (a status was read) and still fails it
        time and again, it is taken for the one at fault.
        """
        scheduler = self._scheduler
        alone = scheduler.alive == 1 and (scheduler.exhausted or scheduler.draining)
        return scheduler.pool.successes > before or (alone and fault.status > 0)
