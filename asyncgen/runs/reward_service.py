"""The reward service: a task's rewards over HTTP, as trainers ask for them.

    POST /get_reward  {"query": [str], "prompts": [str | chat], "labels"?: [row | text]}
      as OpenRLHF's remote reward model: {"rewards": [float], "scores": [float], "errors": [str | null]}, and where the
      task has such parts format_rewards, acc_rewards, think_length_rewards, think_rewards
    POST /score       {"items": [{"response": str, "row": {…} | "label": … | "prompt": …, "reasoning"?: str}]}
      {"scores": [{…} | null], "errors": [str | null]}
    GET /health       {"status", "task", "rows", "rewards", "scores", "scored"}

An item that cannot be scored has 0.0, or null, and its error. What is wrong with a whole body is 400, a body that is
too large 413, each with `{"error": str}`.

Knows HTTP and the service's life. Does not know how an item is scored.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from asyncgen.config.schema import Job
from asyncgen.core.clock import Clock
from asyncgen.core.task import Task
from asyncgen.core.types import Json
from asyncgen.embedded.serving import address_of, json_of, listening, signalled
from asyncgen.endpoint.client import HttpTransport
from asyncgen.engine.driver import first_cause
from asyncgen.engine.workers import PROCESSES, Workers
from asyncgen.runs.reward_judge import JudgeServers
from asyncgen.runs.reward_requests import BadBodyError, Read, read_get_reward, read_score
from asyncgen.runs.reward_rows import Rows
from asyncgen.runs.reward_scores import Failed, Outcome, Scorer, is_number, names_of, numbers, reward_name

MAX_BODY = 64 << 20
LARGE_BODY = 1 << 20
"""Bytes from which on a body is read in a thread."""
LEAST_PROCESSES = 2
"""That one answer which hangs does not keep all the others waiting."""
DEADLINE, JUDGE_DEADLINE = 30.0, 300.0
PARTS: Final[Mapping[str, str]] = {
    "format_rewards": "format",
    "acc_rewards": "accuracy",
    "think_length_rewards": "length",
    "think_rewards": "judge",
}
"""SeekWorld's names of a reward's parts, and ours."""
HELP = "POST /get_reward (query, prompts, labels) or /score (items: response, and row, label or prompt); GET /health\n"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may have."""

    deadline: float
    """Seconds of an item; what it waits for worker processes and judges does not count, they have as many each."""
    max_batch: int
    """Items of one request."""
    concurrency: int
    """Items that are scored at once."""


def default_deadline(task: Task) -> float:
    """In seconds. A judge answers a few questions at a time, and what waits for it is being scored already."""
    return JUDGE_DEADLINE if "judge" in task.scores else DEADLINE


class Service:
    """The routes of one scorer."""

    def __init__(self, scorer: Scorer, name: str, max_batch: int) -> None:
        """`name`: what the task is called. Raises InputError where the task has no score that is a number."""
        self._scorer = scorer
        self._name = name
        self._max_batch = max_batch
        task = scorer.task
        self._reward = reward_name(task)
        self._accuracy = "accuracy" if is_number(task, "accuracy") else self._reward
        self._parts = {theirs: ours for theirs, ours in PARTS.items() if is_number(task, ours)}

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors])
        app.router.add_post("/get_reward", self._get_reward)
        app.router.add_post("/score", self._score)
        app.router.add_get("/health", self._health)
        app.router.add_get("/", _help)
        return app

    async def _get_reward(self, request: web.Request) -> web.Response:
        outcomes = await self._outcomes(request, read_get_reward)
        body: dict[str, Json] = {
            "rewards": numbers(outcomes, self._reward),
            "scores": numbers(outcomes, self._accuracy),
        }
        body |= {theirs: numbers(outcomes, ours) for theirs, ours in self._parts.items()}
        return json_of({**body, "errors": _errors_of(outcomes)})

    async def _score(self, request: web.Request) -> web.Response:
        outcomes = await self._outcomes(request, read_score)
        scores = [one.scores if isinstance(one, Failed) else one for one in outcomes]
        return json_of({"scores": scores, "errors": _errors_of(outcomes)})

    async def _outcomes(self, request: web.Request, read: Callable[[bytes, int], list[Read]]) -> list[Outcome]:
        if (request.content_length or 0) > MAX_BODY:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY, request.content_length or 0)
        try:
            raw = await request.read()
        except (HttpProcessingError, web.RequestPayloadError) as error:  # gzip that is none, say
            raise BadBodyError(f"the body cannot be read: {repr(error)[:200]}") from None
        if len(raw) > LARGE_BODY:
            items = await asyncio.to_thread(read, raw, self._max_batch)
        else:
            await self._scorer.slices.turn()
            items = read(raw, self._max_batch)
        return await self._scorer.batch(items)

    async def _health(self, _request: web.Request) -> web.Response:
        scorer = self._scorer
        return json_of(
            {
                "status": "ok",
                "task": self._name,
                "rows": None if scorer.rows is None else len(scorer.rows),
                "rewards": names_of(scorer.task),
                "scores": list(scorer.task.scores),
                "scored": scorer.scored,
            }
        )


