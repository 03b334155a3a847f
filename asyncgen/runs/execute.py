"""One run from the first request to the last seal.

Knows who owns which coroutine, and how it ends. Does not know screens: a Watcher looks at the View.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Protocol

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError
from asyncgen.core.types import Json
from asyncgen.endpoint.limiter import make_limiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.acceptor import Acceptor
from asyncgen.engine.driver import Driver, first_cause
from asyncgen.engine.ledger import Origin
from asyncgen.engine.live import Setting
from asyncgen.engine.progress import Progress
from asyncgen.engine.requests import Requests
from asyncgen.engine.scheduler import Scheduler
from asyncgen.engine.workers import Workers
from asyncgen.runs.control import listening
from asyncgen.runs.ending import Ending, Stop
from asyncgen.runs.figures import Meter, accepted_of, cost_of
from asyncgen.runs.noting import note_states
from asyncgen.runs.output_file import write_output
from asyncgen.runs.prepare import Prepared
from asyncgen.runs.spent import Spent, time_of
from asyncgen.runs.steering import Steering
from asyncgen.runs.tasks import has_turns
from asyncgen.store.card import REUSED_FROM
from asyncgen.store.events import read_events
from asyncgen.store.store import CATALOG_SECONDS, Store
from asyncgen.tools.gallery import Gallery

HASTY_CATALOGS = 1.0
"""Seconds for catalogs where its user has stopped the run."""
FAILED_TOO_OFTEN = 4
"""Exit code of a run that is over, with a larger share of failed episodes than `schedule.max_failed`."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A running run, for those who look at it."""

    prepared: Prepared
    progress: Progress
    scheduler: Scheduler
    driver: Driver
    store: Store
    watcher: Watcher
    clock: Clock
    started: float
    """By the monotonic clock."""


class Watcher(Protocol):
    """A screen."""

    async def watch(self, view: View) -> None:
        """Show, until cancelled."""

    def say(self, text: str) -> None:
        """One line for the user, between frames."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a start ended."""

    directory: str
    exit_code: int
    total: int
    done: int
    failed: int
    left: int
    skipped: int = 0
    """Neither done nor left: not needed, since enough traces are accepted."""
    unfinished: int = 0
    """Of those left: begun, with turns in the journal that nobody asks for again."""
    lost_turns: int = 0
    """Finished turns for which a full disk had no room."""
    failed_reasons: dict[str, int] = field(default_factory=dict[str, int])
    stored: int = 0
    """Traces in the directory, those that this job does not ask for too."""
    new_traces: int = 0
    parsed: int = 0
    """Of the new traces, those whose answer could be read."""
    new_failures: int = 0
    last_failure: str = ""
    """Of this start: reason and text."""
    starts: int = 1
    """Of the run, this one among them. What follows is that of all of them together."""
    turns: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    seconds: float = 0.0
    cost: float | None = None
    """US dollars; None where no price is set."""
    this_start: dict[str, Json] = field(default_factory=dict[str, Json])
    """The same from `turns` to `cost`, of this start alone."""
    tool_errors: int = 0
    """Of this start's tool calls, those that brought no result."""
    accepted: int | None = None
    """Traces of the directory that are accepted; None where the job accepts all."""
    error: str = ""

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


async def execute(
    prepared: Prepared, watcher: Watcher, progress: Progress, *, transport: Transport, clock: Clock
) -> Summary:
    """Run to the end. Everything that may end a run early is in the Summary, but for a disk that fails at the very end.

    Raises TemporaryError for that.
    """
    counts = prepared.counts
    progress.total, progress.done_before, progress.failed_before = prepared.plan.total, counts.done, counts.failed
    progress.accepted_before, progress.skipped = prepared.plan.accepted, counts.skipped
    progress.before = prepared.store.totals
    progress.seconds_before, progress.starts_before = time_of(read_events(prepared.directory), live=False)
    started = clock.monotonic()
    prepared.store.events.write(
        "start",
        done=counts.done,
        failed=counts.failed,
        left=counts.left,
        skipped=counts.skipped,
        stored=len(prepared.store.done),
        stored_failed=len(prepared.store.failed),
        config_id=prepared.config_id,
        name=prepared.job.name,
    )
    error: BaseException | None = None
    workers = Workers()
    with ExitStack() as stack:
        live: _Live | None = None
        try:
            if counts.left:
                live = _live(prepared, watcher, progress, workers, transport=transport, clock=clock)
                stack.enter_context(live.ending.installed())  # until the last seal
                await _drive(live)
            else:
                await prepared.store.make_catalogs(watcher.say)
        except (AsyncgenError, BaseExceptionGroup) as caught:
            error = first_cause(caught)
            if not isinstance(error, AsyncgenError):
                raise error from caught
        finally:
            try:
                error = await _close(prepared, progress, error, live, watcher)
            finally:  # after the seal: a thread of a task's may take its time
                workers.close()
                if prepared.condition is not None:
                    prepared.condition.close()
        stop = live.ending.stop if live else Stop()
        return _summary(prepared, progress, error, stop, clock.monotonic() - started)


