"""The formats of `asyncgen export --to`, by name.

Knows which function writes a format. Knows nothing of where traces come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from asyncgen.core.types import Json
from asyncgen.export.critique_runs import write_critique_sft, write_verl_rl
from asyncgen.export.files import Counts
from asyncgen.export.jsonl import write_jsonl
from asyncgen.export.trace_json import write_trace_json

Format = Callable[[Callable[[], Iterable[Mapping[str, Json]]], Path], Counts]
"""`(read, out) → counts`; `read` gives the traces anew each time. Raises InputError for an `out` that it will not write
to.
"""

FORMATS: Final[Mapping[str, Format]] = {
    "trace-json": write_trace_json,
    "jsonl": write_jsonl,
    "critique-sft": write_critique_sft,
    "verl-rl": write_verl_rl,
}
