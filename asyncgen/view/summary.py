"""The words at the end of a run, and those of `status`.

Knows how counts are said. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from asyncgen.core.errors import AccountError, AsyncgenError, InputError
from asyncgen.core.types import Json
from asyncgen.view.panel import duration, percent
from asyncgen.view.terminal import one_line

_TO_BE_MENDED = {AsyncgenError.exit_code, InputError.exit_code, AccountError.exit_code}


def render_summary(summary: Mapping[str, Json]) -> str:
    """What a start of `run` did."""
    reasons = ", ".join(f"{reason} {count}" for reason, count in summary["failed_reasons"].items())
    new = summary["new_traces"]
    lines = [
        f"{summary['done']:,} of {summary['total']:,} done, {summary['failed']:,} failed, {summary['left']:,} left"
        + _not_needed(summary)
        + (f" ({reasons})" if reasons else ""),
        *_stored(summary),
        (
            f"this start: {new:,} traces{_parsed(summary['parsed'], new)}, {summary['new_failures']:,} failures, "
            f"{_spent(summary['this_start'])}"
        ),
        *([f"all {summary['starts']} starts: {_spent(summary)}"] if summary["starts"] > 1 else []),
        *_tool_errors(summary),
        *_accepted(summary),
        f"traces in {summary['directory']}",
    ]
    if summary["last_failure"]:
        lines.append(f"last failure: {one_line(summary['last_failure'])[:300]}")
    lines += _advice(summary)
    return "\n".join(lines)


def _tool_errors(summary: Mapping[str, Json]) -> list[str]:
    """A short run whose tools were all down is done all the same: it is not to look like any other."""
    errors, calls = summary["tool_errors"], summary["this_start"]["tool_calls"]
    return [f"{errors:,} of this start's {calls:,} tool calls brought no result"] if errors else []


def _advice(summary: Mapping[str, Json]) -> list[str]:
    """What to do next."""
    advice = []
    if summary["left"]:
        first = "mend that, then " if summary["exit_code"] in _TO_BE_MENDED else ""
        begun = ""
        if summary["unfinished"]:
            begun = f"; {summary['unfinished']:,} episodes go on in their middle, and count when they end"
        advice.append(f"{first}run the same command again to go on{begun}")
        if summary["lost_turns"]:
            advice.append(f"{summary['lost_turns']:,} finished turns did not fit on the disk, and are asked for again")
    if summary["failed"]:
        advice.append(f"--retry-failed tries the {summary['failed']:,} failed again")
    return advice


def render_status(status: Mapping[str, Json]) -> str:
    """The state of a run directory. It may be a stranger's: its words are cleaned."""
    reasons = one_line(", ".join(f"{reason} {count}" for reason, count in status["failed_reasons"].items()))
    holder = status["holder"]
    state = f"running (pid {holder['pid']} on {holder['host']})" if holder else status["state"]
    total = status["total"]
    lines = [
        one_line(f"{status['name']}: {state}"),
        *([f"paused: {one_line(status['paused'])}"] if status["paused"] else []),
        *(f"server down: {one_line(server)}" for server in status["servers_down"]),
        f"{status['done']:,} of {total:,} done, {status['failed']:,} failed, {status['left']:,} left"
        + _not_needed(status)
        + (f" ({reasons})" if reasons else ""),
        *_stored(status),
        *_accepted(status),
        *_of_partitions(status),
        *(
            [f"spent on episodes that ended, in all starts ({status['starts']}): {_spent(status)}"]
            if status["turns"] or status["starts"]
            else []
        ),
        f"rate {_rate(status)}, left {duration(status['seconds_left'])}",
    ]
    return "\n".join(lines)


def _not_needed(counts: Mapping[str, Json]) -> str:
    return f", {counts['skipped']:,} not needed" if counts["skipped"] else ""


def _parsed(parsed: int, new: int) -> str:
    return f" ({parsed:,} with an answer that could be read)" if parsed < new else ""


def _stored(counts: Mapping[str, Json]) -> list[str]:
    return [f"{counts['stored']:,} traces are stored in all"] if counts["stored"] > counts["done"] else []


def _spent(counters: Mapping[str, Json]) -> str:
    """Of one start, or of all."""
    cost = counters["cost"]
    return (
        f"{counters['turns']:,} turns, {counters['tool_calls']:,} tool calls, {counters['prompt_tokens']:,} + "
        f"{counters['completion_tokens']:,} tokens, {counters['retries']:,} retries, {duration(counters['seconds'])}"
    ) + ("" if cost is None else f", ${cost:,.2f}")


def _accepted(counts: Mapping[str, Json]) -> list[str]:
    accepted, stored = counts["accepted"], counts["stored"]
    if accepted is None:
        return []
    share = f" ({percent(accepted / stored)})" if accepted and stored else ""
    return [f"{accepted:,} of the {stored:,} stored traces are accepted{share}"]


def _rate(status: Mapping[str, Json]) -> str:
    """Of a start that was killed nobody knows the end, and a copy has none."""
    known = status["holder"] or status["rate_per_minute"]
    return f"{status['rate_per_minute']:.1f}/min" if known else "-"


def _of_partitions(status: Mapping[str, Json]) -> list[str]:
    started, total = status["partitions_started"], status["partitions"]
    if not total:
        return []
    missing = f"; the samples of the other {total - started} are not counted here" if started < total else ""
    return [f"{started} of {total} partitions have been started{missing}"]
