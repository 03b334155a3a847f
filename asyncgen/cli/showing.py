"""`show`: one trace as a conversation, all rollouts of its sample side by side, its pictures as files.

Knows which flags go together, what is read and what renders it. Does not know how a run lies on disk.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncgen.cli.output import line, print_json
from asyncgen.core.errors import InputError
from asyncgen.runs.reading import is_trace_folder, one_trace, truth_columns
from asyncgen.view.terminal import clean, note


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The flags of `show`."""

    rollout: int | None = None
    rollouts: bool = False
    turn: int | None = None
    raw: bool = False
    images: Path | None = None
    dataset_path: Path | None = None
    json: bool = False


def show_trace(directory: Path, which: str, wanted: Wanted) -> int:
    """Print what is wanted of a trace, or of its sample."""
    from asyncgen.runs.rollouts import first_of_rollout

    _refuse_together(wanted)
    if wanted.rollouts:
        return _side_by_side(directory, which, wanted)
    if not which and wanted.rollout is not None:
        trace = first_of_rollout(directory, wanted.rollout)
    else:
        trace = one_trace(directory, which, wanted.rollout or 0)
    files = None if wanted.images is None else _pictures(directory, trace, wanted.images, wanted.dataset_path)
    if wanted.json:
        return print_json(trace if files is None else {**trace, "files": [str(path) for path in files]})
    if files is not None:
        for path in files:
            line(clean(str(path)))
        return 0
    from asyncgen.view.show import render_trace

    line(render_trace(trace, turn=wanted.turn, raw=wanted.raw, truth=truth_columns(directory)))
    return 0


def _refuse_together(wanted: Wanted) -> None:
    if wanted.rollouts and (wanted.turn is not None or wanted.raw or wanted.images or wanted.rollout is not None):
        raise InputError("--rollouts shows all of a sample; leave --rollout, --turn, --raw and --images away")
    if wanted.images and (wanted.turn is not None or wanted.raw):
        raise InputError("--images writes files and shows no text; leave --turn and --raw away")
    if wanted.dataset_path and not wanted.images:
        raise InputError("--dataset-path says where the pictures are; give it with --images DIR")


def _side_by_side(directory: Path, which: str, wanted: Wanted) -> int:
    from asyncgen.runs.rollouts import rollouts_of
    from asyncgen.view.compare import render_rollouts

    found = rollouts_of(directory, which)
    if wanted.json:
        return print_json(found)
    width = shutil.get_terminal_size((120, 24)).columns
    line(render_rollouts(found, width=width, truth=truth_columns(directory)))
    return 0


def _pictures(directory: Path, trace: dict[str, Any], folder: Path, dataset_path: Path | None) -> list[Path]:
    """The files. What the trace cannot say of its pictures is told on stderr."""
    from asyncgen.runs.drawing import write_pictures
    from asyncgen.runs.opened import Run

    of_row = is_trace_folder(directory)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        image_root = Run.open(directory).image_root
        files = write_pictures(trace, folder, of_row=of_row, dataset_path=dataset_path, image_root=image_root)
    for one in said:
        note(str(one.message))
    if of_row:
        note(f"{trace['id']} does not name its pictures: these are its row's own, and no crops")
    elif not files:
        note(f"{trace['id']} has no pictures")
    return files
