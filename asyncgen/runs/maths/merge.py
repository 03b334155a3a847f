"""All solutions of one model in one file, a row a question, sorted by index; and what is missing.

Knows which commands' inputs are solutions. Does not know how they are read (`solution_set`) or counted
(`completeness`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import InputError
from asyncgen.export.json_array import whole_array
from asyncgen.export.solutions import TRUNCATED, Solutions, has_blank, is_blank, merged_row
from asyncgen.runs.lineage import is_file_output
from asyncgen.runs.maths.completeness import Original, check_complete
from asyncgen.runs.maths.faults import REPORT, Fault, Report, beside, forget_report, write_report
from asyncgen.runs.maths.solution_set import chunk_files, is_math_run, read_solutions
from asyncgen.runs.merge import Merged, merge
from asyncgen.runs.reading import in_a_run
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import read_run

NO_TRUTH = "the row has no answer: extra_info.answer, answer, gt_answer, reward_model.ground_truth, target are empty"


def is_of_solutions(paths: Sequence[Path], out: Path) -> bool:
    """Whether to merge means to merge solutions: one file of them, of files of solutions, folders of chunk files, and
    runs that score solutions; or one run directory, of such runs alone."""
    if is_file_output(out) and out.suffix != ".json":
        return False
    no_runs = any(path.is_file() or chunk_files(path) for path in paths)
    return all(map(_are_solutions, paths)) and (is_file_output(out) or not no_runs)


def _are_solutions(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".json"
    if chunk_files(path):
        return True
    try:
        runs = [read_run(directory) for directory in run_directories(path)]
    except InputError:
        return False
    return all(map(is_math_run, runs))


def merge_solutions(
    paths: Sequence[Path],
    out: Path,
    *,
    rollouts: int | None = None,
    original: Path | None = None,
    model: str = "",
) -> Report:
    """Write one model's solutions to `out`, and the report beside it. Raises InputError, DataError, OSError."""
    check_file(out, paths)
    rows = Original(original) if original else None
    with read_solutions(paths, model=model) as found:
        check_complete(found, rollouts=rollouts, original=rows)
        with whole_array(out) as file:
            for solutions in found:
                note_content(solutions, found.report)
                file.add(merged_row(solutions))
            forget_report(beside(out, REPORT))
    write_report(beside(out, REPORT), {"out": str(out), **found.report.json()})
    return found.report


def merge_runs(
    paths: Sequence[Path], out: Path, *, rollouts: int | None, original: Path | None, model: str, clock: Clock
) -> tuple[Merged, Report]:
    """One model's runs as one run directory, and what is missing, question by question, in a report beside it. Raises
    InputError, DataError, OSError."""
    rows = Original(original) if original else None
    with read_solutions(paths, model=model) as found:
        check_complete(found, rollouts=rollouts, original=rows)
        for solutions in found:
            note_content(solutions, found.report)
    forget_report(beside(out, REPORT))
    merged = merge(paths, out, clock=clock)
    write_report(beside(out, REPORT), {"out": str(out), **found.report.json()})
    return merged, found.report


def note_content(found: Solutions, report: Report, *, truth: str | None = None) -> None:
    """What is wrong with a question's own data. `truth`: by default the row's."""
    if not (found.truth if truth is None else truth):
        report.add(Fault.NO_TRUTH, NO_TRUTH, index=found.index, file=found.file)
    if not has_blank(found.texts):
        return
    blank = [number for number, text in enumerate(found.texts) if is_blank(text)]
    if found.is_judged:
        blank = [number for number in blank if found.results[number] != TRUNCATED]
    if blank:
        text = f"blank solutions: {', '.join(map(str, blank))}"
        report.add(Fault.EMPTY, text, index=found.index, file=found.file)


def check_file(out: Path, sources: Sequence[Path]) -> None:
    """Refuse an output that would hurt what is read. Raises InputError."""
    if out.suffix != ".json":
        raise InputError(f"-o {out}: solutions become one file named *.json")
    if out.is_dir():
        raise InputError(f"{out} is a folder: give -o a file named *.json")
    place = out.absolute().resolve()
    for source in sources:
        home = source.absolute().resolve()
        if place == home or home in place.parents:
            raise InputError(f"{out} is, or lies in, {source}, which is read; give another -o")
    if in_a_run(out):
        raise InputError(f"{out} lies in a run directory, which holds only what the run itself wrote; give another -o")
