"""A made-up look at a run, and a run made of counters alone: what the screens' tests draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from support.store_fakes import StillClock

from asyncgen.config.schema import Job
from asyncgen.core.task import Task
from asyncgen.endpoint.limiter import FixedLimiter
from asyncgen.endpoint.pool import EndpointSpec, Pool
from asyncgen.engine.driver import Living
from asyncgen.engine.progress import Progress
from asyncgen.engine.scheduler import Scheduler
from asyncgen.runs.figures import EndpointFigures, Figures, ScoreFigures


def a_server(name: str = "http://127.0.0.1:8000/v1", state: str = "ok", **changes: Any) -> EndpointFigures:
    figures: dict[str, Any] = {
        "name": name, "state": state, "in_flight": 43, "done": 900, "faults": 0, "rate": 95.0, "p50": 11.93,
        "p95": 31.04, "last_fault": "" if state == "ok" else "HTTP 503",
    }  # fmt: skip
    return EndpointFigures(**figures | changes)


def figures(**changes: Any) -> Figures:
    """Those of the README's picture, with changes."""
    values: dict[str, Any] = {
        "name": "geo-tools", "directory": "runs/geo-tools", "elapsed": 4324.0, "elapsed_before": 0.0, "total": 12_000,
        "done": 4312, "failed": 41, "left": 7647, "skipped": 0, "durable": 4301, "stored": 4312,
        "reasons": {"timeout": 22, "context_overflow": 11, "bad_image": 8}, "rate": 61.2, "rate_now": 64.0,
        "seconds_left": 7497.0, "seconds_spread": 720.0, "order": "hardest first", "tokens_a_second": 8412.3,
        "open": 128, "limit": 128, "waiting": 12, "alive": 256, "running": 140, "paused": False, "draining": False,
        "notice": "",
        "endpoints": [a_server(f"http://127.0.0.1:{port}/v1", in_flight=64) for port in (8000, 8001)],
        "parsed": 0.978, "turns": 3.1, "tools": {"image_zoom_in_tool": 5120, "image_rotate_tool": 210},
        "with_tools": 0.83, "tool_errors": 0.004, "retries": 0.021,
        "scores": [
            ScoreFigures(name="score", kind="mean", value=0.5123),
            ScoreFigures(name="distance@km", kind="median", value=112.0),
            ScoreFigures(name="acc@25km", kind="share", value=0.312),
        ],
        "prompt_tokens": 12_345_678, "completion_tokens": 3_456_789, "start_prompt_tokens": 12_345_678,
        "start_completion_tokens": 3_456_789, "cost": None, "cost_at_end": None,
        "accepted": None, "oldest": [],
    }  # fmt: skip
    return Figures(**values | changes)


@dataclass
class CountedRun:
    """What a Meter asks of a View, with counters that a test sets and a clock that it moves."""

    job: Job = field(default_factory=lambda: Job(task="t", name="job"))
    task: Task = field(default_factory=Task)
    tools: Sequence[str] = ()
    columns: Sequence[str] = ()
    servers: Sequence[str] = ("e0",)
    limit: int = 4
    total: int = 1000
    living: Sequence[Living] = ()
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.clock = StillClock()
        self.started = self.clock.now
        self.progress = Progress(total=self.total)
        self.scheduler = Scheduler(Pool([EndpointSpec(name) for name in self.servers]), FixedLimiter(self.limit))
        self.store = SimpleNamespace(durable=0, done=(), failed_reasons=Counter(self.reasons))
        self.driver = SimpleNamespace(oldest=lambda count: list(self.living[:count]))
        self.prepared = SimpleNamespace(
            job=self.job,
            task=self.task,
            kit=SimpleNamespace(tools=dict.fromkeys(self.tools)),
            source=SimpleNamespace(columns=tuple(self.columns)),
            directory="runs/job",
        )

    def finish(self, episodes: int, *, tokens: int = 0, failed: int = 0) -> None:
        self.progress.done += episodes
        self.progress.failed["timeout"] += failed
        self.progress.completion_tokens += tokens

    def answer(self, server: int, requests: int) -> None:
        for _ in range(requests):
            self.scheduler.pool.on_success(server, self.clock.now, 1.5)
