"""The commands that look at runs, and their help: `status`, `show`, `stats`, `export`.

Knows arguments. Each loads what it needs when it is called: `--help` reads this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(negative=(), help="Figures as JSON on stdout.")]
Files = Annotated[list[Path], Parameter(help="Run directories, or folders of trace_*.json.")]
TO_HELP = (
    "jsonl (one file, a line a trace) or trace-json (one file a trace, for other programs). Only jsonl, and the run "
    "directory itself, load with datasets.load_dataset."
)


def status(directory: Path, /, *, json: Json = False) -> int:
    """Counts, rate, time left and failures by reason, of a run that is going or over.

    Example:
    `asyncgen status runs/geo`
    """
    from asyncgen.cli.read import print_status

    return print_status(directory, as_json=json)


def show(
    directory: Path,
    id: str = "",  # noqa: A002  # the argument's name in the help
    /,
    *,
    rollout: Annotated[int, Parameter(help="Which attempt, where ID is a row number.")] = 0,
    turn: Annotated[int | None, Parameter(help="Only this turn, from 1.")] = None,
    raw: Annotated[
        bool, Parameter(negative=(), help="Responses as received, thinking tags and calls included.")
    ] = False,
    json: Json = False,
) -> int:
    """One trace as a conversation: thinking, calls, results, score. ID is a trace's id or a row number; without one,
    the first trace that was stored.

    Examples:
    `asyncgen show runs/geo`
    `asyncgen show runs/geo 42`
    `asyncgen show runs/geo-tools geo-tools/42/0 --turn 2 --raw`
    """
    from asyncgen.cli.read import print_trace

    return print_trace(directory, id, rollout=rollout, turn=turn, raw=raw, as_json=json)


def stats(directories: Files, /, *, json: Json = False) -> int:
    """Turns, tokens, parse rate, scores, distances, tool use.

    Example:
    `asyncgen stats runs/geo`
    """
    from asyncgen.cli.read import print_stats

    return print_stats(directories, as_json=json)


def export(
    directories: Files,
    /,
    *,
    to: Annotated[str, Parameter(help=TO_HELP)],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="A folder, or a file for jsonl.")],
    where: Annotated[str | None, Parameter(help="SQL over a trace, e.g. 'parse_success and score > 0.3'.")] = None,
    json: Json = False,
) -> int:
    """Write traces in another format.

    Examples:
    `asyncgen export runs/geo --to trace-json -o traces`
    `asyncgen export runs/geo --to jsonl --where 'score > 0.5' -o good.jsonl`
    """
    from asyncgen.cli.read import export_traces

    return export_traces(directories, to=to, output=output, where=where, as_json=json)
