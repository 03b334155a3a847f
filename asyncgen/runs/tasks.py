"""From a task's name and options to a task.

Knows built-in names, `module:Class` and `file.py:Class`, and what a dataset must have for a task.
Does not know what the task does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from asyncgen.config.convert import convert
from asyncgen.config.load import nearest
from asyncgen.config.schema import Job
from asyncgen.core.errors import InputError
from asyncgen.core.task import IMAGE_MARKER, Task, template_columns
from asyncgen.rewards.named import failure_scores, named_rewards
from asyncgen.runs.modules import load_module
from asyncgen.runs.recipe import check_class, check_recipe
from asyncgen.tasks import BUILT_IN

_FILE_NAME = re.compile(r"\S+\.(txt|md|prompt|j2|jinja2?)")
"""What is no prompt, but the name of a file."""
TEMPLATES = ("system", "user", "tool_hint", "final_user")
"""Options that may be the path of a text file."""


def load_task_class(spec: str, folder: Path) -> type[Task]:
    """The class behind a built-in name, `module:Class` or `file.py:Class` (relative to `folder`, the job file's).

    Raises InputError.
    """
    target = BUILT_IN.get(spec, spec)
    home, colon, name = target.rpartition(":")
    if not colon:
        raise InputError(
            f"task {spec!r} is neither a built-in task nor module:Class nor file.py:Class{nearest(spec, BUILT_IN)}"
        )
    module = load_module(home, folder, what="task")
    found = getattr(module, name, None)
    if not isinstance(found, type) or not issubclass(found, Task):
        classes = [key for key, value in vars(module).items() if isinstance(value, type) and issubclass(value, Task)]
        raise InputError(f"task {spec!r}: there is no Task class {name!r} in {home}{nearest(name, classes)}")
    if not is_dataclass(found) or "__dataclass_params__" not in vars(found):
        raise InputError(f"task {spec!r}: decorate class {name} with @dataclass(frozen=True)")
    return found


def make_task(task_class: type[Task], options: Mapping[str, Any], folder: Path, where: str) -> Task:
    """The task with its options and its recipe checked; templates that are paths are read. Raises InputError."""
    check_class(task_class)
    known = [one.name for one in fields(task_class) if one.init]
    for key in options:
        if key not in known:
            raise InputError(f"{where}: {task_class.__name__} has no option {key!r}{nearest(key, known)}")
    texts = {key: _text(value, folder) if key in TEMPLATES else value for key, value in options.items()}
    task = convert(texts, task_class, f"{where}: task_options")
    check_recipe(task)
    names = [tool.name for tool in task.tools]
    if len(set(names)) != len(names):
        raise InputError(f"{task_class.__name__}: two tools have the same name ({', '.join(names)})")
    return task


def with_rewards(task: Task, spec: Sequence[str | Mapping[str, Any]], where: str) -> Task:
    """The task with the rewards that a job names instead of its own. Raises InputError.

    It is of a class of its own: what a task's rewards are, and its scores, may be worked out by its class. Where it is
    fitted to a dataset, a reward with a method `prepare(columns)` is, too.
    """
    chosen = named_rewards(spec, f"{where}: rewards")
    home = type(task)

    def fitted(self: Task, columns: Sequence[str]) -> Task:
        for reward in chosen:
            if prepare := getattr(reward, "prepare", None):
                prepare(columns)
        return home.fitted(self, columns)

    members = {"rewards": chosen, "scores": failure_scores(chosen), "fitted": fitted, "__module__": home.__module__}
    made = type(home.__name__, (home,), members)
    found: Task = made(**{one.name: getattr(task, one.name) for one in fields(task) if one.init})
    check_recipe(found)
    return found


def _text(value: Any, folder: Path) -> Any:
    """The file's text where a template is the path of one."""
    if not isinstance(value, str) or not value or "\n" in value or len(value) > 1024:
        return value
    for path in (folder / value, Path(value)):
        if path.is_file():
            return path.read_text("utf-8").rstrip("\n")
    if _FILE_NAME.fullmatch(value):
        raise InputError(f"the prompt {value!r} looks like a file's name, and there is no such file")
    return value


def check_columns(task: Task, columns: Sequence[str], image_columns: Sequence[str], path: str) -> None:
    """Raise InputError where the task needs what the dataset has not."""
    data = [column for column in columns if column not in image_columns]
    for name, why in _wanted(task):
        if name not in data:
            raise InputError(f"the dataset {path} has no column {name!r}, {why}{nearest(name, data)}")
    if type(task).prompt is Task.prompt and IMAGE_MARKER in task.user and not image_columns:
        raise InputError(
            f"the prompt has an <image>, and the dataset {path} has no image column (columns: {', '.join(data)}); "
            "name one with --task.image"
        )


def _wanted(task: Task) -> Iterator[tuple[str, str]]:
    for name in task.columns:
        yield name, f"which {type(task).__name__} needs"
    templates = ["tool_hint"] if type(task).prompt is not Task.prompt else ["system", "user", "tool_hint"]
    for template in templates:
        for name in template_columns(getattr(task, template)):
            yield name, f"which the {template} template names (write {{{{{name}}}}} for literal braces)"


def has_turns(job: Job, task: Task, tools: Collection[str]) -> bool:
    """Whether an episode may have a second turn, so that there is something in its middle to go on from. `tools`: the
    task's and the job's."""
    replies = type(task).reply is not Task.reply
    turns = [job.episode.max_turns, *(rule.max_turns for rule in job.rules if rule.max_turns is not None)]
    return bool(tools) or replies or job.episode.choices > 1 or (job.episode.final_turn and min(turns) == 1)
