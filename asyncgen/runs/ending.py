"""How its user ends a run before its time: signals, and the drain of `ctl`.

Knows the steps drain, cancel, exit, and the exit code that they leave. Does not know how episodes end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from asyncgen.core.errors import TemporaryError
from asyncgen.store.events import EventLog


class Stoppable(Protocol):
    """A driver, as far as its end goes."""

    @property
    def running(self) -> int:
        """Episodes that a drain waits for."""

    def drain(self) -> None:
        """Start nothing new."""

    def cancel(self) -> None:
        """Stop what runs."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How a start was stopped by its user, if it was."""

    signal: int = 0
    """The number of the latest; 0: none."""
    drained: bool = False
    """By `ctl`."""

    @property
    def exit_code(self) -> int:
        """Of a start that leaves something to be done; 0: nobody stopped it."""
        if self.signal:
            return 128 + self.signal
        return TemporaryError.exit_code if self.drained else 0


class Ending:
    """The first SIGINT, SIGTERM, SIGHUP or ctl drain drains, the next signal cancels, the one after that ends the
    process at once. After a ctl drain the first Ctrl-C therefore cancels: it drains already.
    """

    def __init__(self, driver: Stoppable, say: Callable[[str], None], events: EventLog, grace: float) -> None:
        """`grace`: seconds that a drain may take."""
        self._driver = driver
        self._say = say
        self._events = events
        self._grace = grace
        self._step = 0
        self._signal = 0
        self._drained = False
        self._over = False
        self.cancelled = False
        """A signal has cut off what was under way: its user wants the end at once."""

    @property
    def stop(self) -> Stop:
        """So far."""
        return Stop(self._signal, self._drained)

    def over(self) -> None:
        """No episode runs any more: what is left is to seal."""
        self._over = True

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Signals are handled within, and by those before afterwards; in another thread than the main one, which alone
        gets them, by its owner."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it ignored
            numbers.append(signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            loop.add_signal_handler(number, self.on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, before[number])

    def on_signal(self, number: int) -> None:
        """One came in."""
        self._signal = number
        self._step += 1
        if self._step > 2:
            os._exit(128 + number)
        if self._over:
            self._say("sealing what is saved; once more to leave that to the next start")
            self._step = 2
        elif self._step == 1:
            self._drain("draining", "once more", by=signal.Signals(number).name)
        else:
            self.cancelled = True
            self._say("stopping now; what is saved stays saved, the same command goes on later")
            self._driver.cancel()

    def drain_by_ctl(self) -> None:
        """For a run that does not drain yet."""
        self._drained = True
        self._step = max(self._step, 1)
        self._drain("draining, as asked by ctl", "Ctrl-C", by="ctl")

    def _drain(self, doing: str, key: str, *, by: str) -> None:
        self._say(
            f"{doing}: {self._driver.running} episodes are finishing their turn, at most {self._grace:g} s; "
            f"{key} to stop them now, the same command goes on later"
        )
        self._driver.drain()
        self._events.write("drain", by=by)
