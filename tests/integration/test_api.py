"""`asyncgen.run` and `asyncgen.stream` against a real server: in scripts, in running loops, left early, interrupted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cli_jobs import answering, environment, ids, save_photos, wait_until, wanted_ids
from support.server import Reply, ThreadedServer, error, hang, text

import asyncgen
from asyncgen.api import BEHIND, MOST_WAITING
from asyncgen.core.errors import AccountError, ConfigChanged, DirectoryInUse, InputError, TemporaryError
from asyncgen.core.task import Task
from asyncgen.core.trace import Trace
from asyncgen.runs.control_client import steer
from asyncgen.runs.execute import Summary
from asyncgen.store.events import read_events


@dataclass(frozen=True)
class Echo(Task):
    """No pictures, one turn."""

    user: str = "Say {word}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """700 rows of text."""
    path = tmp_path_factory.mktemp("data") / "words.jsonl"
    path.write_text("".join(json.dumps({"word": f"w{row}"}) + "\n" for row in range(700)))
    return path


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert [one.name for one in threading.enumerate() if one.name.startswith("asyncgen")] == []


def job(photos: Path, server: ThreadedServer, out: Path, **more: Any) -> dict[str, Any]:
    return {"dataset_path": photos, "base_url": server.base_url, "output_dir": out, "progress": False, **more}


def ended(run: asyncgen.Run) -> Summary:
    assert run.summary is not None
    return run.summary


def test_a_run_is_done_when_it_returns_and_is_open_for_reading(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        run = asyncgen.run("geo", **job(photos, server, tmp_path / "out", num_samples=4, rollouts=2))
    assert (ended(run).done, ended(run).left, ended(run).exit_code) == (8, 0, 0)
    assert sorted(trace.id for trace in run) == ids(tmp_path / "out")
    assert len(run) == 8
    assert run.directory == tmp_path / "out"


def test_the_same_call_goes_on_and_does_only_the_difference(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        settings = job(photos, server, tmp_path / "out")
        asyncgen.run("geo", **settings, num_samples=3)
        run = asyncgen.run("geo", **settings, settings={"dataset.num_samples": 8})
        assert (ended(run).new_traces, len(server.requests)) == (5, 8)
    assert ids(tmp_path / "out") == wanted_ids("geo", range(8))


def test_progress_goes_to_stderr_and_nothing_to_stdout(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with ThreadedServer(answering) as server:
        asyncgen.run("geo", **job(photos, server, tmp_path / "out") | {"progress": True})
        loud = capfd.readouterr()
        asyncgen.run("geo", **job(photos, server, tmp_path / "other"))
        quiet = capfd.readouterr()
    assert loud.out == quiet.out == quiet.err == ""
    assert "8 episodes: 0 done, 0 failed, 8 left" in loud.err
    assert "8 of 8 done" in loud.err


async def test_a_run_works_where_a_loop_is_running(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        run = asyncgen.run("geo", **job(photos, server, tmp_path / "out"))
        elsewhere = await asyncio.to_thread(asyncgen.run, "geo", **job(photos, server, tmp_path / "other"))
    assert len(run) == len(elsewhere) == 8


def test_a_task_class_with_options_is_a_job(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text(f"re: {body['messages'][-1]['content']}")) as server:
        settings = job(words, server, tmp_path / "out", num_samples=2, task__user="Sing {word}")
        run = asyncgen.run(Echo, **settings)
        assert ended(asyncgen.run(Echo, **settings)).new_traces == 0
    assert [trace.answer for trace in sorted(run, key=lambda one: one.sample_index)] == ["re: Sing w0", "re: Sing w1"]
    assert run.name == "Echo"


async def test_a_stream_gives_each_trace_of_this_start_once(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        settings = job(photos, server, tmp_path / "out")
        first = [trace async for trace in asyncgen.stream("geo", **settings, num_samples=3)]
        second = [trace async for trace in asyncgen.stream("geo", **settings)]
    assert (len(first), len(second)) == (3, 5)
    assert sorted(trace.id for trace in (*first, *second)) == wanted_ids("geo", range(8)) == ids(tmp_path / "out")
    assert asyncgen.Run.open(tmp_path / "out")[first[0].id] == first[0]


async def test_a_trace_is_given_before_the_run_is_over(photos: Path, tmp_path: Path) -> None:
    more = threading.Event()

    def script(body: Mapping[str, Any], number: int) -> Reply:
        if number:
            more.wait(30)
        return answering(dict(body), number)

    with ThreadedServer(script) as server:
        traces = asyncgen.stream("geo", **job(photos, server, tmp_path / "out", concurrency=1))
        first = await anext(traces)
        more.set()
        rest = [trace async for trace in traces]
    assert [first.id, *(trace.id for trace in rest)] == [trace.id for trace in asyncgen.Run.open(tmp_path / "out")]


async def test_a_slow_reader_holds_the_run_back_and_gets_everything(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes")) as server:
        traces = asyncgen.stream(Echo, **job(words, server, tmp_path / "out", concurrency=8))
        seen = [(await anext(traces)).id]
        await asyncio.to_thread(_settle, server, MOST_WAITING)
        assert len(server.requests) <= MOST_WAITING + 1 + 2 * 8  # those alive may have been answered already
        opened = asyncgen.Run.open(tmp_path / "out")
        assert opened.status()["paused"] == BEHIND
        seen += [trace.id async for trace in traces]
        assert opened.status()["paused"] == ""
        assert len(server.requests) == 700
    assert sorted(seen) == wanted_ids("Echo", range(700))
    told = [one for one in read_events(tmp_path / "out") if one.get("by") == "stream"]
    assert {(one["event"], number % 2) for number, one in enumerate(told)} == {("pause", 0), ("resume", 1)}


def _settle(server: ThreadedServer, at_least: int) -> None:
    """Wait until so many requests came, and then none for a while."""
    wait_until(lambda: len(server.requests) >= at_least)
    before = -1
    while before != len(server.requests):
        before = len(server.requests)
        threading.Event().wait(0.2)


async def test_leaving_a_stream_stops_the_run_and_the_same_call_goes_on(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes")) as server:
        settings = job(words, server, tmp_path / "out", concurrency=2)
        async with aclosing(asyncgen.stream(Echo, **settings)) as traces:
            async for _ in traces:
                break
        assert len(server.requests) < 700
        kept = len(asyncgen.Run.open(tmp_path / "out"))
        rest = [trace async for trace in asyncgen.stream(Echo, **settings)]
    assert 0 < kept < 700
    assert len(rest) == 700 - kept
    assert ids(tmp_path / "out") == wanted_ids("Echo", range(700))


async def test_a_loop_that_is_broken_off_stops_the_run_without_being_closed_by_hand(
    words: Path, tmp_path: Path
) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 3 else hang()) as server:
        async for _ in asyncgen.stream(Echo, **job(words, server, tmp_path / "out")):
            break
        await asyncio.to_thread(wait_until, lambda: asyncgen.Run.open(tmp_path / "out").status()["holder"] is None)
        await asyncio.to_thread(wait_until, _is_quiet)


def _is_quiet() -> bool:
    return not any(one.name == "asyncgen-run" for one in threading.enumerate())


async def test_a_stream_that_was_broken_off_is_waited_for_by_the_next_on_its_directory(
    words: Path, tmp_path: Path
) -> None:
    with ThreadedServer(lambda body, number: text("yes")) as server:
        settings = job(words, server, tmp_path / "out", concurrency=2)
        async for _ in asyncgen.stream(Echo, **settings):
            break
        rest = [trace.id async for trace in asyncgen.stream(Echo, **settings)]
    assert 0 < len(rest) < 700
    assert ids(tmp_path / "out") == wanted_ids("Echo", range(700))


async def test_a_run_after_a_stream_that_was_left_says_how_to_close_it(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 3 else hang()) as server:
        settings = job(words, server, tmp_path / "out")
        async for _ in asyncgen.stream(Echo, **settings):
            break
        with pytest.raises(DirectoryInUse, match=r"left without aclose\(\), await stream.aclose\(\) or use contextlib"):
            asyncgen.run(Echo, **settings)
        await asyncio.to_thread(wait_until, _is_quiet)


async def test_a_second_stream_on_a_directory_whose_first_goes_on_is_refused(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 3 else hang()) as server:
        settings = job(words, server, tmp_path / "out")
        async with aclosing(asyncgen.stream(Echo, **settings)) as traces:
            await anext(traces)
            with pytest.raises(DirectoryInUse, match="is in use by this process"):
                await anext(asyncgen.stream(Echo, **settings))


async def test_a_cancelled_reader_stops_the_run(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 3 else hang()) as server:
        traces = asyncgen.stream(Echo, **job(words, server, tmp_path / "out", concurrency=1))
        for _ in range(3):
            await anext(traces)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(traces)
    assert len(asyncgen.Run.open(tmp_path / "out")) == 3


async def test_a_stream_that_is_closed_before_it_began_starts_nothing(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        traces = asyncgen.stream("geo", **job(photos, server, tmp_path / "out"))
        await traces.aclose()
        assert server.requests == []
    assert not (tmp_path / "out").exists()


async def _fail_at_first(traces: AsyncIterator[Trace]) -> None:
    async for trace in traces:
        raise LookupError(trace.id)


async def test_an_error_in_the_loop_stops_the_run_and_is_raised(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes")) as server:
        async with aclosing(asyncgen.stream(Echo, **job(words, server, tmp_path / "out"))) as traces:
            with pytest.raises(LookupError, match="Echo/"):
                await _fail_at_first(traces)
    assert asyncgen.Run.open(tmp_path / "out").status()["holder"] is None


def test_what_keeps_a_run_from_starting_is_raised_and_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        settings = job(photos, server, tmp_path / "out")
    with pytest.raises(InputError, match="no server answers"):
        asyncgen.run("geo", **settings)
    assert not (tmp_path / "out").exists()


def test_a_changed_configuration_is_refused_unless_it_is_accepted(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(answering) as server:
        settings = job(photos, server, tmp_path / "out")
        asyncgen.run("geo", **settings, num_samples=2)
        with pytest.raises(ConfigChanged, match=r"sampling\.temperature"):
            asyncgen.run("geo", **settings, temperature=0.123)
        run = asyncgen.run("geo", **settings, temperature=0.123, accept_config_change=True)
    assert len({trace.config_id for trace in run}) == 2


async def _collect(traces: AsyncIterator[Trace], seen: list[str]) -> None:
    async for trace in traces:
        seen.append(trace.id)  # noqa: PERF401  # a comprehension would lose them all with the error


async def test_an_error_that_ends_a_run_early_is_raised_after_the_traces_before_it(words: Path, tmp_path: Path) -> None:
    def script(body: Mapping[str, Any], number: int) -> Reply:
        return text("yes") if number < 3 else error(401, "bad key")

    seen: list[str] = []
    with ThreadedServer(script) as server:
        settings = job(words, server, tmp_path / "out", concurrency=1, schedule__grace=0)
        with pytest.raises(AccountError, match="bad key"):
            await _collect(asyncgen.stream(Echo, **settings), seen)
        with pytest.raises(AccountError, match="bad key"):
            asyncgen.run(Echo, **settings)
    assert sorted(seen) == ids(tmp_path / "out")
    assert len(seen) == 3


def test_servers_that_stay_away_raise_a_temporary_error(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 2 else error(503, "down")) as server:
        settings = job(words, server, tmp_path / "out", concurrency=1, endpoint__max_outage=0)
        with pytest.raises(TemporaryError, match="run the same command again"):
            asyncgen.run(Echo, **settings)
    assert len(asyncgen.Run.open(tmp_path / "out")) == 2


async def test_a_drain_by_ctl_is_raised_so_that_no_reader_takes_what_came_for_all(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 2 else hang()) as server:
        traces = asyncgen.stream(Echo, **job(words, server, tmp_path / "out", concurrency=2, schedule__grace=0))
        seen = [await anext(traces)]
        (told,) = await asyncio.to_thread(steer, tmp_path / "out", {"command": "drain"})
        assert told.reply["ok"] is True

        async def read_on() -> None:
            async for trace in traces:
                seen.append(trace)  # noqa: PERF401  # a comprehension would lose them all

        with pytest.raises(TemporaryError, match=r"drained by ctl, 69\d episodes are left"):
            await read_on()
    assert ids(tmp_path / "out") == sorted(trace.id for trace in seen)


async def test_a_directory_is_held_while_its_stream_goes_on(words: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: text("yes") if number < 3 else hang()) as server:
        settings = job(words, server, tmp_path / "out")
        async with aclosing(asyncgen.stream(Echo, **settings)) as traces:
            await anext(traces)
            with pytest.raises(DirectoryInUse):
                asyncgen.run(Echo, **settings)


def test_failed_episodes_are_tried_again_on_request(photos: Path, tmp_path: Path) -> None:
    with ThreadedServer(lambda body, number: error(400, "no") if number == 0 else answering(body, number)) as server:
        settings = job(photos, server, tmp_path / "out")
        first = asyncgen.run("geo", **settings)
        assert [one.reason for one in first.failed] == ["bad_request"]
        assert ended(asyncgen.run("geo", **settings, retry_failed=["timeout"])).failed == 1
        again = asyncgen.run("geo", **settings, retry_failed=True)
    assert (ended(again).done, len(again), len(again.failed)) == (8, 8, 0)


INTERRUPTED = """
import sys, asyncgen
try:
    asyncgen.run("geo", dataset_path=sys.argv[1], base_url=sys.argv[2], output_dir=sys.argv[3], concurrency=2)
