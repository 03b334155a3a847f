"""The demo: the `geo-tools` job for real, on this machine alone, in under five minutes.

Knows the order of the show: tiles, endpoint, run, stats, one trace, what to try next.
Knows nothing of how any of it works: the run is the `asyncgen` command, the endpoint a process of its own.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.errors import AsyncgenError, TemporaryError
from asyncgen.core.types import Json
from asyncgen.embedded.tiles import make_tiles
from asyncgen.embedded.worldmap import find_map

SERVER = (sys.executable, "-m", "asyncgen.embedded.vision_server")
ASYNCGEN = (sys.executable, "-m", "asyncgen")
START_SECONDS = 60.0
STOP_SECONDS = 5.0
TOO_MANY_FAILED = 4
"""The exit code of a run that is done, with more failed episodes than it should have."""
RESUMABLE = 75
"""Exit codes from here on mean that nothing is wrong with the input: paused, drained, no key, killed."""
MAX_OUTAGE = 60
"""Seconds without the endpoint after which the run gives up: it would wait for ever if this process were killed."""


def _say(text: str) -> None:
    """Flushed at once: the commands that the demo starts write to the same place."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Demo:
    """Where the demo lies, and how to call what it starts."""

    folder: Path
    tiles: int
    asyncgen: Sequence[str] = ASYNCGEN
    say: Callable[[str], None] = _say

    @property
    def dataset(self) -> Path:
        return self.folder / "tiles"

    @property
    def output(self) -> Path:
        return self.folder / "run"

    def run_arguments(self, base_url: str) -> list[str]:
        """The arguments of the job itself."""
        return [
            *("run", "geo-tools", "--dataset-path", str(self.dataset)),
            *("--num-samples", "-1", "--base-url", base_url, "--output-dir", str(self.output)),
        ]


def play(demo: Demo) -> int:
    """The whole demo; the exit code of its run."""
    demo.say(
        "asyncgen demo: the geo-tools job, for real, with nothing from the network.\n"
        "The endpoint is a map matcher and not a language model: it looks at each picture, searches the\n"
        "Blue Marble world map for it, and asks to turn it or to look closer when the match is weak.\n"
        "Pictures, tool calls, turns and scores are real, and differ from tile to tile.\n"
    )
    _tiles(demo)
    with vision_server() as base_url:
        demo.say(f"endpoint   {base_url}  (the OpenAI protocol)")
        code = _run(demo, base_url)
        if code not in {0, TOO_MANY_FAILED}:
            further = "the same command goes on where it stopped" if code >= RESUMABLE else "see above"
            demo.say(f"\nThe run ended with exit code {code}: {further}.")
            return code
        _show(demo)
    demo.say(next_steps(demo, base_url))
    return code


def _tiles(demo: Demo) -> None:
    if demo.dataset.exists():
        demo.say(f"dataset    {demo.dataset} is there already: kept (remove {demo.folder} to start anew)")
        return
    make_tiles(demo.dataset, demo.tiles)
    demo.say(f"dataset    {demo.dataset}: {demo.tiles} tiles of {find_map().name}, about half of them turned")


def _run(demo: Demo, base_url: str) -> int:
    arguments = demo.run_arguments(base_url)
    demo.say(f"command    asyncgen {shlex.join(arguments)}\n")
    command = [*demo.asyncgen, *arguments, "--endpoint.max-outage", str(MAX_OUTAGE)]
    with subprocess.Popen(command) as child, _signals_to(child):  # noqa: S603  # asyncgen itself
        code = child.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """While the run goes on, signals are its business: it drains, and this process waits for it.

    Ctrl-C reaches both from the terminal; SIGTERM comes to this process alone and is passed on.
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
    }
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _show(demo: Demo) -> None:
    """`stats`, and the trace with the most turns."""
    commands = [["stats", str(demo.output)]]
    if trace := liveliest(demo.output):
        commands.append(["show", str(demo.output), trace])
    for arguments in commands:
        demo.say(f"\n$ asyncgen {shlex.join(arguments)}")
        subprocess.run([*demo.asyncgen, *arguments], check=False)  # noqa: S603  # asyncgen itself


def liveliest(output: Path) -> str:
    """The id of the trace with the most turns, among those the one nearest to the truth; `""` when there is none."""
    best, chosen = (0, 0.0), ""
    for shard in sorted((output / "traces").glob("*.jsonl")):
        with shard.open(encoding="utf-8") as lines:
            for line in lines:
                trace = json.loads(line)
                rank = _rank(trace["metadata"])
                if rank > best:
                    best, chosen = rank, str(trace["id"])
    return chosen


def _rank(metadata: Mapping[str, Json]) -> tuple[int, float]:
    return metadata["total_turns"], -float(metadata.get("distance_km", 0.0))


def next_steps(demo: Demo, base_url: str) -> str:
    """What to try next, as lines to paste."""
    port = base_url.rsplit(":", 1)[1].removesuffix("/v1")
    python, asyncgen = _programs()
    real = demo.run_arguments("http://HOST:8000/v1")
    real[-1] = str(demo.folder / "run-real")
    output = shlex.quote(str(demo.output))
    return f"""
