"""Whether a task is put together as it must be: found before anything is sent, and said in one line.

Knows the shapes that `core.task.Task` declares and the slips that are made with them. Does not know what a task means.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from types import MemberDescriptorType
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.core.task import Task

METHODS = ("prompt", "check", "answer", "final_answer", "reply", "request", "fitted")
"""What a task may override; each is called with the positional arguments of `Task`'s own."""
CONSTANTS = ("tools", "rewards", "scores", "headline", "columns", "difficulty", "flags")
"""What belongs to the class and is no option."""


def check_class(task_class: type[Task]) -> None:
    """Refuse constants that became options, and options that became constants. Raises InputError."""
    names = {one.name for one in fields(task_class)}
    for name in CONSTANTS:
        if name in names:
            raise InputError(f"{task_class.__name__}.{name} is no option: write {name}: ClassVar = …")
    declared: set[str] = set()
    """By the class itself or by one between it and `base`: what `base` says does not count any more."""
    for base in task_class.__mro__[: task_class.__mro__.index(Task)]:
        declared |= inspect.get_annotations(base).keys()
        for name in (names & vars(base).keys()) - declared:
            value = vars(base)[name]
            if not isinstance(value, MemberDescriptorType | property):  # of a dataclass with slots; a computed value
                raise InputError(
                    f"{base.__name__}.{name} has no type, so it replaces no default: write "
                    f"{name}: {type(value).__name__} = …"
                )


def check_recipe(task: Task) -> None:
    """Look at a task's tools, rewards, scores, columns and methods. Raises InputError."""
    owner = type(task).__name__
    for name in ("tools", "rewards"):
        _sequence(f"{owner}.{name}", getattr(task, name))
    if not isinstance(task.columns, AbstractSet):
        _sequence(f"{owner}.columns", task.columns)
    for one in task.tools:
        check_tool(f"{owner}.tools", one)
    for reward in task.rewards:
        _reward(f"{owner}.rewards", reward)
    for name in ("scores", "headline", "flags"):
        _mapping(f"{owner}.{name}", getattr(task, name))
    for key, value in task.scores.items():
        if not isinstance(value, bool | int | float | str):
            raise InputError(f"{owner}.scores: {key!r} is {value!r}; give the number, bool or text of no answer")
    for key, score in task.headline.items():
        if not isinstance(score, str):
            raise InputError(f"{owner}.headline: {key!r} is {score!r}; give the name of a score")
    for name in METHODS:
        _method(owner, name, getattr(task, name))


def _sequence(place: str, value: Any) -> None:
    if not isinstance(value, tuple | list):
        raise InputError(f"{place} must be a tuple: ({_shown(value)},)")


def _mapping(place: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise InputError(f'{place} must be a mapping, as {{"score": …}}; it is {_shown(value)}')
    for key in value:
        if not isinstance(key, str):
            raise InputError(f"{place}: the key {key!r} is no text")


def _shown(value: Any) -> str:
    """A function or tool by its name, a text in double quotes, anything else as Python writes it, on one line."""
    if isinstance(value, str):
        return f'"{value}"'
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    return name if isinstance(name, str) else " ".join(repr(value).split())[:80]


def check_tool(place: str, value: Any) -> None:
    """Raise InputError for what is no tool; `place` is where it stands."""
    if callable(getattr(value, "schema", None)) and callable(value) and not isinstance(value, type):
        return
    if inspect.isroutine(value):
        raise InputError(f"{place}: {_shown(value)} is a plain function; put @tool above it")
    raise InputError(f"{place}: {_shown(value)} is no tool; give functions with @tool above them")


def _reward(place: str, value: Any) -> None:
    if isinstance(value, type):
        raise InputError(f"{place}: {value.__name__} is a class; write {value.__name__}(…)")
    if not callable(value):
        raise InputError(f"{place}: {_shown(value)} is no function; give functions (context, sample, trace) → scores")
    if not _takes(value, ("context", "sample", "trace")):
        raise InputError(f"{place}: {_shown(value)} does not take (context, sample, trace)")


def _method(owner: str, name: str, value: Any) -> None:
    wanted = list(inspect.signature(getattr(Task, name)).parameters)
    written = f"def {name}({', '.join(wanted)})"
    if not callable(value):
        raise InputError(f"{owner}.{name} is {_shown(value)} and no method; write {written}")
    if inspect.iscoroutinefunction(value):
        raise InputError(f"{owner}.{name} is async, and it may not wait; write {written}")
    if not _takes(value, wanted[1:]):
        raise InputError(f"{owner}.{name}{_parameters(value)} cannot be called as asyncgen does; write {written}")


def _takes(function: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Whether it can be called with these positional arguments; yes where nobody can tell."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a built-in function without a signature
        return True
    return True


def _parameters(method: Callable[..., Any]) -> str:
    """As they were written, without types."""
    names = [str(one.replace(annotation=one.empty)) for one in inspect.signature(method).parameters.values()]
    return f"({', '.join(['self', *names] if inspect.ismethod(method) else names)})"
