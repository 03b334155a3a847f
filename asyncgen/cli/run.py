"""`run`: from flags to a finished start.

Knows the order of load, prepare, execute, and what is printed between them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.cli.output import OutputError, flush, line, print_json
from asyncgen.core.clock import SystemClock
from asyncgen.runs.jobs import load_job
from asyncgen.runs.loops import loop_factory, raise_file_limit
from asyncgen.runs.place import output_directory
from asyncgen.store.lock import refuse_if_held
from asyncgen.view.terminal import note

if TYPE_CHECKING:
    from asyncgen.config.schema import Job
    from asyncgen.core.task import Task
    from asyncgen.engine.progress import Progress
    from asyncgen.runs.prepare import Prepared


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The flags of `run` that are no knobs."""

    base_url: tuple[str, ...] = ()
    model: str | None = None
    retry_failed: str = ""
    accept_config_change: bool = False
    reuse: Path | None = None
    redo: str | None = None
    log_samples: bool = False
    json: bool = False
    plain: bool = False


def run_job(job: str, flags: Flags, knobs: Mapping[str, Any]) -> int:
    """Returns the exit code. Raises AsyncgenError for what fails before the first request."""
    resolved, task = load_job(job, base_url=flags.base_url, model=flags.model, knobs=knobs)
    refuse_if_held(output_directory(resolved))
    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_start(resolved, task, flags))


async def _start(job: Job, task: Task, flags: Flags) -> int:
    from asyncgen.endpoint.client import HttpTransport
    from asyncgen.engine.progress import Progress
    from asyncgen.runs.execute import FAILED_TOO_OFTEN, execute
    from asyncgen.runs.prepare import Options, parse_reasons, prepare
    from asyncgen.runs.reuse import reuse_of
    from asyncgen.runs.toolset import toolset
    from asyncgen.view.announce import announcement
    from asyncgen.view.live import make_screen

    clock = SystemClock()
    transport = HttpTransport()
    options = Options(
        accept_config_change=flags.accept_config_change,
        retry_failed=parse_reasons(flags.retry_failed),
        reuse=reuse_of(flags.reuse, flags.redo),
    )
    try:
        async with toolset(job, task, environ=os.environ, clock=clock) as more:
            prepared = await prepare(
                job, task, options, transport=transport, environ=os.environ, clock=clock, toolset=more
            )
            for text in announcement(prepared):
                note(text)
            progress = Progress()
            if flags.log_samples:
                _log_samples(prepared, progress, note if flags.json else line)
            screen = make_screen(plain=flags.plain or flags.log_samples)
            summary = await execute(prepared, screen, progress, transport=transport, clock=clock)
    finally:
        await transport.close()
    _print(summary.json(), as_json=flags.json)
    if summary.error:
        note(f"asyncgen: {summary.error}")
    elif summary.exit_code == FAILED_TOO_OFTEN:
        note(f"asyncgen: more than {100 * job.schedule.max_failed:g} % of the episodes failed (--max-failed)")
    return summary.exit_code


def _print(summary: dict[str, Any], *, as_json: bool) -> None:
    """What was done is done, whether or not stdout takes it: the exit code is the run's own."""
    from asyncgen.view.summary import render_summary

    def show() -> None:
        if as_json:
            print_json(summary)
        else:
            line(render_summary(summary))

    _try_stdout(show)


def _try_stdout(show: Callable[[], None]) -> bool:
    """Whether what it prints is out. If not, nothing is ever printed there again, and stderr is told why, unless the
    reader has just gone."""
    try:
        show()
        flush()
    except BrokenPipeError:
        return False
    except OutputError as error:
        note(f"asyncgen: {error}")
        return False
    return True


def _log_samples(prepared: Prepared, progress: Progress, say: Callable[[str], None]) -> None:
    """A block of a few lines for each finished sample, answer, truth and score; `say` prints it."""
    import orjson

    from asyncgen.store.line import encode_failure, encode_trace
    from asyncgen.view.show import render_block

    total = prepared.counts[2]

    def show(encoded: bytes, folder: str) -> None:
        number = progress.done + progress.failed.total()
        block = render_block(number, total, orjson.loads(encoded), saved_to=str(prepared.directory / folder))
        if not _try_stdout(lambda: say(block)):  # nobody takes the blocks any more: that is no reason to stop
            progress.on_trace = progress.on_failure = None

    progress.on_trace = lambda trace: show(encode_trace(trace), "traces")
    progress.on_failure = lambda failure: show(encode_failure(failure), "failed")
