"""A job, ready to be prepared: YAML, environment and flags resolved, its task made.

Knows where a job and its task's options come from. Reads no dataset and asks no server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from asyncgen.config.knobs import Knob, section_knobs, task_knobs
from asyncgen.config.load import check_raw, job_file, read_yaml, resolve
from asyncgen.config.names import Name, task_names
from asyncgen.config.schema import Job
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.runs.tasks import load_task_class, make_task, with_rewards

AnyJob: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | type[Task]
"""A built-in name, the path of a job file, what would stand in one, or a task alone."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A job before its settings are known."""

    path: Path
    """Of its file; of a job without one its name. Relative paths may start beside it."""
    raw: Mapping[str, Any]
    task_class: type[Task]

    def knobs(self) -> list[Knob]:
        """Those of every job, and the options of its task."""
        return [*section_knobs(), *task_knobs(self.task_class)]

    def names(self) -> list[Name]:
        """The further names that its task gives to settings. Raises InputError."""
        return task_names(self.task_class.__name__, self.task_class.flags, self.knobs())


def find_job(job: AnyJob) -> Found:
    """The job's keys, checked, and its task's class. Raises InputError."""
    if isinstance(job, Mapping):
        given = plain(job)
        if isinstance(task := given.get("task"), type):
            given = {"name": task.__name__, **given, "task": _spec(task)}
        path = Path(str(given.get("name") or str(given.get("task", "job")).rpartition(":")[2]))
        raw = check_raw(given, f"job {path}")
    elif isinstance(job, type):
        raw = {"task": _spec(job), "name": job.__name__}
        path = Path(job.__name__)
    elif isinstance(job, str | os.PathLike):
        path = job_file(os.fspath(job))
        raw = read_yaml(path)
    else:
        raise InputError(
            f"the job {job!r} is no job: give a built-in name, a job file's path, a mapping or a Task class"
        )
    return Found(path=path, raw=raw, task_class=load_task_class(str(raw["task"]), path.parent))


def _spec(task_class: type[Any]) -> str:
    """`module:Class`, by which the next start finds it too."""
    home, name = task_class.__module__, task_class.__qualname__
    if not issubclass(task_class, Task):
        raise InputError(f"the class {home}.{name} is no Task; derive it from asyncgen.Task")
    if getattr(sys.modules.get(home), name, None) is not task_class:
        raise InputError(
            f"the task class {name} is not to be found as {home}:{name}; define it at the top level of a module"
        )
    return f"{home}:{name}"


def plain(value: Any) -> Any:
    """As a YAML would hold it: mappings as dicts, tuples as lists, paths as texts."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def load_job(
    job: AnyJob | Found, *, base_url: tuple[str, ...], model: str | None, knobs: Mapping[str, Any]
) -> tuple[Job, Task]:
    """Resolve YAML, environment and flags; make the task. Raises InputError."""
    found = job if isinstance(job, Found) else find_job(job)
    flags: dict[str, Any] = dict(knobs)
    if base_url:
        flags["base_url"] = list(base_url)
    if model:
        flags["model"] = model
    resolved = resolve(
        found.path,
        environ=os.environ,
        flags=flags,
        task_knobs=task_knobs(found.task_class),
        names=found.names(),
        raw=found.raw,
    )
    task = make_task(found.task_class, resolved.task_options, found.path.parent, str(found.path))
    return resolved, with_rewards(task, resolved.rewards, str(found.path)) if resolved.rewards else task
