"""All solutions of one model in one file, a row a question, sorted by index; and what is missing.

Knows which commands' inputs are solutions. Does not know how they are read (`solution_set`) or counted
(`completeness`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncgen.core.errors import InputError
from asyncgen.export.json_array import whole_array
from asyncgen.export.solutions import TRUNCATED, Solutions, has_blank, is_blank, merged_row
from asyncgen.runs.maths.completeness import Original, check_complete
from asyncgen.runs.maths.faults import Fault, Report, beside, write_report
from asyncgen.runs.maths.solution_set import chunk_files, read_solutions
from asyncgen.runs.reading import in_a_run
from asyncgen.store.read import run_directories
from asyncgen.store.run_file import read_run

REPORT = "report"
NO_TRUTH = "the row has no answer: extra_info.answer, answer, gt_answer, reward_model.ground_truth, target are empty"


def are_solutions(paths: Sequence[Path]) -> bool:
    """Whether all paths are files of solutions, folders of chunk files, or runs that score solutions."""
    return all(_is_of_solutions(path) for path in paths)


def _is_of_solutions(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".json"
    if chunk_files(path):
        return True
    try:
        runs = [read_run(directory) for directory in run_directories(path)]
    except InputError:
        return False
    return all(run.get("task") == "math" or "truncated" in run.get("scores", {}) for run in runs)


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
    write_report(beside(out, REPORT), {"out": str(out), **found.report.json()})
    return found.report


def note_content(found: Solutions, report: Report) -> None:
    """What is wrong with a question's own data."""
    if not found.truth:
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
