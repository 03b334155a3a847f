"""`status`, `show`, `stats`, `export`: what there is, on a run that is going, over, or broken.

Knows which reader and which renderer a command takes, and what may not be written over. Does not know how a run lies on
disk, nor how a figure is reckoned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from asyncgen.cli.output import line, print_json
from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.runs.reading import failures_of, in_a_run, one_trace, status_of, traces_of, truth_columns
from asyncgen.view.terminal import note


def print_status(directory: Path, *, as_json: bool) -> int:
    """Counts."""
    from asyncgen.view.summary import render_status

    found = status_of(directory)
    if as_json:
        return print_json(found)
    line(render_status(found))
    return 0


def print_trace(directory: Path, which: str, *, rollout: int, turn: int | None, raw: bool, as_json: bool) -> int:
    """One conversation."""
    from asyncgen.view.show import render_trace

    trace = one_trace(directory, which, rollout)
    if as_json:
        return print_json(trace)
    line(render_trace(trace, turn=turn, raw=raw, truth=truth_columns(directory)))
    return 0


def print_stats(directories: Sequence[Path], *, as_json: bool) -> int:
    """Figures over all traces."""
    from asyncgen.export.stats import Stats, render

    figures = Stats()
    for trace in traces_of(directories):
        figures.add(trace)
    for failure in failures_of(directories):
        figures.add_failure(failure)
    if as_json:
        return print_json(figures.summary())
    line(render(figures.summary()))
    return 0


def export_traces(directories: Sequence[Path], *, to: str, output: Path, where: str | None, as_json: bool) -> int:
    """Write another format."""
    from asyncgen.export.formats import FORMATS
    from asyncgen.export.where import filtered

    if to not in FORMATS:
        raise InputError(f"there is no export format {to!r}{nearest(to, FORMATS)}")

    if in_a_run(output):
        raise InputError(
            f"{output} lies in a run directory, which holds only what the run itself wrote; give another -o"
        )

    def read() -> Iterable[Mapping[str, Json]]:
        return traces_of(directories)

    counts = FORMATS[to]((lambda: filtered(read, where)) if where else read, output)
    if as_json:
        return print_json({**asdict(counts), "out": str(counts.out)})
    line(f"{counts.traces:,} traces in {_files(counts.files)}: {counts.out}")
    if counts.leftover:
        note(f"{counts.leftover:,} older files of this kind were there already and stay")
    return 0


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
