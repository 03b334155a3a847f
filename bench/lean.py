"""The floor: what a lean aiohttp + orjson loop costs for the same requests and one JSON line an episode.

`python bench/lean.py URL ROWS CONCURRENCY OUT`. It executes the tool and keeps turn metadata; no resume, no durability.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import orjson

TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}


async def episode(session: aiohttp.ClientSession, url: str, row: dict[str, object]) -> bytes:
    messages = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": row["question"]}]
    turns = []
    while True:
        request = {"model": "bench", "messages": messages, "temperature": 0.7, "max_tokens": 2048, "tools": [TOOL]}
        async with session.post(
            url, data=orjson.dumps(request), headers={"Content-Type": "application/json"}
        ) as response:
            completion = orjson.loads(await response.read())
        message = completion["choices"][0]["message"]
        messages.append(message)
        turns.append({"response": message["content"], "usage": completion["usage"]})
        calls = message.get("tool_calls")
        if not calls:
            return orjson.dumps({"row": row, "messages": messages, "turns": turns}) + b"\n"
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "nothing there"} for call in calls]


async def main() -> None:
    base, rows, concurrency, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    lines = iter(Path(rows).read_bytes().splitlines())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with Path(out).open("wb") as file:

            async def worker() -> None:
                for line in lines:
                    file.write(await episode(session, f"{base}/chat/completions", orjson.loads(line)))

            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
