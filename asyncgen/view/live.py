"""The screen of a run that is going: a live one on a terminal, a plain line every ten seconds elsewhere.

Knows when to draw and where. Changes nothing in the run.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from asyncgen.runs.figures import Figures, Meter
from asyncgen.view.panel import encodable, notice, percent, score, screen, time_left
from asyncgen.view.terminal import clean, note, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from asyncgen.runs.execute import View, Watcher

FRAME = 0.25
"""Seconds between frames: drawn by time, never by event."""
PLAIN_EVERY = 10
"""Seconds between plain lines."""


def plain_line(figures: Figures) -> str:
    """All that matters, on one line."""
    reasons = ", ".join(f"{one_line(reason)} {count}" for reason, count in figures.reasons.items())
    share = percent(figures.done / figures.total if figures.total else None)
    parts = [
        f"{one_line(figures.name)}: {figures.done}/{figures.total} done ({share})",
        f"{figures.failed} failed" + (f" ({reasons})" if reasons else ""),
        f"{figures.rate:.1f}/min",
        f"{figures.tokens_a_second:,.0f} tok/s",
        f"{figures.open}/{figures.limit} open",
        f"{percent(figures.parsed)} parsed",
        *(score(one) for one in figures.scores[:1]),
        *([] if figures.accepted is None else [f"{figures.accepted} accepted"]),
        time_left(figures) + (f", {figures.order}" if figures.order else ""),
    ]
    if text := notice(figures):
        parts.append(text)
    return " | ".join(parts)


class PlainScreen:
    """Lines on stderr."""

    def __init__(self, stream: IO[str]) -> None:
        self._encoding = _encoding(stream)

    async def watch(self, view: View) -> None:
        """A line every ten seconds, until cancelled."""
        meter = Meter()
        meter.look(view)
        for second in itertools.count(1):
            await view.clock.sleep(1.0)
            figures = meter.look(view)
            if second % PLAIN_EVERY == 0:
                self.say(plain_line(figures))

    def say(self, text: str) -> None:
        """A line."""
        note(encodable(text, self._encoding))


class RichScreen:
    """Live lines on a terminal."""

    def __init__(self, console: Console, encoding: str) -> None:
        self._console = console
        self._encoding = encoding

    async def watch(self, view: View) -> None:
        """Four frames a second, until cancelled, or until the terminal is gone: the run goes on without it."""
        from rich.live import Live

        meter = Meter()
        with suppress(OSError), Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._frame(meter.look(view)), refresh=True)
                await view.clock.sleep(FRAME)

    def _frame(self, figures: Figures) -> Text:
        from rich.text import Text

        width, height = self._console.size
        lines = screen(figures, width=width, height=height - 1, encoding=self._encoding)
        return Text("\n", no_wrap=True, overflow="crop").join(Text(text, style=style) for text, style in lines)

    def say(self, text: str) -> None:
        """A line above the live ones."""
        from rich.text import Text

        with suppress(OSError):
            self._console.print(Text(encodable(clean(text), self._encoding)))


def make_screen(*, plain: bool, environ: Mapping[str, str] = os.environ, stream: IO[str] | None = None) -> Watcher:
    """The live one where `stream` (stderr) is a terminal that can show it, and nobody wants it plain."""
    stream = stream or sys.stderr
    if plain or environ.get("NO_COLOR") or environ.get("TERM") == "dumb" or not stream.isatty():
        return PlainScreen(stream)
    from rich.console import Console

    return RichScreen(Console(file=stream), _encoding(stream))


def _encoding(stream: IO[str]) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