def _errors_of(outcomes: Sequence[Outcome]) -> list[str | None]:
    return [one.error if isinstance(one, Failed) else None for one in outcomes]


async def _help(_request: web.Request) -> web.Response:
    return web.Response(text=HELP)


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The boundary: what the client did wrong becomes JSON with `error`."""
    try:
        return await handler(request)
    except BadBodyError as error:
        return json_of({"error": str(error)}, 400)
    except web.HTTPRequestEntityTooLarge:
        return json_of({"error": f"the body is larger than {MAX_BODY >> 20} MiB: send fewer items at a time"}, 413)
    except web.HTTPClientError as error:
        return json_of({"error": f"{request.method} {request.path}: {error.reason}; {HELP.strip()}"}, error.status)


@asynccontextmanager
async def running_service(
    job: Job,
    task: Task,
    rows: Rows | None,
    sock: socket.socket,
    *,
    limits: Limits,
    clock: Clock,
    environ: Mapping[str, str],
) -> AsyncIterator[JudgeServers]:
    """The service in this event loop, on the socket; what it asks a judge through. Raises InputError."""
    transport = HttpTransport(clock)
    judge = JudgeServers(job, transport=transport, environ=environ, clock=clock, deadline=limits.deadline)
    workers = Workers(processes=max(LEAST_PROCESSES, PROCESSES))
    try:
        scorer = Scorer(
            task,
            rows,
            workers=workers,
            model=judge,
            clock=clock,
            deadline=limits.deadline,
            concurrency=limits.concurrency,
        )
        service = Service(scorer, job.name, limits.max_batch)
        async with asyncio.TaskGroup() as group:
            beside: set[asyncio.Task[None]] = {group.create_task(judge.run(group.create_task))}
            scorer.services.own(lambda coroutine: beside.add(group.create_task(coroutine)))
            try:
                async with listening(service.app(), sock, cancel=True):
                    yield judge
            finally:
                for one in beside:
                    one.cancel()
    finally:
        workers.close()
        await transport.close()


async def serve(
    job: Job,
    task: Task,
    rows: Rows | None,
    sock: socket.socket,
    say: Callable[[str], None],
    *,
    limits: Limits,
    clock: Clock,
    environ: Mapping[str, str],
    find_judge: bool,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; then let open requests end. `say` gets one line when ready.

    `find_judge`: ask the judge's servers at once which model they have. Raises InputError, AccountError.
    """
    stop = signalled()
    about = "no dataset" if rows is None else f"{len(rows):,} rows"
    try:
        async with running_service(job, task, rows, sock, limits=limits, clock=clock, environ=environ) as judge:
            if find_judge:
                await judge.find()
            say(f"reward service at {url_of(sock)}: {job.name}, {about}")
            await stop.wait()
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from errors


def url_of(sock: socket.socket) -> str:
    """Where trainers ask it."""
    return f"{address_of(sock)}/get_reward"
