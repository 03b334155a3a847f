"""A real job in a process of its own that may die at a named point.

Knows how a run is put together (`prepare`, then `execute`) over a file layer. The processes come from a fork server
that has everything loaded, so that each takes milliseconds to start.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from pathlib import Path

from support.killing_files import POINTS, KillingFiles

from asyncgen.core.clock import SystemClock
from asyncgen.endpoint.client import HttpTransport
from asyncgen.engine.progress import Progress
from asyncgen.runs.execute import View, execute
from asyncgen.runs.jobs import load_job
from asyncgen.runs.loops import loop_factory
from asyncgen.runs.prepare import Options, prepare
from asyncgen.store.files import DISK

SLOTS = 2
"""Requests that are open at once."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["asyncgen.runs.prepare", "asyncgen.runs.execute", "asyncgen.endpoint.client", "asyncgen.source.opening",
     "asyncgen.source.jsonl", "asyncgen.source.matching", "asyncgen.tasks.geo", "asyncgen.rewards.geo",
     "asyncgen.runs.acceptance", "asyncgen.source.stored", "PIL.JpegImagePlugin", "numpy.ma", "pyarrow.parquet",
     "uvloop"]
)  # fmt: skip


def run(dataset: Path, out: Path, base_url: str, *, point: str = "", nth: int = 1) -> int:
    """The exit code of the process; -9 where it has died at the point."""
    process = _CONTEXT.Process(target=_run, args=(str(dataset), str(out), base_url, point, nth))
    process.start()
    process.join(60)
    try:
        assert process.exitcode is not None, "the run has not come to its end"
        return process.exitcode
    finally:
        process.kill()


class _Silent:
    """Shows nothing."""

    async def watch(self, view: View) -> None:
        await asyncio.Event().wait()

    def say(self, text: str) -> None:
        pass


def _run(dataset: str, out: str, base_url: str, point: str, nth: int) -> None:
    sys.argv = ["asyncgen", "run", "geo-tools"]
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        code = runner.run(_start(dataset, out, base_url, point, nth))
    sys.exit(code)


async def _start(dataset: str, out: str, base_url: str, point: str, nth: int) -> int:
    knobs = {
        "dataset.path": dataset,
        "dataset.num_samples": -1,
        "store.output_dir": out,
        "schedule.concurrency": SLOTS,
        "schedule.max_failed": 1.0,
    }
    job, task = load_job("geo-tools", base_url=(base_url,), model=None, knobs=knobs)
    files = KillingFiles(POINTS[point], nth) if point else DISK
    clock, transport = SystemClock(), HttpTransport()
    try:
        prepared = await prepare(
            job, task, Options(), transport=transport, environ=os.environ, clock=clock, files=files
        )
        summary = await execute(prepared, _Silent(), Progress(), transport=transport, clock=clock)
    finally:
        await transport.close()
    return summary.exit_code
