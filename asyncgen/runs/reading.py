"""What a run directory says of itself: traces from wherever they are, and the counts of `status`.

Knows run directories, their partitions, and folders of trace_*.json. Never locks, never writes.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import DataError, InputError
from asyncgen.core.types import Json
from asyncgen.export.trace_folder import read_trace_json
from asyncgen.runs.spent import added_up, event_time, spent_of
from asyncgen.store.events import read_events
from asyncgen.store.holder import read_holder, shows_life, this_process
from asyncgen.store.index import DoneIndex
from asyncgen.store.keys import ACCEPTED, Keys
from asyncgen.store.layout import EVENTS_FILE, RUN_FILE, parse_part
from asyncgen.store.read import find_trace, iter_traces, keys_by_shard, run_directories
from asyncgen.store.run_file import read_run

SMALL = 10_000
"""Traces that are counted without numpy, which takes longer to load."""
FIRST = 3
"""Ids that are named where another one was asked for."""


def traces_of(paths: Sequence[Path]) -> Iterator[dict[str, Json]]:
    """The traces of run directories and of folders of trace_*.json. Raises InputError, DataError."""
    return chain.from_iterable([_traces(path) for path in paths])


def _traces(path: Path) -> Iterator[dict[str, Json]]:
    return read_trace_json(path) if is_trace_folder(path) else iter_traces(path)


def configs_of(paths: Sequence[Path]) -> dict[str, Mapping[str, Json]]:
    """What shaped the text of their traces, by `config_id`; nothing for folders of trace_*.json. Raises InputError,
    DataError."""
    runs = [read_run(directory) for path in paths if not is_trace_folder(path) for directory in run_directories(path)]
    return {config_id: config for run in runs for config_id, config in _mapping(run, "configs").items()}


def failures_of(paths: Sequence[Path]) -> Iterator[dict[str, Json]]:
    """The failed episodes that have no trace."""
    return chain.from_iterable([iter_traces(path, "failed") for path in paths if not is_trace_folder(path)])


def is_trace_folder(path: Path) -> bool:
    """A folder of trace_*.json and no run directory. Raises InputError where there is nothing."""
    if not path.exists():
        raise InputError(f"{path} does not exist; give a run directory or a folder of trace_*.json")
    return path.is_dir() and any(path.glob("trace_*.json"))


def one_trace(path: Path, which: str, rollout: int) -> dict[str, Json]:
    """By id or row number; the first that there is for `""`. Raises InputError."""
    found = _one_trace(path, which, rollout)
    if found is not None:
        return found
    ids = [trace["id"] for trace in islice(_traces(path), FIRST)]
    if not ids:
        raise InputError(f"{path} has no traces yet")
    missing = which if "/" in which or not rollout else f"{which} of rollout {rollout}"
    raise InputError(f"{path} has no trace {missing}; the first that it has: {', '.join(ids)}")


def _one_trace(path: Path, which: str, rollout: int) -> dict[str, Json] | None:
    if not which:
        return next(_traces(path), None)
    if not is_trace_folder(path):
        return find_trace(path, which, rollout)
    for trace in read_trace_json(path):
        same_row = which.isdecimal() and (trace["sample_index"], trace["rollout"]) == (int(which), rollout)
        if same_row or trace["id"] == which:
            return trace
    return None


def truth_columns(path: Path) -> list[str]:
    """The columns that the run's task needs: its truth."""
    return [] if is_trace_folder(path) else list(read_run(run_directories(path)[0]).get("columns", ()))


def in_a_run(path: Path) -> bool:
    """Whether the path lies in a run directory, or is one."""
    place = path.absolute()
    return any((folder / RUN_FILE).exists() for folder in (place, *place.parents))


