"""Stored traces read and scored again with a task: no model, the pictures restored where a reward wants them.

Knows what of a trace changes: `answer`, `reward_score`, and the headline in `metadata`. Does not know which task.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncgen.core.clock import Clock
from asyncgen.core.errors import AsyncgenError, EpisodeError, FailReason
from asyncgen.core.task import Task
from asyncgen.core.trace import Failure, Trace
from asyncgen.core.types import Json, StopReason
from asyncgen.engine.ledger import failure
from asyncgen.engine.reread import reread
from asyncgen.engine.scoring import CRASH_LIMIT, internal_error, scored
from asyncgen.engine.workers import Workers
from asyncgen.runs.derive import Copy, open_copy
from asyncgen.runs.lineage import Lineage, check_output, sources_of
from asyncgen.runs.objects import trace_of
from asyncgen.runs.places import Placed, placed
from asyncgen.runs.stored_context import Datasets, StoredContext
from asyncgen.store.card import METADATA, REUSED_FROM
from asyncgen.store.line import encode_failure, encode_line
from asyncgen.tools.gallery import Gallery

AT_ONCE = 64
"""Traces that are scored at once."""


@dataclass(kw_only=True)
class Means:
    """Of one score over all traces that were scored."""

    before: float | None = None
    """None: no trace had it."""
    after: float | None = None


@dataclass(kw_only=True)
class Rescored:
    """What `rescore` did."""

    out: str
    traces: int = 0
    answers_changed: int = 0
    failed: int = 0
    """Traces on which the task or a reward failed; they are in `failed/` of the copy."""
    failed_reasons: dict[str, int] = field(default_factory=dict[str, int])
    not_rescored: int = 0
    """Failed episodes of the source, which are not copied."""
    scores: dict[str, Means] = field(default_factory=dict[str, Means])

    def json(self) -> dict[str, Json]:
        """All of it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One trace, scored again or failed."""

    line: bytes
    before: Mapping[str, Json]
    after: Mapping[str, Json]
    changed: bool
    failed: EpisodeError | None = None


def rescore(path: Path, out: Path, task: Task, said: Mapping[str, Json], *, clock: Clock) -> Rescored:
    """Copy the traces of `path` with new scores; `said` is what the copy tells of the task: `task`, `task_options`.

    Raises InputError, DataError, OSError, and AsyncgenError where CRASH_LIMIT traces in a row fail.
    """
    sources = sources_of([path])
    check_output(out, sources)
    if (first := next(iter(placed([path])), None)) is not None:
        task = task.fitted(tuple(first.trace()["sample_data"]))
    report = Rescored(out=str(out), not_rescored=sum(1 for _ in placed([path], "failed")))
    changes = {
        "task": said["task"],
        "columns": list(task.columns),
        "scores": {key: type(value).__name__ for key, value in task.scores.items()},
    }
    lineage = Lineage(command="rescore", sources=sources, said=said, changes=changes)
    run = sources[0].runs[0] if sources[0].runs else {}
    workers = Workers()
    try:
        with open_copy(out, lineage, clock) as copy:
            tally = _Tally(report, copy)
            asyncio.run(_rescore(path, _Scorer(task, run, workers), tally))
            tally.close()
            copy.finish({"traces": report.traces, "failed": report.failed, "answers_changed": report.answers_changed})
    finally:
        workers.close()
    return report


async def _rescore(path: Path, scorer: _Scorer, tally: _Tally) -> None:
    """In the order in which the traces lie, some at once."""
    window: deque[asyncio.Task[_Outcome]] = deque()
    try:
        async with asyncio.TaskGroup() as group:
            for one in placed([path]):
                window.append(group.create_task(scorer.outcome(one)))
                if len(window) >= AT_ONCE:
                    tally.note(await window.popleft())
            while window:
                tally.note(await window.popleft())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


class _Scorer:
    """One a command."""

    def __init__(self, task: Task, run: Mapping[str, Any], workers: Workers) -> None:
        episode = run.get("config", {}).get("episode", {})
        limits = {key: int(episode.get(key, limit)) for key, limit in _limits().items()}
        self._task = task
        self._gallery = Gallery(**limits)
        self._datasets = Datasets(run)
        self._workers = workers

    async def outcome(self, one: Placed) -> _Outcome:
        """The boundary: what the task or a reward makes wrong costs one trace. Raises AsyncgenError."""
        line = one.trace()
        before = line["reward_score"]
        fixed = {key: value for key, value in line["metadata"].items() if key in {*METADATA, REUSED_FROM}}
        bare = trace_of({**line, "answer": "", "reward_score": {}, "metadata": fixed})
        try:
            trace = await self._scored(bare)
        except AsyncgenError:
            raise
        except EpisodeError as error:
            return self._failed(bare, before, error)
        except Exception as error:  # noqa: BLE001  # the boundary
            return self._failed(bare, before, internal_error(error))
        new = {"answer": trace.answer, "reward_score": trace.reward_score, "metadata": trace.metadata}
        return _Outcome(encode_line({**line, **new}), before, trace.reward_score, trace.answer != line["answer"])

    async def _scored(self, bare: Trace) -> Trace:
        trace = replace(bare, answer=reread(self._task, bare))
        sample = self._datasets.sample(trace)
        context = StoredContext(self._task, sample, trace.images, self._gallery, self._workers)
        return await scored(self._task, context, sample, trace)

    def _failed(self, bare: Trace, before: Mapping[str, Json], error: EpisodeError) -> _Outcome:
        ended = {**bare.metadata, "stop": str(StopReason.FAILED), "accepted": False}
        failed: Failure = failure(replace(bare, metadata=ended), self._task, error)
        return _Outcome(encode_failure(failed), before, {}, changed=False, failed=error)


def _limits() -> dict[str, int]:
    from asyncgen.config.schema import Episode

    return {"max_pixels": Episode().max_pixels, "max_image_pixels": Episode().max_image_pixels}


class _Tally:
    """Outcomes in order: into the copy, and into figures."""

    def __init__(self, report: Rescored, copy: Copy) -> None:
        self._report = report
        self._copy = copy
        self._before: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        """Sum and number of each score."""
        self._after: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._reasons: Counter[str] = Counter()
        self._in_a_row = 0

    def note(self, outcome: _Outcome) -> None:
        """The next one. Raises AsyncgenError where too many in a row have failed of the task's own fault."""
        if outcome.failed is not None:
            self._fail(outcome, outcome.failed)
            return
        self._in_a_row = 0
        self._copy.add(outcome.line)
        self._report.traces += 1
        self._report.answers_changed += outcome.changed
        _add(self._before, outcome.before)
        _add(self._after, outcome.after)

    def _fail(self, outcome: _Outcome, error: EpisodeError) -> None:
        self._copy.fail(outcome.line)
        self._report.failed += 1
        self._reasons[str(error.reason)] += 1
        self._in_a_row = self._in_a_row + 1 if error.reason is FailReason.INTERNAL else 0
        if self._in_a_row >= CRASH_LIMIT:
            raise AsyncgenError(f"{CRASH_LIMIT} traces in a row failed: {error.text}; mend the task")

    def close(self) -> None:
        """The figures are whole."""
        for name in dict.fromkeys([*self._before, *self._after]):
            self._report.scores[name] = Means(before=_mean(self._before, name), after=_mean(self._after, name))
        self._report.failed_reasons = dict(self._reasons.most_common())


def _add(sums: defaultdict[str, list[float]], scores: Mapping[str, Json]) -> None:
    for key, value in scores.items():
        if isinstance(value, bool | int | float):
            sums[key][0] += value
            sums[key][1] += 1


def _mean(sums: Mapping[str, list[float]], name: str) -> float | None:
    total, number = sums.get(name, (0.0, 0.0))
    return total / number if number else None
