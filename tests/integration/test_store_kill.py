"""Real processes: killed while they write, refused while another writes, stopped by a limit on file size."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.store_fakes import assert_sound, keys_on_disk, open_store, writing

from asyncgen.core.errors import DirectoryInUse

TESTS = Path(__file__).parents[1]


@contextmanager
def child(directory: Path, limit: int = 0) -> Iterator[subprocess.Popen[str]]:
    """The writing process; killed at the end if it still runs."""
    program = [sys.executable, str(TESTS / "support" / "store_child.py"), str(directory), str(limit)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):
            yield line.strip()


async def test_no_acknowledged_trace_is_lost_or_doubled_by_kill_9(tmp_path):
    acknowledged: set[int] = set()
    for kill_after in (1, 30, 55, 90, 101):
        with child(tmp_path) as process:
            found = lines(process)
            assert int(next(found).removeprefix("done ")) >= len(acknowledged)
            for _, line in zip(range(kill_after), found, strict=False):
                acknowledged.add(int(line))
            process.kill()
            acknowledged.update(int(line) for line in found)
    async with writing(open_store(tmp_path)) as store:
        assert {index for index in acknowledged if (index, 0) not in store.done} == set()
    assert_sound(tmp_path)
    assert {index for index, _ in keys_on_disk(tmp_path)} >= acknowledged
    assert len(acknowledged) >= 277


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_let_in_when_that_is_killed(tmp_path):
    with child(tmp_path) as process:
        next(lines(process))
        with pytest.raises(DirectoryInUse, match=rf"pid {process.pid} on .*store_child\.py"):
            open_store(tmp_path)
        process.kill()
        process.wait()
    store = open_store(tmp_path)
    store._lock.release()
    store.events.close()


def test_a_file_size_limit_pauses_the_writer_and_loses_nothing_when_it_is_lifted(tmp_path):
    with child(tmp_path, limit=10_000) as process:
        said = list(lines(process))
    assert said[0] == "done 0"
    assert said[-1] == "closed"
    assert "disk full" in said
    assert any(text.startswith("there is room again") for text in said)
    assert sorted(keys_on_disk(tmp_path)) == [(index, 0) for index in range(40)]
    assert_sound(tmp_path)