Try next. The endpoint has stopped with the demo; this starts it again:
  {python} -m asyncgen.embedded.vision_server --port {port} &
Four attempts at each tile; the first is there already (the matcher answers all four alike, a model would not). Kill it
in the middle (Ctrl-C, or kill -9), then run the same command again: it goes on where it was.
  {asyncgen} {shlex.join(demo.run_arguments(base_url))} --rollouts 4
Look at the run, and write the good traces as one file a sample:
  {asyncgen} status {output}
  {asyncgen} ls {output} --sort -distance@km --limit 10
  {asyncgen} show {output} --images {shlex.quote(str(demo.folder / "pictures"))}
  {asyncgen} sql {output} 'select stop, count(*), median("distance@km") from traces group by stop'
  {asyncgen} stats {output} --plots {shlex.quote(str(demo.folder / "plots"))}
  {asyncgen} export {output} --to trace-json --where 'score > 0.9' -o {shlex.quote(str(demo.folder / "good"))}
The same job against a real server with a vision language model:
  {asyncgen} {shlex.join(real)}"""  # noqa: S608  # a line to paste


def _programs() -> tuple[str, str]:
    """How to call this Python and asyncgen from here: as in a virtual environment that is not activated."""
    script = Path(sys.executable).with_name("asyncgen")
    if not script.exists():
        return "python", "asyncgen"
    return tuple(shlex.quote(_from_here(path)) for path in (Path(sys.executable), script))  # type: ignore[return-value]  # two


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def vision_server(command: Sequence[str] = SERVER, *, clock: Clock | None = None) -> Iterator[str]:
    """The endpoint as a child process; its base URL. Stopped at the end: TERM, and KILL if it does not go.

    It has a process group of its own, so that Ctrl-C stops the run and not the server the run still needs, and it
    watches its stdin, so that it ends with this process however that ends.
    """
    with (
        tempfile.TemporaryDirectory(prefix="asyncgen-demo-") as folder,
        subprocess.Popen(  # noqa: S603  # a module of this package
            [*command, "--port-file", f"{folder}/port", "--watch-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
        ) as child,
    ):
        try:
            yield f"http://127.0.0.1:{_port(child, Path(folder) / 'port', clock or SystemClock())}/v1"
        finally:
            stop(child)


def _port(child: subprocess.Popen[bytes], port_file: Path, clock: Clock) -> int:
    """Wait for the port. TemporaryError when the endpoint ends or does not get ready."""
    until = clock.monotonic() + START_SECONDS
    while clock.monotonic() < until:
        if port_file.exists():
            return int(port_file.read_text())
        try:
            code = child.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue
        raise TemporaryError(f"the vision endpoint ended with exit code {code} before it was ready; see above")
    raise TemporaryError(f"the vision endpoint was not ready in {START_SECONDS:.0f} s: try again on a quieter machine")


def stop(child: subprocess.Popen[Any], seconds: float = STOP_SECONDS) -> None:
    """TERM, wait, KILL."""
    child.terminate()
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code is the run's."""
    from datasets import disable_progress_bars

    parser = argparse.ArgumentParser(prog="python -m asyncgen.embedded.demo", description=__doc__)
    parser.add_argument("--tiles", type=int, default=120, help="how many tiles to cut (default 120)")
    parser.add_argument("--dir", type=Path, default=Path("demo"), help="where to (default ./demo)")
    given = parser.parse_args(arguments)
    if given.tiles < 1:
        parser.error(f"--tiles is {given.tiles}: it must be 1 or more")
    disable_progress_bars()
    try:
        return play(Demo(given.dir, given.tiles))
    except AsyncgenError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
