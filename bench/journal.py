"""What a turn's entry in the journal costs, beside what no journal could do without: JSON, a checksum, one write(2).

python bench/journal.py
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import zlib
from dataclasses import asdict
from pathlib import Path

import orjson
from results import put

from asyncgen.core.clock import SystemClock
from asyncgen.core.types import Completion, Message, ToolCall, ToolMode, Usage
from asyncgen.engine.episode import Exchange
from asyncgen.engine.turn_log import PastTurn, Spent, TurnLog
from asyncgen.store.store import Store

TURNS = 20_000
ROUNDS = 7
EVERY = 10
"""Turns of an episode."""
CALL = ToolCall(id="c1", name="look", arguments='{"what": "left"}')
COMPLETION = Completion(
    content="The answer follows from the clues. " * 50,
    tool_calls=(CALL,),
    finish_reason="tool_calls",
    usage=Usage(300, 350, 650, 0),
    model="bench",
    request_id="chatcmpl-bench",
)
TURN = PastTurn(COMPLETION, Exchange(endpoint="http://127.0.0.1:8000/v1", seconds=1.25), Spent(1.25, 1))
PLAIN = asdict(TURN)
ASKED = [Message("tool", "nothing there " * 10, tool_call_id="c1", name="look")]


async def journalled(folder: Path) -> float:
    """CPU-µs an entry, of the loop's thread."""
    store = Store.open(folder / "run", argv=["bench"], clock=SystemClock())
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run())
        started = time.thread_time()
        for number in range(TURNS):
            if number % EVERY == 0:
                log = TurnLog(store, f"bench/{number}/0", (number, 0), "0123456789ab", {"temperature": 0.7})
            await log.add_turn(ASKED, [], TURN, ToolMode.NATIVE)
        spent = time.thread_time() - started
        await store.close()
    return 1e6 * spent / TURNS


def least(folder: Path) -> float:
    """The same of JSON, checksum and write alone."""
    descriptor = os.open(folder / "least.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    started = time.thread_time()
    for number in range(TURNS):
        body = orjson.dumps({"id": f"bench/{number}/0", "seq": number % EVERY, "turn": PLAIN})
        os.write(descriptor, b'%s,"crc":"%08x"}\n' % (body[:-1], zlib.crc32(body)))
    spent = time.thread_time() - started
    os.close(descriptor)
    return 1e6 * spent / TURNS


def main() -> None:
    ours, bare = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            bare.append(least(Path(name)))
            ours.append(asyncio.run(journalled(Path(name))))
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    lines = [
        f"An entry of 2.3 KB in the loop's thread, beside orjson, zlib and `os.write` alone. Medians of {ROUNDS} rounds in turns.",
        "",
        "| entry CPU-µs | least CPU-µs | ratio |",
        "|---|---|---|",
        f"| {statistics.median(ours):.1f} | {statistics.median(bare):.1f} | {ratio:.2f} |",
    ]
    put("A turn in the journal", lines)


if __name__ == "__main__":
    main()
