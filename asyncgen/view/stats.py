"""The figures of `stats` as lines and tables.

Knows the keys of `asyncgen.export.stats` and how a figure is said. Reckons nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from asyncgen.core.types import Json
from asyncgen.view.tables import (
    Figure,
    Table,
    list_markdown,
    list_text,
    markdown,
    render_markdown,
    render_text,
)
from asyncgen.view.terminal import one_line

MAX_GROUPS = 50
"""Of `--by` in text and Markdown; JSON has all."""
MANY_RUNS = 6
"""More stand one below the other."""
_MEAN_KM, _MEDIAN_KM, _TOKENS = "mean km", "median km", "tokens"
_MAIN: Final = {
    "n": "n",
    "failed": "failed",
    "tool_use": "tools",
    "parse_rate": "parsed",
    "mean_score": "score",
    "mean_distance_km": _MEAN_KM,
    "median_distance_km": _MEDIAN_KM,
    "mean_distance_km_parsed": "mean km parsed",
    "turns": "turns",
    "tokens_per_turn": "tokens/turn",
    "tokens": _TOKENS,
    "seconds": "seconds",
}
"""Key → heading of what is said of every group."""
_KM_NOTE = "mean km and median km count an answer that could not be read as 20,000 km; 'parsed' leaves those out"
_TOKENS_NOTE = "tokens and seconds are a trace's"
_SAID: Final = {
    "n": "traces",
    "failed": "failed",
    "parse_rate": "parsed",
    "mean_score": "mean score",
    "mean_distance_km": _MEAN_KM,
    "median_distance_km": _MEDIAN_KM,
    "mean_distance_km_parsed": "mean km parsed",
    "median_distance_km_parsed": "median km parsed",
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
    "median_distance_km": _MEDIAN_KM,
    "mean_difficulty": "difficulty",
    "tokens": _TOKENS,
}
_LOST: Final = {"traces": "traces", "failed": "failed", "failed_share": "share failed"}


def render(report: Mapping[str, Json]) -> str:
    """As plain text, safe for a terminal."""
    return "\n\n".join(_composed(report, list_text, render_text, one_line))


def render_report(report: Mapping[str, Json]) -> str:
    """As Markdown."""
    return "\n\n".join(_composed(report, list_markdown, render_markdown, markdown))


def _composed(
    report: Mapping[str, Json],
    figures: Callable[[str, Sequence[Figure]], str],
    table: Callable[[Table], str],
    plain: Callable[[str], str],
) -> Iterator[str]:
    """Runs side by side first, where there are several, then what holds for all of them together."""
    if not (report["traces"] or report["failed"]):
        yield plain(_nothing(report))
        return
    beside, together = list(_side_by_side(report)), list(tables(report))
    yield from map(table, beside)
    title = "all runs together:" if beside else ""
    if report["traces"]:
        yield figures(title, list(_figures_of(report)))
    else:
        yield plain(_nothing(report))
    yield from map(table, together)
    if note := _footnote([*beside, *together]):
        yield plain(note)


def _nothing(report: Mapping[str, Json]) -> str:
    """`where`: the condition, which then is true of none."""
    if not report.get("where"):
        return f"no traces yet; failed {_failed(report)}"
    return f"no traces; failed {_failed(report)}" if report["failed"] else "no traces"


def _footnote(shown: Sequence[Table]) -> str:
    """What some headings mean."""
    words = {cell for table in shown for cell in (*table.columns, *(row[0] for row in table.rows))}
    known = {_KM_NOTE: {_MEAN_KM, _MEDIAN_KM}, _TOKENS_NOTE: {_TOKENS}}
    return "; ".join(note for note, headings in known.items() if headings & words)


def tables(report: Mapping[str, Json]) -> Iterator[Table]:
    """What there is to compare in all runs together; what was asked for first."""
    if by := report.get("by_column"):
        yield _by_column(by)
    difficulty = report["by_difficulty"]
    if difficulty:
        beside = report["traces"] - sum(group["n"] for group in difficulty["groups"])
        note = f"{beside:,} traces have no {difficulty['column']}" if beside else ""
        yield _grouped(f"by difficulty ({difficulty['column']}, low is hard)", difficulty["groups"], note)
    if _both_ways(report):
        yield _grouped("with and without tools", report["by_tools"]["groups"])
        if both := report["by_difficulty_and_tools"]:
            yield _grouped("with and without tools, by difficulty", both["groups"])
    yield from _accuracy(report)
    if _some_retried(report):
        yield _table("first attempts and repeated requests", _ATTEMPTS, _filled(report["by_attempt"]["groups"]))
    if accepted := report["by_accepted"]:
        yield _grouped("accepted or not", accepted["groups"])
    if lost := report["lost"]:
        yield from _lost(lost)


def _side_by_side(report: Mapping[str, Json]) -> Iterator[Table]:
    """Nothing where there is one run. One column a run, one row a figure; the other way round where there are many."""
    runs = report.get("runs")
    if not runs:
        return
    common = report["common"]
    note = "" if common["samples"] else f"not compared sample by sample: {common['why']}"
    groups = [*runs, {"group": "all", **report["all"]}]
    if len(runs) > MANY_RUNS:
        yield _table("the runs", _MAIN, groups, note=note)
    else:
        keys = [key for key in (*_SAID, *_WITHIN) if any(run.get(key) is not None for run in groups)]
        rows = [[_name(key), *(_shown(key, run[key]) for run in groups)] for key in keys]
        yield Table("the runs side by side", ["", *(str(run["group"]) for run in groups)], rows, note)
    if common["samples"]:
        keys_of_common = {"mean_score": "mean score", "median_distance_km": _MEDIAN_KM, "best": "alone the best"}
        title = f"the {common['samples']:,} samples that all runs have"
        yield _table(title, keys_of_common, common["runs"], note=f"ties: {common['ties']:,}")


def _name(key: str) -> str:
    return f"within {_WITHIN[key]}" if key in _WITHIN else _SAID[key]


def _by_column(by: Mapping[str, Json]) -> Table:
    groups = by["groups"]
    more = len(groups) - MAX_GROUPS
    note = f"{more:,} more groups: --json has them" if more > 0 else ""
    return _grouped(f"by {by['column']}", groups[:MAX_GROUPS], note=note)


def _grouped(title: str, groups: Sequence[Mapping[str, Json]], note: str = "") -> Table:
    return _table(title, _MAIN, _filled(groups), note)


def _filled(groups: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Those of which there are any."""
    return [group for group in groups if any(group.get(key) for key in ("n", "traces", "failed"))]


