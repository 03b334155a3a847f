"""A clock that stands still, file layers that fail on demand, small traces: what the store's tests are made of."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asyncgen.core.trace import (
    CallRecord,
    Failure,
    ImageRecord,
    MessageRecord,
    ToolCallRecord,
    Trace,
    TurnRecord,
)
from asyncgen.core.types import Usage
from asyncgen.store.cataloguer import Cataloguer
from asyncgen.store.files import FileLayer
from asyncgen.store.layout import KINDS, Kind, open_shards, sealed_shards
from asyncgen.store.line import line_key
from asyncgen.store.scan import verify_shard
from asyncgen.store.store import Store


class StillClock:
    """Time moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_750_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class FaultyFiles(FileLayer):
    """Counts the calls; the `nth` (from 1) raises `code`, and so do the `times - 1` after it.

    A failing write takes `short` bytes first.
    """

    def __init__(self, nth: int = 0, code: int = errno.EIO, *, times: int = 1, short: int = 0, only: str = "") -> None:
        self.calls: Counter[str] = Counter()
        self.failed = 0
        self._nth = nth
        self._code = code
        self._times = times
        self._short = short
        self._only = only

    def _call(self, name: str) -> bool:
        """Whether this call is to fail."""
        if self._only and name != self._only:
            return False
        self.calls[name] += 1
        wanted = self._nth and self._nth <= self.calls.total() < self._nth + self._times
        self.failed += bool(wanted)
        return bool(wanted)

    def _maybe(self, name: str) -> None:
        if self._call(name):
            raise OSError(self._code, os.strerror(self._code))

    def create(self, path: Path) -> int:
        self._maybe("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._call("write"):
            super().write(descriptor, data[: self._short])
            raise OSError(self._code, os.strerror(self._code))
        return super().write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self._maybe("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._maybe("sync")
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._maybe("rename")
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._maybe("unlink")
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        self._maybe("sync_directory")
        super().sync_directory(path)


class StingyFiles(FileLayer):
    """A disk that takes at most three bytes a write."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[:3])


def a_trace(index: int, rollout: int = 0, *, text: str = "hello", calls: int = 0, **sample: Any) -> Trace:
    """A trace of one turn, with so many tool calls."""
    turn = TurnRecord(
        turn=1,
        messages=(MessageRecord(role="user", content="Where?"),),
        response=text,
        reasoning="",
        finish_reason="stop",
        usage=Usage(10, 5, 15, 0),
        endpoint="http://127.0.0.1:1/v1",
        model="m",
        request_id="r1",
        seconds=0.5,
        attempts=1,
    )
    call = ToolCallRecord(
        turn=1, tool_call=CallRecord(id="call_1_0", name="zoom", arguments="{}"), success=True, error="", seconds=0.1
    )
    image = ImageRecord(
        image=0, source="sample", column="image", op="", arguments="", width=3, height=2, sha256="0" * 64
    )
    return Trace(
        id=f"geo/{index}/{rollout}",
        config_id="0123456789ab",
        rollout=rollout,
        dataset_path="data",
        sample_index=index,
        sample_data=sample,
        conversation_history=(turn,),
        images=(image,) * calls,
        final_response=text,
        answer=text,
        reward_score={"score": 0.5, "parse_success": True, "acc@1km": 0.0},
        tool_calls=(call,) * calls,
        metadata={
            "total_turns": 1,
            "num_tool_calls": calls,
            "stop": "answered",
            "tool_mode": "none",
            "accepted": True,
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "seconds": 0.5,
            "resumed_at_turn": 0,
            "attempts": 1,
            "parse_success": True,
            "score": 0.5,
        },
    )


def a_failure(index: int, rollout: int = 0, *, reason: str = "timeout", error: str = "too slow") -> Failure:
    return Failure(trace=a_trace(index, rollout, text=""), reason=reason, error=error)


class IdleCataloguer(Cataloguer):
    """Makes none: nobody writes beside the writer, so what happens is the same each time."""

    def add(self, shard: Path, kind: Kind) -> None:
        pass

    def sweep(self, directory: Path) -> None:
        pass


def open_store(directory: Path, **options: Any) -> Store:
    """Without catalogs, unless a `cataloguer` is given."""
    given = {"argv": ["asyncgen", "run", "geo"], "clock": StillClock(), "cataloguer": IdleCataloguer, **options}
    return Store.open(directory, **given)


@asynccontextmanager
async def writing(store: Store) -> AsyncIterator[Store]:
    """The store with its loop running, closed at the end."""
    async with asyncio.TaskGroup() as group:
        group.create_task(store.run())
        try:
            yield store
        finally:
            await store.close()


def save(directory: Path, *traces: Trace, then: Callable[[], None] = lambda: None, **options: Any) -> None:
    """Write the traces as one start of one writer does."""

    async def main() -> None:
        async with writing(open_store(directory, **options)) as store:
            for trace in traces:
                await store.append(trace)
            then()

    asyncio.run(main())


def keys_on_disk(directory: Path, kind: str = "traces") -> list[tuple[int, int]]:
    """The keys in the sealed files, doubles included."""
    paths = sealed_shards(directory, "traces" if kind == "traces" else "failed")
    return [line_key(line) for path in paths for line in path.read_bytes().splitlines(keepends=True)]


def assert_sound(directory: Path) -> None:
    """No open file, no bad line, no key twice."""
    for kind in KINDS:
        assert open_shards(directory, kind) == []
        assert [problem for path in sealed_shards(directory, kind) for problem in verify_shard(path)] == []
    keys = keys_on_disk(directory)
    assert len(keys) == len(set(keys))
