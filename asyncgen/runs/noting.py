"""What happens to a run while it goes on, as events, and as lines for its user where they want to know at once.

Knows a running run's states. Changes nothing in it.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncgen.runs.execute import View
    from asyncgen.runs.figures import Meter

PAUSE_LOOK = 0.5
"""Seconds between looks at whether the run goes on."""
COUNTERS_EVERY = 60.0
"""Seconds between two events that say what was done so far; the first come after 1, 2, 4, … seconds."""


async def note_states(view: View, meter: Meter) -> None:
    """What keeps the run from going on, which of several servers is down, and that it is over, as events (a pause by
    its user is told by `Steering`). And the meter looks, so that it has rates when it is asked."""
    paused = False
    down: dict[str, str] = {}
    noted = view.started
    while True:
        await view.clock.sleep(PAUSE_LOOK)
        meter.look(view)
        hindrance = view.driver.hindrance
        if bool(hindrance) != paused:
            paused = bool(hindrance)
            view.store.events.write("pause" if paused else "resume", text=hindrance)
            if paused and not view.store.notice:  # the store has told its own
                view.watcher.say(hindrance)
        down = _note_servers(view, down)
        noted = _note_counters(view, noted)


def _note_counters(view: View, noted: float) -> float:
    """What this start has done so far: a start that is killed was at work until its last event. `noted`: when that was
    last told (monotonic)."""
    now, progress = view.clock.monotonic(), view.progress
    if now - noted < min(COUNTERS_EVERY, max(1.0, noted - view.started)):
        return noted
    counts = {"done": progress.done, "failed": progress.failed.total(), "skipped": progress.skipped}
    view.store.events.write("counters", **counts, **asdict(progress.totals))
    return now


def _note_servers(view: View, before: dict[str, str]) -> dict[str, str]:
    """Say of each server that it went down or came back; returns those that are down, with their last fault. A run that
    has only one is paused by that, which is told already."""
    states = view.scheduler.pool.snapshot(view.clock.monotonic())
    if len(states) == 1:
        return {}
    down = {one.name: one.last_fault for one in states if one.down}
    up = f"{sum(not one.down for one in states)} of {len(states)} servers are up"
    for name in down.keys() - before.keys():
        view.store.events.write("server_down", server=name, text=down[name])
        view.watcher.say(f"{name} is down, {up}: {down[name]}")
    for name in before.keys() - down.keys():
        view.store.events.write("server_up", server=name)
        view.watcher.say(f"{name} is back, {up}")
    return down
