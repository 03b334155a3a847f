"""`status`, `export`: what there is, on a run that is going, over, or broken.

Knows which reader and which renderer a command takes, and what may not be written over. Does not know how a run lies on
disk, nor how a figure is reckoned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from asyncgen.cli.output import line, print_json
from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.runs.reading import configs_of, in_a_run, status_of, traces_of
from asyncgen.view.terminal import note


def print_status(directory: Path, *, as_json: bool) -> int:
    """Counts."""
    from asyncgen.view.summary import render_status

    found = status_of(directory)
    if as_json:
        return print_json(found)
    line(render_status(found))
    return 0


def export_traces(directories: Sequence[Path], *, to: str, output: Path, where: str | None, as_json: bool) -> int:
    """Write another format."""
    from asyncgen.export.files import Traces
    from asyncgen.export.formats import FORMATS
    from asyncgen.runs.sheets import sheet_of

    if to not in FORMATS:
        raise InputError(f"there is no export format {to!r}{nearest(to, [*FORMATS, 'chunks'])}")

    if in_a_run(output):
        raise InputError(
            f"{output} lies in a run directory, which holds only what the run itself wrote; give another -o"
        )

    write, configs = FORMATS[to], configs_of(directories)
    if where:
        with sheet_of(directories, sql=where) as sheet:
            counts = write(Traces(sheet.kept(where).traces, configs), output)
    else:
        counts = write(Traces(lambda: traces_of(directories), configs), output)
    if as_json:
        return print_json({**asdict(counts), "out": str(counts.out)})
    line(f"{counts.traces:,} traces in {_files(counts.files)}: {counts.out}")
    if counts.leftover:
        note(f"{counts.leftover:,} older files of this kind were there already and stay")
    for text in counts.notes:
        note(text)
    return 0


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
