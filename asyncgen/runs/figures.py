"""One look at a run that is going, as figures: rates, time left, servers, scores, cost.

Knows a run's counters. Does not know how figures are shown; `asdict` of them is ready for JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from asyncgen.engine.progress import DISTANCE
from asyncgen.runs.rates import MIN_DONE, History, Mark, Rates
from asyncgen.runs.spent import Tokens, price

if TYPE_CHECKING:
    from asyncgen.config.schema import EndpointOptions, Job
    from asyncgen.core.task import Task
    from asyncgen.endpoint.pool import EndpointState
    from asyncgen.engine.live import Living
    from asyncgen.engine.progress import Progress
    from asyncgen.runs.execute import View

OLDEST = 3
"""Episodes that are shown near the end."""
REASONS = 5
"""Reasons of failures that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFigures:
    """One server."""

    name: str
    state: str
    """`ok`, `paused`, `down` or `probing`."""
    in_flight: int
    done: int
    """Requests of this start."""
    faults: int
    rate: float
    """Requests a minute, in the last minute."""
    p50: float
    """Seconds of a request; 0.0 before the first."""
    p95: float
    last_fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFigures:
    """One score of this start's traces."""

    name: str
    kind: Literal["share", "mean", "median"]
    """The median is that of the answers that could be read."""
    value: float | None
    """None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One look at a run. What is said of tokens and cost is said of all its starts, and what of traces and requests of
    this one."""

    name: str
    directory: str
    elapsed: float
    """Seconds of this start."""
    elapsed_before: float
    """Of those before it."""
    total: int
    done: int
    failed: int
    left: int
    skipped: int
    """Episodes that are not needed any more."""
    durable: int
    """Traces that a power loss cannot take."""
    stored: int
    """Traces in the directory, those that this job does not ask for too."""
    reasons: Mapping[str, int]
    """The most frequent ones of the failed."""
    rate: float
    """Episodes a minute, over the window."""
    rate_now: float
    """Episodes a minute, in the last minute."""
    seconds_left: float | None
    seconds_spread: float | None
    """The time left is so much shorter or longer, four times out of five."""
    order: str
    """`hardest first` or `easiest first` where that skews the time left; `""` where it does not."""
    tokens_a_second: float
    """Output tokens, over the window."""
    open: int
    """Requests under way."""
    limit: int
    waiting: int
    """Requests that wait for a slot."""
    alive: int
    """Episodes in memory."""
    running: int
    """Those that a drain would wait for."""
    paused: bool
    """By the user."""
    draining: bool
    notice: str
    """What keeps the run from going on."""
    endpoints: Sequence[EndpointFigures]
    parsed: float | None
    """Share of traces with an answer that could be read."""
    turns: float | None
    """Mean of a trace."""
    tools: Mapping[str, int]
    """Calls by name: the task's own, then what else the model wrote, the most frequent first."""
    with_tools: float | None
    """Share of traces with a tool call."""
    tool_errors: float | None
    """Share of calls."""
    retries: float | None
    """Share of requests."""
    scores: Sequence[ScoreFigures]
    """`score` first, then in the task's order."""
    prompt_tokens: int
    completion_tokens: int
    start_prompt_tokens: int
    """Of this start alone."""
    start_completion_tokens: int
    cost: float | None
    """US dollars of all traces and failures; None where no price is set."""
    cost_at_end: float | None
    """The same when nothing is left, if the rest is like the episodes so far."""
    accepted: int | None
    """Of the stored ones; None where the job accepts all."""
    oldest: Sequence[Living]
    """Near the end: the episodes under way for the longest."""


