"""The task that stored traces are scored with: the run's own, or another one.

Knows where a run file has a task and its options. Reads no trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from asyncgen.config.knobs import Knob, task_knobs, with_default
from asyncgen.config.load import parse_text
from asyncgen.core.errors import InputError
from asyncgen.core.task import Task
from asyncgen.core.types import Json
from asyncgen.runs.reading import is_trace_folder
from asyncgen.runs.tasks import load_task_class, make_task, with_rewards
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import HIDDEN, read_run

GIVE = "give --task FILE:CLASS"


@dataclass(frozen=True, kw_only=True)
class Retask:
    """A task class, and what the run says of its options."""

    spec: str
    """As a job file has it."""
    task_class: type[Task]
    options: Mapping[str, Json]
    """Those of the run that the class has too."""
    folder: Path
    """Where paths in the options start."""
    rewards: Sequence[Any] = ()
    """Those that the run's job names instead of the task's own."""

    def knobs(self) -> list[Knob]:
        """The class's options, with the run's values for defaults."""
        return [with_default(one, {"task_options": self.options}) for one in task_knobs(self.task_class)]

    def make(self, given: Mapping[str, Any]) -> Task:
        """The task, with what flags say by `task.FIELD`. Raises InputError."""
        options = dict(self.options)
        for knob in task_knobs(self.task_class):
            if knob.path in given:
                value = given[knob.path]
                options[knob.name] = parse_text(knob, value, knob.flags[0]) if isinstance(value, str) else value
        task = make_task(self.task_class, options, self.folder, "rescore")
        return with_rewards(task, self.rewards, "rescore") if self.rewards else task


def retask(path: Path, spec: str | None) -> Retask:
    """The class that `spec` names, or the run's own. Raises InputError."""
    run: Mapping[str, Any] = {} if is_trace_folder(path) else read_run(run_directories(path)[0])
    if spec is not None:
        chosen, folder = spec, Path()
    elif run.get("task"):
        chosen = str(run["task"])
        folder = _home(chosen, run, path)
    else:
        raise InputError(f"{path} does not say which task its traces are of; {GIVE}")
    try:
        task_class = load_task_class(chosen, folder)
    except InputError as error:
        if spec is not None:
            raise
        raise InputError(f"{path}: the task of its run cannot be loaded ({error}); {GIVE}") from error
    known = {one.name for one in fields(task_class) if one.init}
    options = {key: value for key, value in _options(run).items() if key in known and value != HIDDEN}
    rewards = () if spec else run.get("config", {}).get("rewards") or ()
    return Retask(spec=chosen, task_class=task_class, options=options, folder=folder, rewards=rewards)


def _options(run: Mapping[str, Any]) -> dict[str, Json]:
    """As the run, or the rescore before, had them; texts that came from files as the files had them."""
    shape = run.get("configs", {}).get(run.get("config_id"), {})
    said = run.get("config", {}).get("task_options", {}), shape.get("task_options", {})
    return {**said[0], **said[1], **run.get("derived", {}).get("task_options", {})}


def _home(spec: str, run: Mapping[str, Any], path: Path) -> Path:
    """The folder in which the run's task file is to be found: the working directory, or that of the job file.

    A run directory may be somebody else's: code that lies in it is not run unless the user names it.
    """
    home, _, _ = spec.rpartition(":")
    if not home.endswith(".py"):
        return Path()
    for folder in _folders(run):
        file = (folder / home).resolve()
        if file.is_file():
            if path.resolve() in file.parents:
                raise InputError(f"{path}: its task file {str(file)!r} lies in it and is not loaded unasked; {GIVE}")
            return folder
    return Path()


def _folders(run: Mapping[str, Any]) -> Iterator[Path]:
    yield Path()
    for word in run.get("argv", ()):
        if str(word).endswith((".yaml", ".yml")):
            yield Path(str(word)).parent
