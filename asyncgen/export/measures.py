"""The main figures of each trace as rows of numbers, and what any set of rows has in common.

Knows the keys of a trace line. Keeps 8 bytes a number and 1 a flag and no trace, so that a million fit. What nobody
measured is NaN in a column, and null in a result.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from asyncgen.core.types import Json
from asyncgen.rewards.geo import THRESHOLDS_KM

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Column: TypeAlias = npt.NDArray[np.float64]
    Rows: TypeAlias = npt.NDArray[np.int64]
    Columns: TypeAlias = Mapping[str, Column]

DISTANCE: Final = "distance@km"
NUMBERS = (
    "index",
    "score",
    "distance",
    "turns",
    "prompt_tokens",
    "completion_tokens",
    "tokens",
    "seconds",
    "difficulty",
)
"""`index` is the row of the dataset; `distance` is in km, `difficulty` as the dataset has it; `tokens` are prompt and
completion together."""
FLAGS = ("parsed", "tools", "retried", "accepted")
"""1 yes, 0 no, -1 nobody said."""


class Measures:
    """Add traces one by one; then their columns."""

    def __init__(self, difficulty: str) -> None:
        """`difficulty`: the column of the dataset that has it."""
        self._difficulty = difficulty
        self._runs = array("H")
        self._numbers = {name: array("d") for name in NUMBERS}
        self._flags = {name: array("b") for name in FLAGS}

    def add(self, trace: Mapping[str, Json], *, run: int, retried: bool) -> None:
        """Another row; `run` is the number of the path that it came from."""
        metadata, scores = trace["metadata"], trace["reward_score"]
        self._runs.append(run)
        numbers = self._numbers
        numbers["index"].append(finite(trace["sample_index"]))
        numbers["score"].append(finite(scores.get("score")))
        numbers["distance"].append(finite(scores.get(DISTANCE)))
        numbers["turns"].append(finite(metadata["total_turns"]))
        total = sum(turn["usage"]["total_tokens"] for turn in trace["conversation_history"])
        prompt, completion, both = counted(metadata["prompt_tokens"], metadata["completion_tokens"], total)
        numbers["prompt_tokens"].append(prompt)
        numbers["completion_tokens"].append(completion)
        numbers["tokens"].append(both)
        numbers["seconds"].append(finite(metadata["seconds"]) or math.nan)  # nothing takes no time: nobody looked
        numbers["difficulty"].append(finite(trace["sample_data"].get(self._difficulty)))
        flags = self._flags
        flags["parsed"].append(_flag(scores.get("parse_success")))
        flags["tools"].append(bool(trace["tool_calls"]))
        flags["retried"].append(retried)
        flags["accepted"].append(_flag(metadata.get("accepted")))

    def __len__(self) -> int:
        return len(self._runs)

    def columns(self) -> Columns:
        """By name, `run` among them; flags as 1.0, 0.0 and NaN. Numbers are not copied: while a column is held, `add`
        raises BufferError."""
        import numpy as np

        flags = {name: np.array(values, dtype=np.float64) for name, values in self._flags.items()}
        for column in flags.values():
            column[column < 0] = np.nan
        runs = np.array(self._runs, dtype=np.float64)
        return {"run": runs, **{name: np.asarray(values) for name, values in self._numbers.items()}, **flags}


def finite(value: Json) -> float:
    """A number; NaN for what is none, or is without end."""
    if type(value) is float:  # nearly always
        return value if math.isfinite(value) else math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:  # files of others may have any integer
        return math.nan
    return number if math.isfinite(number) else math.nan


def counted(prompt: Json, completion: Json, total: Json) -> tuple[float, float, float]:
    """Tokens of the prompt, of the completion, and of both. No request is without tokens: two zeros mean that nobody
    counted, or (in files of others) counted the `total` alone."""
    one, other = finite(prompt), finite(completion)
    if one or other:  # NaN too
        return one, other, one + other
    return math.nan, math.nan, finite(total) or math.nan


def _flag(value: Json) -> int:
    return int(value) if isinstance(value, bool) else -1


def figures(columns: Columns, rows: Rows) -> dict[str, Json]:
    """What the rows have in common. Shares from 0 to 1; `mean_distance_km` is over all that have a distance, with what
    a failed answer counts for, `mean_distance_km_parsed` over the answers that could be read. `tokens` are prompt and
    completion together."""

    def taken(name: str) -> Column:
        return columns[name][rows]

    distance, turns = taken("distance"), taken("turns")
    parsed = distance[taken("parsed") == 1]
    tokens = taken("tokens")
    all_turns = float(measured(turns[tokens == tokens]).sum())  # noqa: PLR0124  # NaN is not
    return {
        "n": len(rows),
        "tool_use": mean(taken("tools")),
        "parse_rate": mean(taken("parsed")),
        "mean_score": mean(taken("score")),
        "mean_distance_km": mean(distance),
        "median_distance_km": median(distance),
        "mean_distance_km_parsed": mean(parsed),
        "median_distance_km_parsed": median(parsed),
        **accuracy(distance),
        "turns": mean(turns),
        "tokens_per_turn": float(measured(tokens).sum()) / all_turns if all_turns > 0 else None,
        "tokens": mean(tokens),
        "completion_tokens": mean(taken("completion_tokens")),
        "seconds": mean(taken("seconds")),
        "retried": mean(taken("retried")),
        "mean_difficulty": mean(taken("difficulty")),
        "median_difficulty": median(taken("difficulty")),
    }


def accuracy(distance: Column) -> dict[str, float | None]:
    """The share of the distances within 1, 25, 200, 750 and 2500 km, as `acc@…km` has it for each trace."""
    known = measured(distance)
    return {f"acc@{km}km": mean((known <= km).astype(float)) for km in THRESHOLDS_KM}


def measured(values: Column) -> Column:
    """Those that somebody measured."""
    import numpy as np

    return values[~np.isnan(values)]


def mean(values: Column) -> float | None:
    """Of those that are not NaN; None if there are none."""
    known = measured(values)
    return float(known.mean()) if len(known) else None


def median(values: Column) -> float | None:
    """Of those that are not NaN; None if there are none."""
    import numpy as np

    known = measured(values)
    return float(np.median(known)) if len(known) else None
