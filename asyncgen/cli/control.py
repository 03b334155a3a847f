"""`ctl`: declaration, help and what is printed.

Knows arguments and words. Loads what it needs when it is called: `--help` reads this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from asyncgen.cli.look import Json

if TYPE_CHECKING:
    from asyncgen.runs.control_client import Told

Action = Literal["set", "pause", "resume", "drain", "status"]
REFUSED = 2
"""Exit code where a run did not take the command."""


def ctl(
    directory: Path,
    action: Annotated[Action, Parameter(help="What to do.")],
    values: Annotated[list[str] | None, Parameter(help="For set: concurrency=N, or concurrency=auto.")] = None,
    /,
    *,
    json: Json = False,
) -> int:
    """Steer a run that is going; of a directory with partitions, all of them that are.

    set concurrency=N: so many requests may be open (in each partition)
    pause, resume: send nothing for now; go on
    drain: end as Ctrl-C does, what is under way is finished; exit code 75
    status: the figures of the live screen

    It lasts for this start: the job file says what the next one has.

    Examples:
    `asyncgen ctl runs/geo set concurrency=64`
    `asyncgen ctl runs/geo pause`
    `asyncgen ctl runs/geo status --json`
    """
    from asyncgen.runs.commands import command_of
    from asyncgen.runs.control_client import steer

    return _print(directory, action, steer(directory, command_of(action, values or ())), as_json=json)


def _print(directory: Path, action: Action, told: Sequence[Told], *, as_json: bool) -> int:
    """Returns the exit code."""
    from asyncgen.cli.output import line, print_json
    from asyncgen.view.terminal import clean, note, one_line

    whole = [one.directory for one in told] == [directory]
    good = [one for one in told if one.reply["ok"]]
    if as_json:
        replies = [{"directory": str(one.directory), **one.reply} for one in told]
        print_json(replies[0] if whole else {"ok": len(good) == len(told), "parts": replies})
    for one in told:
        if not one.reply["ok"]:
            note(f"asyncgen: {one.directory}: {one_line(str(one.reply['error']))}")
        elif not as_json:
            label = str(one.reply.get("name", "")) + ("" if whole else f" {one.directory.name}")
            if action == "status" and (shown := _screen(one.reply)):
                line(clean("\n".join(shown if whole else [f"{label}:", *shown])))
                continue
            for text in _words(action, one.reply):
                line(one_line(f"{label}: {text}"))
    if not whole and not as_json:
        line(f"{len(good)} of the {len(told)} partitions that run have taken it")
    return 0 if len(good) == len(told) else REFUSED


def _words(action: Action, reply: Mapping[str, Any]) -> list[str]:
    """What a run said, a text a line; nothing is sure to be there."""
    changed, limit, opened = (reply.get(name) for name in ("changed", "concurrency", "open"))
    match action:
        case "set":
            return [f"concurrency {reply.get('was')} -> {limit}" if changed else f"concurrency is {limit} already"]
        case "pause":
            return [f"paused, {opened} requests are still open" if changed else "already paused"]
        case "resume":
            return ["resumed" if changed else "is not paused by ctl"]
        case "drain":
            return [f"draining, {opened} requests are still open" if changed else "already draining"]
    return _figures(reply)


def _screen(reply: Mapping[str, Any]) -> list[str]:
    """The lines of the live screen; none where the run is of a version that has other figures."""
    import sys

    from asyncgen.engine.live import Living
    from asyncgen.runs.figures import EndpointFigures, Figures, ScoreFigures
    from asyncgen.view.listing import terminal_width
    from asyncgen.view.panel import screen

    try:
        figures = Figures(
            **{
                name: reply[name]
                for name in Figures.__dataclass_fields__
                if name not in {"endpoints", "scores", "oldest"}
            },
            endpoints=[EndpointFigures(**one) for one in reply["endpoints"]],
            scores=[ScoreFigures(**one) for one in reply["scores"]],
            oldest=[Living(**one) for one in reply["oldest"]],
        )
    except (KeyError, TypeError):
        return []
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    lines = screen(figures, width=terminal_width() or _COLUMNS, height=_ROWS, encoding=encoding)
    return [text for text, style in lines if style != "dim"]  # no keys: they are those of the run's own terminal


_ROWS = 1000
_COLUMNS = 160
"""Where stdout is no terminal."""


def _figures(reply: Mapping[str, Any]) -> list[str]:
    """The main ones of `status`, whatever else there is."""
    from asyncgen.view.panel import duration

    state = "draining" if reply.get("draining") else "paused" if reply.get("paused") else "running"
    count = {name: value if isinstance(value := reply.get(name), int | float) else 0 for name in _COUNTS}
    left = reply.get("seconds_left")
    time_left = duration(left if isinstance(left, int | float) else None)
    texts = [
        f"{state}, {count['open']} of at most {count['concurrency']} requests open",
        f"{count['done']:,} of {count['total']:,} done, {count['failed']:,} failed, {count['left']:,} left",
        f"rate {count['rate']:.1f}/min, {count['tokens_a_second']:,.0f} tok/s, left {time_left}",
    ]
    return [*texts, str(reply["notice"])] if reply.get("notice") else texts


_COUNTS = ("open", "concurrency", "done", "total", "failed", "left", "rate", "tokens_a_second")
