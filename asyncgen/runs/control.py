"""The socket on which a run takes commands.

Knows where it may lie, who may speak, and how much. Does not know what a command does (`Steering`). A peer may hang,
lie or leave at any moment: that costs its own connection and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.runs.commands import LONGEST_COMMAND, Pointer, read_pointer
from asyncgen.store.files import DISK
from asyncgen.store.layout import CONTROL_FILE
from asyncgen.store.line import dump

LONGEST_PATH = 107
"""Bytes of a socket's path; the kernel's 108 with the final NUL."""
MOST_PEERS = 16
"""Connections that are open at once; others wait."""
PATIENCE = 5.0
"""Seconds for a command to come in, and for its reply to go out."""
YOUNG = 60.0
"""Seconds in which a new socket's run may not listen yet."""
_RETRY = 1.0
"""Seconds until the next try where the process has no file descriptor left for a connection."""
_GROUP_AND_OTHERS = 0o077

CarryOut = Callable[[Json], Mapping[str, Json]]


class Control:
    """A listening socket, and what its commands do. It is the caller's to close."""

    def __init__(
        self, listener: socket.socket, carry_out: CarryOut, *, user: int | None = None, patience: float = PATIENCE
    ) -> None:
        """`user`: whose commands are taken; default: ours."""
        self._listener = listener
        self._carry_out = carry_out
        self._user = os.getuid() if user is None else user
        self._patience = patience

    async def serve(self) -> None:
        """Take commands, until cancelled."""
        room = asyncio.Semaphore(MOST_PEERS)
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                peer = await self._accept()

                def over(_done: asyncio.Task[None], peer: socket.socket = peer) -> None:
                    peer.close()  # here, since a coroutine that is cancelled before its first step closes nothing
                    room.release()

                group.create_task(self._converse(peer)).add_done_callback(over)

    async def _accept(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return (await loop.sock_accept(self._listener))[0]
            except OSError:
                await asyncio.sleep(_RETRY)

    async def _converse(self, peer: socket.socket) -> None:
        """One line in, one line out. A peer that is too slow or goes away gets nothing."""
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # a TimeoutError is one
            peer.setblocking(False)
            async with asyncio.timeout(self._patience):
                line = await _read_line(peer)
            reply = self._answer(line, peer_user(peer))
            async with asyncio.timeout(self._patience):
                await loop.sock_sendall(peer, reply + b"\n")

    def _answer(self, line: bytes, user: int | None) -> bytes:
        """The boundary: no command ends a run."""
        if user is not None and user != self._user:
            return _refusal("this run is another user's")
        if not line.endswith(b"\n"):
            return _refusal(f"a command is one line of JSON of at most {LONGEST_COMMAND} bytes")
        try:
            return dump(self._carry_out(orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            return _refusal(f"not JSON: {error}")
        except InputError as error:
            return _refusal(str(error))
        except Exception as error:  # noqa: BLE001  # the boundary
            return _refusal(f"{type(error).__name__}: {error}")


def _refusal(text: str) -> bytes:
    return dump({"ok": False, "error": text})


async def _read_line(peer: socket.socket) -> bytes:
    """Up to the first LF, with it; without one where the peer sends none or too much. Raises OSError."""
    loop = asyncio.get_running_loop()
    line = b""
    while b"\n" not in line and len(line) <= LONGEST_COMMAND:
        part = await loop.sock_recv(peer, LONGEST_COMMAND + 1 - len(line))
        if not part:
            return line
        line += part
    line, newline, _ = line.partition(b"\n")
    return line + newline


def peer_user(peer: socket.socket) -> int | None:
    """Whose process is at the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return int(user)


@contextmanager
def listening(
    directory: Path,
    writer: str,
    carry_out: CarryOut,
    *,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    temporary: str = "",
) -> Iterator[Control | None]:
    """The run of `directory`, whose LOCK the caller holds, listens within, and `control.json` points there.

    None, and a line for the user, where that cannot be: a run goes on without. `temporary`: the folder for temporary
    files, where not the system's.
    """
    with ExitStack() as undo:
        try:
            control = _set_up(directory, writer, carry_out, _folders(environ, temporary), undo)
        except OSError as error:
            undo.close()
            say(f"asyncgen ctl cannot steer this run: {_problem(error)}")
            control = None
        yield control


def _set_up(directory: Path, writer: str, carry_out: CarryOut, folders: Sequence[Path], undo: ExitStack) -> Control:
    listener, path = open_listener(folders, writer)
    undo.callback(_remove, path)
    undo.callback(listener.close)
    _sweep(path)
    pointer = Pointer(socket=str(path), pid=os.getpid(), host=socket.gethostname(), writer=writer)
    undo.callback(_take_back, directory, pointer)
    DISK.atomic_write(directory / CONTROL_FILE, dump(asdict(pointer)) + b"\n")
    return Control(listener, carry_out)


def _take_back(directory: Path, pointer: Pointer) -> None:
    """Unless it is the pointer of another run that has taken the directory over."""
    if read_pointer(directory) in {pointer, None}:
        _remove(directory / CONTROL_FILE)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _problem(error: OSError) -> str:
    """What is wrong, with the name of the file where the system told it."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text


def _folders(environ: Mapping[str, str], temporary: str) -> list[Path]:
    """Where the socket may lie, the best first."""
    runtime = Path(environ.get("XDG_RUNTIME_DIR", ""))
    chosen = [runtime / "asyncgen"] if runtime.is_absolute() and _is_own(runtime) else []
    return [*chosen, Path(temporary or tempfile.gettempdir()) / f"asyncgen-{os.getuid()}"]


def open_listener(folders: Sequence[Path], writer: str) -> tuple[socket.socket, Path]:
    """A socket of mode 0600 in the first of these folders that will do, and its path. A missing folder is made.

    Raises OSError with what is wrong with each of them.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this system has no Unix sockets")
    problems = []
    for folder in folders:
        path = folder / f"{writer}.sock"
        try:
            with suppress(FileExistsError):
                folder.mkdir(0o700)
            if not _is_own(folder):
                raise PermissionError(errno.EPERM, "not a folder that is only ours (mode 0700)", str(folder))
            return _listen(path), path
        except OSError as error:
            problems.append(_problem(error))
    raise OSError("; ".join(problems))


def _is_own(folder: Path) -> bool:
    """A folder, not a link to one, that nobody else can look into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & _GROUP_AND_OTHERS


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > LONGEST_PATH:
        text = f"longer than the {LONGEST_PATH} bytes that a socket's path may have"
        raise OSError(errno.ENAMETOOLONG, text, str(path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)  # nobody can connect before listen
        listener.listen(MOST_PEERS)
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    """Whether a process listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) != errno.ECONNREFUSED


def _sweep(own: Path) -> None:
    """Remove what killed runs left beside our socket: those of some age where nobody listens."""
    now = own.stat().st_mtime
    for path in own.parent.glob("*.sock"):
        with suppress(OSError):
            if now - path.lstat().st_mtime > YOUNG and path.is_socket() and not _answers(path):
                path.unlink()
