"""`asyncgen.run` and `asyncgen.stream`: a job from Python, also where an event loop runs already, as in a notebook.

Knows how Python values become a job, and what is raised. Does not know how a job runs: it does so in a thread.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncgen.core.errors import AccountError, AsyncgenError, DataError, DirectoryInUse, InputError, TemporaryError
from asyncgen.core.trace import Trace
from asyncgen.runs.background import Background, Ears
from asyncgen.runs.backlog import Backlog
from asyncgen.runs.jobs import AnyJob, find_job, load_job
from asyncgen.runs.opened import Run
from asyncgen.runs.settings import by_path, texts
from asyncgen.view.terminal import note

if TYPE_CHECKING:
    from os import PathLike

    from asyncgen.config.schema import Job
    from asyncgen.core.task import Task
    from asyncgen.runs.execute import Summary, View, Watcher
    from asyncgen.runs.prepare import Options, Prepared

MOST_WAITING = 256
"""Traces that wait for the reader of a stream before the run sends no more requests; what is open still comes."""
FEW_WAITING = 64
"""So few, and it goes on."""
_TURNS = 4
"""Of the loop, until it has begun to close a stream that nobody holds any more: it is told, it starts, it runs."""
BEHIND = "the reader of the stream is behind"
_ERRORS = {kind.exit_code: kind for kind in (AsyncgenError, InputError, DataError, TemporaryError, AccountError)}

Retry: TypeAlias = bool | str | Sequence[str]
"""Failed episodes to be tried again: all, or those of these reasons."""


def run(
    job: AnyJob,
    *,
    settings: Mapping[str, Any] | None = None,
    retry_failed: Retry = False,
    accept_config_change: bool = False,
    reuse: str | PathLike[str] | None = None,
    redo: str = "",
    progress: bool = True,
    **knobs: Any,
) -> Run:
    """Start a job, or go on with it, and wait for its end. Returns the run, with `summary`.

    `job`: a built-in name, the path of a job file, a mapping with the keys of one, or a Task class. Settings are the
    flags of `asyncgen run` with underscores (`dataset_path`, `base_url` (one or a list), `max_turns`, …), any other
    knob as `section__field` (`sampling__top_p`, `task__system`), or in `settings` with a dot. `reuse`: the directory
    of a run with another config, whose traces are taken over, but for those of which `redo` (SQL) is true. `progress`
    shows the run on stderr.

        run = asyncgen.run("geo", dataset_path="photos", base_url="http://127.0.0.1:8000/v1", num_samples=100)

    Raises InputError, AccountError, DataError or TemporaryError for what kept the run from starting or ended it early;
    what is saved stays saved, and the same call goes on. KeyboardInterrupt drains the run first, a second one stops
    it. `summary.exit_code` is 4 where more episodes failed than `max_failed` allows.
    """
    options = _options(retry_failed, accept_config_change=accept_config_change, reuse=reuse, redo=redo)
    loaded = _load(job, settings, knobs, options)
    background = Background(*loaded, Ears(screen=_screen(shown=progress), prepared=_teller(shown=progress)))
    for one in background.before():
        if not one.is_told_to_end:
            raise _in_use(one)
        one.join()
    background.start()
    summary = _joined(background)
    _raise_error(summary)
    if progress:
        from asyncgen.view.summary import render_summary

        note(render_summary(summary.json()))
    return Run(summary.directory, summary=summary)


def stream(
    job: AnyJob,
    *,
    settings: Mapping[str, Any] | None = None,
    retry_failed: Retry = False,
    accept_config_change: bool = False,
    reuse: str | PathLike[str] | None = None,
    redo: str = "",
    progress: bool = False,
    **knobs: Any,
) -> AsyncGenerator[Trace, None]:
    """The traces of a job as they are saved, those of this start alone; arguments and errors as of `run`.

        async for trace in asyncgen.stream("geo", dataset_path="photos", base_url="http://127.0.0.1:8000/v1"):
            ...

    A slow reader holds the run back. Leaving the loop early stops the run, and the same call goes on.
    """
    options = _options(retry_failed, accept_config_change=accept_config_change, reuse=reuse, redo=redo)
    loaded = _load(job, settings, knobs, options)
    return _stream(loaded, shown=progress)


async def _stream(loaded: tuple[Job, Task, Options], *, shown: bool) -> AsyncGenerator[Trace, None]:
    backlog: Backlog[Trace] = Backlog()

    def put(trace: Trace) -> None:
        backlog.put(trace)
        if len(backlog) >= MOST_WAITING:
            background.hold(BEHIND)

    ears = Ears(screen=_screen(shown=shown), prepared=_teller(shown=shown), trace=put, end=backlog.end)
    background = Background(*loaded, ears)
    await _let_end(background.before)
    background.start()
    try:
        while (trace := await backlog.get()) is not None:
            if len(backlog) == FEW_WAITING:
                background.let_go()
            yield trace
        _raise_error(background.outcome.result())
    finally:
        background.cancel()
        await backlog.ended()
        background.join()


async def _let_end(before: Callable[[], Sequence[Background]]) -> None:
    """Wait for streams that were left: the loop closes them, and does not get to it before it is waited for. Raises
    DirectoryInUse."""
    for _ in range(_TURNS):
        if before():
            await asyncio.sleep(0)
    for one in before():
        if not one.is_told_to_end:
            raise _in_use(one)
        await asyncio.to_thread(one.join)


def _in_use(other: Background) -> DirectoryInUse:
    return DirectoryInUse(
        f"{other.directory} is in use by this process; if the stream before was left without aclose(), "
        "await stream.aclose() or use contextlib.aclosing"
    )


def _load(
    job: AnyJob,
    settings: Mapping[str, Any] | None,
    knobs: Mapping[str, Any],
    options: Options,
) -> tuple[Job, Task, Options]:
    """Raises InputError."""
    found = find_job(job)
    if settings is not None and not isinstance(settings, Mapping):
        raise InputError(f"settings {settings!r}: give a mapping of names and values")
    known, names = found.knobs(), found.names()
    values = by_path(settings or {}, known, names)
    for path, value in by_path(knobs, known, names).items():
        if path in values:
            raise InputError(f"{path} stands among the settings too; leave one away")
        values[path] = value
    base_url, model = texts("base_url", values.pop("base_url", None)), values.pop("model", None)
    return *load_job(found, base_url=base_url, model=model, knobs=values), options


def _options(
    retry_failed: Retry, *, accept_config_change: bool, reuse: str | PathLike[str] | None, redo: str
) -> Options:
    """Raises InputError."""
    from asyncgen.runs.prepare import Options, parse_reasons
    from asyncgen.runs.reuse import reuse_of

    if isinstance(retry_failed, bool):
        retry_failed = "all" if retry_failed else ""
    reasons = parse_reasons(",".join(texts("retry_failed", retry_failed)))
    return Options(accept_config_change=accept_config_change, retry_failed=reasons, reuse=reuse_of(reuse, redo))


def _joined(background: Background) -> Summary:
    """The outcome. Raises KeyboardInterrupt where one came in meanwhile, when the directory is closed."""
    count = 0

    def on_interrupt(_number: int, _frame: object) -> None:
        nonlocal count
        count += 1
        if count == 1:
            background.drain("draining: what is under way is finishing; interrupt again to stop it now")
        elif count == 2:
            background.cancel("stopping now; what is saved stays saved")
        else:
            raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # no other gets signals
    before = signal.signal(signal.SIGINT, on_interrupt) if in_main else None
    try:
        background.join()
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    if count:
        raise KeyboardInterrupt
    return background.outcome.result()


def _raise_error(summary: Summary) -> None:
    """What ended the run early, as it was."""
    if summary.error:
        raise _ERRORS.get(summary.exit_code, AsyncgenError)(summary.error)
    if summary.exit_code == TemporaryError.exit_code:
        raise TemporaryError(f"drained by ctl, {summary.left:,} episodes are left; the same call goes on with them")


class _Silence:
    """No screen."""

    async def watch(self, view: View) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def _screen(*, shown: bool) -> Watcher:
    from asyncgen.view.live import make_screen

    return make_screen(plain=False) if shown else _Silence()


def _teller(*, shown: bool) -> Callable[[Prepared], None]:
    from asyncgen.view.announce import announcement

    def tell(prepared: Prepared) -> None:
        for text in announcement(prepared) if shown else ():
            note(text)

    return tell
