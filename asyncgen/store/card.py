"""The dataset card, `DIR/README.md`: the trace's features written down, so that `load_dataset("DIR")` guesses nothing.

Inference from the first 10 MB fails on any run whose first calls, or non-empty lists, come later. The features are read
off the trace's dataclasses. Knows Hugging Face's YAML of features; does not import `datasets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

from asyncgen.core.trace import Trace
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import CARD_FILE

_DTYPES: Mapping[type, str] = {str: "string", int: "int64", float: "float64", bool: "bool"}
_EXACT = ("sample_data", "final_response", "answer")
"""As Json: a string column whose values all look like dates would come back altered."""
METADATA: Mapping[str, type] = {
    "total_turns": int,
    "num_tool_calls": int,
    "stop": str,
    "tool_mode": str,
    "accepted": bool,
    "prompt_tokens": int,
    "completion_tokens": int,
    "seconds": float,
    "resumed_at_turn": int,
    "attempts": int,
}
"""What every trace has there; what a job adds is its headline."""
REUSED_FROM = "reused_from"
"""A text more, before the headline, in a run that took over traces of an older one: that one's directory, `""` of the
run's own traces."""
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)

Feature: TypeAlias = dict[str, Any]
"""`{"name": …, "dtype" | "struct" | "list": …}`."""


def write_card(
    directory: Path,
    *,
    name: str,
    score_types: Mapping[str, type],
    headline_types: Mapping[str, type],
    traces: int = 0,
    parts: str = "",
    files: FileLayer,
) -> None:
    """Write the card, atomically. `traces`: how many the run is to have, 0 = not known. `parts`: for the folder that
    holds a run's partitions or chunks, the pattern of their names. Raises OSError."""
    text = card_text(name=name, score_types=score_types, headline_types=headline_types, traces=traces, parts=parts)
    files.atomic_write(directory / CARD_FILE, text.encode())


def card_text(
    *,
    name: str,
    score_types: Mapping[str, type],
    headline_types: Mapping[str, type],
    traces: int = 0,
    parts: str = "",
) -> str:
    """The card's YAML front matter and text."""
    import yaml

    front: dict[str, Any] = {
        "pretty_name": name,
        "configs": [{"config_name": "default", "data_files": f"{parts}{'/' if parts else ''}traces/*.jsonl"}],
        "dataset_info": {"config_name": "default", "features": trace_features(score_types, headline_types)},
    }
    if traces:
        front["size_categories"] = [next((label for limit, label in _SIZES if traces < limit), "n>100M")]
    header = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n{_TEXT.format(name=name)}"


def trace_features(score_types: Mapping[str, type], headline_types: Mapping[str, type]) -> list[Feature]:
    """The columns of a line in `traces/`, in order, as `datasets.Features._to_yaml_list()` writes them."""
    hints = get_type_hints(Trace)
    columns: list[Feature] = []
    for column in (field.name for field in fields(Trace)):
        if column in _EXACT:
            columns.append({"name": column, "dtype": "json"})
        elif column == "reward_score":
            columns.append({"name": column, "struct": _struct(score_types)})
        elif column == "metadata":
            columns.append({"name": column, "struct": _struct({**METADATA, **headline_types})})
        else:
            columns.append(_feature(column, hints[column]))
    return [*columns, _feature("crc", str)]


def _struct(types: Mapping[str, Any]) -> list[Feature]:
    return [_feature(name, kind) for name, kind in types.items()]


def _feature(name: str, kind: Any) -> Feature:
    if get_origin(kind) is tuple:
        return {"name": name, "list": _members(get_args(kind)[0])}
    if is_dataclass(kind):
        return {"name": name, "struct": _members(kind)}
    return {"name": name, "dtype": _DTYPES[kind]}


def _members(kind: Any) -> list[Feature]:
    hints = get_type_hints(kind)
    return [_feature(field.name, hints[field.name]) for field in fields(kind)]


_TEXT = """
# {name}

Training traces written by asyncgen: one JSON object a line, one line a finished episode. A conversation is the
`messages` and `response` of each entry of `conversation_history`, in order; `<image:N>` marks entry N of `images`.
Every `traces/*.jsonl` is complete and never changes; what is still being written ends in `.part`. Episodes that ended
without a trace are in `failed/`, the run's configuration is in `run.json`. `crc` is a checksum and no training data.
`datasets` rounds floats to ten decimals as it loads these; the lines themselves, and `asyncgen export`, are exact.

```python
import datasets                                       # the features above make any run load
traces = datasets.load_dataset("DIR", split="train")

import pandas                                         # dtype=False: or the answer "007" becomes 7
traces = pandas.read_json("DIR/traces/SHARD.jsonl", lines=True, dtype=False)
```

```sql
-- duckdb; sample_size=-1: or columns that are empty in the first rows may lose their text
SELECT id, answer, reward_score.score
FROM read_json('DIR/traces/*.jsonl', sample_size=-1, maximum_object_size=1073741824);
```
"""
