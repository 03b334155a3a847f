"""`store.output_file`: the accepted traces of a run directory as one file, written when a start ends.

Knows where it may lie, when it is written, and what is told of it. Does not know what stands in it (`export`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from asyncgen.config.schema import Job, parse_partition
from asyncgen.core.errors import AsyncgenError, InputError, TemporaryError
from asyncgen.core.task import IMAGE_MARKER, Task
from asyncgen.core.types import Json
from asyncgen.store.layout import JOURNAL, KINDS, OWN_NAMES, QUARANTINE, RUN_FILE, part_name, sealed_shards
from asyncgen.store.sink import FULL

if TYPE_CHECKING:
    from asyncgen.export.files import Counts

FORMAT_OF = {".parquet": "verl-sft", ".jsonl": "jsonl"}
"""By suffix."""


class _Stopped(Exception):
    """In the thread that writes: nobody waits for the file any more."""


def output_file(job: Job) -> Path | None:
    """Where it goes; a partition has one of its own, `X-part-kkk-of-KKK.parquet`."""
    if not job.store.output_file:
        return None
    path = Path(job.store.output_file)
    partition = parse_partition(job.schedule.partition)
    return path.with_name(f"{path.stem}-{part_name(*partition)}{path.suffix}") if partition else path


def check_output_file(job: Job, task: Task, directory: Path) -> None:
    """Refuse one that could not be written at the end, or would hurt what is there. Raises InputError."""
    path = output_file(job)
    if path is None:
        return
    name = f"store.output_file {str(path)!r}"
    if path.suffix not in FORMAT_OF:
        raise InputError(f"{name} ends in neither .parquet nor .jsonl: give a name that does")
    if path.is_dir():
        raise InputError(f"{name} is a folder: give the name of a file")
    if path.suffix == ".parquet" and (IMAGE_MARKER in task.user or task.image):
        raise InputError(f"{name}: the job has pictures, and verl-sft has no place for them; give a name in .jsonl")
    if _is_the_runs_own(path.resolve(), directory.resolve()):
        raise InputError(f"{name} has a place in the run directory {directory} that is the run's own; give another")
    if _is_read(path.resolve(), Path(job.dataset.path).absolute()):
        raise InputError(f"{name} lies in the dataset {job.dataset.path}, which is read; give another")
    folder = next(one for one in path.absolute().parents if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{name} cannot be written: {folder} is no folder that you may write to; give another")


def _is_the_runs_own(path: Path, directory: Path) -> bool:
    """Its folders and files, the directory itself, and what would have to be a file in its place."""
    if path == directory or path in directory.parents:
        return True
    inside = path.relative_to(directory).parts if path.is_relative_to(directory) else ("",)
    return inside[0] in {*KINDS, JOURNAL, QUARANTINE} or (len(inside) == 1 and inside[0] in {*OWN_NAMES, RUN_FILE})


def _is_read(path: Path, dataset: Path) -> bool:
    """Whether it is a file of the dataset, would be one, or lies in its folder."""
    place = dataset.resolve()
    return path == place or (place.is_dir() and place in path.parents) or path.match(str(dataset))


def output_note(job: Job) -> Iterator[str]:
    """A line for the user, where a partition has a file of its own."""
    if job.schedule.partition and (path := output_file(job)):
        yield f"the accepted traces of this partition alone go to {path}"


async def write_output(
    job: Job, directory: Path, say: Callable[[str], None], error: BaseException | None = None
) -> BaseException | None:
    """Write it, unless it is younger than every shard, or there is none. `say` takes lines for the user; `error` is
    what ended the start.

    Returns that, or else why the file is not there: nothing that is saved is in danger then, and an older file stays.
    """
    path = output_file(job)
    if path is None or not _is_due(path, directory):
        if path is not None and path.exists():
            say(f"{path} is younger than all traces of {directory}: left as it is")
        return error
    say(f"writing {path}")
    stop = threading.Event()
    try:
        counts = await asyncio.to_thread(_write, path, directory, stop)
    except (AsyncgenError, OSError) as problem:
        unwritten = _unwritten(path, directory, problem) if isinstance(problem, OSError) else problem
        if error is not None:  # which is told at the very end, alone
            say(str(unwritten))
        return error or unwritten
    finally:
        stop.set()
    say(f"{counts.traces:,} traces in {path}")
    for text in counts.notes:
        say(text)
    return error


def _is_due(path: Path, directory: Path) -> bool:
    shards = [shard.stat().st_mtime_ns for shard in sealed_shards(directory, "traces")]
    return bool(shards) and (not path.exists() or path.stat().st_mtime_ns < max(shards))


def _write(path: Path, directory: Path, stop: threading.Event) -> Counts:
    from asyncgen.export.files import Traces
    from asyncgen.export.formats import FORMATS
    from asyncgen.export.verl_sft import is_accepted
    from asyncgen.runs.reading import configs_of, traces_of

    def accepted() -> Iterator[dict[str, Json]]:
        for trace in traces_of([directory]):
            if stop.is_set():
                raise _Stopped
            if is_accepted(trace):
                yield trace

    return FORMATS[FORMAT_OF[path.suffix]](Traces(accepted, configs_of([directory])), path)


def _unwritten(path: Path, directory: Path, error: OSError) -> InputError | TemporaryError:
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    full = error.errno in FULL
    mend = "make room" if full else "mend that"
    text = (
        f"cannot write {path}: {code} ({error.strerror or error}); the traces are safe in {directory}: {mend}, then "
        "run the same command again"
    )
    return TemporaryError(text) if full else InputError(text)
