"""Run directories made of trace lines, and a world of geo traces whose figures can be reckoned by hand."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.traces import LEVELS, Line, call, failed_line, trace_line, turn

from asyncgen.export.stats import Stats
from asyncgen.store.line import encode_line


def write_run(folder: Path, traces: Iterable[Line], failures: Iterable[Line] = ()) -> Path:
    """What a finished run leaves, as far as its readers look."""
    for kind, lines in (("traces", traces), ("failed", failures)):
        (folder / kind).mkdir(parents=True)
        shard = folder / kind / f"{kind}-20260101T000000-abcd-00000.jsonl"
        shard.write_bytes(b"".join(encode_line(line) for line in lines))
    (folder / "run.json").write_text(json.dumps({"name": "geo-tools", "config_id": "0123456789ab", "total": 1}))
    return folder


def geo_trace(
    index: int,
    rollout: int = 0,
    *,
    km: float = 100.0,
    parsed: bool = True,
    difficulty: float | None = 0.5,
    tools: int = 0,
    attempts: int = 1,
    tokens: tuple[int, int] = (900, 100),
    place: tuple[float, float] = (10.0, 20.0),
    guess: tuple[float, float] = (11.0, 21.0),
    **data: Any,
) -> Line:
    """A turn a tool call and one for the answer; the score is 1 - km / 20,000."""
    km = km if parsed else 20_000.0
    scores = {"score": 1 - km / 20_000, "distance@km": km, "parse_success": parsed}
    scores |= {f"acc@{level}km": float(km <= level) for level in LEVELS}
    row = {"lat": place[0], "lon": place[1], "locatability_score": difficulty, "country": "atlantis", **data}
    line = trace_line(
        index,
        rollout,
        data=row,
        turns=[turn(number + 1, "Here.", tokens=tokens, attempts=attempts) for number in range(tools + 1)],
        calls=[call(number + 1, "image_zoom_in_tool", "{}") for number in range(tools)],
        scores=scores,
    )
    return line | {"answer": f"{guess[0]}, {guess[1]}" if parsed else ""}


def some_world(count: int, seed: int = 0) -> Iterator[Line]:
    """Traces of every kind, the same for the same seed."""
    lot = random.Random(seed)
    for index in range(count):
        yield geo_trace(
            index // 2,
            index % 2,
            km=round(10 ** lot.uniform(-1, 4), 3),
            parsed=lot.random() < 0.9,
            difficulty=lot.choice((0.0, 0.1, 0.3, 0.45, 0.6, 0.61, 1.0)),
            tools=lot.choice((0, 0, 1, 3)),
            attempts=lot.choice((1, 1, 1, 2)),
            tokens=(lot.randrange(100, 2000), lot.randrange(1, 500)),
            place=(lot.uniform(-85, 85), lot.uniform(-180, 180)),
            guess=(lot.uniform(-85, 85), lot.uniform(-180, 180)),
            country=lot.choice(("chile", "peru", "peru", "法国")),
        )


def failure(index: int, *, difficulty: float = 0.1, **data: Any) -> Line:
    """A failed episode of a row of that difficulty."""
    row = {"lat": 1.0, "lon": 2.0, "locatability_score": difficulty, "country": "atlantis", **data}
    return failed_line(index) | {"sample_data": row}


def counted(*traces: Line) -> Stats:
    """All of one run."""
    stats = Stats()
    for trace in traces:
        stats.add(trace)
    return stats


def reckoned(traces: list[Line]) -> dict[str, Any]:
    """The main figures again, by the plainest means."""

    def average(values: list[float], how: Callable[[list[float]], float] = statistics.fmean) -> float | None:
        return how(values) if values else None

    kilometres = [trace["reward_score"]["distance@km"] for trace in traces]
    parsed = [trace for trace in traces if trace["reward_score"]["parse_success"]]
    near = [trace["reward_score"]["distance@km"] for trace in parsed]
    turns = [trace["metadata"]["total_turns"] for trace in traces]
    tokens = [trace["metadata"]["prompt_tokens"] + trace["metadata"]["completion_tokens"] for trace in traces]
    return {
        "n": len(traces),
        "tool_use": average([bool(trace["tool_calls"]) for trace in traces]),
        "parse_rate": average([bool(trace["reward_score"]["parse_success"]) for trace in traces]),
        "mean_score": average([trace["reward_score"]["score"] for trace in traces]),
        "mean_distance_km": average(kilometres),
        "median_distance_km": average(kilometres, statistics.median),
        "mean_distance_km_parsed": average(near),
        "median_distance_km_parsed": average(near, statistics.median),
        **{f"acc@{km}km": average([trace["reward_score"][f"acc@{km}km"] for trace in traces]) for km in LEVELS},
        "turns": average(turns),
        "tokens_per_turn": sum(tokens) / sum(turns) if turns else None,
        "tokens": average(tokens),
        "seconds": average([trace["metadata"]["seconds"] for trace in traces]),
    }


def same(group: dict[str, Any], traces: list[Line]) -> bool:
    """Whether the group has the figures of these traces."""
    wanted = reckoned(traces)
    return {key: group[key] for key in wanted} == {
        key: value if value is None else pytest.approx(value) for key, value in wanted.items()
    }


def sizes(groups: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Name and number of traces."""
    return {group["group"]: group["n"] for group in groups}
