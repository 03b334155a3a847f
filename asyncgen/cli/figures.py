"""`stats`: the figures of runs, in groups, side by side, as tables and as pictures.

Knows which lines are read and who renders them. Does not know how a figure is reckoned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from asyncgen.cli.output import line, print_json
from asyncgen.config.load import nearest
from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.runs.reading import failures_of, in_a_run, traces_of
from asyncgen.view.terminal import note, one_line

if TYPE_CHECKING:
    from asyncgen.export.measures import Columns
    from asyncgen.export.pairs import Pairs

FORMATS = ("png", "svg")
Numbered: TypeAlias = tuple[int, Mapping[str, Json]]
"""The number of the path that a line came from, and the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    by: str | None
    where: str | None
    difficulty: str
    bands: str | None
    json: bool
    markdown: bool
    plots: Path | None
    plot_format: str


def print_stats(directories: Sequence[Path], wanted: Wanted) -> int:
    """Figures over all traces."""
    from asyncgen.export.by_column import ByColumn
    from asyncgen.export.groups import EDGES, parse_edges
    from asyncgen.export.pairs import Pairs
    from asyncgen.export.stats import Stats

    _check(directories, wanted)
    edges = EDGES if wanted.bands is None else parse_edges(wanted.bands)
    stats, names = Stats(wanted.difficulty, edges), _names(directories)
    by = ByColumn(wanted.by) if wanted.by else None
    pairs = Pairs() if wanted.plots else None
    for run, trace in _traces(directories, wanted.where):
        stats.add(trace, run)
        if by:
            by.add(trace)
        if pairs:
            pairs.add(trace, run)
    for run, failure in _failures(directories, wanted.where):
        stats.add_failure(failure, run)
    counts = stats.counts() | ({"where": wanted.where} if wanted.where else {})
    if not (counts["traces"] or counts["failed"] or wanted.json or wanted.plots):
        return _print(counts, wanted)  # nothing to reckon with
    columns = stats.columns()
    report = counts | stats.summary(columns)
    if report["traces"] and not report["by_difficulty"]:
        _refuse_no_bands(columns, wanted)
    if len(names) > 1:
        report |= stats.compared(names, columns)
    if by:
        report["by_column"] = by.section(columns)
    if wanted.plots and pairs:
        report["plots"] = _plot(columns, names, pairs, wanted.plots, wanted.plot_format)
    return _print(report, wanted)


def _check(directories: Sequence[Path], wanted: Wanted) -> None:
    """What can be wrong before anything is read. Raises InputError."""
    places = [path.resolve() for path in directories]
    for path, place in zip(directories, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{path} is given twice: its traces would count twice; give it once")
    if wanted.json and wanted.markdown:
        raise InputError("--json and --markdown are two forms of one result; give one of them")
    if wanted.plot_format not in FORMATS:
        raise InputError(f"there is no picture format {wanted.plot_format!r}{nearest(wanted.plot_format, FORMATS)}")
    if wanted.plots is None:
        return
    if in_a_run(wanted.plots):
        raise InputError(f"{wanted.plots} lies in a run directory, which holds only what the run itself wrote")
    traces_of(directories)  # a wrong path leaves no new folder
    try:
        wanted.plots.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{wanted.plots} cannot be made a folder for plots: {error.strerror}") from None


def _names(directories: Sequence[Path]) -> list[str]:
    """The folders' names; the whole path where two have one name."""
    names = [path.absolute().name or str(path) for path in directories]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, directories, strict=True)]


def _traces(directories: Sequence[Path], where: str | None) -> Iterator[Numbered]:
    """Each with the number of its path; only those for which `where` is true."""
    if where:
        yield from _kept(directories, where, failed=False)
        return
    for run, traces in enumerate([traces_of([path]) for path in directories]):  # refuses a wrong path at once
        for trace in traces:
            yield run, trace


def _failures(directories: Sequence[Path], where: str | None) -> Iterator[Numbered]:
    """The same of the failures without a trace."""
    if where:
        try:
            yield from _kept(directories, where, failed=True)
        except InputError as error:  # the traces have the names that it uses
            note(f"failures are not counted: {one_line(str(error))}")
        return
    for run, path in enumerate(directories):
        for failure in failures_of([path]):
            yield run, failure


def _kept(directories: Sequence[Path], where: str, *, failed: bool) -> Iterator[Numbered]:
    from asyncgen.runs.places import Places
    from asyncgen.runs.sheets import sheet_of
    from asyncgen.store.line import parse_line

    with sheet_of(directories, sql=where, failed=failed) as sheet, Places() as places:
        for place in sheet.kept(where).places():
            yield place.source, parse_line(places.line(place))


def _refuse_no_bands(columns: Columns, wanted: Wanted) -> None:
    """Raises InputError where somebody asked for them."""
    from asyncgen.export.measures import measured
    from asyncgen.export.stats import DIFFICULTY

    if wanted.difficulty == DIFFICULTY and wanted.bands is None:
        return
    beyond = "in some traces it is not between 0 and 1" if len(measured(columns["difficulty"])) else "no trace has one"
    raise InputError(
        f"--difficulty {wanted.difficulty}: no bands: it must be a number from 0 (hardest) to 1, and {beyond}"
    )


def _plot(columns: Columns, names: Sequence[str], pairs: Pairs, folder: Path, suffix: str) -> dict[str, Json]:
    from asyncgen.view.plots import write_plots

    done = write_plots(columns, names, pairs, folder=folder, suffix=suffix)
    if done.written:
        note(f"{len(done.written)} plots in {folder}: {', '.join(path.name for path in done.written)}")
    for name, why in done.left_out:
        note(f"no plot {name}: {why}")
    return {"written": [str(path) for path in done.written], "left_out": dict(done.left_out)}


def _print(report: Mapping[str, Json], wanted: Wanted) -> int:
    if wanted.json:
        return print_json(report)
    from asyncgen.view.stats import render, render_report

    if wanted.where and not report["traces"]:
        note(f"--where {wanted.where!r} is true of no trace")
    line(render_report(report) if wanted.markdown else render(report))
    return 0
