"""A process that writes traces on a shared file system, until it is told that another machine has its directory.

    python lease_child.py DIRECTORY

Prints `ready`, then each acknowledged index, and at the end why it ended.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from support.lock_fakes import HERE, NodeLocalFlock
from support.store_fakes import a_trace

from asyncgen.core.clock import SystemClock
from asyncgen.core.errors import TemporaryError
from asyncgen.store.lock import take_lock
from asyncgen.store.store import Store


def say(text: object) -> None:
    print(text, flush=True)


async def write(store: Store) -> None:
    for index in range(1_000_000):
        await store.append(a_trace(index))
        say(index)


async def main(directory: str) -> None:
    take = partial(take_lock, me=HERE, beat=0.05, settle=0.05)
    store = Store.open(Path(directory), argv=sys.argv, clock=SystemClock(), files=NodeLocalFlock(), take=take)
    say("ready")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(store.run())
            group.create_task(write(store))
    except* TemporaryError as ended:
        say(ended.exceptions[0])
    try:
        await store.close()
    except TemporaryError as ended:
        say(ended)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
