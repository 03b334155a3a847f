"""What the commands of `ctl` do to a run.

Knows commands, the driver and the event log. Does not know sockets. Commands say what shall be: twice is once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Protocol

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.engine.scheduler import Scheduler
from asyncgen.runs.commands import checked
from asyncgen.store.events import EventLog


class Steered(Protocol):
    """A driver, as far as it can be steered."""

    def pause(self, why: str, by: str) -> None:
        """Send nothing; `""`: go on, as far as this one is concerned."""

    def limit(self, requests: int) -> None:
        """At most so many open requests."""


class Steering:
    """One run and what may be asked of it."""

    def __init__(
        self,
        *,
        name: str,
        directory: str,
        driver: Steered,
        scheduler: Scheduler,
        events: EventLog,
        say: Callable[[str], None],
        drain: Callable[[], None],
        figures: Callable[[], Mapping[str, Json]],
    ) -> None:
        """`say`: a line for who looks at the run's own screen. `drain`: begin one. `figures`: those of the screen."""
        self._name = name
        self._resume = f"asyncgen ctl {shlex.quote(directory)} resume"
        self._driver = driver
        self._scheduler = scheduler
        self._events = events
        self._say = say
        self._drain = drain
        self._figures = figures
        self._paused = False
        """By ctl; others may want a pause as well."""

    def carry_out(self, command: Json) -> dict[str, Json]:
        """The reply: `ok`, whether it `changed` anything, and how the run stands. Raises InputError."""
        command = checked(command)
        match command["command"]:
            case "set":
                return self._set(command["concurrency"])
            case "pause":
                return self._pause()
            case "resume":
                return self._go_on()
            case "drain":
                return self._stop()
        return {**self._figures(), **self._state(changed=False)}

    def _state(self, *, changed: bool) -> dict[str, Json]:
        scheduler = self._scheduler
        return {
            "ok": True,
            "changed": changed,
            "name": self._name,
            "concurrency": scheduler.limiter.limit,
            "open": scheduler.open,
            "paused": scheduler.paused and not scheduler.draining,
            "draining": scheduler.draining,
        }

    def _set(self, new: int) -> dict[str, Json]:
        old = self._scheduler.limiter.limit
        if new != old:
            self._driver.limit(new)
            self._say(f"concurrency {old} -> {new}, as asked by ctl")
            self._events.write("concurrency", old=old, new=new, by="ctl")
        return {**self._state(changed=new != old), "was": old}

    def _pause(self) -> dict[str, Json]:
        self._refuse_if_draining()
        changed = not self._paused
        if changed:
            self._paused = True
            self._driver.pause(f"paused by ctl; {self._resume}", by="ctl")
            self._say(f"paused by ctl: what is open is finished and saved, nothing else is sent; {self._resume}")
            self._events.write("pause", text=f"by ctl; {self._resume}", by="ctl")
        return self._state(changed=changed)

    def _go_on(self) -> dict[str, Json]:
        self._refuse_if_draining()
        changed = self._paused
        if changed:
            self._paused = False
            self._driver.pause("", by="ctl")
            self._say("resumed by ctl")
            self._events.write("resume", by="ctl")
        return self._state(changed=changed)

    def _stop(self) -> dict[str, Json]:
        changed = not self._scheduler.draining
        if changed:
            self._drain()
        return self._state(changed=changed)

    def _refuse_if_draining(self) -> None:
        if self._scheduler.draining:
            raise InputError("it is draining: it ends when what runs is finished; start it again with the same command")
