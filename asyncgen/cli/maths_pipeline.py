"""`pipeline math-critique` at a terminal: its runs, its questions before a file is replaced, and a table at the end.

Knows streams. Does not know the steps.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

from asyncgen.cli.output import line, print_json
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import InputError
from asyncgen.view.tables import Table, render_text
from asyncgen.view.terminal import clean, note


def carry_out(config: Path, *, yes: bool, as_json: bool) -> int:
    """All steps, and what each has made."""
    from asyncgen.rewards.maths import judge_many
    from asyncgen.runs.maths.pipeline import Surroundings, run_pipeline
    from asyncgen.runs.maths.pipeline_config import read_pipeline

    around = Surroundings(
        start_run=_start_run,
        ask=(lambda _: True) if yes else _ask,
        say=note,
        judge=judge_many,
        clock=SystemClock(),
    )
    found = run_pipeline(read_pipeline(config), around)
    if as_json:
        return print_json([one.json() for one in found])
    rows = [(one.name, one.state, f"{one.rows:,}", f"{one.seconds:,.1f}", clean(one.out)) for one in found]
    width = max(len(row[0]) for row in rows)
    line(render_text(Table("math-critique", ("step".ljust(width), "", "rows", "seconds"), [row[:4] for row in rows])))
    for row in rows:
        line(f"  {row[0]:{width}}  {row[4]}")
    return 0


def _start_run(job: Path) -> int:
    """In this process: who kills it, kills the run. What a run prints is no result of ours."""
    from asyncgen.cli.run import Flags, run_job

    with redirect_stdout(sys.stderr):
        return run_job(str(job), Flags(), {})


def _ask(question: str) -> bool:
    """Raises InputError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise InputError(f"{question} There is no terminal to ask at: give --yes, or move it away")
    note(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
