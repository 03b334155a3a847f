"""A command for a run that is going, from another process: found by its directory, told through its socket.

Knows pointers, locks and sockets. Does not know how a reply is shown, nor trusts what it says.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from asyncgen.core.errors import DirectoryInUse, InputError
from asyncgen.core.types import Json
from asyncgen.runs.commands import LONGEST_REPLY, Pointer, read_pointer
from asyncgen.store.line import dump
from asyncgen.store.lock import refuse_if_held
from asyncgen.store.read import run_directories

PATIENCE = 10.0
"""Seconds for a run to answer: its loop may be busy."""
_NOBODY = {errno.ECONNREFUSED, errno.ENOENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one run said."""

    directory: Path
    reply: Mapping[str, Json]
    """`ok`, and `error` where that is false."""


def steer(path: Path, command: Mapping[str, Json], *, patience: float = PATIENCE) -> list[Told]:
    """Give the command to the run of a directory, or to those of its partitions that are going.

    Raises InputError where none is.
    """
    told = []
    for directory in run_directories(path):
        reply = _ask(directory, command, patience)
        if reply is not None:
            told.append(Told(directory=directory, reply=reply))
    if not told:
        raise InputError(f"no run is going in {path}; asyncgen status shows how it stands")
    return told


def _ask(directory: Path, command: Mapping[str, Json], patience: float) -> Mapping[str, Json] | None:
    """The reply; None where no run is going."""
    pointer = read_pointer(directory)
    if pointer is not None and pointer.host != socket.gethostname():
        text = f"the run goes on on host {pointer.host}; give the command there"
        return _failure(text) if _is_held(directory) else None
    if pointer is None:
        return _unreachable(directory, "it begins or ends just now, or said at its start why it cannot be steered")
    try:
        return _converse(pointer, command, patience)
    except TimeoutError:
        return _failure(f"no answer within {patience:g} s from pid {pointer.pid}; try again, or look at that process")
    except OSError as error:
        if error.errno in _NOBODY:
            return _unreachable(directory, f"its socket {pointer.socket} cannot be reached from here")
        return _failure(f"{pointer.socket}: {error}")


def _unreachable(directory: Path, why: str) -> Mapping[str, Json] | None:
    """None where no process holds the directory: a pointer that a killed run left says nothing."""
    return _failure(f"a run is going, but {why}") if _is_held(directory) else None


def _is_held(directory: Path) -> bool:
    try:
        refuse_if_held(directory)
    except DirectoryInUse:
        return True
    return False


def _converse(pointer: Pointer, command: Mapping[str, Json], patience: float) -> Mapping[str, Json]:
    """Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(patience)
        peer.connect(pointer.socket)
        peer.sendall(dump(command) + b"\n")
        line = b""
        while not line.endswith(b"\n") and len(line) <= LONGEST_REPLY:
            part = peer.recv(1 << 16)
            if not part:
                break
            line += part
    return _understood(line)


def _understood(line: bytes) -> Mapping[str, Json]:
    try:
        reply = orjson.loads(line)
    except orjson.JSONDecodeError:
        reply = None
    if isinstance(reply, dict) and (reply.get("ok") is True or isinstance(reply.get("error"), str)):
        return {**reply, "ok": reply.get("ok") is True}
    return _failure("its answer cannot be read; is it another version of asyncgen?")


def _failure(text: str) -> Mapping[str, Json]:
    return {"ok": False, "error": text}
