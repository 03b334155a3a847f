"""One completion, however often it must be asked for: waits for a slot, sends, decides what a fault gets.

Knows slots, retries and timeouts of a request. Does not know episodes: it gets encoded messages and gives a completion.
A slot is given back before any waiting, and a request's time starts when it has its slot.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from asyncgen.core.clock import Clock
from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.types import Completion, Json
from asyncgen.endpoint.faults import Fault, FaultKind
from asyncgen.endpoint.retry import CAP, Abort, Fail, Free, Refit, TextMode, TurnRetries, Wait
from asyncgen.endpoint.transport import CHAT, RAW, Target, Transport
from asyncgen.endpoint.wire import prompt_chunks, request_chunks
from asyncgen.engine.choices import ChoiceCount
from asyncgen.engine.events import BEGUN, Blamed, Dropped, Event, Faulted, Passed, Resumed, Suspected, Wanted, Withdrawn
from asyncgen.engine.scheduler import Scheduler

_NOBODY_THERE = {0, 502, 503, 504}
"""Statuses of a server that is down or loading its model; 0: none was read."""
_OWN = {FaultKind.SERVER, FaultKind.BAD_ANSWER, FaultKind.EMPTY}
"""Faults that a prompt may cause."""
_REFUSED = {FaultKind.BAD_REQUEST, FaultKind.TOO_LARGE}
"""Faults that are the request's, or of an endpoint that is set up wrongly: another one is asked, if there is one."""
LOOK = 1.0
"""Seconds between looks, in a longer wait, at whether the run drains."""
SUSPECT = 3
"""Own faults from which on a turn may be the one at fault."""


class ToolsRefusedError(Exception):
    """The server does not take `tools`: the episode starts over in text mode. The text is the server's."""


class OutOfTimeError(Exception):
    """The episode's deadline is over."""


class StoppedError(Exception):
    """The run is draining: the episode ends here, and the next start begins it, or goes on with it."""


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
    more: tuple[Completion, ...] = ()
    """The other choices, where several were asked for."""


