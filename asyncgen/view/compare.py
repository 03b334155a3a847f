"""Rollouts of one sample side by side: what came of each, then their last texts.

Knows the keys of a trace line and the width of a terminal. Every text is cleaned; columns count cells, not characters.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from asyncgen.core.types import Json
from asyncgen.view.show import truth_text, value_text
from asyncgen.view.terminal import clean, one_line

NARROWEST = 28
"""Cells of a column; where fewer fit, columns go below each other. Four have room in 130."""
LONGEST = 20_000
"""Characters of a text that are shown."""
LABEL = 10
"""Cells of what stands before a row."""
_GAP = 2

Line: TypeAlias = Mapping[str, Json]


def render_rollouts(lines: Sequence[Line], *, width: int, truth: Sequence[str] = ()) -> str:
    """Traces (or lines of `failed/`) of one sample in columns, in blocks of as many as fit into `width` cells.

    `truth`: the columns to show above, by default those of the built-in tasks.
    """
    job, index, _ = str(lines[0]["id"]).split("/")
    known: Json = next((line["sample_data"] for line in lines if line["sample_data"]), {})
    said = truth_text(known, truth)
    count = f"{len(lines)} rollouts" if len(lines) > 1 else "1 rollout"
    all_accepted = all(line["metadata"].get("accepted", True) for line in lines if "reason" not in line)
    silent = {"accepted"} if all_accepted else set()
    fitting = max(1, min(len(lines), (width - LABEL) // (NARROWEST + _GAP)))
    cells = max(1, (width - LABEL) // fitting - _GAP)
    blocks = [_block(lines[start : start + fitting], cells, silent) for start in range(0, len(lines), fitting)]
    return "\n\n".join([f"{job}/{index}: {count}" + (f"   truth: {said}" if said else ""), *blocks])


def _facts(line: Line) -> dict[str, str]:
    """The rows at the top; `""` where there is nothing to say."""
    scores, metadata = line["reward_score"], line["metadata"]
    parsed = scores.get("parse_success", True)
    failed = "reason" in line
    distance = scores.get("distance@km") if parsed else None  # without an answer it is a stand-in
    return {
        "rollout": str(line["rollout"]),
        "failed": one_line(f"{line['reason']}: {line['error']}") if failed else "",
        "answer": one_line(line["answer"]) or ("" if failed else "none"),
        "score": "" if failed else _figure(scores.get("score")),
        "distance": f"{_figure(distance)} km" if distance is not None else "",
        "turns": str(metadata["total_turns"]),
        "calls": str(metadata["num_tool_calls"] or ""),
        "tokens": _tokens(metadata),
        "stop": one_line(metadata["stop"]),
        "accepted": "" if failed else "yes" if metadata.get("accepted", True) else "no",
    }


def _tokens(metadata: Mapping[str, Json]) -> str:
    prompt, completion = metadata["prompt_tokens"], metadata["completion_tokens"]
    return f"{prompt:,} + {completion:,}" if prompt or completion else ""


def _figure(value: Json) -> str:
    return "" if value is None else value_text(value)


def _block(lines: Sequence[Line], cells: int, silent: Collection[str]) -> str:
    """`silent`: rows that say nothing."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column(width=LABEL - _GAP, no_wrap=True)
    for _ in lines:
        table.add_column(width=cells, overflow="fold")
    facts = [_facts(line) for line in lines]
    for name in facts[0]:
        if name not in silent and any(one[name] for one in facts):
            table.add_row(name, *(Text(one[name]) for one in facts))
    table.add_row()
    table.add_row("response", *(Text(_cut(clean(line["final_response"]))) for line in lines))
    out = io.StringIO()
    width = LABEL + len(lines) * (cells + _GAP)
    Console(file=out, width=width, color_system=None, force_terminal=False).print(table)
    return "\n".join(row.rstrip() for row in out.getvalue().rstrip().split("\n"))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… and {len(text) - LONGEST:,} characters more"
