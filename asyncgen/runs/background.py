"""A run in a thread with an event loop of its own: for callers that have a loop already, or none.

Knows how to start, pause, drain and cancel it from another thread. Does not know what its traces are wanted for.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncgen.core.clock import SystemClock
from asyncgen.core.types import Json
from asyncgen.runs.loops import loop_factory, raise_file_limit
from asyncgen.runs.place import output_directory

if TYPE_CHECKING:
    from asyncgen.config.schema import Job
    from asyncgen.core.task import Task
    from asyncgen.core.trace import Trace
    from asyncgen.engine.driver import Driver
    from asyncgen.runs.execute import Summary, View, Watcher
    from asyncgen.runs.prepare import Options, Prepared


STREAM = "stream"
"""Who holds the run back, in its events."""


@dataclass(frozen=True, kw_only=True)
class Ears:
    """Who is told what, in the run's thread."""

    screen: Watcher
    prepared: Callable[[Prepared], None] = lambda _: None
    trace: Callable[[Trace], None] = lambda _: None
    """Each trace, when it is saved."""
    end: Callable[[], None] = lambda: None
    """The outcome is there."""


_AT_WORK: set[Background] = set()
"""Those of this process that have begun and are not over."""


class Background:
    """One start of a run. `start`, then `outcome.result()`; the other methods may be called from any thread."""

    def __init__(self, job: Job, task: Task, options: Options, ears: Ears) -> None:
        """Raises InputError for an output directory that will not do."""
        self.directory = output_directory(job).resolve()
        self.outcome: Future[Summary] = Future()
        """Raises what kept the run from starting, or asyncio.CancelledError."""
        self._job = job
        self._task = task
        self._options = options
        self._ears = ears
        # A daemon, so that a program whose end comes first can end: to the run it is as if it were killed.
        self._thread = threading.Thread(target=self._body, name="asyncgen-run", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._view: View | None = None
        self._held = False
        self._stop: Callable[[Driver], None] | None = None

    def before(self) -> list[Background]:
        """Others of this process that are at work in the same directory."""
        return [one for one in _AT_WORK.copy() if one is not self and one.directory == self.directory]

    @property
    def is_told_to_end(self) -> bool:
        """Whether somebody drained or cancelled it."""
        return self._stop is not None

    def start(self) -> None:
        """Once."""
        raise_file_limit()
        _AT_WORK.add(self)
        self._thread.start()

    def join(self) -> None:
        """Wait until nothing of it runs any more."""
        self._thread.join()

    def drain(self, say: str = "") -> None:
        """Start nothing new; what is open gets the job's `grace` to finish. Before the first request: stop. `say` is
        for who looks at the screen."""
        self._stop_by(lambda driver: driver.drain(), say)

    def cancel(self, say: str = "") -> None:
        """Stop now; what is saved stays saved."""
        self._stop_by(lambda driver: driver.cancel(), say)

    def _stop_by(self, stop: Callable[[Driver], None], say: str) -> None:
        self._stop = stop
        self._soon(lambda: self._obey(say))

    def hold(self, why: str) -> None:
        """Send nothing for now. Only in the run's own thread."""
        if self._view is not None and not self._held:
            self._held = True
            self._view.driver.pause(why, by=STREAM)
            self._note("pause", text=why)

    def let_go(self) -> None:
        """Undo a `hold`; a pause that somebody else asked for stays."""
        self._soon(self._let_go)

    def _let_go(self) -> None:
        if self._view is not None and self._held:
            self._held = False
            self._view.driver.pause("", by=STREAM)
            self._note("resume")

    def _note(self, event: str, **fields: Json) -> None:
        """For `status`."""
        if self._view is not None:
            with suppress(RuntimeError):  # the log is closed: the run is over
                self._view.store.events.write(event, by=STREAM, **fields)

    def _soon(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the run is over
                self._loop.call_soon_threadsafe(call)

    def _obey(self, say: str = "") -> None:
        if self._stop is None or self._main is None:
            return
        if self._view is None:
            self._main.cancel()
        else:
            self._stop(self._view.driver)
        if say:
            self.say(say)

    def _body(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                summary = runner.run(self._run())
        except BaseException as error:  # noqa: BLE001  # the boundary: whoever waits for the outcome gets it
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(summary)
        finally:
            _AT_WORK.discard(self)
            self._ears.end()

    async def _run(self) -> Summary:
        from asyncgen.endpoint.client import HttpTransport
        from asyncgen.engine.progress import Progress
        from asyncgen.runs.execute import execute
        from asyncgen.runs.prepare import prepare
        from asyncgen.runs.toolset import toolset

        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._stop is not None:  # before there was a loop to tell
            raise asyncio.CancelledError
        clock = SystemClock()
        transport = HttpTransport()
        try:
            async with toolset(self._job, self._task, environ=os.environ, clock=clock) as more:
                prepared = await prepare(
                    self._job,
                    self._task,
                    self._options,
                    transport=transport,
                    environ=os.environ,
                    clock=clock,
                    toolset=more,
                )
                self._ears.prepared(prepared)
                progress = Progress(on_trace=self._ears.trace)
                return await execute(prepared, self, progress, transport=transport, clock=clock)
        finally:
            await transport.close()

    async def watch(self, view: View) -> None:
        """As the run's Watcher: show it on the screen, and keep hold of it."""
        self._view = view
        self._obey()  # what was asked for while it was prepared
        await self._ears.screen.watch(view)

    def say(self, text: str) -> None:
        """To the screen."""
        self._ears.screen.say(text)
