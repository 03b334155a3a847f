"""What the commands of the maths job say of what they did: `merge` of solutions, `filter-mixed`, `critique-set`,
`critique-format`.

Knows how counts are told, and which of them make an exit code. Does not know how a file is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncgen.cli.output import line, print_json
from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import DataError, InputError
from asyncgen.view.tables import Table, render_text
from asyncgen.view.terminal import clean, note, one_line

if TYPE_CHECKING:
    from asyncgen.export.critiques import Drawing
    from asyncgen.rewards.maths import Rule
    from asyncgen.runs.maths.faults import Report
    from asyncgen.runs.maths.mix import Filtered, Filtering

NAMED = 5
"""Faults of each kind that are shown."""
MOST_VALUES = 20
"""Lines of a table of values."""
OUTCOMES: Mapping[str, str] = {
    "mixed": "right and wrong by one model",
    "differ": "all right by one model, not by another",
    "wrong_or_unknown": "all wrong by one, unknown by another",
    "all_right": "all right by all models",
    "all_wrong": "all wrong by all models",
    "unknown": "neither right nor wrong by any model",
    "missing": "no solution of a model",
    "no_truth": "no answer to compare with",
}


def merge_solved(
    paths: Sequence[Path],
    output: Path,
    *,
    rollouts: int | None,
    original: Path | None,
    model: str,
    allow_missing: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """One file of solutions, or one run directory, and what is missing, question by question."""
    from asyncgen.cli.derived import say_merged
    from asyncgen.runs.lineage import is_file_output
    from asyncgen.runs.maths.merge import merge_runs, merge_solutions

    merged = None
    if is_file_output(output):
        report = merge_solutions(paths, output, rollouts=rollouts, original=original, model=model)
    else:
        clock = SystemClock()
        merged, report = merge_runs(paths, output, rollouts=rollouts, original=original, model=model, clock=clock)
    if as_json:
        print_json({**merged.json(), "solutions": report.json()} if merged else {"out": str(output), **report.json()})
    else:
        if merged:
            say_merged(merged)
        _say_complete(report, output)
    is_enough = report.is_complete or (allow_missing and not strict)
    return 0 if is_enough and not (strict and merged and not merged.complete) else DataError.exit_code


def _say_complete(report: Report, output: Path) -> None:
    from asyncgen.runs.maths.faults import REPORT, beside

    name = f" of {', '.join(map(one_line, report.models))}" if report.models else ""
    line(f"{report.questions:,} questions, {report.solutions:,} solutions{name}: {clean(str(output))}")
    _say_faults(report)
    each = f", {report.rollouts} solutions a question" if report.rollouts else ""
    line(f"nothing is missing{each}" if report.is_complete else "incomplete")
    if report.faults:
        line(f"all of it by index: {clean(str(beside(output, REPORT)))}")


def _say_faults(report: Report) -> None:
    from asyncgen.runs.maths.faults import Fault, of_kind

    label = f"{report.label}: " if report.label else ""
    for kind in Fault:
        found = of_kind(report.faults, kind)
        if not found:
            continue
        line(f"{label}{kind.replace('_', ' ')}: {len(found):,}")
        for fault in islice(found, NAMED):
            line(f"  {one_line(str(fault))[:300]}")
        if len(found) > NAMED:
            line(f"  … {len(found) - NAMED:,} more")


def export_chunks(
    paths: Sequence[Path], output: Path, *, size: int, partial: bool, where: str | None, as_json: bool
) -> int:
    """Chunk files, and which chunks are not whole."""
    from asyncgen.runs.maths.chunks import write_chunks

    if where:
        raise InputError("--where: a chunk has all solutions of its rows; filter the run first (asyncgen filter)")
    found = write_chunks(paths, output, size=size, partial=partial)
    if as_json:
        return print_json(found.json())
    line(f"{found.questions:,} questions in {found.files:,} chunk files: {clean(found.out)}")
    if found.left_out_chunks:
        line(f"not whole and left out (--partial writes them): chunks {_first(found.left_out_chunks)}")
    if found.partial:
        line(f"not whole: chunks {_first(found.partial)}")
    if found.left_out:
        line(f"questions in no file, for want of solutions: {_first(found.left_out)}")
    for text in found.unnamed:
        line(one_line(text)[:300])
    if found.leftover:
        note(f"{found.leftover:,} older files of this kind were there already and stay")
    return 0


def _first(numbers: Sequence[int]) -> str:
    """How many, and the first of them."""
    return f"{len(numbers):,}: {', '.join(map(str, numbers[:NAMED]))}{', …' if len(numbers) > NAMED else ''}"


def filter_solutions(wanted: Filtering, output: Path, *, allow_missing: bool, as_json: bool) -> int:
    """What is kept, and the counts of each class."""
    from asyncgen.rewards.maths import judge_many
    from asyncgen.runs.maths.mix import filter_mixed

    found = filter_mixed(wanted, output, judge_many, clock=SystemClock())
    if as_json:
        print_json(found.json())
    else:
        _say_filtered(found)
    return 0 if allow_missing or found.is_complete else DataError.exit_code


def _say_filtered(found: Filtered) -> None:
    from asyncgen.export.mixed import Outcome, is_kept
    from asyncgen.runs.maths.faults import COUNTS, beside

    figures = found.json()
    kept = f"{figures['kept']:,} of {figures['questions']:,} questions kept, {figures['dropped']:,} dropped"
    line(f"{kept}: {clean(found.out)}")
    rows = [
        (OUTCOMES[name], "kept" if is_kept(Outcome(name), strict=figures["strict"]) else "dropped", f"{count:,}")
        for name, count in figures["outcomes"].items()
    ]
    line(render_text(Table("questions", ("what they are", "", "questions"), rows)))
    models = figures["models"]
    for title, part in (("questions by model", "classes"), ("solutions by model", "solutions")):
        names = list(next(iter(models.values()))[part])
        cells = [(label, *(f"{model[part][name]:,}" for name in names)) for label, model in models.items()]
        line(render_text(Table(title, ("model", *(name.replace("_", " ") for name in names)), cells)))
    for report in found.reports:
        _say_faults(report)
    for label, indexes in found.missing.items():
        if indexes:
            line(f"{label} has no solutions of these questions, which are left out: {_first(indexes)}")
    _say_judged(found.judged, found.judge_seconds)
    line(f"all of it: {clean(str(beside(Path(found.out), COUNTS)))}")


def _say_judged(count: int, seconds: float) -> None:
    if count:
        line(f"{count:,} solutions had no results and were judged in {seconds:,.1f} s")


def make_critique_set(source: Path, output: Path, drawing: Drawing, rule: Rule, *, analyze: bool, as_json: bool) -> int:
    """The set, and what is not in it."""
    from asyncgen.rewards.maths import judge_many
    from asyncgen.runs.maths.critiques import write_critique_set

    found = write_critique_set(source, output, drawing, judge_many, rule, clock=SystemClock())
    if as_json:
        return print_json(found.json())
    line(f"{found.rows:,} solutions of {found.questions:,} questions: {clean(found.out)}")
    for what, count in sorted(found.left_out.items()):
        line(f"left out, {one_line(what).replace('_', ' ')}: {count:,} solutions")
    for one in islice(found.no_text, NAMED):
        line(f"  {one_line(str(one))[:300]}")
    if len(found.no_text) > NAMED:
        line(f"  … {len(found.no_text) - NAMED:,} more")
    for what, indexes in (
        ("no solution right or wrong", found.no_candidate),
        ("no question or answer", found.no_truth),
    ):
        if indexes:
            line(f"questions with {what}: {_first(indexes)}")
    _say_judged(found.judged, found.judge_seconds)
    if analyze:
        _say_figures(found.figures.json())
    return 0


def make_formatted(source: Path, output: Path, parquet: Path | None, *, analyze: bool, as_json: bool) -> int:
    """The training rows."""
    from asyncgen.runs.maths.critiques import write_formatted

    found = write_formatted(source, output, parquet)
    if as_json:
        return print_json(found.json())
    files = " and ".join(clean(path) for path in (found.out, found.parquet) if path)
    line(f"{found.rows:,} rows: {files}")
    if analyze:
        _say_figures(found.figures.json())
    return 0


def _say_figures(figures: Mapping[str, Any]) -> None:
    rows, right, wrong = figures["rows"], figures["right"], figures["wrong"]
    line(f"{rows:,} rows: {right:,} right ({_share(right, rows)}), {wrong:,} wrong ({_share(wrong, rows)})")
    characters = figures["characters"]
    line(f"characters of a solution: about {characters['median']:,} in the middle, {characters['longest']:,} at most")
    for name in ("model", "subject", "level", "length"):
        found = figures[f"by_{name}"]
        more = len(found) - MOST_VALUES
        note = f"… {more:,} more" if more > 0 else ""
        line(render_text(Table(f"by {name}", (name, "rows", "right", "wrong"), list(_cells(found)), note)))


def _cells(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    for one in islice(found, MOST_VALUES):
        yield str(one["value"]), f"{one['rows']:,}", f"{one['right']:,}", f"{one['wrong']:,}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
