"""The driver: carries out what the scheduler says, and tells it what happened.

Knows coroutines and their owner. Does not decide anything. One asyncio task for each living episode, never one for each
sample; all of them belong to one TaskGroup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import datetime
from itertools import islice
from typing import Protocol

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AccountError, AsyncgenError, EpisodeError, FailReason, InputError, TemporaryError
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import Sample
from asyncgen.endpoint.faults import Fault
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.events import (
    Admit,
    Blocked,
    Draining,
    Dropped,
    Ended,
    Event,
    Exhausted,
    Finished,
    Grant,
    Holding,
    Paused,
    Probe,
    Probed,
    Refuse,
    Tick,
)
from asyncgen.engine.feeder import Chain, Fed, Feeder
from asyncgen.engine.live import LiveEpisode, Living, Setting
from asyncgen.engine.outcomes import outcome_of
from asyncgen.engine.progress import Progress
from asyncgen.engine.quota import Outcome
from asyncgen.engine.requests import StoppedError
from asyncgen.engine.scheduler import Scheduler
from asyncgen.engine.scoring import CRASH_LIMIT, internal_error

TICK = 0.05
"""Seconds between looks at the clock: timers, probes, deadlines of the drain."""
STALL = 15.0
"""Seconds in which requests fail and none passes before the user is told why."""
SEAL_SHARE = 0.1
"""Of the grace, kept for sealing: who gave it (Slurm, Kubernetes) kills when it is over."""
REFUSED_LIMIT = 20
"""So many episodes refused with HTTP 400 before the first trace: the run stops."""
TOOLS = "tools"
"""Who pauses a run in which a tool is down."""
_CRASHES = {FailReason.INTERNAL, FailReason.TOOL_CRASH}


class TraceStore(Protocol):
    """What the driver asks of a store."""

    @property
    def notice(self) -> str:
        """Why nothing can be written now; `""` when all is well."""

    async def append(self, trace: Trace) -> None:
        """Returns when the trace is written."""

    async def fail(self, failure: Failure) -> None:
        """The same for a failed episode."""


class Driver:
    """Runs the episodes of `chains` to their end."""

    def __init__(
        self,
        *,
        setting: Setting,
        scheduler: Scheduler,
        transport: Transport,
        store: TraceStore,
        read: Callable[[int], Sample],
        chains: Iterator[Chain],
        progress: Progress,
        clock: Clock,
        grace: float,
        max_outage: float | None,
        mark: Callable[[Trace], Awaitable[Trace]] | None = None,
        goal: int | None = None,
        on_goal: Callable[[], None] | None = None,
        due: Callable[[], Chain | None] = lambda: None,
    ) -> None:
        """`mark`: says of a trace whether it is accepted, before it is saved; None: as it came. When `goal` traces are
        accepted, those of earlier starts among them, `on_goal` is called and the run drains. `due`: as of Feeder.
        """
        self._setting = setting
        self._scheduler = scheduler
        self._transport = transport
        self._store = store
        shares = setting.requests.choices
        self._feeder = Feeder(
            chains, read, setting.workers, choices=setting.choices, refused=lambda: shares.refused, due=due
        )
        self._progress = progress
        self._clock = clock
        self._grace = grace
        self._max_outage = max_outage
        self._mark = mark
        self._goal = goal
        self._on_goal = on_goal
        self._finished = asyncio.Event()
        self._episodes: set[asyncio.Task[None]] = set()
        """Those that run. One that was created and has not run yet is not here: cancelled before its first step, a
        coroutine never gets to its `finally`, and the scheduler would wait for its end."""
        self._living: dict[int, LiveEpisode] = {}
        """By the number of their Admit, the oldest first."""
        self._side: set[asyncio.Task[None]] = set()
        """The ticker and the probes: they end with the last episode."""
        self._group: asyncio.TaskGroup | None = None
        self._cancel_at: float | None = None
        self._cancelled = False
        self._pauses: dict[str, str] = {}
        """Why it is paused, by who wants it so."""
        self.hindrance = ""
        """What keeps the run from going on, a pause by its user aside; `""` when nothing does."""
        self._failure: AsyncgenError | None = None
        """Why the run cannot go on, while what is under way ends."""
        self._crashes_in_a_row = 0
        self._passed = 0
        self._passed_at = clock.monotonic()

    async def run(self) -> None:
        """Until every chain is at its end, or a drain is over. Raises AsyncgenError where the run cannot go on."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._aside(self._ticker())
                self._setting.services.own(self._aside)
                self.tell(Tick())
                await self._finished.wait()
                for side in self._side:
                    side.cancel()
        except BaseExceptionGroup as failures:
            raise self._failure or first_cause(failures) from failures
        if self._failure:
            raise self._failure

    def tell(self, event: Event) -> None:
        """Something happened: let the scheduler decide, and do what it says."""
        pending = [event]
        while pending:
            actions = self._scheduler.handle(pending.pop(), self._clock.monotonic())
            for action in actions:
                follow = self._carry_out(action)
                if follow is not None:
                    pending.append(follow)

    def _carry_out(self, action: object) -> Event | None:
        match action:
            case Admit(order):
                self._own(self._episode(order))
            case Grant(ticket, endpoint):
                if not self._setting.requests.grant(ticket, endpoint):
                    return Dropped(endpoint)
            case Refuse(ticket):
                self._setting.requests.refuse(ticket)
            case Probe(endpoint):
                self._aside(self._probe(endpoint))
            case Finished():
                self._finished.set()
        return None

    def _own(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        assert self._group is not None  # noqa: S101  # only called inside run()
        return self._group.create_task(coroutine)

    def _aside(self, coroutine: Coroutine[None, None, None]) -> None:
        side = self._own(coroutine)
        self._side.add(side)
        side.add_done_callback(self._side.discard)

    def pause(self, why: str, by: str = "") -> None:
        """Send nothing for now, and say why; `""`: go on, unless another one wants a pause. What is open is let be."""
        self._pauses.pop(by, None)
        if why:
            self._pauses[by] = why
        self.tell(Paused(bool(self._pauses)))

    def limit(self, requests: int) -> None:
        """At most so many open requests from now on; fewer than are open cancels none. Raises InputError."""
        self._scheduler.limiter.limit = requests
        self.tell(Tick())

    def oldest(self, count: int) -> list[Living]:
        """The episodes that have been under way for the longest, oldest first."""
        now = self._clock.monotonic()
        begun = (live for live in self._living.values() if live.begun)
        return [
            Living(id=live.id, turn=live.turn, seconds=now - live.started, idle=now - live.touched)
            for live in islice(begun, count)
        ]

    def drain(self) -> None:
        """Start nothing new: episodes stop at their next turn boundary, and those whose turns are not journalled at
        their end. What has not stopped when `grace` seconds are nearly over is cancelled: the rest is for the seal.
        """
        if self._cancel_at is None:
            self._cancel_at = self._clock.monotonic() + self._grace * (1 - SEAL_SHARE)
            self._pauses.clear()
            self.tell(Draining())

    def _fail(self, error: AsyncgenError) -> None:
        """The run cannot go on. What is under way may end well all the same: it is paid for, and other servers may be
        better than the one that refused."""
        if self._failure is None:
            self._failure = error
            self.drain()

    def cancel(self) -> None:
        """Stop what runs, now."""
        self._cancelled = True
        self.drain()
        for episode in self._episodes:
            episode.cancel()

    @property
    def _is_over(self) -> bool:
        """No episode is started any more, and those that live may go on."""
        return self._scheduler.exhausted and not self._scheduler.draining

    @property
    def running(self) -> int:
        """Episodes that a drain waits for."""
        return self._scheduler.under_way

    async def _ticker(self) -> None:
        while True:
            await self._clock.sleep(TICK)
            now = self._clock.monotonic()
            self.tell(Tick())
            self._look_at_store()
            self._look_at_tools(now)
            self._look_at_outage(now)
            self._progress.notice = self.hindrance or "; ".join(self._pauses.values())
            if self._cancel_at is not None and now >= self._cancel_at:
                self.cancel()

    def _look_at_store(self) -> None:
        notice = self._store.notice
        if bool(notice) != self._scheduler.blocked:
            self.tell(Blocked(bool(notice)))
        self.hindrance = notice or (f"stopping: {self._failure}" if self._failure else "")

    def _look_at_tools(self, now: float) -> None:
        """While a tool is down no turn is asked for: its answer would be a trace without what the tool is for."""
        gate = self._setting.gate
        down = gate.down_since()
        if down is not None and self._max_outage is not None and now - down >= self._max_outage:
            raise TemporaryError(f"{gate.notice()} (for {now - down:.0f} s now); run the same command again")
        notice = "" if self._cancel_at is not None else gate.notice()
        self.hindrance = self.hindrance or notice
        if bool(notice) != (TOOLS in self._pauses):
            self.pause(notice, by=TOOLS)

    def _look_at_outage(self, now: float) -> None:
        pool = self._scheduler.pool
        if not pool.all_down(now) or pool.down_since is None or self._setting.requests.cornered:
            self._look_at_stall(now)
            return
        seconds = now - pool.down_since
        since = datetime.fromtimestamp(self._clock.wall() - seconds).astimezone()
        states = pool.snapshot(now)
        last = "; ".join(
            one.last_fault if one.name in one.last_fault else f"{one.name}: {one.last_fault}" for one in states
        )
        self.hindrance = f"all servers are down since {since:%H:%M:%S}, probing ({last})"
        if self._max_outage is not None and seconds >= self._max_outage:
            raise TemporaryError(f"all servers have been down for {seconds:.0f} s ({last}); run the same command again")

    def _look_at_stall(self, now: float) -> None:
        """Nothing is down, and yet nothing passes: say what is in the way."""
        pool = self._scheduler.pool
        if pool.successes != self._passed or not self._setting.requests.failing or self._pauses:
            self._passed, self._passed_at = pool.successes, now
        if now - self._passed_at >= STALL and not self.hindrance:
            last = "; ".join(one.last_fault for one in pool.snapshot(now) if one.last_fault)
            self.hindrance = f"no request has passed for {now - self._passed_at:.0f} s: {last}"

    async def _probe(self, endpoint: int) -> None:
        target = self._setting.requests.servers[endpoint].target
        outcome = await self._transport.models(target, timeout=10)
        # a server without that list (404, 405) answers all the same
        alive = not isinstance(outcome, Fault) or outcome.status in {401, 403, 404, 405}
        self.tell(Probed(endpoint, alive))

    async def _episode(self, order: int) -> None:
        """One rollout of a sample after the other, as long as its quota has one."""
        held = 0

        def hold(count: int) -> None:
            nonlocal held
            held += count
            if count:
                self.tell(Holding(count))

        own = asyncio.current_task()
        assert own is not None  # noqa: S101  # a coroutine of a TaskGroup
        self._episodes.add(own)
        more = True
        try:
            if not self._cancelled:
                fed = await self._feeder.next()
                more = fed is not None
                while fed is not None:
                    if (rollout := fed.quota.take()) is None:  # what it did not need, another chain may have waited for
                        fed = await self._feeder.next() if self._is_over else None
                        continue
                    hold(-held)  # of the chain's rollout before
                    outcome = await self._save(await self._attempt(fed, rollout, order, hold))
                    self._progress.skipped += fed.quota.give(outcome)
                    if self._scheduler.draining and not (fed.choices and fed.choices.ready):
                        break
        except StoppedError:
            pass  # the next start does it, or goes on with it
        except BaseException:
            self.tell(Draining())  # the group is closing, or soon will be: nothing may be started in it
            raise
        finally:
            self._episodes.discard(own)
            self.tell(Ended(order, held) if more else Exhausted(order))

    async def _attempt(self, fed: Fed, rollout: int, order: int, hold: Callable[[int], None]) -> Trace | Failure:
        """The boundary: what goes wrong in a row, a task, a tool or a reward costs one episode."""
        sample = fed.outcome if isinstance(fed.outcome, Sample) else Sample(index=fed.index, data={})
        live = LiveEpisode(self._setting, sample, rollout, order=order, hold=hold, choices=fed.choices)
        self._living[order] = live
        try:
            fed.sample()
            return await live.run()
        except (InputError, AccountError) as error:
            self._fail(error)
            raise StoppedError from error
        except (AsyncgenError, StoppedError):
            raise
        except EpisodeError as error:
            return live.failed(error)
        except Exception as error:  # noqa: BLE001  # the boundary
            return live.failed(internal_error(error))
        finally:
            del self._living[order]

    async def _save(self, outcome: Trace | Failure) -> Outcome:
        """What came of the rollout."""
        if isinstance(outcome, Trace):
            trace = await self._mark(outcome) if self._mark else outcome
            await self._store.append(trace)
            self._crashes_in_a_row = 0
            self._progress.add_trace(trace)
            self._look_at_goal()
            return outcome_of(trace)
        await self._store.fail(outcome)
        self._progress.add_failure(outcome)
        self._crashes_in_a_row = self._crashes_in_a_row + 1 if outcome.reason in _CRASHES else 0
        if outcome.reason == FailReason.BAD_REQUEST and not self._progress.done:
            self._stop_if_job_wide(outcome)
        if self._crashes_in_a_row >= CRASH_LIMIT:
            raise AsyncgenError(
                f"{CRASH_LIMIT} episodes in a row failed with {outcome.reason}: {outcome.error}; "
                "mend the task, then run it again with --retry-failed"
            )
        return Outcome.FAILED

    def _look_at_goal(self) -> None:
        """What is open comes in all the same, so there may be more than were asked for."""
        if self._goal is None or self._progress.accepted_before + self._progress.accepted < self._goal:
            return
        self._goal = None
        if self._on_goal:
            self._on_goal()
        self.drain()

    def _stop_if_job_wide(self, failure: Failure) -> None:
        """Not one trace, and every request refused: that is the job, not its rows."""
        refused = self._progress.failed[failure.reason]
        if refused == self._progress.failed.total() >= REFUSED_LIMIT:
            raise InputError(
                f"the first {refused} episodes were all refused by the server: {failure.error}; "
                "mend the job, then run it again with --retry-failed"
            )


def first_cause(failure: BaseException) -> BaseException:
    """The one error that ended the run; several at once are one cause seen by many episodes."""
    if not isinstance(failure, BaseExceptionGroup):
        return failure
    causes = [first_cause(error) for error in failure.exceptions]
    return next((error for error in causes if isinstance(error, AsyncgenError)), causes[0])