class Meter:
    """Remembers what it saw before: rates are differences. Look as often as you like."""

    def __init__(self) -> None:
        self._history = History()

    def look(self, view: View) -> Figures:
        """Now. The first look has no rates: there is nothing before it to compare with."""
        progress, scheduler, prepared = view.progress, view.scheduler, view.prepared
        job, now = prepared.job, view.clock.monotonic()
        failed, left, limit = progress.failed.total(), progress.left, scheduler.limiter.limit
        finished = progress.done + failed
        servers = scheduler.pool.snapshot(now)
        rates = self._history.rates(Mark(now, finished, progress.completion_tokens, [one.done for one in servers]))
        waits = progress.notice or scheduler.paused or scheduler.draining
        seconds_left, spread = (None, None) if waits else rates.seconds_left(left, finished)
        whole = progress.before + progress.totals
        cost, start_cost = cost_of(job.endpoint, whole), cost_of(job.endpoint, progress)
        return Figures(
            name=job.name,
            directory=str(prepared.directory),
            elapsed=now - view.started,
            elapsed_before=progress.seconds_before,
            total=progress.total,
            done=progress.done_before + progress.done,
            failed=progress.failed_before + failed,
            left=left,
            skipped=progress.skipped,
            durable=progress.done_before + view.store.durable,
            stored=len(view.store.done),
            reasons=dict(view.store.failed_reasons.most_common(REASONS)),
            rate=rates.window,
            rate_now=rates.now,
            seconds_left=seconds_left,
            seconds_spread=spread,
            order=order_by_difficulty(job, prepared.task, prepared.source.columns),
            tokens_a_second=rates.tokens,
            open=scheduler.open,
            limit=limit,
            waiting=scheduler.waiting,
            alive=scheduler.alive,
            running=scheduler.under_way,
            paused=scheduler.paused,
            draining=scheduler.draining,
            notice=progress.notice,
            endpoints=_endpoints(servers, rates),
            parsed=_share(progress.parsed, progress.done),
            turns=_share(progress.trace_turns, progress.done),
            tools=_tools(prepared.kit.tools, progress),
            with_tools=_share(progress.with_tools, progress.done),
            tool_errors=_share(progress.tool_errors, progress.tool_calls),
            retries=_share(progress.retries, progress.requests),
            scores=_scores(prepared.task.scores, progress),
            prompt_tokens=whole.prompt_tokens,
            completion_tokens=whole.completion_tokens,
            start_prompt_tokens=progress.prompt_tokens,
            start_completion_tokens=progress.completion_tokens,
            cost=cost,
            cost_at_end=None if cost is None or finished < MIN_DONE else cost + (start_cost or 0) * left / finished,
            accepted=accepted_of(job, progress),
            oldest=view.driver.oldest(OLDEST) if left <= 2 * limit or scheduler.draining else [],
        )


def order_by_difficulty(job: Job, task: Task, columns: Sequence[str]) -> str:
    """`hardest first` or `easiest first` where that is the order of the samples, else `""`."""
    column = task.difficulty
    if not column or column not in columns:
        return ""
    if not job.dataset.order_by:
        return job.dataset.order.replace("_", " ") if job.dataset.order != "dataset" else ""
    from asyncgen.source.select import parse_order_by

    ordered_by, descending = parse_order_by(job.dataset.order_by, columns)
    if ordered_by != column:
        return ""
    return "easiest first" if descending else "hardest first"


def cost_of(endpoint: EndpointOptions, tokens: Tokens) -> float | None:
    """US dollars of these tokens; None where the job has no price."""
    return price(tokens, endpoint.price_input, endpoint.price_output)


def accepted_of(job: Job, progress: Progress) -> int | None:
    """Traces of the directory that are accepted; None where the job accepts all."""
    return progress.accepted_before + progress.accepted if job.condition else None


def _endpoints(servers: Sequence[EndpointState], rates: Rates) -> list[EndpointFigures]:
    return [
        EndpointFigures(
            name=one.name,
            state=one.state,
            in_flight=one.in_flight,
            done=one.done,
            faults=one.faults,
            rate=rate,
            p50=one.p50,
            p95=one.p95,
            last_fault=one.last_fault,
        )
        for one, rate in zip(servers, rates.requests, strict=True)
    ]


def _tools(own: Iterable[str], progress: Progress) -> dict[str, int]:
    counts = {name: progress.tools.get(name, 0) for name in own}
    return counts | {name: count for name, count in progress.tools.most_common() if name not in counts}


def _scores(failures: Mapping[str, float | bool | str], progress: Progress) -> list[ScoreFigures]:
    """Those that are no texts; `parse_success` has a figure of its own."""
    names = [name for name, failure in failures.items() if not isinstance(failure, str) and name != "parse_success"]
    names.sort(key=lambda name: name != "score")
    return [_score(name, is_flag=isinstance(failures[name], bool), progress=progress) for name in names]


def _score(name: str, *, is_flag: bool, progress: Progress) -> ScoreFigures:
    if name == DISTANCE:
        return ScoreFigures(name=name, kind="median", value=progress.distances.quantile(0.5))
    mean = progress.sums.get(name, 0.0) / progress.done if progress.done else None
    return ScoreFigures(name=name, kind="share" if is_flag or name.startswith("acc@") else "mean", value=mean)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
