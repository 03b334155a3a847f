"""A start on 1,400,000 finished traces, with catalogs and without. Writes its part of bench/RESULTS.md.

The traces are made up: the lines of a geo-tools run of two turns, with other numbers. What is measured is a process that
opens the store and counts what is left, from its first import on.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from results import put

SHARDS = 140
LINES = 10_000
HERE = Path(__file__).parent
HEADING = "A start on 1,400,000 finished traces"


def template() -> bytes:
    """A line without its checksum; %(n)d is the row number, %(x)f another number."""
    turn = {
        "turn": 1,
        "messages": [
            {"role": "system", "content": "You find out where photos were taken. " * 8, "tool_call_id": "", "name": ""},
            {"role": "user", "content": "<image:0>\nWhere was this photo taken?", "tool_call_id": "", "name": ""},
        ],
        "response": "<think>" + "The road, the poles and the plates say where. " * 6 + "</think>So \\boxed{1, 2}",
        "reasoning": "",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 900, "completion_tokens": 120, "total_tokens": 1020, "cached_tokens": 0},
        "endpoint": "http://127.0.0.1:8000/v1",
        "model": "vl",
        "request_id": "r%(n)d",
        "seconds": 1.25,
        "attempts": 1,
    }
    scores = {"score": "@x", "distance@km": "@x", "geoguessr@point": "@x", "parse_success": True}
    scores |= {f"acc@{km}km": 1.0 for km in (1, 25, 200, 750, 2500)}
    trace = {
        "id": "geo-tools/%(n)d/0",
        "version": 1,
        "config_id": "0123456789ab",
        "rollout": 0,
        "dataset_path": "data/gaea/train",
        "sample_index": "@n",
        "sample_data": {"lat": "@x", "lon": "@x", "locatability_score": "@x", "country": "land %(n)d"},
        "conversation_history": [turn, {**turn, "turn": 2, "messages": turn["messages"][1:]}],
        "images": [
            {"image": 0, "source": "sample", "column": "image", "op": "", "arguments": "", "width": 640, "height": 480,
             "sha256": "5fb8492714808267ad2adf9ca46061b1899a22001e8fe60dc7a39934e22b4e9e"}
        ],
        "final_response": "So \\boxed{%(x)f, %(x)f}",
        "answer": "%(x)f, %(x)f",
        "reward_score": scores,
        "tool_calls": [],
        "metadata": {
            "total_turns": 2, "num_tool_calls": 1, "stop": "answered", "tool_mode": "native", "accepted": True,
            "prompt_tokens": 1800, "completion_tokens": 240, "seconds": "@x", "resumed_at_turn": 0, "attempts": 2,
            "parse_success": True, "distance_km": "@x", "score": "@x",
        },
    }  # fmt: skip
    text = json.dumps(trace, separators=(",", ":"))[:-1]
    return text.replace('"@x"', "%(x)f").replace('"@n"', "%(n)d").encode()


def make_shard(path: Path, number: int, line: bytes) -> None:
    """Its rows are those of the dataset in another order, as hardest first leaves them."""
    out = []
    for place in range(number * LINES, (number + 1) * LINES):
        row = place * 7919 % (SHARDS * LINES)
        body = line % {b"n": row, b"x": row * 0.6180339887 % 90 + 1}
        out.append(b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body)))
    path.write_bytes(b"".join(out))


def make_run(directory: Path) -> int:
    """Shards and catalogs; bytes of the shards."""
    from asyncgen.store.catalog import write_catalog
    from asyncgen.store.files import DISK

    for kind in ("traces", "failed"):
        (directory / kind).mkdir(parents=True)
    line, size = template(), 0
    for number in range(SHARDS):
        shard = directory / "traces" / f"traces-20250101T000000-abcd-{number:05d}.jsonl"
        make_shard(shard, number, line)
        write_catalog(shard, "traces", DISK)
        size += shard.stat().st_size
    return size


def start(directory: Path) -> None:
    """What a start does before it looks at servers, in this process. Prints a line of JSON."""
    from asyncgen.core.clock import SystemClock
    from asyncgen.runs.plan import Plan
    from asyncgen.store.store import Store

    store = Store.open(directory, argv=["bench"], clock=SystemClock())
    import numpy as np

    plan = Plan(indexes=np.arange(SHARDS * LINES), rollouts=1, store=store, retry=lambda reason: False)
    counts = plan.counts()
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024  # ru_maxrss would count what the parent had when it forked
    print(json.dumps({"done": counts.done, "left": counts.left, "cpu": used.ru_utime + used.ru_stime, "rss": peak}))
    sys.stdout.flush()
    os._exit(0)  # not `close`, which would make catalogs


def measured(directory: Path) -> dict[str, float]:
    """Of a start in a process of its own; `wall` counts its launch too."""
    before = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, __file__, "start", str(directory)], stdout=subprocess.PIPE, check=True, text=True
    )
    found = json.loads(ended.stdout)
    assert (found["done"], found["left"]) == (SHARDS * LINES, 0), found
    return {**found, "wall": time.perf_counter() - before}


def report() -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        size = make_run(run)
        catalogs = list((run / "traces").glob("*.catalog.parquet"))
        cached = sum(path.stat().st_size for path in catalogs)
        best = min((measured(run) for _ in range(5)), key=lambda one: one["wall"])
        for path in catalogs:
            path.unlink()
        scanned = min((measured(run) for _ in range(2)), key=lambda one: one["wall"])
    per = 10e9 / size
    return [
        f"{SHARDS} shards of {LINES:,} made-up traces, {size / 1e9:.1f} GB, and their catalogs, {cached / 1e6:.0f} MB, in the page",
        "cache. A process that opens the store and counts what is left, from its launch on (`bench/resume.py`).",
        "",
        "| | wall s | CPU s | peak MiB |",
        "|---|---|---|---|",
        f"| with catalogs | {best['wall']:.2f} | {best['cpu']:.2f} | {best['rss']:.0f} |",
        f"| without | {scanned['wall']:.1f} | {scanned['cpu']:.1f} ({scanned['cpu'] * per:.0f} a 10 GB) | {scanned['rss']:.0f} |",
    ]


def main() -> None:
    if sys.argv[1:2] == ["start"]:
        start(Path(sys.argv[2]))
        return
    put(HEADING, report())


if __name__ == "__main__":
    main()