@dataclass(slots=True, eq=False)
class _TurnRequests:
    """One turn that is being asked for."""

    sampling: Mapping[str, Json]
    order: int
    kept: bool
    raw: bool
    passed: int
    """Requests of the run that had succeeded at this turn's start, or at its last fault."""
    retries: TurnRetries = field(default_factory=TurnRetries)
    attempts: int = 0
    own_faults: int = 0
    """Those that its prompt may have caused."""
    there: bool = True
    """A server was there to say what is wrong."""
    refused_by: int | None = None

    @property
    def suspect(self) -> bool:
        return self.own_faults >= SUSPECT


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
        self.tools_refused = False
        """A server has refused `tools`, and text will do: they are not sent again in this run."""
        self.choices = ChoiceCount()
        self._scheduler = scheduler
        self._tell = tell
        self._transport = transport
        self._turn_timeout = turn_timeout
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  # jitter, no secret
        self._tickets = itertools.count()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._failing: set[_TurnRequests] = set()
        """Turns whose latest request failed."""

    def grant(self, ticket: int, endpoint: int) -> bool:
        """The scheduler's word; False when nobody waits any more."""
        future = self._waiting.pop(ticket, None)
        if future is None or future.done():
            return False
        future.set_result(endpoint)
        return True

    def resume(self, order: int) -> None:
        """An episode has turns of an earlier start, and will ask for no first one."""
        self._tell(Resumed(order))

    def refuse(self, ticket: int) -> None:
        """The scheduler's word: this ticket gets no slot any more."""
        future = self._waiting.pop(ticket, None)
        if future is not None and not future.done():
            future.set_exception(StoppedError())

    async def complete(
        self,
        messages: Sequence[Sequence[bytes]],
        *,
        sampling: Mapping[str, Json],
        tools_json: bytes | None,
        budget: Budget,
        order: int,
        kept: bool = False,
        raw: bool = False,
    ) -> Answer:
        """Ask until there is a completion.

        Raises EpisodeError (this turn cannot be had), AsyncgenError (the run cannot go on), OutOfTimeError,
        ToolsRefusedError where tools were sent, StoppedError where that may be. `order`, `kept` as in `Wanted`;
        `raw`: the messages are texts, to be continued.
        """
        passed = self._scheduler.pool.successes
        turn = _TurnRequests(sampling=sampling, order=order, kept=kept, raw=raw, passed=passed)
        try:
            while True:
                if budget.left <= 0:
                    raise OutOfTimeError
                endpoint = await self._slot(turn, budget.sticky)
                if tools_json is not None and self.tools_refused:
                    self._tell(Dropped(endpoint))
                    raise ToolsRefusedError("another request has shown that tools are refused")
                turn.attempts += 1
                budget.attempts += 1
                outcome, seconds = await self._send(endpoint, messages, turn, tools_json, budget)
                if not isinstance(outcome, Fault):
                    budget.sticky = endpoint
                    if turn.refused_by not in {None, endpoint}:
                        self._tell(Blamed(turn.refused_by))
                    first, *more = outcome
                    return Answer(
                        completion=first, endpoint=endpoint, seconds=seconds, attempts=turn.attempts, more=(*more,)
                    )
                self._failing.add(turn)
                if self._ask_another(turn, outcome, endpoint):
                    continue
                server = self.servers[endpoint].target.name
                await self._on_fault(turn, outcome, server, with_tools=tools_json is not None, budget=budget)
        finally:
            self._failing.discard(turn)
            if turn.suspect:
                self._tell(Suspected(-1))

    def _ask_another(self, turn: _TurnRequests, fault: Fault, endpoint: int) -> bool:
        """Of several endpoints one may be set up wrongly: what it refuses is put to another before it counts."""
        if fault.kind not in _REFUSED or turn.refused_by is not None or len(self.servers) == 1:
            return False
        turn.refused_by = endpoint
        return True

    async def _on_fault(
        self, turn: _TurnRequests, fault: Fault, server: str, *, with_tools: bool, budget: Budget
    ) -> None:
        """Returns when the turn may be asked for again."""
        turn.there = fault.status not in _NOBODY_THERE
        others = self._others_passed(turn)
        turn.passed = self._scheduler.pool.successes
        if turn.there and fault.kind in _OWN:
            turn.own_faults += 1
            if turn.own_faults == SUSPECT:
                self._tell(Suspected(1))
        if fault.kind is FaultKind.TIMEOUT and self._scheduler.pool.all_down(self._clock.monotonic()):
            await self._pause(CAP, turn)  # all of them hang: that is an outage, and no row's fault
            return
        match turn.retries.on_fault(fault, others_passed=others, rng=self._rng):
            case Wait(delay):
                # where there are others, the pool keeps the one that asked for it paused, and the turn may go there
                asked = fault.retry_after or 0.0
                await self._pause(delay - asked if len(self.servers) > 1 else delay, turn)
            case Free():
                pass
            case Refit(max_tokens):
                turn.sampling = {**turn.sampling, "max_tokens": max_tokens}
            case TextMode() if with_tools:
                raise ToolsRefusedError(fault.text)
            case TextMode():
                raise EpisodeError(FailReason.BAD_REQUEST, fault.text)
            case Fail(reason, text):
                if budget.left <= 0:
                    raise OutOfTimeError
                raise EpisodeError(reason, text)
            case Abort(error):
                raise error if server in str(error) else type(error)(f"{server}: {error}")

    async def _pause(self, seconds: float, turn: _TurnRequests) -> None:
        """Wait before the next attempt; where the run drains meanwhile, the episode stops."""
        while seconds > 0:
            await self._clock.sleep(min(seconds, LOOK))
            seconds -= LOOK
            if self._scheduler.draining and (turn.kept or turn.order != BEGUN):
                raise StoppedError

    async def _send(
        self,
        endpoint: int,
        messages: Sequence[Sequence[bytes]],
        turn: _TurnRequests,
        tools_json: bytes | None,
        budget: Budget,
    ) -> tuple[Sequence[Completion] | Fault, float]:
        server = self.servers[endpoint]
        started = self._clock.monotonic()
        event: Event = Dropped(endpoint)
        try:
            outcome = await self._transport.complete(
                server.target,
                _body(messages, server.model, turn, tools_json),
                timeout=min(self._turn_timeout, budget.left),
                path=RAW if turn.raw else CHAT,
            )
            seconds = self._clock.monotonic() - started
            if isinstance(outcome, Fault):
                event = Faulted(endpoint, outcome, turn.suspect)
            else:
                event = Passed(endpoint, seconds, sum(one.usage.completion_tokens for one in outcome))
        finally:
            budget.spent += self._clock.monotonic() - started
            self._tell(event)
        return outcome, seconds

    async def _slot(self, turn: _TurnRequests, sticky: int | None) -> int:
        ticket = next(self._tickets)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = future
        self._tell(Wanted(ticket, turn.order, sticky, turn.suspect, turn.refused_by, turn.kept))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._tell(Dropped(future.result()))
            elif self._waiting.pop(ticket, None) is not None:
                self._tell(Withdrawn(ticket))
            raise

    @property
    def cornered(self) -> bool:
        """Nothing is left but turns that fail, and servers are there to say so: what fails is theirs, and no outage."""
        scheduler = self._scheduler
        all_fail = scheduler.exhausted and len(self._failing) >= scheduler.alive > 0
        return all_fail and all(turn.there for turn in self._failing)

    @property
    def draining(self) -> bool:
        """The run is to end: nothing new is begun."""
        return self._scheduler.draining

    @property
    def failing(self) -> int:
        """Turns whose latest request failed."""
        return len(self._failing)

    def _others_passed(self, turn: _TurnRequests) -> bool:
        """Whether it is this turn that fails, and not the server: others got through since its last fault.

        The last episodes of a run have no others that could. Where all that are left fail, and the server is there to
        say so, each is taken for the one at fault: or a run that ends with two poisoned prompts would never end.
        """
        return self._scheduler.pool.successes > turn.passed or self.cornered


def _body(
    messages: Sequence[Sequence[bytes]], model: str, turn: _TurnRequests, tools_json: bytes | None
) -> list[bytes]:
    if turn.raw:
        return prompt_chunks([chunk for text in messages for chunk in text], model=model, sampling=turn.sampling)
    return request_chunks(messages, model=model, sampling=turn.sampling, tools_json=tools_json)