@dataclass(frozen=True, kw_only=True)
class _Live:
    """A start that has something to do."""

    view: View
    ending: Ending
    meter: Meter


async def _close(
    prepared: Prepared, progress: Progress, error: BaseException | None, live: _Live | None, watcher: Watcher
) -> BaseException | None:
    """Seal; write the output file while the directory is still ours. Returns `error`, or why that file is not there."""
    store = prepared.store
    if live:
        live.ending.over()
    try:
        # what is queued counts too; who wants an end wants it soon
        await store.settle(HASTY_CATALOGS if live and live.ending.stop.exit_code else CATALOG_SECONDS)
        if not (live and live.ending.cancelled):
            error = await write_output(prepared.job, prepared.directory, watcher.say, error)
        return error
    finally:
        store.events.write(
            "stop",
            signal=live.ending.stop.signal if live else 0,
            error=str(error or ""),
            saved=store.saved,
            failed=progress.failed_before + store.saved_failures,
            skipped=_skipped(prepared, progress),
        )
        await store.close()


def _skipped(prepared: Prepared, progress: Progress) -> int:
    """Episodes that are not needed: all that is not done, once the directory has the accepted traces it is to have."""
    goal, store = prepared.job.stop_after_accepted, prepared.store
    if goal is None or progress.accepted_before + progress.accepted < goal:
        return progress.skipped
    done, failed = progress.done_before + store.saved, progress.failed_before + store.saved_failures
    return progress.total - done - failed


async def _drive(live: _Live) -> None:
    """Until nothing is left, or its user has stopped it."""
    view, watcher, store = live.view, live.view.watcher, live.view.store
    steering = _steering(view, live.ending, live.meter)
    with listening(view.prepared.directory, store.writer, steering.carry_out, say=watcher.say) as control:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(store.run())
            beside = [group.create_task(watcher.watch(view)), group.create_task(note_states(view, live.meter)), writing]
            if control is not None:
                beside.append(group.create_task(control.serve()))
            try:
                await view.driver.run()
            finally:
                for one in beside:
                    one.cancel()


def _steering(view: View, ending: Ending, meter: Meter) -> Steering:
    return Steering(
        name=view.prepared.job.name,
        directory=str(view.prepared.directory),
        driver=view.driver,
        scheduler=view.scheduler,
        events=view.store.events,
        say=view.watcher.say,
        drain=ending.drain_by_ctl,
        figures=lambda: asdict(meter.look(view)),
    )


def _live(
    prepared: Prepared, watcher: Watcher, progress: Progress, workers: Workers, *, transport: Transport, clock: Clock
) -> _Live:
    driver, scheduler = _assemble(prepared, watcher, progress, workers, transport=transport, clock=clock)
    store = prepared.store
    store.on_state = watcher.say
    view = View(
        prepared=prepared,
        progress=progress,
        scheduler=scheduler,
        driver=driver,
        store=store,
        watcher=watcher,
        clock=clock,
        started=clock.monotonic(),
    )
    ending = Ending(driver, watcher.say, store.events, prepared.job.schedule.grace)
    return _Live(view=view, ending=ending, meter=Meter())