def status_of(path: Path) -> dict[str, Json]:
    """Counts, rate and holder of a run, its partitions added up. Raises InputError, DataError."""
    parts = [_status(directory) for directory in run_directories(path)]
    reasons = sum((Counter(part["failed_reasons"]) for part in parts), Counter[str]())
    running = [part for part in parts if part["holder"]]
    rate = (
        sum(part["rate_per_minute"] for part in running) if running else sum(part["rate_per_minute"] for part in parts)
    )
    left = sum(part["left"] for part in parts)
    return {
        "name": parts[0]["name"],
        "directory": str(path),
        "state": _joint_state([part["state"] for part in parts]),
        "holder": running[0]["holder"] if running else None,
        "config_id": parts[0]["config_id"],
        **{key: sum(part[key] for part in parts) for key in ("total", "done", "failed", "skipped")},
        "left": left,
        "stored": sum(part["stored"] for part in parts),
        "accepted": _accepted(parts),
        "paused": next((part["paused"] for part in parts if part["paused"]), ""),
        "servers_down": sorted({server for part in parts for server in part["servers_down"]}),
        "failed_reasons": dict(reasons.most_common()),
        "rate_per_minute": rate,
        "seconds_left": left / rate * 60 if left and rate > 0 and _goes_on(parts) else None,
        **added_up(parts),
        **_partitions(path, [part["directory"] for part in parts]),
    }


def _partitions(path: Path, directories: Sequence[str]) -> dict[str, Json]:
    """How many of the partitions have been started; zeros for a run without."""
    if directories[0] == str(path):
        return {"partitions": 0, "partitions_started": 0}
    totals = [part[1] for one in directories if (part := parse_part(Path(one).name))]
    if not totals:  # nobody says how many chunks there are to be
        return {"partitions": 0, "partitions_started": 0}
    return {"partitions": max(totals), "partitions_started": len(directories)}


def _joint_state(states: Sequence[str]) -> str:
    return next((state for state in ("running", "interrupted") if state in states), states[0])


def _status(directory: Path) -> dict[str, Any]:
    run = read_run(directory)
    traces, failures = list(keys_by_shard(directory)), list(keys_by_shard(directory, "failed"))
    stored, accepted = _stored(traces)
    reasons = dict(chain.from_iterable(keys.each() for keys in failures))
    for packed in stored.among(reasons):
        del reasons[packed]
    events = list(read_events(directory))
    start, stop = latest_start(events)
    holder = None if stop else _live_holder(directory)
    counts = counts_of(run, events, stored=len(stored), failures=len(reasons))
    return {
        "name": _text(run, "name", directory),
        "directory": str(directory),
        "stored": len(stored),
        "accepted": accepted if _marks(_mapping(run, "config")) else None,
        "paused": _pause(events) if holder else "",
        "servers_down": _servers_down(events) if holder else [],
        "state": "running" if holder else "complete" if not counts.left else "interrupted",
        "holder": holder,
        "config_id": _text(run, "config_id", directory),
        **asdict(counts),
        "failed_reasons": dict(Counter(reasons.values())),
        "rate_per_minute": 0.0  # a copy has no episodes of its own
        if "derived" in run
        else _rate(start, stop, counts.done + counts.failed, live=holder is not None),
        **spent_of(run, (keys.totals for keys in (*traces, *failures)), events, live=holder is not None),
    }


def _stored(shards: Sequence[Keys]) -> tuple[DoneIndex, int]:
    """The traces that there are, and how many of them are accepted: of several with one id, the first counts."""
    packed = array("Q", chain.from_iterable(keys.packed for keys in shards))
    stored = DoneIndex([packed] if len(packed) > SMALL else ())
    if len(packed) <= SMALL:
        for key in packed:
            stored.add(key >> 16, key & 0xFFFF)
    if len(stored) == len(packed):
        return stored, sum(len(keys.marked(ACCEPTED)) for keys in shards)
    first = dict(reversed([*chain.from_iterable(keys.each() for keys in shards)]))
    return stored, list(first.values()).count(ACCEPTED)


def _accepted(parts: Sequence[Mapping[str, Any]]) -> int | None:
    """Traces that are marked so; None where no part has such a condition."""
    known = [part["accepted"] for part in parts if part["accepted"] is not None]
    return sum(known) if known else None


def _marks(config: Mapping[str, Any]) -> bool:
    """Whether a run's job accepts some of its traces only."""
    return bool(config.get("accept") or config.get("stop_when"))


