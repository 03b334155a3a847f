"""The flags of `run` and `check`, made from the knobs: the job decides which there are.

Knows how knobs become command-line parameters, and that every flag is accepted with underscores as well.
Does not know values: they stay texts until `config.load` reads them with their types.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from cyclopts import Group, Parameter

from asyncgen.config.knobs import Knob, section_knobs
from asyncgen.config.names import Name, flag_of
from asyncgen.core.errors import FailReason, InputError

SWITCHES = ("--log-samples", "--accept-config-change", "--json", "--plain", "--help", "-h")
"""Flags of the commands themselves that take no value."""
TRUTHS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


def find_job(words: Sequence[str]) -> str | None:
    """The positional JOB, wherever it stands among the flags."""
    at = _job_place(words)
    return None if at is None else words[at]


def _job_place(words: Sequence[str]) -> int | None:
    bools = {flag for one in section_knobs() if one.is_bool for flag in one.flags}
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word == "-":
            return at
        name = word.replace("_", "-")
        alone = "=" in word or name in SWITCHES or name.startswith("--no-")
        if name == "--retry-failed":
            alone = at + 1 >= len(words) or not _are_reasons(words[at + 1])
        if name in bools:
            alone = at + 1 >= len(words) or words[at + 1].lower() not in TRUTHS
        at += 1 if alone else 2
    return None


def normalise(words: Sequence[str], knobs: Sequence[Knob], names: Sequence[Name] = ()) -> list[str]:
    """Underscores to dashes, `--flag true` of a switch to `--flag=true`, `--retry-failed` alone to `=all`."""
    bools = {flag for one in knobs if one.is_bool for flag in one.flags}
    bools |= {one.flag for one in names if one.knob and one.knob.is_bool}
    job = _job_place(words)
    found: list[str] = []
    at = 0
    while at < len(words):
        word, at = words[at], at + 1
        following = words[at] if at < len(words) and at != job else "-"
        word = dashed(word)
        if word in bools and following.lower() in TRUTHS:
            word, at = f"{word}={str(TRUTHS[following.lower()]).lower()}", at + 1
        if word == "--retry-failed" and following.startswith("-"):
            word = f"{word}=all"
        elif word == "--retry-failed":
            word, at = f"{word}={following}", at + 1
        found.append(word)
    return found


def _are_reasons(word: str) -> bool:
    """Whether a word after a bare `--retry-failed` is its value, misspelt perhaps, and not the JOB."""
    known = ["all", *FailReason]
    return all(difflib.get_close_matches(part.strip(), known, n=1, cutoff=0.8) for part in word.split(","))


def dashed(word: str) -> str:
    """Section and field of a flag with dashes, its value as it is: `--sampling.top_p=1` is `--sampling.top-p=1`. Any
    other word is left alone."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word


def parameters(knobs: Sequence[Knob], names: Sequence[Name] = ()) -> list[inspect.Parameter]:
    """One keyword parameter a knob, and one a further name; given ones come as text, the others as None."""
    variables = {one.path: one.variable for one in names if not one.is_flag}
    own = [
        _parameter(
            one.path.replace(".", "__"),
            one,
            name=list(one.flags),
            help=_help(one, variables.get(one.path, "")),
            group=Group(one.section.capitalize() or "Job"),
            negative=f"--{one.section}.no-{one.name.replace('_', '-')}" if one.is_bool else (),
        )
        for one in knobs
    ]
    more = [
        _parameter(
            one.keyword,
            one.knob,
            name=one.flag,
            help=_help_of(one),
            group=Group("Names of this job"),
            negative=(),
        )
        for one in names
        if one.is_flag
    ]
    return own + more


def _parameter(identifier: str, knob: Knob | None, **look: Any) -> inspect.Parameter:
    """`knob`: None for a further name of the servers' settings."""
    is_bool = knob is not None and knob.is_bool
    return inspect.Parameter(
        identifier,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            bool | None if is_bool else str | None,
            Parameter(
                allow_leading_hyphen=knob is not None and not is_bool and not knob.is_text, show_default=False, **look
            ),
        ],
    )


def _help(knob: Knob, variable: str) -> str:
    default = "" if knob.default in (None, "", {}, ()) else f" [default: {_short(knob.default)}]"  # {} has no hash
    choices = f" One of: {', '.join(knob.choices)}." if knob.choices else ""
    return knob.docstring + choices + (f" [variable: {variable}]" if variable else "") + default


def _help_of(name: Name) -> str:
    if name.knob is None:
        return f"The same as {flag_of(name.path)}. [variable: {name.variable}]"
    return f"The same as {name.knob.flags[-1]}: {_help(name.knob, name.variable)}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def given(values: dict[str, Any], names: Sequence[Name] = ()) -> dict[str, Any]:
    """The flags that were given, by knob path or by the task's name for it."""
    texts = {one.keyword: one.text for one in names if one.is_flag}
    return {texts.get(key, key.replace("__", ".")): value for key, value in values.items() if value is not None}


def command(function: Callable[..., int], knobs: Sequence[Knob], names: Sequence[Name] = ()) -> Callable[..., int]:
    """`function(job, *, …, knobs: dict)` as a command with a parameter for each knob, and for each further name."""
    own = [one for one in inspect.signature(function, eval_str=True).parameters.values() if one.name != "knobs"]
    mine = {one.name for one in own}
    for one in names:
        if one.is_flag and one.keyword in {*mine, "help", "version"}:
            raise InputError(f"the task's flag {one.flag} is one of asyncgen {function.__name__} itself; name it else")
    extra = parameters(knobs, names)

    def call(*args: Any, **values: Any) -> int:
        knob_values = given({name: value for name, value in values.items() if name not in mine}, names)
        return function(*args, knobs=knob_values, **{name: value for name, value in values.items() if name in mine})

    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]  # what cyclopts reads
    call.__annotations__ = {one.name: one.annotation for one in (*own, *extra)}
    return call
