"""What a run of the critique job is for: rows to finetune a critic on, and rows to train one by reinforcement.

Knows the rows of the critique set, before and after formatting, within traces. Does not know which critiques agree: a
trace says whether it is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.export.critique_format import Level, NoCritiqueError, WiderError, formatted, whole_parquet
from asyncgen.export.critiques import INSTRUCTION
from asyncgen.export.files import Counts, whole_file
from asyncgen.export.in_order import InOrder
from asyncgen.export.json_array import whole_array
from asyncgen.store.index import DoneIndex
from asyncgen.store.line import dump

SFT_NAME: Final = "critique_sft.json"
SFT_SUFFIXES: Final = (".json", ".jsonl")
"""An array, and a line a row."""
RL_NAME: Final = "train.parquet"
RL_SUFFIXES: Final = (".parquet",)
_FILES: Final = frozenset({*SFT_SUFFIXES, *RL_SUFFIXES})

Read = Callable[[], Iterable[Mapping[str, Json]]]


def write_critique_sft(read: Read, out: Path) -> Counts:
    """The accepted critiques as `instruction`, `input`, `output`, by row and rollout: to `out` if that is named
    `*.json` or `*.jsonl` and no folder, else to `out/critique_sft.json`; whole or not at all, an older one is replaced.
    Raises InputError for other traces."""
    path = _file(out, SFT_NAME, SFT_SUFFIXES)
    with InOrder(path.parent) as rows:
        for trace in read():
            if trace["metadata"].get("accepted") is True:
                rows.add(int(trace["sample_index"]), int(trace["rollout"]), sft_row(trace))
        if path.suffix == ".jsonl":
            with whole_file(path) as lines:
                lines.writelines(dump(row) + b"\n" for row in rows)
        else:
            with whole_array(path) as array:
                for row in rows:
                    array.add(row)
        return Counts(out=path, traces=len(rows), files=1)


def sft_row(trace: Mapping[str, Any]) -> dict[str, Json]:
    """One critique. Raises InputError."""
    row = trace["sample_data"]
    extra = row.get("extra_info")
    solution = row.get("solution") or (extra.get("solution") if isinstance(extra, Mapping) else None)
    question = row.get("question")
    if not isinstance(question, str) or not isinstance(solution, str):
        raise InputError(f"{trace['id']}: its row has no question with a solution; critique-sft is of the critique job")
    critique = str(trace["final_response"])
    return {"instruction": INSTRUCTION, "input": f"Question:\n{question}\n\nSolution:\n{solution}", "output": critique}


def write_verl_rl(read: Read, out: Path) -> Counts:
    """The row of each trace once, whatever the critiques, in the structure of the training data and in the order of the
    dataset: to `out` if that is named `*.parquet` and no folder, else to `out/train.parquet`; whole or not at all, an
    older one is replaced. Raises InputError for traces of another job."""
    path, level, seen = _file(out, RL_NAME, RL_SUFFIXES), Level(), DoneIndex()
    with InOrder(path.parent) as rows:
        for trace in read():
            if seen.add(index := int(trace["sample_index"]), 0):
                rows.add(index, 0, rl_row(trace))
        while True:
            try:
                with whole_parquet(path, level) as table:
                    for row in rows:
                        table.add(row)
            except WiderError:  # of another type than the levels before: at most twice
                continue
            return Counts(out=path, traces=len(rows), files=1)


def rl_row(trace: Mapping[str, Any]) -> dict[str, Json]:
    """The trace's row, formatted if it is not yet. Raises InputError."""
    row = dict(trace["sample_data"])
    try:
        if isinstance(row.get("prompt"), list):
            return _formatted_anew(row)
        return formatted(row, int(trace["sample_index"]))
    except NoCritiqueError as error:
        raise InputError(f"{trace['id']}: {error}; verl-rl is of the critique job") from error


def _formatted_anew(row: Mapping[str, Any]) -> dict[str, Json]:
    """A formatted row, its types looked at as those of a new one. Raises NoCritiqueError."""
    prompt, extra = row["prompt"], row.get("extra_info")
    first = prompt[0] if prompt else None
    if not isinstance(first, Mapping) or not isinstance(extra, Mapping) or len(prompt) > 1:
        raise NoCritiqueError("its prompt is not one message, or it has no 'extra_info'")
    place = extra.get("index")
    bare = {
        **row,
        "prompt": first.get("content"),
        "solution": extra.get("solution"),
        "gt_answer": extra.get("question_gt_answer"),
    }
    return formatted(bare, place if type(place) is int else 0)


def _file(out: Path, name: str, suffixes: Sequence[str]) -> Path:
    """Raises InputError for the name of a file of another kind: no folder is meant by it."""
    if out.is_dir() or out.suffix not in _FILES:
        return out / name
    if out.suffix not in suffixes:
        raise InputError(f"-o {out}: this export writes *{' or *'.join(suffixes)}; give such a file, or a folder")
    return out