def _accuracy(report: Mapping[str, Json]) -> Iterator[Table]:
    """acc@1 to acc@2500."""
    if not _has_accuracy(report):
        return
    groups = [{"group": "all", "n": report["traces"], **report["accuracy"]}]
    tools = ("by_tools", "by_difficulty_and_tools") if _both_ways(report) else ()
    for key in ("by_difficulty", *tools):
        groups += report[key]["groups"] if report[key] else []
    yield _table("share of the traces within so many km of the truth", _WITHIN, _filled(groups))


def _has_accuracy(report: Mapping[str, Json]) -> bool:
    return report["accuracy"]["acc@1km"] is not None


def _both_ways(report: Mapping[str, Json]) -> bool:
    """Some traces have tool calls, and some none."""
    return all(group["n"] for group in report["by_tools"]["groups"])


def _some_retried(report: Mapping[str, Json]) -> bool:
    return any(group["n"] for group in report["by_attempt"]["groups"][:1])


def _lost(lost: Mapping[str, Json]) -> Iterator[Table]:
    keys = {"n": "n", "mean_difficulty": "mean", "median_difficulty": "median"}
    if lost["bands"]:
        sides = [{"group": side, **lost[side]} for side in ("traces", "failed")]
        title = f"difficulty of what is there and of what failed ({lost['column']})"
        yield _table(title, keys, _filled(sides))
        yield _table("failed, by difficulty", _LOST, _filled(lost["bands"]))
    for column, groups in lost["columns"].items():
        failed = [group for group in groups if group["failed"]]
        if failed:
            yield _table(f"failed, by {column}: the values with the most failures", _LOST, failed)


