"""What many traces have in common: counts, means and percentiles, over all and in groups.

Knows the keys of a trace line. Keeps 8 bytes for each number that it has seen and no trace, so that a million fit.
Percentiles are exact, with linear interpolation. What nobody measured is null. How it looks is not known here.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asyncgen.core.thinking import split_thinking
from asyncgen.core.types import Json
from asyncgen.export.groups import EDGES, by_run, common_samples, sample_figures, sections
from asyncgen.export.lost import Lost
from asyncgen.export.measures import Measures, accuracy, counted, figures, finite, mean, measured, median

if TYPE_CHECKING:
    from asyncgen.export.measures import Column, Columns, Rows

DIFFICULTY = "locatability_score"
"""The geo jobs' column; low is hard."""
MAX_NAMES = 1000
"""Tool names, stops and finish reasons are others' words: so many different ones are told apart."""
OTHER_NAMES = "(other names)"
_HEADLINE = {"score": "score", "distance@km": "distance"}
"""Scores that the rows have already."""


def _numbers() -> array[float]:
    return array("d")


class Stats:
    """Add traces and failures one by one, then ask for the summary."""

    def __init__(self, difficulty: str = DIFFICULTY, edges: Sequence[float] = EDGES) -> None:
        """`difficulty`: the column that has it; `edges`: of its bands."""
        self._difficulty = difficulty
        self._edges = edges
        self._measures = Measures(difficulty)
        self._lost = Lost(difficulty, edges)
        self._turns = 0
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By what is counted: `stop`, `tool_mode`, `finish_reason`, `calls`, `call_errors`."""
        self._failed: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """By run and reason."""
        self._datasets: defaultdict[int, set[str]] = defaultdict(set)
        self._turn_tokens = {"prompt": _numbers(), "completion": _numbers(), "total": _numbers()}
        self._scores: defaultdict[str, array[float]] = defaultdict(_numbers)
        """Those that are not in the rows. Names in the order of the traces, headline ones too."""
        self._flags: defaultdict[str, Counter[bool]] = defaultdict(Counter)
        """Boolean scores."""
        self._with_thinking = 0

    def add(self, trace: Mapping[str, Json], run: int = 0) -> None:
        """Count one trace line; `run` is the number of its path."""
        metadata, history = trace["metadata"], trace["conversation_history"]
        self._count("stop", metadata["stop"])
        self._count("tool_mode", metadata["tool_mode"])
        for turn in history:
            self._add_turn(turn)
        for entry in trace["tool_calls"]:
            name = self._count("calls", entry["tool_call"]["name"])
            self._counts["call_errors"][name] += not entry["success"]
        self._add_scores(trace["reward_score"])
        self._measures.add(trace, run=run, retried=any(turn["attempts"] > 1 for turn in history))
        self._lost.add(trace["sample_data"], failed=False)
        paths = self._datasets[run]
        if len(paths) < MAX_NAMES:
            paths.add(trace["dataset_path"])

    def add_failure(self, line: Mapping[str, Json], run: int = 0) -> None:
        """Count one line of `failed/`; that its sample has no trace is the caller's to know."""
        self._failed[run][line["reason"]] += 1
        self._lost.add(line["sample_data"], failed=True)

    def _count(self, what: str, name: str) -> str:
        """The name that it was counted as."""
        counts = self._counts[what]
        name = name if name in counts or len(counts) < MAX_NAMES else OTHER_NAMES
        counts[name] += 1
        return name

    def _add_turn(self, turn: Mapping[str, Json]) -> None:
        self._turns += 1
        self._count("finish_reason", turn["finish_reason"])
        usage = turn["usage"]
        tokens = counted(usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"])
        for values, number in zip(self._turn_tokens.values(), tokens, strict=True):
            values.append(number)
        self._with_thinking += bool(turn["reasoning"] or split_thinking(turn["response"])[0])

    def _add_scores(self, scores: Mapping[str, Json]) -> None:
        for name, value in scores.items():
            if isinstance(value, bool):
                self._flags[name][value] += 1
            elif isinstance(value, int | float):
                values = self._scores[name]
                if name not in _HEADLINE:
                    values.append(finite(value))

    def columns(self) -> Columns:
        """The rows: one a trace, in the order in which they came."""
        return self._measures.columns()

    def counts(self) -> dict[str, Json]:
        """How many there are."""
        failed = sum(self._failed.values(), Counter[str]())
        return {
            "traces": len(self._measures),
            "failed": failed.total(),
            "failed_by_reason": dict(failed.most_common()),
        }

    def summary(self, columns: Columns | None = None) -> dict[str, Json]:
        """All figures, ready for JSON: shares from 0 to 1, times in seconds, distances in km."""
        rows = self.columns() if columns is None else columns
        parsed, retried = rows["parsed"] == 1, rows["retried"] == 1
        return {
            **self.counts(),
            "stop": self._ranked("stop"),
            "parse_rate": mean(rows["parsed"]),
            "scores": self._score_figures(rows),
            "distance_km": {
                "mean_parsed": mean(rows["distance"][parsed]),
                "mean_all": mean(rows["distance"]),
                "median_parsed": median(rows["distance"][parsed]),
                "median_all": median(rows["distance"]),
            },
            "accuracy": accuracy(rows["distance"]),
            "turns": _spread(rows["turns"]),
            "tokens_per_turn": {kind: _spread(values) for kind, values in self._turn_tokens.items()},
            "tokens_per_trace": {
                "prompt": _spread(rows["prompt_tokens"]),
                "completion": _spread(rows["completion_tokens"]),
                "total": _spread(rows["tokens"]),
            },
            "seconds_per_trace": _spread(rows["seconds"]),
            **sample_figures(rows),
            "thinking_share": _share(self._with_thinking, self._turns),
            "finish_reasons": self._ranked("finish_reason"),
            "tools": self._tools(rows),
            "retried": {
                "share": mean(rows["retried"]),
                "mean_score": mean(rows["score"][retried]),
                "mean_score_first_attempt": mean(rows["score"][~retried]),
            },
            **sections(rows, self._difficulty, self._edges),
            "lost": self._lost.result(rows["difficulty"]),
        }

    def compared(self, names: Sequence[str], columns: Columns) -> dict[str, Json]:
        """`runs`: the main figures of each path; `all`: of all; `common`: on the samples that all have, or `why` none
        are."""
        import numpy as np

        rows = by_run(columns, len(names))
        failed = [self._failed[run].total() for run, _ in enumerate(names)]
        return {
            "runs": [
                {"group": name, "failed": failed[run], **figures(columns, rows[run])} for run, name in enumerate(names)
            ],
            "all": {"failed": sum(failed), **figures(columns, np.arange(len(self._measures)))},
            "common": self._common(names, columns, rows),
        }

    def _common(self, names: Sequence[str], columns: Columns, rows: Sequence[Rows]) -> dict[str, Json]:
        datasets = [self._datasets[run] for run, _ in enumerate(names)]
        if all(datasets) and not all(len(paths) == 1 and paths == datasets[0] for paths in datasets):
            seen = ", ".join(sorted(set().union(*datasets))[:5])
            return {"samples": 0, "ties": 0, "runs": [], "why": f"the runs are not all over one dataset: {seen}"}
        common = common_samples(columns, rows)
        common["runs"] = [{"group": name, **run} for name, run in zip(names, common["runs"], strict=True)]
        return {**common, "why": "" if common["samples"] else "no sample has a trace in all of them"}

    def _score_figures(self, rows: Columns) -> dict[str, Json]:
        shares = {name: {"share": _share(flag[True], flag.total())} for name, flag in self._flags.items()}
        numbers = {
            name: _of_score(rows[_HEADLINE[name]] if name in _HEADLINE else values)
            for name, values in self._scores.items()
        }
        return shares | numbers

    def _ranked(self, what: str) -> dict[str, int]:
        return dict(self._counts[what].most_common())

    def _tools(self, rows: Columns) -> dict[str, Json]:
        errors = self._counts["call_errors"]
        by_name = {
            name: {"calls": calls, "errors": errors[name], "error_share": _share(errors[name], calls)}
            for name, calls in self._counts["calls"].most_common()
        }
        return {
            "use_rate": mean(rows["tools"]),
            "calls": self._counts["calls"].total(),
            "by_name": by_name,
            "modes": self._ranked("tool_mode"),
        }


def _of_score(values: Column | array[float]) -> dict[str, float | None]:
    """Mean and percentiles; of a score that is 0 or 1 everywhere its `share` of ones too."""
    import numpy as np

    found = _spread(values, "mean", "p50", "p95")
    known = measured(np.asarray(values))
    return {**found, "share": found["mean"]} if len(known) and np.isin(known, (0, 1)).all() else found


def _spread(values: Column | array[float], *keys: str) -> dict[str, float | None]:
    """`mean`, `p50`, `p95`, `max` (or the asked ones) of the values; all null if there are none."""
    import numpy as np

    keys = keys or ("mean", "p50", "p95", "max")
    numbers = np.asarray(values)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return dict.fromkeys(keys)
    middle, high = np.percentile(numbers, (50, 95))
    spread = {"mean": float(numbers.mean()), "p50": float(middle), "p95": float(high), "max": float(numbers.max())}
    return {key: spread[key] for key in keys}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
