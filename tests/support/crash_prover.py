"""What must be true of a run directory after any crash; and the search for a state in which it is not.

Knows readers and starts of a store. Does not know what was written (`crash_runs`) nor what a crash leaves
(`crash_states`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeAlias

from support.crash_files import Image, Operation, RecordingFiles, lay_out, read_image, without
from support.crash_runs import CONFIG, MOST, Key, Promised, Scenario, World, next_start, stored_keys
from support.crash_states import crash_states, every_crash
from support.store_fakes import open_store

from asyncgen.core.errors import AsyncgenError, InputError
from asyncgen.store.events import read_events
from asyncgen.store.layout import CARD_FILE, KINDS, Kind, open_shards, sealed_shards
from asyncgen.store.run_file import read_run
from asyncgen.store.scan import verify_shard

Forgotten: TypeAlias = Callable[[Operation | None, Operation, Operation | None], bool]
_RECOVER_EVERY = 12
"""Of so many states one is started on, and that start is crashed as well."""
_RECOVERIES = 6
"""States of such a start."""
_NEAR = 20
"""Operations after a forgotten one in which it must show."""


class Found(NamedTuple):
    """What a start finds, and leaves."""

    traces: list[Key]
    failures: list[Key]
    turns: dict[Key, list[dict[str, Any]]]
    shards: dict[str, bytes | None]
    """All in `traces/` and `failed/`."""


def readers_see(run: Path, promised: Promised) -> None:
    """Any reader, at any instant, without a lock: sealed shards are whole, all that is durable is there, once."""
    if not run.exists():
        assert promised == Promised()
        return
    for kind in KINDS:
        bad = [problem for path in sealed_shards(run, kind) for problem in verify_shard(path)]
        assert not bad, f"{kind}: {bad}"
        _hold(stored_keys(run, kind), promised, kind)
    assert all(isinstance(event, dict) for event in read_events(run))
    try:
        version = int(read_run(run)["version"])
    except InputError:
        version = -1
    assert version >= promised.run, f"run.json {version} for {promised.run}"
    card = run / CARD_FILE
    assert not card.exists() or card.read_bytes().endswith(b"```\n"), "the card is torn"


async def start_finds(run: Path, promised: Promised) -> Found:
    """A start on the folder, to its end."""
    store = open_store(run)
    try:
        store.adopt_turns(CONFIG)
        turns = {key: past for index in range(MOST) if (past := store.past_turns(key := (index, 0)))}
        done = {key for key in stored_keys(run, "traces") if key in store.done}
        lost = [key for key, many in promised.turns.items() if key not in done and len(turns.get(key, ())) < many]
        assert not lost, f"turns lost of {lost}"
        assert all([one["turn"] for one in past] == [*range(len(past))] for past in turns.values())
    finally:
        await store.close()
    for kind in KINDS:
        assert open_shards(run, kind) == [], "open shards are left"
    traces, failures = stored_keys(run, "traces"), stored_keys(run, "failed")
    assert len(store.done) == len(done) == len(traces)
    _hold(traces, promised, "traces")
    _hold(failures, promised, "failed")
    shards = {f"{kind}/{name}": data for kind in KINDS for name, data in read_image(run / kind).items()}
    return Found(traces, failures, turns, shards)


def _hold(keys: list[Key], promised: Promised, kind: Kind) -> None:
    wanted = promised.traces if kind == "traces" else promised.failures
    assert wanted <= {*keys}, f"{kind} lost: {sorted(wanted - {*keys})}"
    assert len(keys) == len({*keys}), f"{kind} twice: {sorted(keys)}"


async def check(
    root: Path, image: Image, promised: Promised, before: Callable[[Path], object] = lambda _: None
) -> None:
    """Lay the state out, look at it, start on it, and start once more. Raises what is wrong. `before` is called on the
    run first."""
    lay_out(image, root)
    try:
        run = root / "run"
        before(run)
        readers_see(run, promised)
        first = await start_finds(run, promised)
        readers_see(run, promised)
        second = await start_finds(run, promised)
        assert second == first, "a second start finds something else"
    finally:
        shutil.rmtree(root)


class Recording(NamedTuple):
    """What a scenario did."""

    base: Image
    operations: list[Operation]
    final: Promised
    """After the last operation."""
    near: Sequence[int] = ()
    """Not empty: after how many operations there is something to be found."""

    def states(self, rng: Random, count: int) -> Iterable[tuple[Image, Promised]]:
        """So many at random; of a store that forgets something those soon after."""
        prefixes = rng.choices(self.near or range(len(self.operations) + 1), k=count)
        return crash_states(self.base, self.operations, self.final, rng, prefixes)  # type: ignore[return-value]  # what the world's promises gave

    def every_state(self, rng: Random) -> Iterable[tuple[Image, Promised]]:
        """After each operation, in every way."""
        return every_crash(self.base, self.operations, self.final, rng)  # type: ignore[return-value]  # same

    def forgetting(self, forgotten: Forgotten) -> Recording:
        """As of a store that leaves some operations out."""
        kept, missing = without(self.operations, forgotten)
        near = sorted({min(at + more, len(kept)) for at in missing for more in range(_NEAR)})
        return self._replace(operations=kept, near=near)


async def recorded(scenario: Scenario, root: Path, layer: type[RecordingFiles] = RecordingFiles) -> Recording:
    """Let it happen in a new folder, which is gone then."""
    lay_out({}, root)
    try:
        return await _record(scenario, World(root, layer=layer))
    finally:
        shutil.rmtree(root)


async def _record(scenario: Scenario, world: World) -> Recording:
    await scenario(world)
    return Recording(world.files.base, world.files.operations, world.promises.now())


async def next_start_on(image: Image, promised: Promised, scratch: Path) -> Recording:
    """A start on this state. No crash of it may take a line that it found."""
    root = scratch / "life"
    lay_out(image, root)
    traces, failures = (frozenset(stored_keys(root / "run", kind)) for kind in KINDS)
    try:
        return await _record(next_start, World(root, replace(promised, traces=traces, failures=failures)))
    finally:
        shutil.rmtree(root)


async def prove(scenario: Scenario, scratch: Path, rng: Random, count: int) -> int:
    """Crash the scenario `count` times, and starts on what is left as well; how many states were looked at. Raises what
    is wrong with the first that is wrong."""
    looked = 0
    for number, (image, promised) in enumerate((await recorded(scenario, scratch / "life")).states(rng, count), 1):
        await check(scratch / "state", image, promised)
        looked += 1
        if number % _RECOVER_EVERY == 0:
            for left, kept in (await next_start_on(image, promised, scratch)).states(rng, _RECOVERIES):
                await check(scratch / "state", left, kept)
                looked += 1
    return looked


async def prove_start(image: Image, promised: Promised, scratch: Path, rng: Random, count: int) -> int:
    """Crash a start on this state so many times, or with 0 after each of its operations in every way; how many states
    were looked at."""
    start = await next_start_on(image, promised, scratch)
    looked = 0
    for left, kept in start.states(rng, count) if count else start.every_state(rng):
        await check(scratch / "state", left, kept)
        looked += 1
    return looked


async def violation(
    states: Iterable[tuple[Image, Promised]], scratch: Path, before: Callable[[Path], object] = lambda _: None
) -> str:
    """What is wrong with the first state that is wrong; `""`: with none."""
    for image, promised in states:
        try:
            await check(scratch / "state", image, promised, before)
        except (AssertionError, AsyncgenError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
    return ""