def _table(title: str, keys: Mapping[str, str], groups: Sequence[Mapping[str, Any]], note: str = "") -> Table:
    """A row a group; no column of which nothing is known."""
    known = {key: heading for key, heading in keys.items() if any(group.get(key) is not None for group in groups)}
    rows = [
        [one_line(str(group["group"])) or "(empty)", *(_shown(key, group.get(key)) for key in known)]
        for group in groups
    ]
    return Table(title, ["", *known.values()], rows, note)


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key in _SHARES:
        return _percent(value)
    return f"{value:,}" if isinstance(value, int) else _figure(value)


def _figures_of(report: Mapping[str, Json]) -> Iterator[Figure]:
    """Each fact once: what a table has is not here, nor what nobody said."""
    yield "traces", f"{report['traces']:,}"
    yield "failed", _failed(report)
    if any(report["stop"]):
        yield "stop", _listed(report["stop"])
    yield from _scores(report)
    yield from _costs(report)
    yield "turns with thinking", _percent(report["thinking_share"])
    if any(report["finish_reasons"]):
        yield "finish reasons", _listed(report["finish_reasons"])
    tools = report["tools"]
    modes = f" ({_listed(tools['modes'])})" if any(tools["modes"]) else ""
    yield "traces with tool calls", f"{_percent(tools['use_rate'])}{modes}"
    for name, calls in tools["by_name"].items():
        yield "", f"{_printable(name)}: {calls['calls']:,} calls, {_percent(calls['error_share'])} errors"
    if not _some_retried(report):
        yield "traces with a repeated request", "none"


def _failed(report: Mapping[str, Json]) -> str:
    reasons = _listed(report["failed_by_reason"])
    return f"{report['failed']:,}" + (f": {reasons}" if reasons else "")


def _scores(report: Mapping[str, Json]) -> Iterator[Figure]:
    """What the task measured."""
    distance = report["distance_km"]
    elsewhere = set(_WITHIN) if _has_accuracy(report) else set()
    if report["parse_rate"] is not None:
        yield "parsed", _percent(report["parse_rate"])
        elsewhere.add("parse_success")
    far = report["scores"].get("distance@km", {})
    for name, figures in report["scores"].items():
        if name not in elsewhere and figures is not far:
            yield _printable(name), _percent(figures["share"]) if "share" in figures else _spread(figures)
    if distance["mean_parsed"] is not None:
        yield "km, parsed", f"mean {_figure(distance['mean_parsed'])}, median {_figure(distance['median_parsed'])}"
    if distance["mean_all"] is not None and report["parse_rate"] != 1:
        yield (
            "km, all",
            _spread({"mean": distance["mean_all"], "median": distance["median_all"], "p95": far.get("p95")}),
        )


def _costs(report: Mapping[str, Json]) -> Iterator[Figure]:
    """Turns, tokens, seconds."""
    spreads = {"turns a trace": report["turns"]}
    for unit in ("turn", "trace"):
        kinds = report[f"tokens_per_{unit}"]
        spreads |= {f"{kind} tokens a {unit}": kinds[kind] for kind in ("prompt", "completion")}
        if unit == "trace" or kinds["prompt"]["mean"] is None:
            spreads[f"tokens a {unit}"] = kinds["total"]
    spreads["seconds a trace"] = report["seconds_per_trace"]
    several = report["samples"] and report["samples"] != report["traces"]
    if several:
        spreads |= {f"{what} a sample": report[f"{what}_per_sample"] for what in ("tokens", "seconds")}
    for name, spread in spreads.items():
        if spread["mean"] is not None:
            yield name, _spread(spread)
    if several:
        yield "traces a sample", f"{_figure(report['traces_per_sample'])}, of {report['samples']:,} samples"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_printable(name)} {count:,}" for name, count in counts.items())


def _spread(figures: Mapping[str, float | None]) -> str:
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
