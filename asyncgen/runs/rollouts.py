"""All rollouts of one sample.

Knows ids and row numbers, run directories and folders of trace_*.json. Reads only the lines that it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asyncgen.core.errors import InputError
from asyncgen.export.trace_folder import read_trace_json
from asyncgen.runs.reading import is_trace_folder, one_trace
from asyncgen.store.layout import KINDS
from asyncgen.store.line import id_key, line_key, parse_line
from asyncgen.store.read import run_directories, stored_lines


def rollouts_of(path: Path, which: str) -> list[dict[str, Any]]:
    """The traces of a sample, and the failures of rollouts without one, by rollout. `which` is a row number or the id
    of any of them; `""` is the sample of the first trace. Raises InputError where there is none.
    """
    index = _index(which or one_trace(path, "", 0)["id"])
    found = list(_of_folder(path, index) if is_trace_folder(path) else _of_run(path, index))
    if not found:
        one_trace(path, str(index), 0)  # says what there is
        raise InputError(f"{path} has no trace of row {index}")
    return sorted(found, key=lambda line: line["rollout"])


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