except KeyboardInterrupt:
    print("interrupted", len(asyncgen.Run.open(sys.argv[3])))
"""


@contextmanager
def script_that_runs(photos: Path, server: ThreadedServer, out: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", INTERRUPTED, str(photos), server.base_url, str(out)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        wait_until(lambda: len(server.requests) >= 2)
        yield process


def interrupt(process: subprocess.Popen[str], *, until: str) -> None:
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while until not in (said := process.stderr.readline()):
        assert said, f"it ended without {until!r}"


def test_an_interrupt_lets_what_is_open_finish_and_is_raised_again(photos: Path, tmp_path: Path) -> None:
    more = threading.Event()

    def script(body: Mapping[str, Any], number: int) -> Reply:
        if number == 1:
            more.wait(30)  # the server stands still: both requests are open
        return answering(dict(body), number).after(0.2 if number == 0 else 0)

    with ThreadedServer(script) as server, script_that_runs(photos, server, tmp_path / "out") as process:
        interrupt(process, until="draining")
        more.set()
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "interrupted 2\n"
    assert len(ids(tmp_path / "out")) == len(server.requests) == 2


def test_a_second_interrupt_stops_at_once(photos: Path, tmp_path: Path) -> None:
    with (
        ThreadedServer(lambda body, number: hang()) as server,
        script_that_runs(photos, server, tmp_path / "out") as process,
    ):
        interrupt(process, until="draining")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)  # a drain would wait for the server, 30 s
    assert (process.returncode, out) == (0, "interrupted 0\n")
