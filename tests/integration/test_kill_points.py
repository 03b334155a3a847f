"""A real job is killed at each named point of write, commit, seal, journal, recovery, lock and catalog, and goes on.

What comes of it is what a run that nobody killed comes to, and no turn that is on the disk is asked for again.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.asked import by_content, turn_of, turns_written
from support.cli_jobs import traces
from support.killed_run import SLOTS
from support.killing_files import POINTS
from support.server import Reply, ThreadedServer
from support.small_job import Small, outcome

from asyncgen.runs.verify import verify


@dataclass(frozen=True)
class World:
    """A job, and what it comes to when nobody kills it."""

    job: Small
    wanted: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with ThreadedServer(by_content) as server:
        job = Small.make(folder, server)
        assert job.run(folder / "unhurt") == 0
        assert len(server.requests) == len({turn_of(request.body) for request in server.requests})
        yield World(job, outcome(folder / "unhurt"))


PADDING = "." * (3 << 20)


def wordy(body: dict[str, Any], number: int) -> Reply:
    """Answers of several megabytes: a journal is soon so long that it is written anew."""
    reply = by_content(body)
    assert isinstance(reply.payload, dict)
    message = reply.payload["choices"][0]["message"]
    message["content"] = PADDING + str(message["content"] or "")
    return reply


def start(world: World, out: Path, point: str = "", nth: int = 1) -> int:
    """Run, to the end or to the point. What was written down before is not asked for again."""
    job = world.job
    asked, written = len(job.server.requests), turns_written(out)
    code = job.run(out, point, nth)
    turns = [turn_of(request.body) for request in job.server.requests[asked:]]
    assert [turn for turn in turns if turn.number <= written[job.place(turn)]] == []
    return code


def assert_survived(world: World, out: Path, point: str, nth: int) -> None:
    asked = len(world.job.server.requests)
    deaths = [*POINTS[point].past, (point, nth)]
    for name, number in deaths:
        assert start(world, out, name, number) == -signal.SIGKILL, f"{name} was not reached {number} times"
        assert len({line["id"] for line in traces(out)}) == len(traces(out))
    assert start(world, out) == 0
    assert outcome(out) == world.wanted
    assert [report.faults for report in verify(out)] == [[]]
    assert not [*out.glob("*/*.part"), *out.glob("journal/*"), *out.rglob(".*.tmp")]
    turns = Counter(turn_of(request.body) for request in world.job.server.requests[asked:])
    assert turns.total() - len(turns) <= SLOTS * len(deaths)  # those that were in flight


@pytest.mark.parametrize(
    "point",
    [pytest.param(name, marks=pytest.mark.deep if number % 2 else ()) for number, name in enumerate(POINTS)],
)
def test_a_run_killed_at_a_named_point_ends_as_one_that_nobody_killed(world: World, tmp_path: Path, point: str):
    assert_survived(world, tmp_path / "run", point, 1)


@pytest.mark.deep
@pytest.mark.parametrize(("point", "nth"), [(name, nth) for name in POINTS for nth in range(2, POINTS[name].most + 1)])
def test_a_run_killed_at_a_later_time_ends_as_one_that_nobody_killed(
    world: World, tmp_path: Path, point: str, nth: int
):
    assert_survived(world, tmp_path / "run", point, nth)


def test_a_run_killed_at_many_points_one_after_the_other_ends_as_one_that_nobody_killed(world: World, tmp_path: Path):
    out = tmp_path / "run"
    for point in (
        "run-renamed",
        "journal-append",
        "journal-adopt",
        "journal-unlink",
        "write-half",
        "recovery-truncate",
    ):
        assert start(world, out, point) == -signal.SIGKILL, point
    assert start(world, out) == 0
    assert outcome(out) == world.wanted
    assert [report.faults for report in verify(out)] == [[]]


@pytest.mark.deep
@pytest.mark.parametrize(("point", "nth"), [("journal-created", 2), ("journal-unlink", 1), ("journal-unlinked", 1)])
def test_a_run_killed_while_its_journal_is_written_anew_goes_on(tmp_path: Path, point: str, nth: int):
    with ThreadedServer(wordy) as server:
        world = World(Small.make(tmp_path, server, rows=14), {})
        assert start(world, tmp_path / "run", point, nth) == -signal.SIGKILL
        assert start(world, tmp_path / "run") == 0
        assert start(world, tmp_path / "unhurt") == 0
    assert outcome(tmp_path / "run") == outcome(tmp_path / "unhurt")
    assert [report.faults for report in verify(tmp_path / "run")] == [[]]
