"""Rows, chunk files and runs of the maths job, made by hand; and what its steps must give, worked out another way.

The computations here share no code with asyncgen: plain loops over the whole data in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from support.runs_on_disk import make_run
from support.traces import message, trace_line, turn

from asyncgen.store.line import encode_line

Row = dict[str, Any]
MATH_SCORES = {"score": "float", "parse_success": "bool", "truncated": "bool"}


def question(index: int, *, truth: str | None = None) -> Row:
    """As in deepscaler_train.json."""
    text, answer = f"What is ${index} + 1$?", str(index + 1) if truth is None else truth
    return {
        "question": text,
        "gt_answer": answer,
        "answer": answer,
        "target": answer,
        "subject": f"subject {index % 3}",
        "level": index % 4,
        "data_source": "deepscaler",
        "prompt": [{"content": text, "role": "user"}],
        "ability": "math",
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "extra_info": {"answer": answer, "index": index, "level": index % 4, "split": "train"},
    }


def solution(index: int, number: int, *, right: bool) -> str:
    """With quotes, backslashes and brackets in it."""
    return f'Step {number}: {{"a": [1]}} so\n\\[x = 1\\] and \\boxed{{{index + 1 + (not right)}}}'


def rights(index: int, model: int, count: int = 8) -> list[bool]:
    """A pattern in which every class of question is there for two models."""
    kind = (index // 3 if model else index) % 3
    return [kind == 0 or (kind == 2 and (index + number) % 3 == 0) for number in range(count)]


def solved(row: Row, model: int, name: str, *, results: bool = False, count: int = 8) -> Row:
    """A row with a model's solutions."""
    index = row["extra_info"]["index"] if "extra_info" in row else 0
    pattern = rights(index, model, count)
    found = {
        **row,
        "model_solutions": [solution(index, number, right=right) for number, right in enumerate(pattern)],
        "model_name": name,
    }
    return {**found, "model_results": ["right" if right else "wrong" for right in pattern]} if results else found


def write_chunks(
    folder: Path, rows: Sequence[Row], name: str, size: int, *, dumps: Callable[[Any], str] = json.dumps
) -> Path:
    """As the scripts write them."""
    folder.mkdir(parents=True, exist_ok=True)
    for chunk, start in enumerate(range(0, len(rows), size)):
        part = [
            {**row, "chunk_id": chunk, "chunk_index": place} for place, row in enumerate(rows[start : start + size])
        ]
        (folder / f"{name}_chunk_{chunk:03d}.json").write_text(dumps(part))
    return folder


def math_line(row: Row, position: int, rollout: int, text: str, *, score: float, finish: str = "stop") -> bytes:
    """A trace of a math run."""
    cut = finish == "length"
    scores = {"score": 0.0 if cut else score, "parse_success": bool(text) and not cut, "truncated": cut}
    asked = [message("user", "solve")]
    line = trace_line(
        position,
        rollout,
        job="math",
        data=row,
        turns=[turn(1, text, messages=asked, finish_reason=finish)],
        scores=scores,
        stop="length" if cut else "answered",
    )
    return encode_line({**line, "answer": "x" if scores["parse_success"] else ""})


def math_run(directory: Path, lines: Iterable[bytes], *, rows: int, rollouts: int = 8, **more: Any) -> Path:
    """A run of the math job."""
    config = {
        "endpoints": [{"model": "lab/solver-7b"}],
        "episode": {"rollouts": rollouts},
        "dataset": {"path": "gone.json"},
    }
    described = {
        "task": "math",
        "config": {**config, **more.pop("config", {})},
        "scores": MATH_SCORES,
        "selection": {"selected": rows},
    }
    return make_run(directory, list(lines), name="math", run={**described, **more.pop("run", {})}, **more)


def class_by_hand(results: Sequence[str]) -> str:
    """Of one model."""
    right, wrong = results.count("right"), results.count("wrong")
    if not right and not wrong:
        return "unknown"
    if not wrong:
        return "all_right"
    return "all_wrong" if not right else "mixed"


def kept_by_hand(classes: Sequence[str], *, strict: bool) -> bool:
    """By the scripts' rule: not all of them all right, not all of them all wrong; and something to tell apart."""
    if strict:
        return "mixed" in classes
    same = [all(one == kind for one in classes) for kind in ("all_right", "all_wrong", "unknown")]
    return not any(same)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def by_index(rows: Iterable[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {row["extra_info"]["index"]: row for row in rows}
