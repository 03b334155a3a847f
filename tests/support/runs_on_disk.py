"""Run directories made by hand, for what reads them: shards, run file, events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.traces import failed_line, trace_line

from asyncgen.store.layout import CATALOG
from asyncgen.store.line import encode_line

WRITER = "20250101T000000-abcd"
GEO_SCORES = {
    "score": "float", "distance@km": "float", "geoguessr@point": "float", "parse_success": "bool",
    **{f"acc@{km}km": "float" for km in (1, 25, 200, 750, 2500)},
}  # fmt: skip


def line(index: int, rollout: int = 0, **more: Any) -> bytes:
    """A trace as its line."""
    return encode_line(trace_line(index, rollout, **more))


def failed(index: int, *, reason: str = "timeout") -> bytes:
    """A failure as its line."""
    return encode_line(failed_line(index, reason=reason))


def event(what: str, /, **fields: Any) -> dict[str, Any]:
    return {"time": "2025-01-01T00:00:00.000+00:00", "writer": WRITER, "event": what, **fields}


def make_run(
    directory: Path,
    *shards: Sequence[bytes],
    failures: Sequence[bytes] = (),
    total: int | None = None,
    fingerprint: str = "hf:1",
    name: str = "geo-tools",
    stopped: bool = True,
    run: Mapping[str, Any] | None = None,
) -> Path:
    """A run whose only start wrote these shards, each a list of lines."""
    for kind in ("traces", "failed"):
        (directory / kind).mkdir(parents=True)
    for number, lines in enumerate(shards):
        (directory / "traces" / f"traces-{WRITER}-{number:05d}.jsonl").write_bytes(b"".join(lines))
    if failures:
        (directory / "failed" / f"failed-{WRITER}-00000.jsonl").write_bytes(b"".join(failures))
    saved = sum(map(len, shards))
    whole = saved + len(failures) if total is None else total
    described = {
        "name": name,
        "task": "geo-tools",
        "config": {"task_options": {"scale_km": 1000.0}},
        "config_id": "0123456789ab",
        "configs": {"0123456789ab": {"task_options": {"nudge": "Go on."}}},
        "temperatures": [0.7],
        "total": whole,
        "dataset": {"path": "data/gaea/train", "fingerprint": fingerprint, "rows": 100},
        "columns": ["lat", "lon"],
        "scores": GEO_SCORES,
        **(run or {}),
    }
    (directory / "run.json").write_text(json.dumps(described))
    start = event("start", done=0, failed=0, left=whole, stored=0, stored_failed=0, name=name)
    stop = event("stop", signal=0, error="", saved=saved, failed=len(failures))
    events = [start, *([stop] if stopped else [])]
    (directory / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    return directory


def lines_of(directory: Path, kind: str = "traces") -> list[bytes]:
    """Of all sealed shards, in order."""
    shards = sorted((directory / kind).glob("*.jsonl"))
    return [one for shard in shards for one in shard.read_bytes().splitlines(keepends=True)]


def files_of(directory: Path) -> dict[str, bytes]:
    """Every file below the directory, by its path there; without catalogs, which whoever reads a shard may make."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.name.endswith(CATALOG)]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}
