"""The screen of a run that is going: a live one on a terminal, a plain line every ten seconds elsewhere.

Knows how a View's numbers are shown. Changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncgen.view.terminal import clean, note

if TYPE_CHECKING:
    from rich.console import Group

    from asyncgen.runs.execute import View, Watcher

FRAME = 0.25
"""Seconds between frames: drawn by time, never by event."""
PLAIN_EVERY = 10.0
"""Seconds between plain lines."""
WINDOW = 600.0
"""Seconds of history behind the rate and the time left."""
MIN_DONE = 30
"""Episodes before a time left is shown: fewer say little."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at a run."""

    name: str
    total: int
    done: int
    failed: int
    left: int
    durable: int
    reasons: str
    rate: float
    """Episodes a minute, over the window."""
    seconds_left: float | None
    tokens_a_second: float
    open: int
    limit: int
    alive: int
    elapsed: float
    parsed: float | None
    """Share of this start's traces with an answer that could be read."""
    notice: str
    draining: bool


class Meter:
    """Turns counters into rates."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int, int]] = deque()

    def look(self, view: View) -> Figures:
        """Now."""
        progress, scheduler = view.progress, view.scheduler
        now = view.clock.monotonic()
        finished = progress.done + progress.failed.total()
        self._mark(now, finished, progress.completion_tokens)
        then, finished_then, tokens_then = self._marks[0]
        span = max(now - then, 1e-9)
        rate = (finished - finished_then) / span
        left = progress.left
        return Figures(
            name=view.prepared.job.name,
            total=progress.total,
            done=progress.done_before + progress.done,
            failed=progress.failed_before + progress.failed.total(),
            left=left,
            durable=progress.done_before + view.store.durable,
            reasons=", ".join(f"{reason} {count}" for reason, count in view.store.failed_reasons.most_common(5)),
            rate=rate * 60,
            seconds_left=left / rate if finished >= MIN_DONE and rate > 0 else None,
            tokens_a_second=(progress.completion_tokens - tokens_then) / span,
            open=scheduler.open,
            limit=scheduler.limiter.limit,
            alive=scheduler.alive,
            elapsed=now - view.started,
            parsed=progress.parsed / progress.done if progress.done else None,
            notice=progress.notice or ("draining" if scheduler.draining else ""),
            draining=scheduler.draining,
        )

    def _mark(self, now: float, finished: int, tokens: int) -> None:
        if not self._marks or now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, finished, tokens))
        while len(self._marks) > 1 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()


def plain_line(figures: Figures) -> str:
    """All that matters, on one line."""
    parts = [
        f"{figures.name}: {figures.done}/{figures.total} done ({_share(figures.done, figures.total)})",
        f"{figures.failed} failed" + (f" ({figures.reasons})" if figures.reasons else ""),
        f"{figures.rate:.1f}/min",
        f"{figures.tokens_a_second:,.0f} tok/s",
        f"{figures.open}/{figures.limit} open",
        f"{_percent(figures.parsed)} parsed",
        f"left {duration(figures.seconds_left)}",
    ]
    if figures.notice:
        parts.append(clean(figures.notice))
    return " | ".join(parts)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def duration(seconds: float | None) -> str:
    """`1:02:03`; `-` for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class PlainScreen:
    """Lines on stderr."""

    async def watch(self, view: View) -> None:
        """A line every ten seconds, until cancelled."""
        meter = Meter()
        meter.look(view)
        elapsed = 0.0
        while True:
            await asyncio.sleep(1.0)
            elapsed += 1.0
            figures = meter.look(view)
            if elapsed >= PLAIN_EVERY:
                elapsed = 0.0
                self.say(plain_line(figures))

    def say(self, text: str) -> None:
        """A line."""
        note(text)


class RichScreen:
    """A few live lines on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    async def watch(self, view: View) -> None:
        """Four frames a second, until cancelled, or until the terminal is gone: the run goes on without it."""
        from rich.live import Live

        meter = Meter()
        with suppress(OSError), Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(_panel(meter.look(view), self._console.width), refresh=True)
                await asyncio.sleep(FRAME)

    def say(self, text: str) -> None:
        """A line above the live ones."""
        from rich.text import Text

        with suppress(OSError):
            self._console.print(Text(clean(text)))


def _panel(figures: Figures, width: int) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    texts = [
        Text(figures.name, style="bold"),
        Text(f"{figures.done:,}/{figures.total:,}  {_share(figures.done, figures.total)}"),
        Text(f"left {duration(figures.seconds_left)}"),
        Text(f"elapsed {duration(figures.elapsed)}", style="dim"),
    ]
    room = width - sum(2 + len(text) for text in texts)
    bar = ProgressBar(total=max(figures.total, 1), completed=figures.done + figures.failed, width=min(32, max(4, room)))
    head = Table.grid(padding=(0, 2), expand=False)
    head.add_row(texts[0], bar, *texts[1:])
    lines = [
        Text(
            f"rate {figures.rate:.1f}/min   out {figures.tokens_a_second:,.0f} tok/s   "
            f"open {figures.open}/{figures.limit}   alive {figures.alive}"
        ),
        Text(
            f"durable {figures.durable:,}   parsed {_percent(figures.parsed)}   failed {figures.failed:,}"
            + (f"   {figures.reasons}" if figures.reasons else "")
        ),
    ]
    if figures.notice:
        lines.append(Text(clean(figures.notice), style="bold yellow"))
    keys = "Ctrl-C again stops now" if figures.draining else "Ctrl-C finishes what runs; twice stops now"
    lines.append(Text(f"{keys}; the same command goes on later", style="dim"))
    return Group(head, *lines)


def make_screen(*, plain: bool) -> Watcher:
    """The live one where stderr is a terminal that can show it."""
    if plain or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty():
        return PlainScreen()
    return RichScreen()
