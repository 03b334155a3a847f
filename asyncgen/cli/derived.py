"""`filter`, `merge`, `rescore`, `verify`: what they say of what they did.

Knows how counts are told, and which of them make an exit code. Does not know how traces are read or written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.cli.output import line, print_json
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import DataError
from asyncgen.core.types import Json
from asyncgen.runs.reading import is_trace_folder
from asyncgen.view.terminal import clean, one_line

if TYPE_CHECKING:
    from asyncgen.runs.merge import Merged
    from asyncgen.runs.verify import Finding, FolderReport, Report


def filter_traces(directories: Sequence[Path], *, where: str, output: Path, as_json: bool) -> int:
    """Copy what is kept."""
    from asyncgen.runs.keep import keep

    found = keep(directories, where, output, clock=SystemClock())
    if as_json:
        return print_json(found.json())
    line(f"{found.kept:,} of {found.total:,} traces kept, {found.dropped:,} dropped: {clean(found.out)}")
    if found.duplicates:
        line(f"{found.duplicates:,} more are duplicates of an earlier trace")
    if found.clauses:
        rows = [(f"{one.dropped:,}", f"{one.false:,}", one_line(one.text)) for one in found.clauses]
        _table(("dropped", "not true of", "clause"), rows)
    return 0


def merge_runs(directories: Sequence[Path], *, output: Path, strict: bool, as_json: bool) -> int:
    """Copy all, and say what is missing."""
    from asyncgen.runs.merge import merge

    found = merge(directories, output, clock=SystemClock())
    if as_json:
        print_json(found.json())
    else:
        say_merged(found)
    return DataError.exit_code if strict and not found.complete else 0


def say_merged(found: Merged) -> None:
    """A table of the sources, and what is missing."""
    line(f"{found.traces:,} traces: {clean(found.out)}")
    rows = [(f"{one.traces:,}", f"{one.duplicates:,}", f"{one.left:,}", clean(one.path)) for one in found.sources]
    _table(("traces", "duplicates", "left", "from"), rows)
    line(f"failed and not copied: {found.failed:,}{_reasons(found.failed_reasons)}")
    if short := found.short.samples:
        first = ", ".join(map(str, found.short.first))
        more = "" if short == len(found.short.first) else ", …"
        line(f"{short:,} samples have fewer than {found.short.rollouts} rollouts: {first}{more}")
    for one in found.sources:
        if one.partitions_missing:
            line(f"{clean(one.path)}: {one.partitions_missing:,} of its partitions are not there")
    if found.different:
        line(
            f"{found.different:,} of the duplicates are other traces than the first of the same id, which counts: "
            "they are not in the copy"
        )
    missing = found.left or found.failed or found.short.samples
    line(f"incomplete: {found.left:,} left, {found.failed:,} failed" if missing else "nothing is missing")


def rescore_run(directory: Path, *, output: Path, spec: str | None, knobs: Mapping[str, Any], as_json: bool) -> int:
    """Score again."""
    from asyncgen.runs.rescore import rescore
    from asyncgen.runs.retask import retask

    found = retask(directory, spec)
    task = found.make(knobs)
    given = {name: getattr(task, name) for name in (path.removeprefix("task.") for path in knobs)}
    said = {"task": found.spec, "task_options": {**found.options, **given}}
    report = rescore(directory, output, task, said, clock=SystemClock())
    if as_json:
        return print_json(report.json())
    line(f"{report.traces:,} traces scored again, {report.answers_changed:,} answers changed: {clean(report.out)}")
    rows = [(_figure(one.before), _figure(one.after), one_line(name)) for name, one in report.scores.items()]
    _table(("before", "after", "mean of"), rows)
    if report.failed:
        line(f"{report.failed:,} failed, in failed/ of the copy{_reasons(report.failed_reasons)}")
    if report.not_rescored:
        line(f"{report.not_rescored:,} failed episodes of the run are not in the copy")
    return 0


def verify_run(directory: Path, *, salvage: bool, as_json: bool) -> int:
    """Check, and mend if that is wanted."""
    from asyncgen.runs.verify import verify, verify_folder

    salvaged: list[dict[str, Json]] = []
    if salvage:
        salvaged = _salvage(directory, quiet=as_json)
    if is_trace_folder(directory):
        folder = verify_folder(directory)
        found: Sequence[Report | FolderReport] = [folder]
    else:
        found = verify(directory)
    faults = any(one.faults for one in found)
    if as_json:
        members = [one.json() for one in found]
        print_json({"ok": not faults, "directories": members, "salvaged": salvaged})
    else:
        for one in found:
            _say_verified(one)
    return DataError.exit_code if faults else 0


def _salvage(directory: Path, *, quiet: bool) -> list[dict[str, Json]]:
    from asyncgen.runs.salvaging import salvage_runs
    from asyncgen.store.files import DISK

    found = salvage_runs(directory, files=DISK, clock=SystemClock())
    if not quiet:
        for one in found:
            line(f"{clean(str(one.shard))}: {one.kept:,} lines kept, {one.bad:,} bad ones aside")
            line(f"  in {clean(str(one.quarantine))}")
        if not found:
            line("there is nothing to salvage")
    return [
        {"shard": str(one.shard), "kept": one.kept, "bad": one.bad, "quarantine": str(one.quarantine)} for one in found
    ]


def _say_verified(found: Report | FolderReport) -> None:
    from asyncgen.runs.verify import NAMED, FolderReport

    line(f"{clean(found.directory)}: {'wrong' if found.faults else 'ok'}")
    if isinstance(found, FolderReport):
        line(f"  {found.good:,} of {found.files:,} files hold a trace")
        _say_first(found.bad)
        return
    shards = f"shards: {found.sealed:,} sealed ({found.bytes:,} bytes), {found.open:,} open"
    line(f"  {shards}; whole lines: {found.lines:,}; traces: {found.traces:,}")
    if counts := found.counts:
        parts = ("done", "failed", "filtered", "skipped", "pending")
        line(f"  {counts.expected:,} expected = {' + '.join(f'{getattr(counts, part):,} {part}' for part in parts)}")
    for fault in found.faults:
        line(f"  wrong: {fault}")
    for finding in (found.bad, found.duplicates, found.foreign):
        _say_first(finding)
    for config_id, number in islice(found.unknown_configs.items(), NAMED):
        line(f"    config_id {one_line(config_id)[:60]!r}: {number:,} lines")
    for note in found.notes:
        line(f"  {one_line(note)}")


def _say_first(finding: Finding) -> None:
    for text in finding.first:
        line(f"    {one_line(text)[:300]}")
    if finding.count > len(finding.first):
        line(f"    … {finding.count - len(finding.first):,} more")


def _reasons(reasons: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{reason} {number:,}' for reason, number in reasons.items())})" if reasons else ""


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Figures to the right; the last column is a text."""
    lines = [head, *rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(head) - 1)]
    for row in lines:
        figures = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
        line("  " + "  ".join([*figures, row[-1]]))