def _assemble(
    prepared: Prepared, watcher: Watcher, progress: Progress, workers: Workers, *, transport: Transport, clock: Clock
) -> tuple[Driver, Scheduler]:
    job, store = prepared.job, prepared.store

    def tell_goal() -> None:
        watcher.say(f"{job.stop_after_accepted:,} traces are accepted: stopping")
        store.events.write("drain", by="stop_after_accepted")

    pool = Pool(
        [
            EndpointSpec(server.target.name, spec.max_concurrency)
            for server, spec in zip(prepared.servers, job.endpoints, strict=True)
        ]
    )
    scheduler = Scheduler(pool, make_limiter(job.schedule.concurrency))
    requests = Requests(
        scheduler=scheduler,
        tell=lambda event: driver.tell(event),  # noqa: PLW0108  # the driver comes into being below
        transport=transport,
        servers=prepared.servers,
        turn_timeout=job.endpoint.turn_timeout,
        clock=clock,
    )
    setting = Setting(
        task=prepared.task,
        kit=prepared.kit,
        origin=_origin(prepared),
        sampling=prepared.settings.sampling,
        max_turns=prepared.settings.max_turns,
        final_turn=job.episode.final_turn,
        deadline=job.episode.deadline,
        gallery=Gallery(max_pixels=job.episode.max_pixels, max_image_pixels=job.episode.max_image_pixels),
        workers=workers,
        requests=requests,
        clock=clock,
        journal=store if has_turns(job, prepared.task, prepared.kit.tools) else None,
        max_context=job.episode.max_context,
        choices=job.episode.choices,
    )
    condition = prepared.condition
    acceptor = Acceptor(condition.judge, workers, _unjudged(watcher, store)) if condition else None
    driver = Driver(
        setting=setting,
        scheduler=scheduler,
        transport=transport,
        store=store,
        read=prepared.source.read,
        chains=prepared.plan.pending(),
        progress=progress,
        clock=clock,
        grace=job.schedule.grace,
        max_outage=job.endpoint.max_outage,
        mark=acceptor.mark if acceptor else None,
        goal=job.stop_after_accepted,
        on_goal=tell_goal,
        due=prepared.plan.bank.due,
    )
    return driver, scheduler


def _origin(prepared: Prepared) -> Origin:
    return Origin(
        job=prepared.job.name,
        config_id=prepared.config_id,
        dataset_path=prepared.source.path,
        metadata={REUSED_FROM: ""} if prepared.reuses else {},
    )


def _unjudged(watcher: Watcher, store: Store) -> Callable[[str, str], None]:
    """Takes a trace for which `accept` cannot be computed, and why: an event each, and a line for the user once."""
    told = False

    def tell(trace_id: str, text: str) -> None:
        nonlocal told
        if not told:
            watcher.say(f"accept cannot be computed for {trace_id}, which is not accepted then: {text}")
        told = True
        store.events.write("accept_error", id=trace_id, text=text)

    return tell


def _summary(
    prepared: Prepared, progress: Progress, error: BaseException | None, stop: Stop, seconds: float
) -> Summary:
    store = prepared.store
    done = progress.done_before + store.saved  # the trace of a cancelled episode may be saved all the same
    failed = progress.failed_before + store.saved_failures
    skipped = _skipped(prepared, progress)
    left = progress.total - done - failed - skipped
    own, whole, endpoint = progress.totals, progress.before + progress.totals, prepared.job.endpoint
    this_start = Spent(totals=own, seconds=seconds, cost=cost_of(endpoint, own))
    all_starts = Spent(totals=whole, seconds=progress.seconds_before + seconds, cost=cost_of(endpoint, whole))
    return Summary(
        directory=str(prepared.directory),
        exit_code=_exit_code(prepared, error, stop, left),
        total=prepared.plan.total,
        done=done,
        failed=failed,
        left=left,
        skipped=skipped,
        unfinished=min(left, store.unfinished),
        lost_turns=store.lost_turns,
        failed_reasons=dict(store.failed_reasons),
        stored=len(store.done),
        new_traces=store.saved,
        parsed=progress.parsed,
        new_failures=store.saved_failures,
        last_failure=progress.last_failure,
        starts=progress.starts_before + 1,
        **all_starts.json(),
        this_start=this_start.json(),
        tool_errors=progress.tool_errors,
        accepted=accepted_of(prepared.job, progress),
        error=str(error or ""),
    )


def _exit_code(prepared: Prepared, error: BaseException | None, stop: Stop, left: int) -> int:
    if isinstance(error, AsyncgenError):
        return error.exit_code
    if left and stop.exit_code:
        return stop.exit_code
    done, failed = len(prepared.store.done), len(prepared.store.failed)
    share = failed / (done + failed) if failed else 0.0
    return FAILED_TOO_OFTEN if share > prepared.job.schedule.max_failed else 0
