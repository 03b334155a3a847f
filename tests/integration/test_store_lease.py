"""A real process that is suspended for so long that another machine takes its directory over, and wakes up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from support.lock_fakes import THERE, NodeLocalFlock, set_age
from support.store_fakes import a_trace, keys_on_disk, open_store, writing

from asyncgen.store.holder import LEASE, read_holder
from asyncgen.store.layout import open_shards, sealed_shards
from asyncgen.store.lock import take_lock
from asyncgen.store.scan import verify_shard

TESTS = Path(__file__).parents[1]
take_there = partial(take_lock, me=THERE, beat=0.05, settle=0.05)


@contextmanager
def child(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """The writing process; killed at the end if it still runs."""
    program = [sys.executable, str(TESTS / "support" / "lease_child.py"), str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def suspend(process: subprocess.Popen[str]) -> None:
    """Returns when not one of its threads runs any more."""
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


async def test_a_suspended_holder_that_wakes_finds_out_and_ends_without_harm(tmp_path: Path):
    with child(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        said = [process.stdout.readline() for _ in range(20)]
        suspend(process)
        set_age(tmp_path, LEASE + 1)
        async with writing(open_store(tmp_path, files=NodeLocalFlock(), take=take_there)) as second:
            assert all((int(line), 0) in second.done for line in said)
            await second.append(a_trace(2_000_000))
            process.send_signal(signal.SIGCONT)
            said += process.stdout.readlines()
            assert process.wait(30) == 0
            holder = read_holder(tmp_path)
            assert holder is not None
            assert holder.pid == THERE.pid
    acknowledged = {int(line) for line in said if line.strip().isdecimal()}
    assert said[-1].startswith(f"lost {tmp_path} to pid 22 on there since ")
    async with writing(open_store(tmp_path)) as third:
        assert len(third.done) >= len(acknowledged) + 1
    assert {index for index, _ in keys_on_disk(tmp_path)} >= {*acknowledged, 2_000_000}
    assert open_shards(tmp_path, "traces") == []
    assert [problem for path in sealed_shards(tmp_path, "traces") for problem in verify_shard(path)] == []
