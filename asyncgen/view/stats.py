"""The figures of `stats` as lines and tables.

Knows the keys of `asyncgen.export.stats` and how a figure is said. Reckons nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from asyncgen.core.types import Json
from asyncgen.view.tables import Table, markdown, render_markdown, render_text
from asyncgen.view.terminal import one_line

MAX_GROUPS = 50
"""Of `--by` in text and Markdown; JSON has all."""
MANY_RUNS = 6
"""More stand one below the other."""
_MAIN: Final = {
    "n": "n",
    "failed": "failed",
    "tool_use": "tools",
    "parse_rate": "parsed",
    "mean_score": "score",
    "mean_distance_km": "mean km",
    "median_distance_km": "median km",
    "mean_distance_km_parsed": "mean km*",
    "turns": "turns",
    "tokens_per_turn": "tok/turn",
    "tokens": "tokens",
    "seconds": "seconds",
}
"""Key → heading of what is said of every group."""
_PARSED_NOTE = "*: of the answers that could be read; the others count as far away (geo: 20,000 km)"
_SAID: Final = {
    "n": "traces",
    "failed": "failed",
    "parse_rate": "parsed",
    "mean_score": "mean score",
    "mean_distance_km": "mean distance, km",
    "median_distance_km": "median distance, km",
    "mean_distance_km_parsed": "mean distance of the parsed, km",
    "median_distance_km_parsed": "median distance of the parsed, km",
    "turns": "turns a trace",
    "tool_use": "traces with tool calls",
    "tokens_per_turn": "tokens a turn",
    "tokens": "tokens a trace",
    "completion_tokens": "completion tokens a trace",
    "seconds": "seconds a trace",
    "retried": "traces with a repeated request",
    "mean_difficulty": "mean difficulty",
}
"""The same and more, where there is room."""
_WITHIN: Final = {f"acc@{km}km": f"{km} km" for km in (1, 25, 200, 750, 2500)}
_SHARES = {"tool_use", "parse_rate", "retried", "failed_share", *_WITHIN}
_ATTEMPTS: Final = {
    "n": "n",
    "parse_rate": "parsed",
    "mean_score": "score",
    "median_distance_km": "median km",
    "mean_difficulty": "difficulty",
    "tokens": "tokens",
}
_LOST: Final = {"traces": "traces", "failed": "failed", "failed_share": "share failed"}


def render(report: Mapping[str, Json]) -> str:
    """As plain text, safe for a terminal."""
    lines = [f"{'  ' * deep}{text}" for deep, text in _lines(report)]
    shown = tables(report) if report["traces"] or report["failed"] else []
    return "\n".join(["\n".join(lines), *(f"\n{render_text(table)}" for table in shown)])


def render_report(report: Mapping[str, Json]) -> str:
    """As Markdown."""
    lines = [f"{'  ' * deep}- {markdown(text)}" for deep, text in _lines(report) if text]
    shown = tables(report) if report["traces"] or report["failed"] else []
    return "\n".join(["\n".join(lines), *(f"\n{render_markdown(table)}" for table in shown)])


def tables(report: Mapping[str, Json]) -> Iterator[Table]:
    """What there is to compare."""
    runs = report.get("runs")
    if runs:
        yield _overview(runs, report["all"])
        yield from _common(report)
    if by := report.get("by_column"):
        yield _by_column(by)
    difficulty = report["by_difficulty"]
    if difficulty:
        yield _grouped(f"by difficulty ({difficulty['column']}, low is hard)", difficulty["groups"])
    if _both_ways(report):
        yield _grouped("with and without tools", report["by_tools"]["groups"])
        if both := report["by_difficulty_and_tools"]:
            yield _grouped("with and without tools, by difficulty", both["groups"])
    yield from _accuracy(report)
    if any(group["n"] for group in report["by_attempt"]["groups"][:1]):
        yield _table("first attempts and repeated requests", _ATTEMPTS, report["by_attempt"]["groups"])
    if accepted := report["by_accepted"]:
        yield _grouped("accepted or not", accepted["groups"])
    if lost := report["lost"]:
        yield from _lost(lost)


def _overview(runs: Sequence[Mapping[str, Json]], whole: Mapping[str, Json]) -> Table:
    """One column a run, one row a figure; the other way round where there are many runs."""
    together = [*runs, {"group": "all", **whole}]
    if len(runs) > MANY_RUNS:
        return _grouped("the runs", together)
    keys = [key for key in (*_SAID, *_WITHIN) if any(run.get(key) is not None for run in together)]
    rows = [[_name(key), *(_shown(key, run[key]) for run in together)] for key in keys]
    return Table("the runs side by side", ["", *(str(run["group"]) for run in together)], rows)


def _name(key: str) -> str:
    return f"within {_WITHIN[key]}" if key in _WITHIN else _SAID[key]


def _common(report: Mapping[str, Json]) -> Iterator[Table]:
    common = report["common"]
    keys = {"mean_score": "mean score", "median_distance_km": "median km", "best": "alone the best"}
    if common["samples"]:
        title = f"the {common['samples']:,} samples that all runs have"
        yield _table(title, keys, common["runs"], note=f"no run alone is the best on {common['ties']:,} of them")
    else:
        yield Table("the samples that all runs have", ["", *keys.values()], [], note=common["why"])


def _by_column(by: Mapping[str, Json]) -> Table:
    groups = by["groups"]
    more = len(groups) - MAX_GROUPS
    note = f"{more:,} more groups: --json has them" if more > 0 else ""
    return _grouped(f"by {by['column']}", groups[:MAX_GROUPS], note=note)


def _grouped(title: str, groups: Sequence[Mapping[str, Json]], note: str = "") -> Table:
    parsed = any(group.get("mean_distance_km") is not None for group in groups)
    return _table(title, _MAIN, groups, note="; ".join(filter(None, (note, _PARSED_NOTE if parsed else ""))))


def _accuracy(report: Mapping[str, Json]) -> Iterator[Table]:
    """acc@1 to acc@2500."""
    if report["accuracy"]["acc@1km"] is None:
        return
    groups = [{"group": "all", "n": report["traces"], **report["accuracy"]}]
    tools = ("by_tools", "by_difficulty_and_tools") if _both_ways(report) else ()
    for key in ("by_difficulty", *tools):
        groups += report[key]["groups"] if report[key] else []
    yield _table("share of the traces within so many km of the truth", _WITHIN, groups)


def _both_ways(report: Mapping[str, Json]) -> bool:
    """Some traces have tool calls, and some none."""
    return all(group["n"] for group in report["by_tools"]["groups"])


def _lost(lost: Mapping[str, Json]) -> Iterator[Table]:
    keys = {"n": "n", "mean_difficulty": "mean", "median_difficulty": "median"}
    if lost["bands"]:
        sides = [{"group": side, **lost[side]} for side in ("traces", "failed")]
        yield _table(f"difficulty of what is there and of what failed ({lost['column']})", keys, sides)
        yield _table("failed, by difficulty", _LOST, lost["bands"])
    for column, groups in lost["columns"].items():
        failed = [group for group in groups if group["failed"]]
        if failed:
            yield _table(f"failed, by {column}: the values with the most failures", _LOST, failed)


def _table(title: str, keys: Mapping[str, str], groups: Sequence[Mapping[str, Any]], note: str = "") -> Table:
    """A row a group; no column of which nothing is known."""
    known = {key: heading for key, heading in keys.items() if any(group.get(key) is not None for group in groups)}
    rows = [[str(group["group"]) or "(empty)", *(_shown(key, group.get(key)) for key in known)] for group in groups]
    return Table(title, ["", *known.values()], rows, note)


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key in _SHARES:
        return _percent(value)
    return f"{value:,}" if isinstance(value, int) else _figure(value)


def _lines(summary: Mapping[str, Json]) -> Iterator[tuple[int, str]]:
    """Depth and text."""
    failed = f"{summary['failed']}{_listed(summary['failed_by_reason'], before=': ')}"
    if not summary["traces"]:
        yield 0, f"no traces yet; failed {failed}"
        return
    yield 0, f"traces   {summary['traces']}"
    yield 0, f"failed   {failed}"
    yield 0, f"stop     {_listed(summary['stop'])}"
    yield 0, f"parsed   {_percent(summary['parse_rate'])}"
    yield 0, ""
    yield 0, "scores"
    yield from ((1, f"{_printable(name)}: {_figures(figures)}") for name, figures in summary["scores"].items())
    yield from ((1, text) for text in _distances(summary["distance_km"]))
    yield 0, ""
    yield from ((0, text) for text in _costs(summary))
    tools, retried = summary["tools"], summary["retried"]
    yield 0, f"traces with tool calls: {_percent(tools['use_rate'])} ({_listed(tools['modes'])})"
    for name, calls in tools["by_name"].items():
        yield 1, f"{_printable(name)}: {calls['calls']} calls, {_percent(calls['error_share'])} errors"
    yield 0, f"traces with a repeated request: {_percent(retried['share'])}"
    if retried["mean_score"] is not None and retried["mean_score_first_attempt"] is not None:
        first, again = _figure(retried["mean_score_first_attempt"]), _figure(retried["mean_score"])
        yield 1, f"mean score: {first} of those at the first attempt, {again} of the repeated"


def _distances(distance: Mapping[str, float | None]) -> Iterator[str]:
    for kind in ("mean", "median"):
        parsed, everything = _figure(distance[f"{kind}_parsed"]), _figure(distance[f"{kind}_all"])
        if distance[f"{kind}_all"] is not None:
            yield f"{kind} distance: {parsed} km of the parsed, {everything} km of all"


def _costs(summary: Mapping[str, Json]) -> Iterable[str]:
    """Turns, tokens, seconds."""
    yield f"turns a trace: {_figures(summary['turns'])}"
    for unit in ("turn", "trace"):
        for kind, spread in summary[f"tokens_per_{unit}"].items():
            yield f"{kind} tokens a {unit}: {_figures(spread)}"
    yield f"seconds a trace: {_figures(summary['seconds_per_trace'])}"
    if summary["samples"] and summary["samples"] != summary["traces"]:
        yield f"traces a sample: {_figure(summary['traces_per_sample'])}, of {summary['samples']:,} samples"
        yield f"tokens a sample: {_figures(summary['tokens_per_sample'])}"
        yield f"seconds a sample: {_figures(summary['seconds_per_sample'])}"
    yield f"turns with thinking: {_percent(summary['thinking_share'])}"
    yield f"finish reasons: {_listed(summary['finish_reasons'])}"


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
    return one_line(name) or "(none)"
