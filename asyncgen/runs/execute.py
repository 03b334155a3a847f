"""One run from the first request to the last seal.

Knows who owns which coroutine, signals, and how it ends. Does not know screens: a Watcher looks at the View.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError
from asyncgen.core.types import Json
from asyncgen.endpoint.limiter import make_limiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.endpoint.transport import Transport
from asyncgen.engine.driver import Driver, first_cause
from asyncgen.engine.ledger import Origin
from asyncgen.engine.live import Setting
from asyncgen.engine.progress import Progress
from asyncgen.engine.requests import Requests
from asyncgen.engine.scheduler import Scheduler
from asyncgen.engine.workers import Workers
from asyncgen.runs.prepare import Prepared
from asyncgen.runs.shape import sampling_of
from asyncgen.store.store import Store
from asyncgen.tools.gallery import Gallery

FAILED_TOO_OFTEN = 4
"""Exit code of a run that is over, with a larger share of failed episodes than `schedule.max_failed`."""


PAUSE_LOOK = 0.5
"""Seconds between looks at whether the run goes on."""


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
    failed_reasons: dict[str, int] = field(default_factory=dict[str, int])
    stored: int = 0
    """Traces in the directory, those that this job does not ask for too."""
    new_traces: int = 0
    parsed: int = 0
    """Of the new traces, those whose answer could be read."""
    new_failures: int = 0
    turns: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    last_failure: str = ""
    """Of this start: reason and text."""
    seconds: float = 0.0
    error: str = ""

    def json(self) -> dict[str, Json]:
        """All of it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class _Signals:
    """The first SIGINT, SIGTERM or SIGHUP drains, the second cancels, the third ends the process at once."""

    def __init__(self, driver: Driver, watcher: Watcher, grace: float) -> None:
        self._driver = driver
        self._watcher = watcher
        self._grace = grace
        self._count = 0
        self.received = 0
        """The number of the latest; 0: none."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        self._count += 1
        self.received = number
        if self._count == 1:
            self._watcher.say(
                f"draining: {self._driver.running} episodes are finishing, at most {self._grace:g} s; "
                "once more to stop them now, the same command goes on later"
            )
            self._driver.drain()
        elif self._count == 2:
            self._watcher.say("stopping now; what is saved stays saved, the same command goes on later")
            self._driver.cancel()
        else:
            os._exit(128 + number)


async def execute(
    prepared: Prepared, watcher: Watcher, progress: Progress, *, transport: Transport, clock: Clock
) -> Summary:
    """Run to the end. Everything that may end a run early is in the Summary."""
    done, failed, left = prepared.counts
    progress.total, progress.done_before, progress.failed_before = prepared.plan.total, done, failed
    started = clock.monotonic()
    prepared.store.events.write(
        "start",
        done=done,
        failed=failed,
        left=left,
        stored=len(prepared.store.done),
        stored_failed=len(prepared.store.failed),
        config_id=prepared.config_id,
    )
    error: BaseException | None = None
    received = 0
    workers = Workers()
    try:
        if left:
            received = await _drive(prepared, watcher, progress, workers, transport=transport, clock=clock)
    except (AsyncgenError, BaseExceptionGroup) as caught:
        error = first_cause(caught)
        if not isinstance(error, AsyncgenError):
            raise error from caught
    finally:
        workers.close()
        await _close(prepared, progress, error, received)
    return _summary(prepared, progress, error, received, clock.monotonic() - started)


async def _close(prepared: Prepared, progress: Progress, error: BaseException | None, received: int) -> None:
    store = prepared.store
    try:
        await store.settle()  # what is queued counts too
    finally:
        failed = progress.failed_before + store.saved_failures
        store.events.write("stop", signal=received, error=str(error or ""), saved=store.saved, failed=failed)
        await store.close()


async def _drive(
    prepared: Prepared, watcher: Watcher, progress: Progress, workers: Workers, *, transport: Transport, clock: Clock
) -> int:
    """Returns the signal that stopped it, 0 for none."""
    driver, scheduler = _assemble(prepared, progress, workers, transport=transport, clock=clock)
    view = View(
        prepared=prepared,
        progress=progress,
        scheduler=scheduler,
        driver=driver,
        store=prepared.store,
        watcher=watcher,
        clock=clock,
        started=clock.monotonic(),
    )
    signals = _Signals(driver, watcher, prepared.job.schedule.grace)
    with signals.installed():
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(prepared.store.run())
            beside = [group.create_task(watcher.watch(view)), group.create_task(_note_states(view)), writing]
            try:
                await driver.run()
            finally:
                for one in beside:
                    one.cancel()
    return signals.received


async def _note_states(view: View) -> None:
    """What keeps the run from going on, which of several servers is down, and that it is over, as events."""
    paused = False
    down: dict[str, str] = {}
    while True:
        await view.clock.sleep(PAUSE_LOOK)
        notice = view.progress.notice
        if bool(notice) != paused:
            paused = bool(notice)
            view.store.events.write("pause" if paused else "resume", text=notice)
        down = _note_servers(view, down)


def _note_servers(view: View, before: dict[str, str]) -> dict[str, str]:
    """Say of each server that it went down or came back; returns those that are down, with their last fault. A run that
    has only one is paused by that, which is told already."""
    states = view.scheduler.pool.snapshot(view.clock.monotonic())
    if len(states) == 1:
        return {}
    down = {one.name: one.last_fault for one in states if one.down}
    up = f"{sum(not one.down for one in states)} of {len(states)} servers are up"
    for name in down.keys() - before.keys():
        view.store.events.write("server_down", server=name, text=down[name])
        view.watcher.say(f"{name} is down, {up}: {down[name]}")
    for name in before.keys() - down.keys():
        view.store.events.write("server_up", server=name)
        view.watcher.say(f"{name} is back, {up}")
    return down


def _assemble(
    prepared: Prepared, progress: Progress, workers: Workers, *, transport: Transport, clock: Clock
) -> tuple[Driver, Scheduler]:
    job = prepared.job
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
        origin=Origin(job=job.name, config_id=prepared.config_id, dataset_path=prepared.source.path),
        sampling=lambda rollout: sampling_of(job, rollout),
        max_turns=job.episode.max_turns,
        final_turn=job.episode.final_turn,
        deadline=job.episode.deadline,
        gallery=Gallery(max_pixels=job.episode.max_pixels, max_image_pixels=job.episode.max_image_pixels),
        workers=workers,
        requests=requests,
        clock=clock,
    )
    driver = Driver(
        setting=setting,
        scheduler=scheduler,
        transport=transport,
        store=prepared.store,
        read=prepared.source.read,
        keys=prepared.plan.pending(),
        progress=progress,
        clock=clock,
        grace=job.schedule.grace,
        max_outage=job.endpoint.max_outage,
    )
    return driver, scheduler


def _summary(
    prepared: Prepared, progress: Progress, error: BaseException | None, received: int, seconds: float
) -> Summary:
    store = prepared.store
    done = progress.done_before + store.saved  # the trace of a cancelled episode may be saved all the same
    failed = progress.failed_before + store.saved_failures
    left = progress.total - done - failed
    return Summary(
        directory=str(prepared.directory),
        exit_code=_exit_code(prepared, error, received, left),
        total=prepared.plan.total,
        done=done,
        failed=failed,
        left=left,
        failed_reasons=dict(store.failed_reasons),
        stored=len(store.done),
        new_traces=store.saved,
        parsed=progress.parsed,
        new_failures=store.saved_failures,
        turns=progress.turns,
        tool_calls=progress.tool_calls,
        prompt_tokens=progress.prompt_tokens,
        completion_tokens=progress.completion_tokens,
        retries=progress.retries,
        last_failure=progress.last_failure,
        seconds=round(seconds, 3),
        error=str(error or ""),
    )


def _exit_code(prepared: Prepared, error: BaseException | None, received: int, left: int) -> int:
    if isinstance(error, AsyncgenError):
        return error.exit_code
    if received and left:
        return 128 + received
    done, failed = len(prepared.store.done), len(prepared.store.failed)
    share = failed / (done + failed) if failed else 0.0
    return FAILED_TOO_OFTEN if share > prepared.job.schedule.max_failed else 0
