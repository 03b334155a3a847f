"""The search part of the demo: a real small language model searches passages about countries.

Knows the order of the show: passages, questions, two servers, run, stats, one trace, what to try next.
Knows nothing of how any of it works: the run and both servers are `asyncgen` commands.
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from asyncgen.core.errors import AsyncgenError
from asyncgen.embedded.child import serving
from asyncgen.embedded.countries import load_atlas, write_corpus
from asyncgen.embedded.model_server import ALIAS, model_file, model_server
from asyncgen.embedded.questions import write_questions
from asyncgen.embedded.stage import ASYNCGEN, Stage, programs

QUESTIONS = 16
SEED = 0
MOST_THREADS = 8
"""Of the model: it is too small for more."""
JOB_FILES = ("search-demo.yaml", "search_task.py")


@dataclass(frozen=True)
class SearchDemo:
    """Where the search demo lies."""

    folder: Path
    questions: int = QUESTIONS
    threads: int = field(default_factory=lambda: min(os.cpu_count() or 1, MOST_THREADS))
    """Of the model."""
    stage: Stage = field(default_factory=Stage)

    @property
    def corpus(self) -> Path:
        return self.folder / "passages.jsonl"

    @property
    def dataset(self) -> Path:
        return self.folder / "questions.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / "run"

    def run_arguments(self, base_url: str, retrieval_url: str) -> list[str]:
        """The arguments of the job itself."""
        return [
            *("run", str(self.folder / JOB_FILES[0]), "--dataset-path", str(self.dataset)),
            *("--base-url", base_url, "--retrieval-url", retrieval_url, "--output-dir", str(self.output)),
            *("--output-file", str(self.folder / "train.parquet")),
        ]


def play(demo: SearchDemo) -> int:
    """The whole search demo; the exit code of its run. Raises InputError when a package of the demo is missing."""
    say = demo.stage.say
    model_file(None)
    say(
        f"\nasyncgen demo: the search job, for real. The model is {ALIAS} in llama.cpp, on this machine's\n"
        "processor. It is far too small for this: it needs a grammar to write a well-formed call, copies little of\n"
        "what it finds and is mostly wrong. Its words, the searches and the scores are real, and are what they are.\n"
    )
    _write(demo)
    with model_server("--threads", str(demo.threads)) as base_url, retrieval_server(demo.corpus) as retrieval_url:
        say(f"model      {base_url}\nretrieval  {retrieval_url}")
        code = demo.stage.run(demo.run_arguments(base_url, retrieval_url))
    if not demo.stage.is_done(code):
        return code
    demo.stage.look("stats", str(demo.output))
    if trace := best(demo.output):
        demo.stage.look("show", str(demo.output), trace)
    say(next_steps(demo, base_url, retrieval_url))
    return code


@contextmanager
def retrieval_server(corpus: Path) -> Iterator[str]:
    """`asyncgen serve-retrieval` as a child process; the URL to search at."""
    with serving([*ASYNCGEN, "serve-retrieval", str(corpus), "--port", "0"], "retrieval server") as port:
        yield f"http://127.0.0.1:{port}/retrieve"


def _write(demo: SearchDemo) -> None:
    if demo.dataset.exists():
        demo.stage.say(f"dataset    {demo.dataset} is there already: kept (remove {demo.folder} to start anew)")
        return
    passages = write_files(demo.folder, demo.questions)
    demo.stage.say(
        f"corpus     {demo.corpus}: {passages:,} passages about countries\n"
        f"dataset    {demo.dataset}: {demo.questions} questions of two to four steps, from the same facts"
    )


def write_files(folder: Path, questions: int, *, seed: int = SEED) -> int:
    """Passages, job and questions, those last: where they are, all is there. Returns the number of passages."""
    atlas = load_atlas()
    folder.mkdir(parents=True, exist_ok=True)
    passages = write_corpus(folder / "passages.jsonl", atlas)
    for name in JOB_FILES:
        with importlib.resources.as_file(importlib.resources.files("asyncgen.embedded") / "search_job" / name) as file:
            shutil.copyfile(file, folder / name)
    draft = folder / ".questions.draft"
    write_questions(draft, questions, seed=seed, atlas=atlas)
    draft.rename(folder / "questions.jsonl")
    return passages


def best(output: Path) -> str:
    """The id of the first trace of those with the best answer; `""` when there is none."""
    highest, chosen = -1.0, ""
    for shard in sorted((output / "traces").glob("*.jsonl")):
        with shard.open(encoding="utf-8") as lines:
            for line in lines:
                trace = json.loads(line)
                if (score := float(trace["reward_score"]["f1"])) > highest:
                    highest, chosen = score, str(trace["id"])
    return chosen


def next_steps(demo: SearchDemo, base_url: str, retrieval_url: str) -> str:
    """What to try next, as lines to paste."""
    _, asyncgen = programs()
    ports = [url.rsplit(":", 1)[1].partition("/")[0] for url in (base_url, retrieval_url)]
    output, corpus = shlex.quote(str(demo.output)), shlex.quote(str(demo.corpus))
    job = shlex.join(demo.run_arguments(base_url, retrieval_url))
    return f"""
The traces, in the form for training, are in {demo.folder / "train.parquet"} (verl's multi-turn SFT layout).
Try next; both servers have stopped with the demo, this starts them again, and asks each question four times:
  {asyncgen} serve-model --port {ports[0]} &
  {asyncgen} serve-retrieval {corpus} --port {ports[1]} &
  {asyncgen} {job} --rollouts 4
Look at what was searched and answered:
  {asyncgen} ls {output} --sort -f1
  {asyncgen} sql {output} 'select kind, avg(em), avg(f1) from traces group by 1'
The same questions and passages with a model that can call tools (and no grammar):
  {asyncgen} run search --input-file {shlex.quote(str(demo.dataset))} --vllm-url http://HOST:8000/v1 \\
    --retrieval-url {retrieval_url} --output-file {shlex.quote(str(demo.folder / "strong.parquet"))}"""  # noqa: S608  # a line to paste


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the passages, the questions and the job, and nothing else; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m asyncgen.embedded.search_demo", description=main.__doc__)
    parser.add_argument("--dir", type=Path, default=Path("demo/search"), help="where to (default ./demo/search)")
    parser.add_argument("--questions", type=int, default=QUESTIONS, help=f"how many (default {QUESTIONS})")
    parser.add_argument("--seed", type=int, default=SEED, help="which ones (default 0)")
    given = parser.parse_args(arguments)
    try:
        write_files(given.dir, given.questions, seed=given.seed)
    except AsyncgenError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
