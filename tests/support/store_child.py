"""A process that writes traces until it is killed, and says which `append` has returned.

    python store_child.py DIRECTORY FIRST_LIMIT

Prints `done N` (what it found), then each acknowledged index. FIRST_LIMIT > 0: files may not grow beyond so many bytes
until the store has said that the disk is full.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from support.store_fakes import a_trace

from asyncgen.core.clock import SystemClock
from asyncgen.store.store import Store


def say(text: str) -> None:
    print(text, flush=True)


def make_room(state: str) -> None:
    say(state.partition(":")[0])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def write(store: Store, index: int) -> None:
    if (index, 0) not in store.done:
        await store.append(a_trace(index, text="x" * (index % 5000)))
        say(str(index))


async def main(directory: str, limit: int) -> None:
    store = Store.open(
        Path(directory), argv=sys.argv, clock=SystemClock(), shard_traces=50, commit_traces=20, on_state=make_room
    )
    say(f"done {len(store.done)}")
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run())
        for start in range(0, 100_000 if not limit else 40, 8):
            async with asyncio.TaskGroup() as eight:
                for index in range(start, start + 8):
                    eight.create_task(write(store, index))
        await store.close()
    say("closed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
