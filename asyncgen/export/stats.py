"""What many traces have in common: counts, means and percentiles.

Knows the keys of a trace line. Keeps 8 bytes for each number that it has seen and no trace, so that a million fit.
Percentiles are exact, with linear interpolation. What nobody measured is null.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from asyncgen.core.types import Json
from asyncgen.endpoint.text_calls import split_thinking

MAX_NAMES = 1000
"""Tool names are a model's words: so many different ones are told apart."""
OTHER_NAMES = "(other names)"
_DISTANCE = "distance@km"


def _numbers() -> array[float]:
    return array("d")


class Stats:
    """Add traces and failures one by one, then ask for the summary."""

    def __init__(self) -> None:
        self._traces = 0
        self._turns = 0
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By what is counted: `failed`, `stop`, `tool_mode`, `finish_reason`, `calls`, `call_errors`."""
        self._numbers: defaultdict[str, array[float]] = defaultdict(_numbers)
        self._scores: defaultdict[str, array[float]] = defaultdict(_numbers)
        self._flags: defaultdict[str, Counter[bool]] = defaultdict(Counter)
        """Boolean scores."""
        self._with_tools = 0
        self._with_thinking = 0

    def add(self, trace: Mapping[str, Json]) -> None:
        """Count one trace line."""
        metadata, history = trace["metadata"], trace["conversation_history"]
        self._traces += 1
        self._with_tools += bool(trace["tool_calls"])
        self._counts["stop"][metadata["stop"]] += 1
        self._counts["tool_mode"][metadata["tool_mode"]] += 1
        for key in ("total_turns", "prompt_tokens", "completion_tokens", "seconds"):
            self._numbers[key].append(metadata[key])
        for turn in history:
            self._add_turn(turn)
        for entry in trace["tool_calls"]:
            self._add_call(entry)
        retried = any(turn["attempts"] > 1 for turn in history)
        self._flags["retried"][retried] += 1
        self._add_scores(trace["reward_score"], retried=retried)

    def add_failure(self, line: Mapping[str, Json]) -> None:
        """Count one line of `failed/`; that its sample has no trace is the caller's to know."""
        self._counts["failed"][line["reason"]] += 1

    def _add_turn(self, turn: Mapping[str, Json]) -> None:
        self._turns += 1
        self._counts["finish_reason"][turn["finish_reason"]] += 1
        self._numbers["turn_prompt_tokens"].append(turn["usage"]["prompt_tokens"])
        self._numbers["turn_completion_tokens"].append(turn["usage"]["completion_tokens"])
        self._with_thinking += bool(turn["reasoning"] or split_thinking(turn["response"])[0])

    def _add_call(self, entry: Mapping[str, Json]) -> None:
        calls = self._counts["calls"]
        name = entry["tool_call"]["name"]
        name = name if name in calls or len(calls) < MAX_NAMES else OTHER_NAMES
        calls[name] += 1
        self._counts["call_errors"][name] += not entry["success"]

    def _add_scores(self, scores: Mapping[str, Json], *, retried: bool) -> None:
        numbers: dict[str, float] = {}
        for name, value in scores.items():
            if isinstance(value, bool):
                self._flags[f"score:{name}"][value] += 1
            elif isinstance(value, int | float):
                numbers[name] = value
                self._scores[name].append(value)
        if "score" in numbers:
            self._numbers["score_retried" if retried else "score_first"].append(numbers["score"])
        if scores.get("parse_success") is True and _DISTANCE in numbers:
            self._numbers["parsed_distance"].append(numbers[_DISTANCE])

    def summary(self) -> dict[str, Json]:
        """All figures, ready for JSON: shares from 0 to 1, times in seconds, distances in km."""
        flags = {name.removeprefix("score:"): flag for name, flag in self._flags.items() if name != "retried"}
        shares = {name: {"share": _share(flag[True], flag.total())} for name, flag in flags.items()}
        distance = {
            "median_parsed": _spread(self._numbers["parsed_distance"])["p50"],
            "median_all": _spread(self._scores.get(_DISTANCE, ()))["p50"],
        }
        return {
            "traces": self._traces,
            "failed": self._counts["failed"].total(),
            "failed_by_reason": self._ranked("failed"),
            "stop": self._ranked("stop"),
            "parse_rate": shares.get("parse_success", {"share": None})["share"],
            "scores": shares | {name: _spread(values, "mean", "p50", "p95") for name, values in self._scores.items()},
            "distance_km": distance,
            "turns": _spread(self._numbers["total_turns"]),
            "tokens_per_turn": self._tokens("turn_prompt_tokens", "turn_completion_tokens"),
            "tokens_per_trace": self._tokens("prompt_tokens", "completion_tokens"),
            "seconds_per_trace": _spread(self._numbers["seconds"]),
            "thinking_share": _share(self._with_thinking, self._turns),
            "finish_reasons": self._ranked("finish_reason"),
            "tools": self._tools(),
            "retried": {
                "share": _share(self._flags["retried"][True], self._traces),
                "mean_score": _spread(self._numbers["score_retried"])["mean"],
                "mean_score_first_attempt": _spread(self._numbers["score_first"])["mean"],
            },
        }

    def _ranked(self, what: str) -> dict[str, int]:
        return dict(self._counts[what].most_common())

    def _tokens(self, prompt: str, completion: str) -> dict[str, Json]:
        return {"prompt": _spread(self._numbers[prompt]), "completion": _spread(self._numbers[completion])}

    def _tools(self) -> dict[str, Json]:
        errors = self._counts["call_errors"]
        by_name = {
            name: {"calls": calls, "errors": errors[name], "error_share": _share(errors[name], calls)}
            for name, calls in self._counts["calls"].most_common()
        }
        return {
            "use_rate": _share(self._with_tools, self._traces),
            "calls": self._counts["calls"].total(),
            "by_name": by_name,
            "modes": self._ranked("tool_mode"),
        }


