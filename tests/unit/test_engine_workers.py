"""Threads and processes: results, exceptions, and giving up."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncgen.engine.workers import Workers


@asynccontextmanager
async def workers() -> AsyncIterator[Workers]:
    made = Workers(threads=1, processes=1)
    try:
        yield made
    finally:
        made.close()


async def test_a_function_runs_in_a_thread() -> None:
    async with workers() as one:
        assert await one.offload(divmod, 7, 2) == (3, 1)


async def test_a_function_runs_in_another_process_which_is_kept_for_the_next() -> None:
    async with workers() as one:
        first = await one.in_process(os.getpid, seconds=10)
        assert first != os.getpid()
        assert await one.in_process(os.getpid, seconds=10) == first


async def test_what_the_function_raises_comes_back() -> None:
    async with workers() as one:
        with pytest.raises(ValueError, match="invalid literal"):
            await one.in_process(int, "x", seconds=10)


async def test_a_function_that_hangs_is_killed_and_the_next_call_works() -> None:
    async with workers() as one:
        first = await one.in_process(os.getpid, seconds=10)
        with pytest.raises(TimeoutError, match=r"sleep took longer than 0\.05 s"):
            await one.in_process(time.sleep, 60, seconds=0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        assert await one.in_process(abs, -1, seconds=10) == 1


async def test_a_process_that_dies_is_an_error_and_the_next_call_works() -> None:
    async with workers() as one:
        with pytest.raises(RuntimeError, match="_exit: its process ended before it did"):
            await one.in_process(os._exit, 3, seconds=10)
        assert await one.in_process(abs, -1, seconds=10) == 1


async def test_a_call_that_is_cancelled_frees_its_place() -> None:
    async with workers() as one:
        await one.in_process(abs, 1, seconds=10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await one.in_process(time.sleep, 60, seconds=60)
        assert await one.in_process(abs, -1, seconds=10) == 1


async def test_a_result_that_cannot_be_sent_is_told_about() -> None:
    async with workers() as one:
        with pytest.raises(TypeError, match="cannot be sent between processes"):
            await one.in_process(open, os.devnull, seconds=10)


async def test_a_function_of_a_task_file_runs_in_another_process(tmp_path: Path) -> None:
    """A task file is loaded by its path: no import finds it by its name."""
    file = tmp_path / "my_file.py"
    file.write_text("def double(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("asyncgen_task_my_file", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
        async with workers() as one:
            assert await one.in_process(module.double, 21, seconds=10) == 42
    finally:
        del sys.modules[module.__name__]


async def test_ctrl_c_of_the_whole_group_does_not_end_a_worker() -> None:
    async with workers() as one:
        child = await one.in_process(os.getpid, seconds=10)
        os.kill(child, 2)
        assert await one.in_process(os.getpid, seconds=10) == child


async def test_closing_ends_a_process_that_hangs() -> None:
    one = Workers(threads=1, processes=1)
    await one.in_process(abs, 1, seconds=10)
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(_hang(one))
        await asyncio.sleep(0.05)
        one.close()
        assert await hanging == "ended"


async def _hang(one: Workers) -> str:
    try:
        await one.in_process(time.sleep, 60, seconds=60)
    except RuntimeError:
        return "ended"
    return "done"
