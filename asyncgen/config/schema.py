"""Every knob once: a field and its docstring make the YAML key, the flag, the variable and the help.

Knows names, types and defaults. Does not know which values are out of range (`problems`), where they come from
(`load`), nor what they do. A field's `flags` metadata are the short flags that every job has beside `--section.field`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


def knob(default: Any, *flags: str) -> Any:
    """A field with short flags."""
    return field(default=default, metadata={"flags": flags})


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Which rows, in which order."""

    path: str = knob("", "--dataset-path")
    """A folder written by `datasets.save_to_disk`, a .parquet, .jsonl or .json file, or a folder or quoted glob of
    .parquet or .jsonl files."""
    split: str | None = None
    """The split, where the folder is a DatasetDict."""
    where: str | None = knob(None, "--where")
    """SQL over the columns: only rows for which it is true."""
    order: Literal["hardest_first", "easiest_first", "dataset"] = "dataset"
    """By the task's difficulty column (low = hard), or as the rows lie on disk."""
    order_by: str | None = knob(None, "--order-by")
    """A column, or `COL desc`; beats `order`."""
    num_samples: int = knob(-1, "--num-samples")
    """How many samples, after where and order; -1 = all."""
    chunk_size: int = knob(1000, "--chunk-size")
    """Rows of a chunk, as they lie on disk; with chunk_id."""
    chunk_id: int | None = knob(None, "--chunk-id")
    """Only the rows of this chunk, from 0, in a run directory of its own, OUT/chunk-kkk; null: all chunks."""
    image_root: str | None = None
    """Where relative image paths start; default: the dataset's folder."""


@dataclass(frozen=True, kw_only=True)
class EndpointSpec:
    """One OpenAI-compatible server; YAML only (`--base-url` replaces the list)."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Up to and including `/v1`."""
    model: str | None = None
    """The model to ask; may be left out when the server lists exactly one."""
    api_key_env: str = "OPENAI_API_KEY"
    """The variable that holds the key; no key is sent when it is not set."""
    max_concurrency: int | None = None
    """At most so many open requests on this server."""


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """How servers are talked to."""

    transport: Literal["aiohttp"] = "aiohttp"
    """The HTTP client."""
    turn_timeout: float = 1800.0
    """Seconds that one request may take, from the moment it is sent."""
    max_outage: float | None = None
    """Give up (exit 75) when all servers have been down for so many seconds; null: wait for ever."""
    price_input: float | None = None
    """US dollars for a million prompt tokens; with it, or with price_output, the screen shows what the run costs."""
    price_output: float | None = None
    """US dollars for a million completion tokens."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What is asked of the model."""

    temperature: float = knob(0.7, "--temperature")
    """Sampling temperature."""
    temperatures: tuple[float, ...] | None = None
    """One temperature for each rollout in turn; beats `temperature`."""
    top_p: float | None = None
    """Nucleus sampling; null: the server's default."""
    max_tokens: int = knob(2048, "--max-tokens")
    """Tokens of one turn at most."""
    seed: int | None = knob(None, "--seed")
    """Rollout k sends seed + k; null: none is sent."""
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of the request, e.g. {top_k: 20}."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """How long an attempt may be, and how many there are."""

    rollouts: int = knob(1, "--rollouts")
    """Independent attempts at each sample."""
    choices: int = 1
    """Of a sample's rollouts so many are asked for in one request (`n`), where the server gives several choices."""
    max_turns: int = knob(10, "--max-turns")
    """Turns of an episode, the final turn not counted."""
    final_turn: bool = True
    """After max_turns turns without an answer, one more without tools asks for it."""
    max_context: int | None = None
    """Tokens of a conversation from which on the next turn is the final one, without tools; null: no such limit."""
    deadline: float = 7200.0
    """Seconds of requests and tools that an episode may take; waiting for a server does not count."""
    max_pixels: int = 12_845_056
    """Pictures with more pixels are shrunk before they are sent (16384 tokens of 28 x 28)."""
    max_image_pixels: int = 100_000_000
    """Pictures with more pixels are refused before they are decoded."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How much at once, and when to stop."""

    concurrency: int | Literal["auto"] = knob("auto", "--concurrency")
    """Open requests over all endpoints; `auto` means 32."""
    partition: str | None = knob(None, "--partition")
    """k/K: every K-th sample from the k-th on, in a run directory of its own."""
    max_failed: float = knob(0.2, "--max-failed")
    """Exit 4 when a larger share of the episodes failed."""
    grace: float = 30.0
    """Seconds that the end may take after the first Ctrl-C or SIGTERM: episodes end their turn, shards are sealed."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where traces go."""

    output_dir: str | None = knob(None, "--output-dir")
    """The run directory; default: runs/NAME, or beside the output file, with .run for its suffix."""
    output_file: str | None = None
    """At the end, and at a drain, the accepted traces are also written to this file: .parquet in the verl-sft layout,
    .jsonl as one line a trace."""
    durability: Literal["interval", "always", "never"] = "interval"
    """When traces are synced to disk: each second or 256 traces, each trace, or only when a shard is sealed."""
    disk_wait: float = 600.0
    """Seconds to wait for room on a full disk before exit 75."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is different for some samples; YAML only."""

    where: str
    """SQL over the columns: the rule takes the rows for which it is true, less those that a rule before it took."""
    max_turns: int | None = None
    """Instead of `episode.max_turns`."""
    temperature: float | None = None
    """Instead of `sampling.temperature`."""
    max_tokens: int | None = None
    """Instead of `sampling.max_tokens`."""
    rollouts: int | None = None
    """Instead of `episode.rollouts`."""
    limit: int | None = None
    """Of the rows that it takes the first so many, in the run's order; the others are left out."""
    drop: bool = False
    """Leave out the rows that it takes."""


