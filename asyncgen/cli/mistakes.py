"""What is wrong with a command line, in one line.

Knows cyclopts' errors and the slips that are made with our flags. Does not know values: `config` judges those.
"""

from __future__ import annotations

from cyclopts import CycloptsError, UnknownOptionError
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from asyncgen.config.load import NO_KEYS, is_secret
from asyncgen.config.problems import REPEAT_BASE_URL

_WANTED = {
    "JOB": "a built-in name (asyncgen jobs) or the path of a job file",
    "DIRECTORY": "a run directory, as runs/geo",
    "DIRECTORIES": "one run directory or more, as runs/geo",
}


def describe(error: CycloptsError) -> str:
    """The line for the user; what may be a secret is not repeated."""
    if isinstance(error, UnknownOptionError):
        return _unknown(error)
    if isinstance(error, MissingArgumentError) and error.argument and (name := error.argument.names[0]) in _WANTED:
        command = " ".join(error.command_chain or ())
        return f"asyncgen {command} needs {name}, {_WANTED[name]}; see asyncgen {command} --help"
    if isinstance(error, UnusedCliTokensError):
        return _too_many(error.unused_tokens or [])
    return _one_line(error)


def _unknown(error: UnknownOptionError) -> str:
    flag = (error.token.keyword or error.token.value).partition("=")[0]
    if is_secret(flag.lstrip("-")):
        return f"Unknown option: {flag}: {NO_KEYS}"
    known = [name for argument in error.argument_collection for name in argument.names]
    last = "--" + flag.lstrip("-").rpartition(".")[2]
    if "." in flag and last in known:
        return f"Unknown option: {flag}. Did you mean {last}?"
    sections = [name for name in known if name.endswith(f".{flag.lstrip('-')}")]
    return f"Unknown option: {flag}. Did you mean {sections[0]}?" if len(sections) == 1 else _one_line(error)


def _too_many(words: list[str]) -> str:
    if any(word.startswith(("http://", "https://")) for word in words):
        return f"a second address after --base-url: {REPEAT_BASE_URL}"
    one = words[0] if words else ""
    return (
        f"{one!r} is a word too many: nothing before it takes another one; a value with blanks in it needs quotes, and "
        "a flag that is on or off takes none (or =false)"
    )


def _one_line(error: CycloptsError) -> str:
    return " ".join(str(error).split())
