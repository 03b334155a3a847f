"""The formats of `asyncgen export --to`, by name.

Knows which function writes a format. Knows nothing of where traces come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from asyncgen.export.critique_runs import write_critique_sft, write_verl_rl
from asyncgen.export.files import Counts, Traces
from asyncgen.export.jsonl import write_jsonl
from asyncgen.export.trace_json import write_trace_json
from asyncgen.export.verl_sft import write_verl_sft

Format = Callable[[Traces, Path], Counts]
"""`(traces, out) → counts`. Raises InputError for an `out` that it will not write to, and for traces that it has no
place for.
"""

FORMATS: Final[Mapping[str, Format]] = {
    "trace-json": write_trace_json,
    "jsonl": write_jsonl,
    "critique-sft": write_critique_sft,
    "verl-rl": write_verl_rl,
    "verl-sft": write_verl_sft,
}