@dataclass(frozen=True, kw_only=True)
class McpSpec:
    """An MCP server whose tools the model may call; YAML only."""

    mcp: str
    """A command, which is started for the run, without a shell; or a URL, `http://…/mcp`, `sse:http://…/sse` for a
    server of the older kind."""
    only: tuple[str, ...] | None = None
    """Which of its tools, by the server's own names; null: all."""
    prefix: str = ""
    """Put before each name."""
    env: tuple[str, ...] = ()
    """NAMES of variables that a command gets besides PATH, HOME and the like."""
    timeout: float = 60.0
    """Seconds that a call may take."""
    cwd: str | None = None
    """The folder in which a command starts, looked for beside the job file first; null: the working directory."""

    @property
    def is_url(self) -> bool:
        """Whether it runs already."""
        return self.mcp.startswith(("http://", "https://", SSE))


SSE = "sse:"
"""Before a URL: over the transport that streamable HTTP replaced."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, resolved. Its fields with a flag are knobs."""

    task: str
    """Built-in name, `module:Class` or `file.py:Class`."""
    name: str = knob("", "--name")
    """The job's name in ids; default: the YAML file's stem."""
    task_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The fields of the task's dataclass; a flag is `--task.FIELD`."""
    dataset: Dataset = Dataset()
    endpoints: tuple[EndpointSpec, ...] = (EndpointSpec(),)
    endpoint: EndpointOptions = EndpointOptions()
    sampling: Sampling = Sampling()
    episode: Episode = Episode()
    schedule: Schedule = Schedule()
    store: Store = Store()
    accept: str | None = knob(None, "--accept")
    """SQL over a trace: those for which it is true are marked as accepted; null: all of them."""
    until_accepted: int | None = knob(None, "--until-accepted")
    """Sample a row only until so many of its traces are accepted, or its rollouts are used up; null: all rollouts."""
    stop_after_accepted: int | None = knob(None, "--stop-after-accepted")
    """End the job when so many traces of the directory are accepted; those that are under way then come on top."""
    stop_when: Literal["mixed"] | None = knob(None, "--stop-when")
    """`mixed`: a row's remaining rollouts are not asked for once right (accepted, by default `score = 1`) and wrong are
    both there, and as many are asked of rows still undecided, up to twice their number; null: all rollouts."""
    rules: tuple[Rule, ...] = ()
    """The first rule whose `where` is true of a row counts."""
    tools: tuple[str | McpSpec, ...] = ()
    """Besides the task's own: `module:name`, `file.py:name`, or an MCP server."""
    rewards: tuple[str | Mapping[str, Any], ...] = ()
    """Instead of the task's own: names, or `{name: {option: value}}`, in the order in which they score."""

    @property
    def condition(self) -> str | None:
        """`accept`, where there is one; with `stop_when` there always is."""
        return condition_of(self.accept, self.stop_when)

    @property
    def most_rollouts(self) -> int:
        """Of any row: its rule may say more than the job does, and with `stop_when` it may have twice as many."""
        most = max([self.episode.rollouts, *(rule.rollouts or 0 for rule in self.rules)])
        return 2 * most if self.stop_when else most


RIGHT = "score = 1"
"""Where `stop_when` is set and `accept` is not."""


def condition_of(accept: str | None, stop_when: str | None) -> str | None:
    """What traces are marked by; None: all are accepted."""
    return accept if accept and accept.strip() else RIGHT if stop_when else None


SECTIONS: Mapping[str, type] = {
    "dataset": Dataset,
    "endpoint": EndpointOptions,
    "sampling": Sampling,
    "episode": Episode,
    "schedule": Schedule,
    "store": Store,
}
"""The sections whose fields are knobs."""


def chunk_of(dataset: Dataset) -> tuple[int, int] | None:
    """(number, size) of the chunk that is asked for."""
    return None if dataset.chunk_id is None else (dataset.chunk_id, dataset.chunk_size)


def parse_partition(text: str | None) -> tuple[int, int] | None:
    """`k/K` as (k, K); None for none. Raises ValueError."""
    if not text:
        return None
    k, slash, total = text.partition("/")
    if not slash or not k.isdecimal() or not total.isdecimal() or not int(k) < int(total):
        raise ValueError(f"partition {text!r} is not k/K with 0 <= k < K, e.g. 0/8")
    return int(k), int(total)
