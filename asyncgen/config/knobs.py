"""The list of knobs, read off the dataclasses: path, flags, variable, type, default, help.

Knows how a field looks from outside. Does not know values.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from asyncgen.config.schema import SECTIONS, Job

PREFIX = "ASYNCGEN_"


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One settable thing."""

    section: str
    """`""` at the top level."""
    name: str
    flags: tuple[str, ...]
    """The long form first, e.g. `--sampling.temperature`, `--temperature`."""
    type: Any
    default: Any
    docstring: str

    @property
    def path(self) -> str:
        """As in YAML: `sampling.temperature`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable_of(self.path)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it takes, where it takes only those."""
        words = get_args(self.type) if get_origin(self.type) is Literal else ()
        return words if all(isinstance(one, str) for one in words) else ()

    @property
    def is_text(self) -> bool:
        """A plain string, or one of some words: a flag's value is taken as it is."""
        return self.type in {str, str | None} or bool(self.choices)

    @property
    def is_bool(self) -> bool:
        """A switch."""
        return self.type is bool


def variable_of(path: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + path.replace(".", "_").upper()


def section_knobs() -> list[Knob]:
    """Every knob of every section, and the top-level ones, in the order of declaration."""
    top = [one for one in class_knobs("", Job) if one.flags]
    return top + [one for section, owner in SECTIONS.items() for one in class_knobs(section, owner)]


def task_knobs(task_class: type) -> list[Knob]:
    """The fields of a task's dataclass as `--task.FIELD`."""
    return list(class_knobs("task", task_class))


def with_default(knob: Knob, raw: Mapping[str, Any]) -> Knob:
    """The knob with the default that a job's YAML gives it."""
    section = raw.get("task_options" if knob.section == "task" else knob.section) if knob.section else raw
    given = section.get(knob.name) if isinstance(section, Mapping) else None
    return knob if given is None else replace(knob, default=given)


def class_knobs(section: str, owner: type) -> Iterator[Knob]:
    """The fields of one dataclass. Those of the section `""` have their short flags alone, or none."""
    hints = get_type_hints(owner)
    texts = docstrings(owner)
    for one in fields(owner):
        if one.init:
            dotted = [f"--{section}.{one.name.replace('_', '-')}"] if section else []
            yield Knob(
                section=section,
                name=one.name,
                flags=(*dotted, *one.metadata.get("flags", ())),
                type=hints[one.name],
                default=_default(one),
                docstring=texts.get(one.name, ""),
            )


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else None


@cache
def docstrings(owner: type) -> Mapping[str, str]:
    """The string under each field, base classes included. Empty where the source cannot be had."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in itertools.pairwise(body):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                found[statement.target.id] = " ".join(str(following.value.value).split())
    return found
