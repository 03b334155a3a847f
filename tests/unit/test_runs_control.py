"""Steering a run: what commands do, where the socket lies, and what a peer cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.lock_fakes import leave_lock
from support.store_fakes import StillClock

from asyncgen.core.errors import InputError
from asyncgen.endpoint.limiter import AUTO_START, FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.engine.events import Draining, Paused
from asyncgen.engine.scheduler import Scheduler
from asyncgen.runs.commands import LONGEST_COMMAND, MOST_REQUESTS, Pointer, command_of, read_pointer
from asyncgen.runs.control import LONGEST_PATH, MOST_PEERS, Control, listening, open_listener
from asyncgen.runs.control_client import steer
from asyncgen.runs.ending import Ending, Stop
from asyncgen.runs.reading import _pause
from asyncgen.runs.steering import Steering
from asyncgen.store.events import EventLog, read_events
from asyncgen.store.files import DISK
from asyncgen.store.lock import take_lock

WRITER = "20260101T000000-0a0b"


class FakeDriver:
    """A driver without episodes."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(Pool([EndpointSpec("e0")]), FixedLimiter(32))
        self.running = 3
        self.why = ""
        self.cancelled = 0

    def pause(self, why: str, by: str) -> None:
        assert by == "ctl"
        self.why = why
        self.scheduler.handle(Paused(bool(why)), 0.0)

    def limit(self, requests: int) -> None:
        self.scheduler.limiter.limit = requests

    def drain(self) -> None:
        self.scheduler.handle(Draining(), 0.0)

    def cancel(self) -> None:
        self.cancelled += 1


