"""Every knob once: a field and its docstring make the YAML key, the flag, the variable and the help.

Knows names, types, defaults and what may not be combined. Does not know where values come from (`load`), nor what they
do. A field's `flags` metadata are the short flags that every job has beside `--section.field`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


def knob(default: Any, *flags: str) -> Any:
    """A field with short flags."""
    return field(default=default, metadata={"flags": flags})


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Which rows, in which order."""

    path: str = knob("", "--dataset-path")
    """A folder written by `datasets.save_to_disk`, or a .parquet, .jsonl or .json file."""
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
    max_turns: int = knob(10, "--max-turns")
    """Turns of an episode, the final turn not counted."""
    final_turn: bool = True
    """After max_turns turns without an answer, one more without tools asks for it."""
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
    """Seconds that running episodes get to finish after the first Ctrl-C or SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where traces go."""

    output_dir: str | None = knob(None, "--output-dir")
    """The run directory; default: runs/NAME."""
    durability: Literal["interval", "always", "never"] = "interval"
    """When traces are synced to disk: each second or 256 traces, each trace, or only when a shard is sealed."""
    disk_wait: float = 600.0
    """Seconds to wait for room on a full disk before exit 75."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, resolved."""

    task: str
    """Built-in name, `module:Class` or `file.py:Class`."""
    name: str = ""
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


SECTIONS: Mapping[str, type] = {
    "dataset": Dataset,
    "endpoint": EndpointOptions,
    "sampling": Sampling,
    "episode": Episode,
    "schedule": Schedule,
    "store": Store,
}
"""The sections whose fields are knobs."""

OWN_FIELDS = frozenset({"messages", "model", "n", "stream", "tools"})
"""Fields of a request that are not for `sampling.extra_body`."""


def problems(job: Job) -> list[str]:
    """What is out of range, one line each; empty when all is well."""
    checks = [
        (bool(job.dataset.path), "dataset.path is missing: give --dataset-path PATH"),
        (bool(job.endpoints), "endpoints is empty: give --base-url URL"),
        (job.dataset.num_samples >= -1, f"dataset.num_samples is {job.dataset.num_samples}: give -1 (all) or a number"),
        (1 <= job.episode.rollouts <= 65_536, f"episode.rollouts is {job.episode.rollouts}: give 1 to 65536"),
        (job.episode.max_turns >= 1, f"episode.max_turns is {job.episode.max_turns}: give 1 or more"),
        (job.episode.deadline > 0, f"episode.deadline is {job.episode.deadline}: give seconds above 0"),
        (job.episode.max_pixels >= 784, f"episode.max_pixels is {job.episode.max_pixels}: give 784 or more"),
        (
            job.episode.max_image_pixels >= 784,
            f"episode.max_image_pixels is {job.episode.max_image_pixels}: give 784 or more",
        ),
        (job.sampling.max_tokens >= 1, f"sampling.max_tokens is {job.sampling.max_tokens}: give 1 or more"),
        (job.sampling.temperature >= 0, f"sampling.temperature is {job.sampling.temperature}: give 0 or more"),
        (job.endpoint.turn_timeout > 0, f"endpoint.turn_timeout is {job.endpoint.turn_timeout}: give seconds above 0"),
        (
            job.schedule.concurrency == "auto" or job.schedule.concurrency >= 1,
            f"schedule.concurrency is {job.schedule.concurrency}: give 1 or more, or auto",
        ),
        (0 <= job.schedule.max_failed <= 1, f"schedule.max_failed is {job.schedule.max_failed}: give a share, 0 to 1"),
        (job.schedule.grace >= 0, f"schedule.grace is {job.schedule.grace}: give 0 or more seconds"),
        (job.store.disk_wait >= 0, f"store.disk_wait is {job.store.disk_wait}: give 0 or more seconds"),
        (
            (job.endpoint.max_outage or 0) >= 0,
            f"endpoint.max_outage is {job.endpoint.max_outage}: give 0 or more seconds, or null",
        ),
    ]
    found = [text for fine, text in checks if not fine]
    return _unfit_numbers(asdict(job)) or [*found, *_endpoint_problems(job), *_sampling_problems(job)]


def _unfit_numbers(value: Any, path: str = "") -> list[str]:
    """NaN and the infinities: no range holds them, and JSON has no word for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return [f"{path} is {value}: give a finite number"]
    if isinstance(value, Mapping):
        inner = [(f"{path}.{key}" if path else str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{path}[{number}]", one) for number, one in enumerate(value)]
    else:
        return []
    return [text for name, one in inner for text in _unfit_numbers(one, name)]


def _endpoint_problems(job: Job) -> list[str]:
    found = []
    for endpoint in job.endpoints:
        if not endpoint.base_url.startswith(("http://", "https://")):
            found.append(f"base_url {endpoint.base_url!r} does not start with http:// or https://")
        if endpoint.max_concurrency is not None and endpoint.max_concurrency < 1:
            found.append(f"endpoints: max_concurrency is {endpoint.max_concurrency}: give 1 or more")
    return found


def _sampling_problems(job: Job) -> list[str]:
    sampling, rollouts = job.sampling, job.episode.rollouts
    temperatures = sampling.temperatures
    found = []
    if temperatures is not None and len(temperatures) < rollouts:
        found.append(f"sampling.temperatures has {len(temperatures)} values for {rollouts} rollouts: give one for each")
    if any(one < 0 for one in temperatures or ()):
        found.append(f"sampling.temperatures is {list(temperatures or ())}: give 0 or more")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        found.append(f"sampling.top_p is {sampling.top_p}: give more than 0, at most 1")
    if sampling.seed is not None and not -(2**63) <= sampling.seed < 2**63 - rollouts:
        found.append(f"sampling.seed is {sampling.seed}: give a number of 64 bits")
    if taken := sorted(OWN_FIELDS.intersection(sampling.extra_body)):
        found.append(f"sampling.extra_body has {', '.join(taken)}: each request has that already; take it out")
    return found


def parse_partition(text: str | None) -> tuple[int, int] | None:
    """`k/K` as (k, K); None for none. Raises ValueError."""
    if not text:
        return None
    k, slash, total = text.partition("/")
    if not slash or not k.isdecimal() or not total.isdecimal() or not int(k) < int(total):
        raise ValueError(f"partition {text!r} is not k/K with 0 <= k < K, e.g. 0/8")
    return int(k), int(total)
