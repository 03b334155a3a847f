"""Threads and processes for what would stall the event loop.

Knows how to run a function elsewhere and how to give up on it. Does not know what it computes.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")

LINGER = 1.0
"""Seconds that threads get to end what they are at."""
THREADS = min(8, (os.cpu_count() or 1) + 2)
PROCESSES = max(1, (os.cpu_count() or 1) - 1)
START_SECONDS = 60.0
"""For a new process to start and to import the function's module; not part of the caller's seconds."""


class Workers:
    """One a run. `close` ends the processes, hung ones too, and waits a moment for the threads."""

    def __init__(self, *, threads: int = THREADS, processes: int = PROCESSES) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="asyncgen-offload")
        self._waiting = ThreadPoolExecutor(processes, thread_name_prefix="asyncgen-process")
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._slots = asyncio.Semaphore(processes)

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float) -> T:
        """Run in another process; it is killed, and TimeoutError raised, after `seconds`.

        The function is named to the process by its module and name: a lambda will not do. Raises what it raises, and
        RuntimeError where its process ends before it does.
        """
        async with self._slots:
            child = self._idle.pop() if self._idle else _Child()
            self._children.add(child)
            loop = asyncio.get_running_loop()
            try:
                fine, result = await loop.run_in_executor(self._waiting, child.call, function, args, seconds)
            except BaseException:
                child.kill()  # a thread that still waits for it sees the end of the pipe
                self._children.discard(child)
                raise
            self._idle.append(child)
        if not fine:
            raise result
        return result  # type: ignore[no-any-return]  # it came through a pipe

    def close(self) -> None:
        """End every worker. A thread that is in the middle of something is waited for a moment only: it may hang."""
        for child in self._children:
            child.kill()
        self._children.clear()
        self._idle.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + LINGER
        for thread in list(self._threads._threads):  # noqa: SLF001  # the pool itself waits for ever, or not at all
            thread.join(max(0.0, end - time.monotonic()))
        self._waiting.shutdown(wait=True, cancel_futures=True)


class _Child:
    """One worker process and the pipe to it. Spawned, not forked: a fork would inherit locks and sockets."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end,), daemon=True)
        self._process.start()
        far_end.close()

    def call(self, function: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> tuple[bool, Any]:
        """(True, result) or (False, exception). Blocks. Raises TimeoutError, RuntimeError."""
        name = getattr(function, "__name__", str(function))
        try:
            self._pipe.send(_home(function))
            self._receive(START_SECONDS, f"{name}: its process did not start")
            self._pipe.send((function, args))
            answer: tuple[bool, Any] = self._receive(seconds, name)
        except (EOFError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise RuntimeError(f"{name}: its process ended before it did") from error
        return answer

    def _receive(self, seconds: float, what: str) -> Any:
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"{what} took longer than {seconds:g} s")
        return self._pipe.recv()

    def kill(self) -> None:
        """The pipe is closed when the last one lets go of it: a thread may be looking at it now."""
        self._process.kill()
        self._process.join()


def _home(function: Callable[..., Any]) -> tuple[str, str]:
    """A function's module, and the file it was loaded from: a task file is no module that can be imported by name."""
    module = sys.modules.get(getattr(function, "__module__", ""))
    return (module.__name__, getattr(module, "__file__", None) or "") if module else ("", "")


def _import(name: str, file: str) -> None:
    """Make the function's module known under its name."""
    if not file or name == "__main__" or name in sys.modules:
        return
    try:
        importlib.import_module(name)
    except ImportError:
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


def _serve(pipe: Connection) -> None:
    """The child's loop; ends when the parent is gone. Ctrl-C reaches it too, and is for the parent to act on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            _import(*pipe.recv())
            pipe.send(True)
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*args))
        except Exception as error:  # noqa: BLE001  # the boundary: whatever it is goes back to the caller
            answer = (False, error)
        _send(pipe, answer)


def _send(pipe: Connection, answer: tuple[bool, Any]) -> None:
    try:
        pipe.send(answer)
    except Exception as error:  # noqa: BLE001  # the boundary: a result that cannot be sent is told about
        pipe.send((False, TypeError(f"{type(answer[1]).__name__} cannot be sent between processes: {error}")))