class Rig:
    """A run to be steered, and what it says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.driver = FakeDriver()
        self.said: list[str] = []
        self.log = EventLog(directory, WRITER, files=DISK, clock=StillClock())
        self.ending = Ending(self.driver, self.said.append, self.log, 30.0)
        self.steering = Steering(
            name="geo",
            directory="runs/my geo",
            driver=self.driver,
            scheduler=self.driver.scheduler,
            events=self.log,
            say=self.said.append,
            drain=self.ending.drain_by_ctl,
            figures=lambda: {"done": 7, "concurrency": "of the figures"},
        )

    def tell(self, *words: str) -> dict[str, Any]:
        return self.steering.carry_out(command_of(words[0], words[1:]))

    @property
    def events(self) -> list[dict[str, Any]]:
        kept = ("event", "old", "new", "by")
        return [{key: one[key] for key in kept if key in one} for one in read_events(self.directory)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.log.close()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a name that leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="ag") as name:
        yield Path(name)


def test_a_new_concurrency_is_told_with_the_old_one_and_twice_is_once(rig: Rig):
    first, again = rig.tell("set", "concurrency=64"), rig.tell("set", "concurrency=64")
    assert (first["changed"], first["was"], first["concurrency"]) == (True, 32, 64)
    assert (again["ok"], again["changed"], again["was"], again["concurrency"]) == (True, False, 64, 64)
    assert rig.events == [{"event": "concurrency", "old": 32, "new": 64, "by": "ctl"}]
    assert rig.said == ["concurrency 32 -> 64, as asked by ctl"]


def test_auto_is_the_concurrency_that_a_run_has_by_itself(rig: Rig):
    rig.tell("set", "concurrency=1")
    assert rig.tell("set", "concurrency=auto")["concurrency"] == AUTO_START


def test_pause_and_resume_undo_each_other_and_say_who_it_was(rig: Rig):
    replies = [rig.tell(word) for word in ("resume", "pause", "pause", "resume")]
    assert [(one["changed"], one["paused"]) for one in replies] == [
        (False, False), (True, True), (False, True), (True, False),
    ]  # fmt: skip
    assert rig.events == [{"event": "pause", "by": "ctl"}, {"event": "resume", "by": "ctl"}]


def test_a_pause_says_how_to_go_on(rig: Rig):
    rig.tell("pause")
    assert rig.driver.why == "paused by ctl; asyncgen ctl 'runs/my geo' resume"


def test_a_drain_is_a_drain_once_and_forbids_pauses(rig: Rig):
    rig.tell("pause")
    first, again = rig.tell("drain"), rig.tell("drain")
    assert (first["changed"], first["draining"], first["paused"]) == (True, True, False)
    assert again["changed"] is False
    for word in ("pause", "resume"):
        with pytest.raises(InputError, match="it is draining"):
            rig.tell(word)
    assert rig.events[1:] == [{"event": "drain", "by": "ctl"}]
    assert "3 episodes are finishing" in rig.said[-1]


def test_status_has_the_figures_and_changes_nothing(rig: Rig):
    reply = rig.tell("status")
    assert (reply["ok"], reply["changed"], reply["done"], reply["concurrency"]) == (True, False, 7, 32)
    assert rig.events == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["stop"], "no command 'stop'; there are set, pause, resume, drain, status"),
        (["set"], "set needs concurrency, as in set concurrency=64"),
        (["set", "64"], "'64' is no KEY=VALUE"),
        (["set", "limit=3"], "set knows no 'limit'; it takes concurrency"),
        (["set", "concurrency=2", "speed=3"], "set knows no 'speed'"),
        (["set", "concurrency=2", "concurrency=3"], "'concurrency' stands there twice"),
        (["set", "command=drain"], "'command' stands there twice"),
        (["pause", "now=1"], "pause knows no 'now'; it takes nothing"),
        *(
            (["set", f"concurrency={value}"], f"give a number from 1 to {MOST_REQUESTS} or auto")
            for value in ("0", "-1", "1.5", "", "many", "²", "100001", "9" * 5000)
        ),
    ],
)
def test_wrong_words_are_told_on_one_short_line(words: list[str], error: str):
    with pytest.raises(InputError) as caught:
        command_of(words[0], words[1:])
    assert error in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("value", [True, 1.0, None, [1], {"a": 1}, "64", -5])
def test_a_concurrency_of_another_type_is_refused(rig: Rig, value: object):
    with pytest.raises(InputError, match="give a number"):
        rig.steering.carry_out({"command": "set", "concurrency": value})
    assert rig.driver.scheduler.limiter.limit == 32


def test_the_first_signal_drains_and_the_second_cancels(rig: Rig):
    rig.ending.on_signal(2)
    assert (rig.driver.scheduler.draining, rig.driver.cancelled) == (True, 0)
    rig.ending.on_signal(15)
    assert (rig.driver.cancelled, rig.ending.stop) == (1, Stop(signal=15))
    assert rig.ending.stop.exit_code == 143
    assert rig.events == [{"event": "drain", "by": "SIGINT"}]


def test_the_first_signal_after_a_drain_by_ctl_cancels(rig: Rig):
    rig.tell("drain")
    assert (rig.ending.stop, rig.ending.stop.exit_code) == (Stop(drained=True), 75)
    rig.ending.on_signal(2)
    assert (rig.driver.cancelled, rig.ending.stop.exit_code) == (1, 130)


async def test_without_the_main_thread_there_are_no_signals_and_no_error(rig: Rig):
    before = signal.getsignal(signal.SIGTERM)

    def elsewhere() -> object:
        async def look() -> object:
            with rig.ending.installed():
                return signal.getsignal(signal.SIGTERM)

        return asyncio.run(look())

    assert await asyncio.to_thread(elsewhere) == before


PAUSED = {"event": "pause", "text": "by ctl", "by": "ctl"}
RESUMED = {"event": "resume", "by": "ctl"}
FULL = {"event": "pause", "text": "disk full"}
ROOM = {"event": "resume", "text": ""}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], ""),
        ([PAUSED], "by ctl"),
        ([PAUSED, RESUMED], ""),
        ([FULL, PAUSED], "disk full; by ctl"),
        ([PAUSED, FULL, ROOM], "by ctl"),
        ([PAUSED, FULL, RESUMED], "disk full"),
        ([PAUSED, {"event": "drain", "by": "SIGINT"}], ""),
        ([FULL, {"event": "drain", "by": "ctl"}], "disk full"),
        ([PAUSED, FULL, {"event": "start"}], ""),
    ],
)
def test_status_tells_a_pause_by_its_user_from_one_for_want_of_something(told: list[dict[str, str]], why: str):
    assert _pause([{"event": "start"}, *told]) == why


@asynccontextmanager
async def serving(folder: Path, rig: Rig, **options: Any) -> AsyncIterator[Path]:
    """The path of a socket whose commands steer the rig."""
    listener, path = open_listener([folder / "own"], WRITER)
    with closing(listener):
        async with asyncio.TaskGroup() as group:
            control = group.create_task(Control(listener, rig.steering.carry_out, **options).serve())
            yield path
            control.cancel()


async def say(path: Path, *parts: bytes, end: bool = False) -> bytes:
    """All that comes back."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if end:
            writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_one_line_in_is_one_line_out(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        answer = await say(path, b'{"command": "set", ', b'"concurrency": 5}\n')
    assert answer.endswith(b"\n")
    assert json.loads(answer)["concurrency"] == rig.driver.scheduler.limiter.limit == 5


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\xff\xfe\x00\n",
        b"[" * 60_000 + b"\n",
        b'"pause"\n',
        b'["pause"]\n',
        b'{"command": ["pause"]}\n',
        b'{"command": null}\n',
        b'{"command": "eval", "code": "1"}\n',
        b'{"command": "set", "concurrency": 1e999}\n',
        b'{"command": "set", "concurrency": 18446744073709551615}\n',
        b'{"command": "pause", "file": "/etc/passwd"}\n',
    ],
)
async def test_what_is_no_command_is_refused_in_json_and_does_nothing(short: Path, rig: Rig, line: bytes):
    async with serving(short, rig) as path:
        answer = json.loads(await say(path, line))
        after = json.loads(await say(path, b'{"command": "status"}\n'))
    assert answer["ok"] is False
    assert 0 < len(answer["error"]) < 300
    assert (after["ok"], after["concurrency"], after["paused"]) == (True, 32, False)
    assert rig.events == []


