"""`serve-reward`: a task's rewards over HTTP, for trainers.

Knows the command's flags and what is printed. Does not know what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from asyncgen.cli.flags import find_job
from asyncgen.config.knobs import Knob, task_knobs, with_default
from asyncgen.core.errors import InputError

if TYPE_CHECKING:
    from asyncgen.config.schema import Job
    from asyncgen.core.task import Task


def is_local(host: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve_reward(
    task: str,
    /,
    *,
    dataset_path: Annotated[
        Path | None, Parameter(help="Rows whose truth is looked up by their prompt; default: the job's dataset.")
    ] = None,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0: any free one.", validator=Number(gte=0, lte=65535))] = 8002,
    base_url: Annotated[
        list[str] | None, Parameter(negative=(), help="A judge's server, up to /v1, for rewards that ask a model.")
    ] = None,
    model: Annotated[
        str | None, Parameter(help="The judge's model; not needed when the server lists just one.")
    ] = None,
    deadline: Annotated[
        float | None,
        Parameter(help="Seconds that an item may take; default: 30, or 300 with a judge.", validator=Number(gt=0)),
    ] = None,
    max_batch: Annotated[int, Parameter(help="Items of one request.", validator=Number(gte=1))] = 4096,
    concurrency: Annotated[
        int, Parameter(help="Items that are scored at once, and requests to a judge.", validator=Number(gte=1))
    ] = 64,
    knobs: dict[str, object],
) -> int:
    """Serve the rewards of a task over HTTP (POST /get_reward as OpenRLHF asks, POST /score), until Ctrl-C or SIGTERM.

    TASK is a built-in name (`asyncgen jobs`), the path of a job file, module:Class or file.py:Class; its options are
    --task.FIELD. A truth comes with the request (labels, row), or is looked up in the dataset by the prompt.

    Examples:
    `asyncgen serve-reward region --dataset-path train.jsonl --port 5000`
    `asyncgen serve-reward geo --task.scale-km 1491.6862`
    `asyncgen serve-reward search --task.judge true --base-url http://127.0.0.1:8000/v1 --deadline 120`
    """
    from asyncgen.runs.reward_job import find_reward_job, load_reward_job

    given = {**knobs, "schedule.concurrency": concurrency}
    if dataset_path is not None:
        given["dataset.path"] = str(dataset_path)
    job, made = load_reward_job(find_reward_job(task), base_url=tuple(base_url or ()), model=model, knobs=given)
    return _serve(
        job,
        made,
        host,
        port,
        deadline=deadline,
        max_batch=max_batch,
        concurrency=concurrency,
        find_judge=bool(base_url),
    )


def _serve(
    job: Job,
    task: Task,
    host: str,
    port: int,
    *,
    deadline: float | None,
    max_batch: int,
    concurrency: int,
    find_judge: bool,
) -> int:
    """Until it is stopped."""
    import asyncio
    import os

    from asyncgen.cli.output import flush, line
    from asyncgen.core.clock import SystemClock
    from asyncgen.embedded.serving import reserve
    from asyncgen.runs.loops import loop_factory, raise_file_limit
    from asyncgen.runs.reward_rows import open_rows
    from asyncgen.runs.reward_service import Limits, default_deadline, serve
    from asyncgen.view.terminal import note

    def say(words: str) -> None:
        line(words)
        flush()

    raise_file_limit()
    with reserve(host, port) as sock:
        if not is_local(host):
            note(f"--host {host}: whoever reaches this address can ask; there is no key")
        rows, task = open_rows(job.dataset, task, note)
        if rows is not None and rows.unreadable:
            note(f"{job.dataset.path}: {rows.unreadable:,} of {len(rows):,} rows have no prompt that can be read")
        limits = Limits(deadline=deadline or default_deadline(task), max_batch=max_batch, concurrency=concurrency)
        service = serve(
            job, task, rows, sock, say, limits=limits, clock=SystemClock(), environ=os.environ, find_judge=find_judge
        )
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(service)
    return 0


def serve_reward_knobs(tokens: Sequence[str]) -> list[Knob]:
    """The options of the task that the command line names. Raises InputError, unless help is wanted."""
    task = find_job(tokens)
    if task is None:
        return []
    from asyncgen.runs.reward_job import find_reward_job

    try:
        found = find_reward_job(task)
    except InputError:
        if {"--help", "-h"} & set(tokens):
            return []
        raise
    return [with_default(one, found.raw) for one in task_knobs(found.task_class)]
