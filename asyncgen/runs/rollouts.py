"""All rollouts of one sample.

Knows ids and row numbers, run directories and folders of trace_*.json. Reads only the lines that it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.export.trace_folder import read_trace_json
from asyncgen.runs.reading import FIRST, is_trace_folder, one_trace, traces_of
from asyncgen.store.layout import KINDS
from asyncgen.store.line import id_key, line_key, parse_line
from asyncgen.store.read import run_directories, stored_lines


def rollouts_of(path: Path, which: str) -> list[dict[str, Any]]:
    """The traces of a sample, and the failures of rollouts without one, by rollout. `which` is a row number or the id
    of any of them; `""` is the sample of the first trace. Raises InputError where there is none.
    """
    of_files = is_trace_folder(path)
    by_id = not which or (of_files and "/" in which)  # a file's number, and so its id, need not be its row's
    index = one_trace(path, which, 0)["sample_index"] if by_id else _index(which)
    found = list(_of_folder(path, index) if of_files else _of_run(path, index))
    if not found:
        raise InputError(f"{path} has no trace {which}{_known(path)}")
    return sorted(found, key=lambda line: line["rollout"])


def first_of_rollout(path: Path, rollout: int) -> dict[str, Any]:
    """The first stored trace that is its sample's rollout of that number. Raises InputError where there is none."""
    if is_trace_folder(path):
        found = next((trace for trace in read_trace_json(path) if trace["rollout"] == rollout), None)
    else:
        lines = (stored.line for stored in stored_lines(run_directories(path)))
        found = next((parse_line(line) for line in lines if line_key(line)[1] == rollout), None)
    if found is None:
        raise InputError(f"{path} has no trace of rollout {rollout}{_known(path)}")
    return found


def _known(path: Path) -> str:
    """What is there, in words that follow what is not."""
    first = list(islice(traces_of([path]), FIRST))
    if not first:
        return ": it has no traces yet"
    rows = list(dict.fromkeys(str(trace["sample_index"]) for trace in first))
    named = f"{'row' if len(rows) == 1 else 'rows'} {', '.join(rows)}"
    return f"; the first that it has: {', '.join(trace['id'] for trace in first)} ({named})"


def _index(which: str) -> int:
    try:
        return id_key(which)[0] if "/" in which else int(which)
    except ValueError:
        raise InputError(f"{which!r} is no trace id; give JOB/INDEX/ROLLOUT or a row number") from None


def _of_run(path: Path, index: int) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        for stored in stored_lines(run_directories(path), kind):
            if line_key(stored.line)[0] == index:
                yield parse_line(stored.line)


def _of_folder(path: Path, index: int) -> Iterator[dict[str, Any]]:
    return (trace for trace in read_trace_json(path) if trace["sample_index"] == index)