async def test_a_line_that_is_too_long_is_not_read_to_its_end(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        await say(path, *[b" " * LONGEST_COMMAND] * 50)  # the rest meets a closed connection
        exact = await say(path, b'{"command": "pause"}'.ljust(LONGEST_COMMAND - 1) + b"\n")
    assert json.loads(exact)["paused"] is True


async def test_half_a_line_is_no_command(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        answer = await say(path, b'{"command": "drain"}', end=True)
    assert json.loads(answer)["ok"] is False
    assert not rig.driver.scheduler.draining


async def test_a_peer_that_leaves_before_the_answer_harms_nothing(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        for line in (b"", b'{"com', b'{"command": "pause"}\n'):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.sendall(line)
        answer = await say(path, b'{"command": "status"}\n')
    assert json.loads(answer)["ok"] is True


async def test_peers_that_hang_keep_others_waiting_only_for_a_while(short: Path, rig: Rig):
    async with serving(short, rig, patience=0.05) as path:
        with ExitStack() as silent:
            for _ in range(MOST_PEERS):
                peer = silent.enter_context(socket.socket(socket.AF_UNIX))
                peer.connect(str(path))
            answer = await say(path, b'{"command": "status"}\n')
    assert json.loads(answer)["ok"] is True


async def test_a_peer_of_another_user_is_refused(short: Path, rig: Rig):
    async with serving(short, rig, user=os.getuid() + 1) as path:
        answer = await say(path, b'{"command": "drain"}\n')
    assert json.loads(answer) == {"ok": False, "error": "this run is another user's"}
    assert not rig.driver.scheduler.draining


async def test_a_command_that_crashes_costs_only_its_answer(short: Path, rig: Rig):
    rig.steering._figures = lambda: {"x": 1 / 0}
    async with serving(short, rig) as path:
        crashed = json.loads(await say(path, b'{"command": "status"}\n'))
        fine = json.loads(await say(path, b'{"command": "pause"}\n'))
    assert crashed == {"ok": False, "error": "ZeroDivisionError: division by zero"}
    assert fine["ok"] is True


async def test_an_open_connection_does_not_hold_up_the_end(short: Path, rig: Rig):
    with socket.socket(socket.AF_UNIX) as peer:
        async with serving(short, rig) as path:
            peer.connect(str(path))
            await asyncio.sleep(0.01)
        assert peer.recv(1) == b""


def test_socket_and_folder_are_for_their_owner_alone(short: Path):
    old = os.umask(0)
    try:
        listener, path = open_listener([short / "own"], WRITER)
    finally:
        os.umask(old)
    listener.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def made(folder: Path, mode: int) -> Path:
    folder.mkdir()
    folder.chmod(mode)
    return folder


def linked(folder: Path) -> Path:
    folder.symlink_to(made(folder.with_name("elsewhere"), 0o700))
    return folder


def filed(folder: Path) -> Path:
    folder.write_text("no folder")
    return folder


@pytest.mark.parametrize(
    "bad",
    [
        lambda path: made(path, 0o750),
        lambda path: made(path, 0o701),
        linked,
        filed,
        lambda path: path / "missing" / "asyncgen",
        lambda path: path / ("x" * (LONGEST_PATH - 20)),
        lambda path: path / ("x" * 300),
    ],
    ids=["group", "others", "link", "file", "no parent", "long", "too long for a file system"],
)
def test_a_folder_that_will_not_do_is_passed_over_for_the_next(short: Path, bad: Any):
    listener, path = open_listener([bad(short / "bad"), short / "own"], WRITER)
    listener.close()
    assert path.parent == short / "own"


def test_where_no_folder_will_do_each_is_told_with_its_reason(short: Path):
    with pytest.raises(OSError, match="not a folder that is only ours") as caught:
        open_listener([made(short / "a", 0o755), short / ("x" * 105)], WRITER)
    assert f"longer than the {LONGEST_PATH} bytes" in str(caught.value)


def test_a_path_of_as_many_bytes_as_there_may_be_is_used(short: Path):
    room = LONGEST_PATH - len(os.fsencode(short / f"{WRITER}.sock")) - 1
    for length, fits in ((room, True), (room + 1, False)):
        listener, path = open_listener([short / ("x" * length), short / "own"], WRITER)
        listener.close()
        assert (path.parent != short / "own") == fits


def test_the_socket_that_a_dead_run_of_the_same_name_left_is_replaced(short: Path):
    dead, path = open_listener([short / "own"], WRITER)
    dead.close()
    listener, again = open_listener([short / "own"], WRITER)
    with closing(listener), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(again))
    assert again == path


def test_the_socket_of_a_living_run_is_let_be(short: Path):
    living, path = open_listener([short / "own"], WRITER)
    with closing(living):
        other, elsewhere = open_listener([short / "own", short / "next"], WRITER)
        other.close()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
    assert elsewhere.parent == short / "next"


@contextmanager
def set_up(directory: Path, short: Path, said: list[str], **environ: str) -> Iterator[Control | None]:
    if not directory.exists():
        directory.mkdir()
    with listening(directory, WRITER, dict, say=said.append, environ=environ, temporary=str(short)) as control:
        yield control


def test_a_run_whose_directory_was_taken_over_leaves_the_pointer_of_the_other(short: Path):
    with set_up(short / "run", short, []):
        other = {"socket": "/there", "pid": 2, "host": "there", "writer": "20260101T000100-0c0d"}
        (short / "run" / "control.json").write_text(json.dumps(other))
    assert read_pointer(short / "run") == Pointer(**other)


def test_the_runtime_folder_is_used_where_it_is_ours(short: Path):
    runtime = made(short / "runtime", 0o700)
    with set_up(short / "run", short, [], XDG_RUNTIME_DIR=str(runtime)) as control:
        pointer = read_pointer(short / "run")
        assert control is not None
        assert pointer == Pointer(
            socket=str(runtime / "asyncgen" / f"{WRITER}.sock"),
            pid=os.getpid(),
            host=socket.gethostname(),
            writer=WRITER,
        )
        assert stat.S_IMODE((short / "run" / "control.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o770, None])
def test_a_runtime_folder_that_is_not_ours_alone_is_not_used(short: Path, mode: int | None):
    runtime = made(short / "runtime", mode) if mode else short / "missing"
    with set_up(short / "run", short, [], XDG_RUNTIME_DIR=str(runtime)):
        pointer = read_pointer(short / "run")
    assert pointer is not None
    assert Path(pointer.socket).parent == short / f"asyncgen-{os.getuid()}"


@pytest.mark.parametrize("value", ["", ".", "runtime"])
def test_a_runtime_folder_that_is_no_absolute_path_is_not_used(short: Path, value: str):
    with set_up(short / "run", short, [], XDG_RUNTIME_DIR=value):
        pointer = read_pointer(short / "run")
    assert pointer is not None
    assert Path(pointer.socket).parent == short / f"asyncgen-{os.getuid()}"


def test_socket_and_pointer_are_gone_at_the_end_whatever_it_was(short: Path):
    def fail() -> None:
        with set_up(short / "run", short, []):
            assert len([*short.glob("asyncgen-*/*.sock"), *short.glob("run/control.json")]) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [*short.glob("asyncgen-*/*"), *short.glob("run/*")] == []


def test_a_run_goes_on_without_a_socket_and_says_why_once(short: Path):
    said: list[str] = []
    with set_up(short / "run", short / "missing", said) as control:
        assert control is None
    assert len(said) == 1
    assert said[0].startswith("asyncgen ctl cannot steer this run: ")
    assert list((short / "run").iterdir()) == []


def test_a_pointer_that_cannot_be_written_leaves_no_socket(short: Path):
    said: list[str] = []
    (short / "run").write_text("no directory")
    with set_up(short / "run", short, said) as control:
        assert control is None
    assert len(said) == 1
    assert list((short / f"asyncgen-{os.getuid()}").iterdir()) == []


def test_what_killed_runs_left_is_swept_up_and_nothing_else(short: Path):
    folder = short / f"asyncgen-{os.getuid()}"
    names = ("dead", "young", "living")
    sockets = {name: open_listener([folder], name) for name in names}
    for name in ("dead", "young"):
        sockets[name][0].close()
    (folder / "file.sock").write_text("no socket")
    (folder / "link.sock").symlink_to(sockets["dead"][1])
    for name in ("dead", "living", "file"):
        os.utime(folder / f"{name}.sock", (1000, 1000))
    with closing(sockets["living"][0]), set_up(short / "run", short, []):
        left = {path.stem for path in folder.iterdir()}
    assert left == {"young", "living", "file", "link", WRITER}


def point(directory: Path, path: Path | str, **other: object) -> None:
    """What a run leaves that was killed."""
    directory.mkdir(exist_ok=True)
    (directory / "run.json").write_text('{"name": "geo"}')
    found = {"socket": str(path), "pid": 1, "host": socket.gethostname(), "writer": WRITER, **other}
    (directory / "control.json").write_text(json.dumps(found))


STATUS = {"command": "status"}


async def test_a_client_finds_the_run_by_its_directory(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        point(short / "run", path)
        told = await asyncio.to_thread(steer, short / "run", {"command": "pause"})
    assert [one.directory for one in told] == [short / "run"]
    assert (told[0].reply["ok"], told[0].reply["paused"]) == (True, True)


async def test_of_several_partitions_those_that_run_are_told(short: Path, rig: Rig):
    async with serving(short, rig) as path:
        (short / "run").mkdir()
        point(short / "run" / "part-000-of-004", path)
        point(short / "run" / "part-001-of-004", short / "gone")
        point(short / "run" / "part-002-of-004", path, host="elsewhere")
        point(short / "run" / "part-003-of-004", path, host="elsewhere")
        leave_lock(short / "run" / "part-002-of-004", host="elsewhere", age=20.0)
        leave_lock(short / "run" / "part-003-of-004", host="elsewhere", age=90.0)
        told = await asyncio.to_thread(steer, short / "run", STATUS)
    assert [(one.directory.name, one.reply["ok"]) for one in told] == [
        ("part-000-of-004", True),
        ("part-002-of-004", False),
    ]
    assert "host elsewhere" in told[1].reply["error"]


@pytest.mark.parametrize("pointer", ["", '{"socket":', "[]", '{"socket": 1}', '{"socket": "\\ud800"}'])
def test_a_torn_pointer_is_none(short: Path, pointer: str):
    point(short / "run", short / "gone")
    (short / "run" / "control.json").write_text(pointer)
    assert read_pointer(short / "run") is None


@pytest.mark.parametrize("left", ["nothing", "a pointer", "a pointer and a socket"])
def test_a_directory_where_nothing_runs_is_told(short: Path, left: str):
    dead, path = open_listener([short / "own"], WRITER)
    dead.close()
    point(short / "run", path if "socket" in left else short / "gone")
    if left == "nothing":
        (short / "run" / "control.json").unlink()
    with pytest.raises(InputError, match=f"no run is going in {short / 'run'}"):
        steer(short / "run", STATUS)


@pytest.mark.parametrize("pointer", [True, False])
def test_a_run_that_cannot_be_reached_is_not_taken_for_none(short: Path, pointer: bool):
    point(short / "run", short / "gone")
    if not pointer:
        (short / "run" / "control.json").unlink()
    lock = take_lock(short / "run", DISK)
    try:
        told = steer(short / "run", STATUS)
    finally:
        lock.release()
    assert told[0].reply["ok"] is False
    assert told[0].reply["error"].startswith("a run is going, but ")


@pytest.mark.parametrize("path", ["x" * 200, "run.json/x"])
def test_a_pointer_to_what_is_no_path_is_an_error_in_words(short: Path, path: str):
    point(short / "run", path if len(path) > LONGEST_PATH else short / "run" / path)
    reply = steer(short / "run", STATUS)[0].reply
    assert reply["ok"] is False
    assert path in reply["error"]


@pytest.mark.parametrize(
    "answer", [b"", b"\n", b"[]\n", b'{"ok": 1}\n', b'{"error": 3}\n', b'{"ok": tr', b"x" * 70_000]
)
async def test_an_answer_that_makes_no_sense_is_told(short: Path, answer: bytes):
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(reply, short / "s"):
        point(short / "run", short / "s")
        told = await asyncio.to_thread(steer, short / "run", STATUS)
    assert told[0].reply == {"ok": False, "error": "its answer cannot be read; is it another version of asyncgen?"}


def test_a_run_that_does_not_answer_is_told_with_its_pid(short: Path):
    listener, path = open_listener([short / "own"], WRITER)
    with closing(listener):
        point(short / "run", path, pid=4321)
        reply = steer(short / "run", STATUS, patience=0.05)[0].reply
    assert reply["ok"] is False
    assert "pid 4321" in reply["error"]
