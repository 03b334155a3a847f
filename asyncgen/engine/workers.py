"""Threads and processes for what would stall the event loop.

Knows how to run a function elsewhere and how to give up on it. Does not know what it computes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = min(8, (os.cpu_count() or 1) + 2)
PROCESSES = max(1, (os.cpu_count() or 1) - 1)


class Workers:
    """One a run. `close` ends all of them, hung ones too."""

    def __init__(self, *, threads: int = THREADS, processes: int = PROCESSES) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="asyncgen-offload")
        self._waiting = ThreadPoolExecutor(processes, thread_name_prefix="asyncgen-process")
        self._idle: list[_Child] = []
        self._slots = asyncio.Semaphore(processes)

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        """Run in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float) -> T:
        """Run in another process; it is killed, and TimeoutError raised, after `seconds`."""
        async with self._slots:
            child = self._idle.pop() if self._idle else _Child()
            loop = asyncio.get_running_loop()
            try:
                fine, result = await loop.run_in_executor(self._waiting, child.call, function, args, seconds)
            except BaseException:
                child.kill()
                raise
            self._idle.append(child)
        if not fine:
            raise result
        return result  # type: ignore[no-any-return]  # it came through a pipe

    def close(self) -> None:
        """End every worker."""
        for child in self._idle:
            child.kill()
        self._idle.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)
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
        """(True, result) or (False, exception). Raises TimeoutError, EOFError."""
        self._pipe.send((function, args))
        if not self._pipe.poll(seconds):
            raise TimeoutError(f"{getattr(function, '__name__', function)} took longer than {seconds:g} s")
        answer: tuple[bool, Any] = self._pipe.recv()
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    """The child's loop; ends when the parent is gone."""
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            answer = (True, function(*args))
        except Exception as error:  # noqa: BLE001  # the boundary: whatever it is goes back to the caller
            answer = (False, error)
        pipe.send(answer)