def _spread(values: Sequence[float], *keys: str) -> dict[str, float | None]:
    """`mean`, `p50`, `p95`, `max` (or the asked ones) of the values; all null if there are none."""
    import numpy as np

    keys = keys or ("mean", "p50", "p95", "max")
    if not values:
        return dict.fromkeys(keys)
    numbers = np.asarray(values)
    figures = {
        "mean": float(numbers.mean()),
        "p50": float(np.percentile(numbers, 50)),
        "p95": float(np.percentile(numbers, 95)),
        "max": float(numbers.max()),
    }
    return {key: figures[key] for key in keys}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def render(summary: Mapping[str, Json]) -> str:
    """The summary as lines of plain text, safe for a terminal."""
    if not summary["traces"]:
        return f"no traces yet; failed {summary['failed']}{_listed(summary['failed_by_reason'], before=': ')}"
    tools, retried, distance = summary["tools"], summary["retried"], summary["distance_km"]
    lines = [
        f"traces   {summary['traces']}",
        f"failed   {summary['failed']}{_listed(summary['failed_by_reason'], before=': ')}",
        f"stop     {_listed(summary['stop'])}",
        f"parsed   {_percent(summary['parse_rate'])}",
        "",
        "scores",
        *(f"  {_printable(name)}: {_figures(figures)}" for name, figures in summary["scores"].items()),
    ]
    if distance["median_all"] is not None:
        parsed, everything = _figure(distance["median_parsed"]), _figure(distance["median_all"])
        lines.append(f"  median distance: {parsed} km of the parsed, {everything} km of all")
    lines += [
        "",
        f"turns a trace: {_figures(summary['turns'])}",
        *(f"{kind} tokens a turn: {_figures(spread)}" for kind, spread in summary["tokens_per_turn"].items()),
        *(f"{kind} tokens a trace: {_figures(spread)}" for kind, spread in summary["tokens_per_trace"].items()),
        f"seconds a trace: {_figures(summary['seconds_per_trace'])}",
        f"turns with thinking: {_percent(summary['thinking_share'])}",
        f"finish reasons: {_listed(summary['finish_reasons'])}",
        f"traces with tool calls: {_percent(tools['use_rate'])} ({_listed(tools['modes'])})",
    ]
    for name, calls in tools["by_name"].items():
        lines.append(f"  {_printable(name)}: {calls['calls']} calls, {_percent(calls['error_share'])} errors")
    lines.append(f"traces with a repeated request: {_percent(retried['share'])}")
    if retried["mean_score"] is not None and retried["mean_score_first_attempt"] is not None:
        first, again = _figure(retried["mean_score_first_attempt"]), _figure(retried["mean_score"])
        lines.append(f"  mean score: {first} of those at the first attempt, {again} of the repeated")
    return "\n".join(lines)


def _listed(counts: Mapping[str, int], *, before: str = "") -> str:
    return before + ", ".join(f"{_printable(name)} {count}" for name, count in counts.items()) if counts else ""


def _figures(figures: Mapping[str, float | None]) -> str:
    if "share" in figures:
        return _percent(figures["share"])
    return ", ".join(f"{key} {_figure(value)}" for key, value in figures.items())


def _figure(value: float | None) -> str:
    """Four significant digits, whole numbers from a thousand on."""
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _printable(name: str) -> str:
    """A model's or a server's word on one line, without anything that steers a terminal."""
    return (name or "(none)") if name.isprintable() else repr(name)
