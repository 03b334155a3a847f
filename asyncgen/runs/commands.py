"""The words of `ctl`, and the pointer to where a run listens: what both ends of the socket have to agree on.

Knows commands, their values and `control.json`. Does not know sockets, nor what a command does. Loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.endpoint.limiter import AUTO_START
from asyncgen.store.layout import CONTROL_FILE

COMMANDS: Mapping[str, Sequence[str]] = {
    "set": ("concurrency",),
    "pause": (),
    "resume": (),
    "drain": (),
    "status": (),
}
"""Each command with its keys; all of them have to be given."""
MOST_REQUESTS = 100_000
"""Largest concurrency: beyond it lie slips, and more sockets than a machine has."""
LONGEST_COMMAND = 64 << 10
"""Bytes of a line that a run reads."""
LONGEST_REPLY = 1 << 20
"""Bytes of a line that a client reads."""
_SHOWN = 60
"""Characters of a wrong value in an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What `control.json` says: where the run of a directory listens, and whose process it is."""

    socket: str
    pid: int
    host: str
    writer: str


def read_pointer(directory: Path) -> Pointer | None:
    """None where there is none, or none that can be read. The run may be dead all the same."""
    try:
        found = orjson.loads((directory / CONTROL_FILE).read_bytes())
        return Pointer(
            socket=str(found["socket"]), pid=int(found["pid"]), host=str(found["host"]), writer=str(found["writer"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def command_of(action: str, pairs: Sequence[str]) -> dict[str, Json]:
    """The words of a command line, `set` and `concurrency=64`, as a command. Raises InputError."""
    command: dict[str, Json] = {"command": action}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{_shown(pair)} is no KEY=VALUE; give set concurrency=64")
        if key in command:
            raise InputError(f"{_shown(key)} stands there twice; give it once")
        command[key] = int(value) if value.isascii() and value.isdecimal() and len(value) < _SHOWN else value
    return checked(command)


def checked(command: Json) -> dict[str, Json]:
    """The command with its values converted: concurrency is a number. Raises InputError with what there is."""
    if not isinstance(command, dict):
        raise InputError('a command is a JSON object: {"command": "status"}')
    name = command.get("command")
    if not isinstance(name, str) or name not in COMMANDS:
        raise InputError(f"there is no command {_shown(name)}; there are {', '.join(COMMANDS)}")
    keys = COMMANDS[name]
    for key in command.keys() - {"command", *keys}:
        raise InputError(f"{name} knows no {_shown(key)}; it takes {', '.join(keys) or 'nothing'}")
    for key in keys:
        if key not in command:
            raise InputError(f"{name} needs {key}, as in {name} {key}=64")
    return {**command, "concurrency": requests_of(command["concurrency"])} if name == "set" else {"command": name}


def requests_of(value: Json) -> int:
    """How many requests a value of `concurrency` allows; `auto` is what a run has by itself. Raises InputError."""
    if value == "auto":
        return AUTO_START
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_REQUESTS:
        raise InputError(f"concurrency={_shown(value)}: give a number from 1 to {MOST_REQUESTS} or auto")
    return value


def _shown(value: Json) -> str:
    text = str(value) if isinstance(value, int) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
