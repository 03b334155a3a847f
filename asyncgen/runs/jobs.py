"""A job, ready to be prepared: YAML, environment and flags resolved, its task made.

Knows where a task's options come from. Reads no dataset and asks no server.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from asyncgen.config.knobs import task_knobs
from asyncgen.config.load import job_file, read_yaml, resolve
from asyncgen.config.schema import Job
from asyncgen.core.task import Task
from asyncgen.runs.tasks import load_task_class, make_task


def load_job(job: str, *, base_url: tuple[str, ...], model: str | None, knobs: Mapping[str, Any]) -> tuple[Job, Task]:
    """Resolve YAML, environment and flags; make the task. Raises InputError."""
    path = job_file(job)
    task_class = load_task_class(str(read_yaml(path)["task"]), path.parent)
    flags: dict[str, Any] = dict(knobs)
    if base_url:
        flags["base_url"] = list(base_url)
    if model:
        flags["model"] = model
    resolved = resolve(path, environ=os.environ, flags=flags, task_knobs=task_knobs(task_class))
    task = make_task(task_class, resolved.task_options, path.parent, str(path))
    return resolved, task
