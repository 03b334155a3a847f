"""One line a trace, as in a shard but without its checksum.

Knows the file's name in a folder. Knows nothing of the keys of a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import orjson

from asyncgen.core.types import Json
from asyncgen.export.files import Counts, whole_file

FILE_NAME = "traces.jsonl"


def write_jsonl(read: Callable[[], Iterable[Mapping[str, Json]]], out: Path) -> Counts:
    """Write the traces to `out` if that is named `*.jsonl` and no folder, else to `out/traces.jsonl`; whole or not at
    all, an older one is replaced.

    `crc` is left out: it is the checksum of a shard's line, and a trainer has no use for it.
    """
    path = out if out.suffix == ".jsonl" and not out.is_dir() else out / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with whole_file(path) as file:
        for trace in read():
            file.write(orjson.dumps({key: trace[key] for key in trace if key != "crc"}))
            file.write(b"\n")
            written += 1
    return Counts(out=path, traces=written, files=1)