def _mapping(run: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Empty where run.json has none."""
    return value if isinstance(value := run.get(key), dict) else {}


def _text(run: Mapping[str, Any], key: str, directory: Path) -> str:
    """Raises DataError where run.json has none."""
    if not isinstance(value := run.get(key), str):
        raise DataError(f"{directory / RUN_FILE} has no text for {key!r}; put a copy in its place")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Episodes of a run's latest selection."""

    total: int
    done: int
    failed: int
    left: int
    skipped: int
    """Not needed any more: neither done nor left."""


def counts_of(run: Mapping[str, Any], events: Sequence[dict[str, Any]], *, stored: int, failures: int) -> Counts:
    """What the latest start said, and what came since. `stored`: traces that are there, `failures`: failed episodes
    without one. Raises DataError."""
    start, stop = latest_start(events)
    done = _count(start, "done") + stored - _count(start, "stored")
    new_failed = max(0, failures - _count(start, "stored_failed"))  # those tried again were there before
    failed = _count(stop, "failed") if "failed" in stop else _count(start, "failed") + new_failed
    skipped = _count(next((event for event in reversed(events) if "skipped" in event), {}), "skipped")
    total = _count(run, "total", RUN_FILE)
    left = max(0, total - done - failed - skipped)
    return Counts(total=total, done=done, failed=failed, left=left, skipped=skipped)


def _count(source: Mapping[str, Any], key: str, file: str = EVENTS_FILE) -> int:
    """0 where there is none. Raises DataError."""
    if not isinstance(value := source.get(key, 0), int):
        raise DataError(f"{file} is damaged: {key!r} is no number; put a copy in its place")
    return value


def latest_start(events: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its event, and the event of its end; empty where there is none."""
    start: dict[str, Any] = {}
    stop: dict[str, Any] = {}
    for event in events:
        if event.get("event") == "start":
            start, stop = event, {}
        elif event.get("event") == "stop":
            stop = event
    return start, stop


def _pause(events: Iterable[dict[str, Any]]) -> str:
    """What the latest start waits for; `""` when it goes on. A pause by its user and one for want of a server or of
    disk space end independently of each other; a drain goes on through the former."""
    pauses: dict[str, str] = {}
    for event in events:
        match event.get("event"):
            case "start":
                pauses.clear()
            case "pause":
                pauses[str(event.get("by", ""))] = str(event.get("text", ""))
            case "resume":
                pauses.pop(str(event.get("by", "")), None)
            case "drain":
                for by in ("ctl", "stream"):
                    pauses.pop(by, None)
    return "; ".join(pauses.values())


def _goes_on(parts: Sequence[Mapping[str, Any]]) -> bool:
    return any(part["holder"] and not part["paused"] for part in parts)


def _servers_down(events: Iterable[dict[str, Any]]) -> list[str]:
    """Which of several servers the latest start is without."""
    down: set[str] = set()
    for event in events:
        match event.get("event"):
            case "start":
                down.clear()
            case "server_down":
                down.add(str(event.get("server", "")))
            case "server_up":
                down.discard(str(event.get("server", "")))
    return sorted(down)


def is_live(directory: Path, events: Iterable[dict[str, Any]]) -> bool:
    """Whether a run is going on in the directory, whose events these are."""
    return not latest_start(events)[1] and _live_holder(directory) is not None


def _live_holder(directory: Path) -> dict[str, Json] | None:
    """Who holds the lock, if that process is alive. On another host only its signs of life tell."""
    holder, me = read_holder(directory), this_process()
    if holder is None:
        return None
    if holder.host != me.host:
        alive = shows_life(directory, SystemClock())
    else:
        alive = holder.boot_id in {"", me.boot_id} and _is_alive(holder.pid)
    if not alive:
        return None
    return {**asdict(holder), "argv": list(holder.argv)}


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Ended, but not yet fetched by its parent. Only Linux tells; elsewhere it counts as alive."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["Z"]


def _rate(start: Mapping[str, Any], stop: Mapping[str, Any], finished: int, *, live: bool) -> float:
    """Episodes a minute of the latest start. 0.0 where its end is not known. Raises DataError."""
    if not start or not (stop or live):
        return 0.0
    end = event_time(stop) if stop else datetime.now(UTC)
    seconds = (end - event_time(start)).total_seconds()
    new = finished - _count(start, "done") - _count(start, "failed")
    return max(0.0, 60 * new / seconds) if seconds > 0 else 0.0
