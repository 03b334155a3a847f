"""A job's settings as Python names and values.

Knows how a knob is written as a keyword. Does not know which values are right: `config` judges those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from asyncgen.config.knobs import Knob
from asyncgen.config.load import meant
from asyncgen.config.names import SERVERS, Name
from asyncgen.core.errors import InputError
from asyncgen.runs.jobs import plain


def by_path(given: Mapping[str, Any], knobs: Sequence[Knob], names: Sequence[Name] = ()) -> dict[str, Any]:
    """Settings by knob path: `max_turns`, `episode__max_turns` and `"episode.max_turns"` are all `episode.max_turns`;
    `base_url` and `model` keep their names, and so do the `names` of the task, for errors to repeat them.

    Raises InputError for a name that no knob has, and for a knob that is given twice.
    """
    known = {word: one.path for one in knobs for word in keywords(one)} | {word: word for word in SERVERS}
    known |= {one.keyword: one.text if one.knob else one.path for one in names if one.is_flag}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(name, str):
            raise InputError(f"the setting {name!r} has no name that is a text")
        path = known.get(name.replace(".", "__"))
        if path is None:
            alike = [word for word in known if ("__" in word) == ("__" in name or "." in name)]
            raise InputError(f"there is no setting {name!r}{meant(name, alike)}")
        if path in values:
            raise InputError(f"the setting {path} is given twice; leave one away")
        values[path] = plain(value)
    return values


def texts(what: str, value: Any) -> tuple[str, ...]:
    """One text or several; none for None and `""`. Raises InputError."""
    several = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
    found = tuple(value) if several else () if value is None or value == "" else (value,)
    if not all(isinstance(one, str) for one in found):
        raise InputError(f"{what} {value!r}: give a text, or a list of texts")
    return found


def keywords(knob: Knob) -> list[str]:
    """The long one, `episode__max_turns`, and those of its short flags."""
    short = [flag.removeprefix("--").replace("-", "_") for flag in knob.flags[1:]]
    return [knob.path.replace(".", "__"), *short]
