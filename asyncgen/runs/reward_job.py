"""The job whose rewards are served: a built-in name, a job file, or a task's class alone.

Knows that such a job, unlike one that is run, may do without a dataset. Reads no dataset and asks no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asyncgen.config.schema import Job
from asyncgen.core.task import Task
from asyncgen.runs.jobs import Found, find_job, load_job

_NONE = "<none>"
"""Where a job that is to be run would have its dataset."""


def find_reward_job(task: str) -> Found:
    """The job of TASK: a built-in name, the path of a job file, module:Class or file.py:Class. Raises InputError."""
    if ":" in task and not task.endswith((".yaml", ".yml")):
        return find_job({"task": task, "name": task.rpartition(":")[2]})
    return find_job(task)


def load_reward_job(
    found: Found, *, base_url: tuple[str, ...], model: str | None, knobs: Mapping[str, Any]
) -> tuple[Job, Task]:
    """Resolved and made; `dataset.path` is `""` where nothing names one. Raises InputError."""
    dataset = found.raw.get("dataset") or {}
    raw = {**found.raw, "dataset": {**dataset, "path": dataset.get("path") or _NONE}}
    job, task = load_job(replace(found, raw=raw), base_url=base_url, model=model, knobs=knobs)
    if job.dataset.path == _NONE:
        job = replace(job, dataset=replace(job.dataset, path=""))
    return job, task
