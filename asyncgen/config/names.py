"""Further names of settings, for the jobs of one task: its `flags`.

Knows how a name becomes a flag, a variable and a keyword, and which settings there are to stand for. Does not know
values, nor where they are read (`load`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncgen.config.knobs import Knob
from asyncgen.core.errors import InputError

SERVERS = ("base_url", "model")
"""Settings of the endpoints, which are no knobs."""
_WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SHELLS_OWN = frozenset({"PATH", "HOME", "USER", "SHELL", "PWD", "LANG", "TERM", "TMPDIR", "HOSTNAME", "EDITOR"})
"""Variables that are there for others."""


def flag_of(path: str) -> str:
    """`--base-url`, of a setting of the endpoints."""
    return f"--{path.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True)
class Name:
    """A further name of one setting."""

    text: str
    """As the task writes it: `max-samples`."""
    path: str
    """The setting: `dataset.num_samples`, `task.topk`, `base_url`."""
    knob: Knob | None
    """None for the settings of the endpoints."""
    is_flag: bool
    """False where a flag of the setting has this name already: then it only adds the variable."""

    @property
    def flag(self) -> str:
        """`--max-samples`."""
        return f"--{self.text}"

    @property
    def variable(self) -> str:
        """`MAX_SAMPLES`."""
        return self.text.replace("-", "_").upper()

    @property
    def keyword(self) -> str:
        """`max_samples`, in Python."""
        return self.text.replace("-", "_")


def task_names(owner: str, flags: Any, knobs: Sequence[Knob]) -> list[Name]:
    """The names that a task class `owner` gives to settings. `knobs`: all that its jobs have.

    Raises InputError, for the author of the task.
    """
    if not isinstance(flags, Mapping):
        raise InputError(f'{owner}.flags must be a mapping, as {{"max-samples": "dataset.num_samples"}}')
    return [_name(f"{owner}.flags", text, path, knobs) for text, path in flags.items()]


def _name(place: str, text: Any, path: Any, knobs: Sequence[Knob]) -> Name:
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise InputError(f"{place}: {text!r} makes no flag; write small letters, digits and dashes, as 'max-samples'")
    by_path: dict[str, Knob | None] = {one.path: one for one in knobs} | dict.fromkeys(SERVERS)
    if path not in by_path:
        from asyncgen.config.load import nearest

        raise InputError(f"{place}: {text!r} stands for {path!r}, which is no setting{nearest(str(path), by_path)}")
    taken = dict(_flags(knobs)).get(f"--{text}")
    if taken is not None and taken != path:
        raise InputError(f"{place}: --{text} is the flag of {taken} already; give {path} another name")
    found = Name(text=text, path=path, knob=by_path[path], is_flag=taken is None)
    if found.variable in _SHELLS_OWN:
        raise InputError(f"{place}: {text!r} would read the variable {found.variable}, which others set; name it else")
    return found


def _flags(knobs: Sequence[Knob]) -> Iterator[tuple[str, str]]:
    """Every flag that there is, and the path of its setting."""
    for one in knobs:
        yield from ((flag, one.path) for flag in one.flags)
    yield from ((flag_of(path), path) for path in SERVERS)
