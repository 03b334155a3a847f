"""Where a run lives on disk, and whether somebody is at work there.

Knows the output directory, its partitions and its chunks. Loads nothing heavy: a second start is to be refused at once.
"""

from __future__ import annotations

from pathlib import Path

from asyncgen.config.schema import Job, chunk_of, parse_partition
from asyncgen.core.errors import InputError
from asyncgen.store.layout import OWN_NAMES, RUN_FILE, chunk_name, parse_chunk, parse_part, part_name
from asyncgen.store.run_file import read_run


def output_directory(job: Job) -> Path:
    """The run directory: with a partition or a chunk, a folder of its own in the output directory. Raises
    InputError, DataError."""
    out = Path(job.store.output_dir or _beside_output_file(job) or f"runs/{job.name}")
    partition = parse_partition(job.schedule.partition)
    parts = {one for path in _children(out) if (one := parse_part(path.name))}
    if (chunk := chunk_of(job.dataset)) is not None:
        return _chunk_directory(out, *chunk, parts=bool(parts))
    if any(parse_chunk(path.name) is not None for path in _children(out)):
        raise InputError(f"{out} holds chunks; give --chunk-id, or another --output-dir")
    if partition is None:
        if parts:
            total = max(parts)[1]
            raise InputError(f"{out} holds partitions of {total}; give --partition k/{total} or another --output-dir")
        return _usable(out)
    if (out / RUN_FILE).exists() or any(_children(out / "traces")):
        raise InputError(f"{out} is a run directory with traces of its own; give another --output-dir for partitions")
    other = {total for _, total in parts} - {partition[1]}
    if other:
        total = min(other)
        raise InputError(f"{out} holds partitions of {total}; give --partition k/{total} or another --output-dir")
    return _usable(out / part_name(*partition))


def _chunk_directory(out: Path, chunk: int, size: int, *, parts: bool) -> Path:
    """Chunks of one size lie beside each other, and nothing else does. Raises InputError, DataError."""
    if parts or (out / RUN_FILE).exists() or any(_children(out / "traces")):
        raise InputError(f"{out} holds another run; give another --output-dir for chunks")
    for path in _children(out):
        if parse_chunk(path.name) is None or not (path / RUN_FILE).exists():
            continue
        other = read_run(path).get("config", {}).get("dataset", {}).get("chunk_size")
        if other != size:
            raise InputError(f"{path} is a chunk of {other} rows, not {size}; give --chunk-size {other}")
    return _usable(out / chunk_name(chunk))


def _beside_output_file(job: Job) -> Path | None:
    """`X.run` of a job that writes `X.parquet`."""
    return Path(job.store.output_file).with_suffix(".run") if job.store.output_file else None


def _usable(directory: Path) -> Path:
    """A run directory, or what a start left of one that ended before `run.json` was there, or nothing yet."""
    if not (directory / RUN_FILE).exists():
        others = sorted(path.name for path in _children(directory) if path.name not in OWN_NAMES)
        if others:
            raise InputError(f"{directory} holds other things ({others[0]}) and no run; give another --output-dir")
    return directory


def _children(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
