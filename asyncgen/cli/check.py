"""`check`: prints findings as they come.

Knows the exit code that they add up to. Does not know what is looked at.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from asyncgen.cli.output import line, print_json
from asyncgen.config.schema import Job
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.runs.jobs import load_job
from asyncgen.runs.loops import loop_factory


def check_job(
    job: str, *, base_url: tuple[str, ...], model: str | None, knobs: Mapping[str, Any], as_json: bool
) -> int:
    """0 when a run can start, 2 when not."""
    resolved, task = load_job(job, base_url=base_url, model=model, knobs=knobs)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_check(resolved, task, as_json=as_json))


async def _check(job: Job, task: Task, *, as_json: bool) -> int:
    from asyncgen.endpoint.client import HttpTransport
    from asyncgen.runs.checks import Finding, check
    from asyncgen.runs.toolset import NO_TOOLS, toolset
    from asyncgen.view.terminal import clean

    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            line(f"{finding.state:4}  {finding.what}: {clean(finding.text)}")

    transport = HttpTransport()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(transport.close)
        more = NO_TOOLS
        try:
            more = await stack.enter_async_context(toolset(job, task, environ=os.environ, clock=SystemClock()))
        except InputError as error:
            tell(Finding("tools", "fail", str(error)))
        if more.tools:
            names = ", ".join(tool.name for tool in (*task.tools, *more.tools))
            tell(Finding("tools", "ok", "; ".join([names, *more.notes])))
        async for finding in check(job, task, more.tools, transport=transport, environ=os.environ):
            tell(finding)
    failed = any(finding.state == "fail" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [asdict(finding) for finding in findings]})
    return 2 if failed else 0
