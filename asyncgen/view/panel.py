"""The live screen's words, from figures, and what goes when the terminal has no room for all of them.

Knows words, widths and ranks. Does not know terminals: what it gives is plain text.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncgen.view.terminal import one_line

if TYPE_CHECKING:
    from asyncgen.runs.figures import EndpointFigures, Figures, ScoreFigures

SERVERS = 8
"""Servers with a line of their own, where there is room."""
OTHER_LINES = 11
"""Rows that the servers leave to the rest."""
SCORES = 9
TOOLS = 5
BAR = 32
"""Columns of the bar at most."""
BAR_LEAST = 4
LONGEST_NAME = 48
"""Characters of a name at most."""
GAP = "   "
_ASCII = str.maketrans({"±": "+-", "…": "...", "→": "->", "━": "#", "─": "-"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen, in parts: where it is too long, the last ones are left out."""

    rank: int
    """Where the terminal is too low, lines of high ranks are left out."""
    parts: tuple[str, ...]
    style: str = ""
    """As rich has it."""


def screen(figures: Figures, *, width: int, height: int, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """(text, style) of at most `height` lines, none wider than `width` columns."""
    lines = [Line(0, _head(figures, width, encoding), "bold"), *_body(figures, height)]
    kept = sorted(range(len(lines)), key=lambda number: lines[number].rank)[: max(1, height)]
    return [(cut(lines[number].parts, width, encoding), lines[number].style) for number in sorted(kept)]


def cut(parts: Sequence[str], width: int, encoding: str = "utf-8") -> str:
    """As many of the parts as fit, whole ones, since a number without its end is another number. The first one is cut
    where it must be."""
    from rich.cells import cell_len, set_cell_size

    parts, mark = [encodable(part, encoding) for part in parts], encodable("…", encoding)
    for count in range(len(parts), 0, -1):
        text = GAP.join(parts[:count]) + (f" {mark}" if count < len(parts) else "")
        if cell_len(text) <= width:
            return text
    return set_cell_size(parts[0], max(0, width - len(mark))) + mark[:width]


def encodable(text: str, encoding: str) -> str:
    """The text in letters that the terminal has: where it has no Unicode, our signs become ASCII and others `?`."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def duration(seconds: float | None) -> str:
    """`1:02:03`; `-` for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def percent(share: float | None) -> str:
    """`12.3 %`; `-` for None."""
    return "-" if share is None else f"{100 * share:.1f} %"


def time_left(figures: Figures) -> str:
    """`left 2:05:10 ± 0:12:00`."""
    text = f"left {duration(figures.seconds_left)}"
    return text if figures.seconds_spread is None else f"{text} ± {duration(figures.seconds_spread)}"


def score(figures: ScoreFigures) -> str:
    """One score with its name; of a median it says so."""
    name = _name(figures.name)
    if figures.kind == "share":
        return f"{name} {percent(figures.value)}"
    return f"{name} {_number(figures.value)}" + (" (median)" if figures.kind == "median" else "")


def _number(value: float | None) -> str:
    """Four digits, whole numbers from a thousand on."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.4g}"


def _name(text: str) -> str:
    """A model's, a server's or a user's word, on one line and not too long."""
    text = one_line(text)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _head(figures: Figures, width: int, encoding: str) -> tuple[str, ...]:
    from rich.cells import cell_len

    finished, total = figures.done + figures.failed, figures.total
    name = _name(figures.name)
    counts = f"{figures.done:,}/{total:,}  {percent(figures.done / total if total else None)}"
    before = f" of {duration(figures.elapsed_before + figures.elapsed)}" if figures.elapsed_before else ""
    rest = (encodable(time_left(figures), encoding), f"elapsed {duration(figures.elapsed)}{before}")
    room = min(BAR, width - cell_len(GAP.join((f"{encodable(name, encoding)}    {counts}", *rest))))
    if room < BAR_LEAST:
        return (f"{name}  {counts}", *rest)
    full = min(room, room * finished // total) if total else room
    return (f"{name}  {'━' * full}{'─' * (room - full)}  {counts}", *rest)


def _body(figures: Figures, height: int) -> Iterator[Line]:
    yield Line(2, tuple(_speed(figures)))
    yield Line(4, tuple(_load(figures)))
    yield Line(3, tuple(_saved(figures)))
    yield Line(7, (f"parsed {percent(figures.parsed)}", *map(score, figures.scores[:SCORES])))
    yield Line(9, tuple(_work(figures)))
    yield Line(10, tuple(_spent(figures)))
    yield from _servers(figures.endpoints, room=min(SERVERS, max(1, height - OTHER_LINES)))
    for one in figures.oldest:
        yield Line(
            8,
            (
                f"oldest {_name(one.id)}",
                f"turn {one.turn}",
                f"for {duration(one.seconds)}",
                f"quiet for {duration(one.idle)}",
            ),
        )
    if text := notice(figures):
        yield Line(1, (text,), "bold yellow")
    keys = "Ctrl-C again stops now" if figures.draining else "Ctrl-C ends with this turn; twice stops now"
    yield Line(6, (keys, "the same command goes on later"), "dim")
    if not figures.draining:
        yield Line(20, (f"asyncgen ctl {one_line(shlex.quote(figures.directory))} set concurrency=N",), "dim")


def notice(figures: Figures) -> str:
    """What keeps the run from going on, on one line; `""` when nothing does."""
    draining = f"draining: {figures.running:,} episodes are finishing their turn" if figures.draining else ""
    return one_line(figures.notice) or draining or ("paused" if figures.paused else "")


def _speed(figures: Figures) -> Iterator[str]:
    yield f"rate {figures.rate_now:.1f}/min (10 min {figures.rate:.1f})"
    yield f"out {figures.tokens_a_second:,.0f} tok/s"
    if figures.order:
        yield "ordered by difficulty"
        yield figures.order


def _load(figures: Figures) -> Iterator[str]:
    yield f"open {figures.open:,}/{figures.limit:,}"
    yield f"waiting {figures.waiting:,}"
    yield f"alive {figures.alive:,}"
    if figures.skipped:
        yield f"not needed {figures.skipped:,}"


def _saved(figures: Figures) -> Iterator[str]:
    yield f"durable {figures.durable:,}"
    finished = figures.done + figures.failed
    yield f"failed {figures.failed:,}" + (f" ({percent(figures.failed / finished)})" if figures.failed else "")
    if figures.reasons:
        yield ", ".join(f"{_name(reason)} {count:,}" for reason, count in figures.reasons.items())


def _work(figures: Figures) -> Iterator[str]:
    yield f"turns {'-' if figures.turns is None else f'{figures.turns:.1f}'}"
    yield f"retries {percent(figures.retries)}"
    if not figures.tools:
        return
    yield f"tools in {percent(figures.with_tools)}"
    yield f"tool errors {percent(figures.tool_errors)}"
    names = list(figures.tools)
    for name in names[:TOOLS]:
        yield f"{_name(name)} {figures.tools[name]:,}"
    if len(names) > TOOLS:
        yield f"and {len(names) - TOOLS} more names"


def _spent(figures: Figures) -> Iterator[str]:
    if figures.accepted is not None:
        share = figures.accepted / figures.stored if figures.stored else None
        yield f"accepted {figures.accepted:,} ({percent(share)})"
    yield f"tokens {figures.prompt_tokens:,} + {figures.completion_tokens:,}"
    own = figures.start_prompt_tokens, figures.start_completion_tokens
    if own != (figures.prompt_tokens, figures.completion_tokens):
        yield f"this start {own[0]:,} + {own[1]:,}"
    if figures.cost is not None:
        end = "" if figures.cost_at_end is None else f" → ~${figures.cost_at_end:,.2f}"
        yield f"cost ${figures.cost:,.2f}{end}"


def _servers(servers: Sequence[EndpointFigures], *, room: int) -> Iterator[Line]:
    """A line each, the unwell first."""
    from rich.cells import cell_len, set_cell_size

    ranked = sorted(servers, key=lambda one: one.state == "ok")
    shown, others = ranked[:room], ranked[room:]
    width = max((cell_len(_name(one.name)) for one in shown), default=0)
    for number, one in enumerate(shown):
        well = one.state == "ok"
        rate = f"{one.rate / 60:.1f}/s" if one.rate >= 60 else f"{one.rate:.1f}/min"
        figures = (rate, f"open {one.in_flight:,}", f"p50 {one.p50:.1f} s", f"p95 {one.p95:.1f} s")
        fault = () if well or not one.last_fault else (one_line(one.last_fault),)
        name = f"{set_cell_size(_name(one.name), width)}  {one.state:<7}"
        yield Line(11 + number if well else 5, (name, *figures, *fault), "" if well else "yellow")
    if others:
        unwell = sum(one.state != "ok" for one in others)
        rest = f"{unwell} of them not ok" if unwell else "all ok"
        yield Line(19, (f"… {len(others)} more server{'s' if len(others) > 1 else ''}, {rest}",))
