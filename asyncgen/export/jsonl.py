"""One line a trace, as in a shard but without its checksum.

Knows the file's name in a folder. Knows nothing of the keys of a trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from asyncgen.core.types import Json
from asyncgen.export.files import Counts, prepare_folder, whole_file

FILE_NAME = "traces.jsonl"


def write_jsonl(traces: Iterable[Mapping[str, Json]], out: Path) -> Counts:
    """Write the traces to `out` if that is named `*.jsonl`, else to `out/traces.jsonl`; whole or not at all.

    `crc` is left out: it is the checksum of a shard's line, and a trainer has no use for it. Raises InputError if the
    folder holds anything else.
    """
    if out.suffix == ".jsonl" and not out.is_dir():
        out.parent.mkdir(parents=True, exist_ok=True)
        path = out
    else:
        prepare_folder(out, re.compile(re.escape(FILE_NAME)))
        path = out / FILE_NAME
    written = 0
    with whole_file(path) as file:
        for trace in traces:
            file.write(orjson.dumps({key: trace[key] for key in trace if key != "crc"}))
            file.write(b"\n")
            written += 1
    return Counts(traces=written, files=1)
