"""The demo: two jobs for real, on this machine alone, in minutes: `geo-tools`, then `search` (`search_demo`).

Knows the order of the show: tiles, endpoint, run, stats, one trace, what to try next.
Knows nothing of how any of it works: the run is the `asyncgen` command, the endpoint a process of its own.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError
from asyncgen.core.types import Json
from asyncgen.embedded import search_demo
from asyncgen.embedded.child import serving
from asyncgen.embedded.stage import ASYNCGEN, TOO_MANY_FAILED, Stage, programs, say_aloud
from asyncgen.embedded.tiles import make_tiles
from asyncgen.embedded.worldmap import find_map

SERVER = (sys.executable, "-m", "asyncgen.embedded.vision_server")


@dataclass(frozen=True)
class Demo:
    """Where the demo lies, and how to call what it starts."""

    folder: Path
    tiles: int
    asyncgen: Sequence[str] = ASYNCGEN
    say: Callable[[str], None] = say_aloud

    @property
    def stage(self) -> Stage:
        return Stage(self.asyncgen, self.say)

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
        code = demo.stage.run(demo.run_arguments(base_url))
        if not demo.stage.is_done(code):
            return code
        demo.stage.look("stats", str(demo.output))
        if trace := liveliest(demo.output):
            demo.stage.look("show", str(demo.output), trace)
    demo.say(next_steps(demo, base_url))
    return code


def _tiles(demo: Demo) -> None:
    if demo.dataset.exists():
        demo.say(f"dataset    {demo.dataset} is there already: kept (remove {demo.folder} to start anew)")
        return
    make_tiles(demo.dataset, demo.tiles)
    demo.say(f"dataset    {demo.dataset}: {demo.tiles} tiles of {find_map().name}, about half of them turned")


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
    python, asyncgen = programs()
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


@contextmanager
def vision_server(command: Sequence[str] = SERVER, *, clock: Clock | None = None) -> Iterator[str]:
    """The endpoint as a child process; its base URL. Stopped at the end (`child.serving`)."""
    with serving(command, "vision endpoint", clock=clock) as port:
        yield f"http://127.0.0.1:{port}/v1"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code is that of the first run that did not end with 0."""
    from datasets import disable_progress_bars

    parser = argparse.ArgumentParser(prog="python -m asyncgen.embedded.demo", description=__doc__)
    parser.add_argument("--tiles", type=int, default=120, help="how many tiles to cut (default 120)")
    parser.add_argument("--questions", type=int, default=search_demo.QUESTIONS, help="how many questions to ask")
    parser.add_argument("--dir", type=Path, default=Path("demo"), help="where to (default ./demo)")
    parser.add_argument("--only", choices=("geo", "search"), help="one of the two jobs")
    given = parser.parse_args(arguments)
    for name in ("tiles", "questions"):
        if (count := getattr(given, name)) < 1:
            parser.error(f"--{name} is {count}: it must be 1 or more")
    disable_progress_bars()
    try:
        code = 0 if given.only == "search" else play(Demo(given.dir, given.tiles))
        if given.only == "geo" or code not in {0, TOO_MANY_FAILED}:
            return code
        return search_demo.play(search_demo.SearchDemo(given.dir / "search", given.questions)) or code
    except AsyncgenError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
