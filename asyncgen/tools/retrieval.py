"""One retrieval server (the protocol of Search-R1), asked by all episodes of a run at once.

Knows requests, batches, deadlines and tries. Does not know what a query is for, nor how hits are shown. The address is
its user's alone: it follows no redirect, and no address that a model or a document wrote.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import orjson

from asyncgen.core.clock import Clock, SystemClock
from asyncgen.core.errors import InputError, ToolDownError, ToolError
from asyncgen.core.text import repaired
from asyncgen.core.types import Json
from asyncgen.tools.batches import Answers, Batch, Halves, Key, Queue
from asyncgen.tools.hits import Hit, read_hits
from asyncgen.tools.retrieval_faults import Fault, FaultKind, fault_of, fault_of_status
from asyncgen.tools.text import quoted

if TYPE_CHECKING:
    import aiohttp

TRIES = 3
"""Requests for one batch while the server is not there, busy or broken."""
BASE = 0.5
"""Seconds: the longest first wait between them; the next ones are twice as long each."""
MAX_STALE = 2
"""Connections that the server had closed, and that count for no try."""
KEEPALIVE = 4.0
"""Seconds that an idle connection is kept: less than the 5 after which uvicorn closes its side."""
CONNECT = 10.0
"""Seconds for a connection."""
BODY_CAP = 64 * 2**20
"""Bytes of an answer, decompressed."""
SAID = 2_000
"""Bytes of an error's body that are looked at."""
PACKET = 2**18
LARGE = 2**19
"""Bytes of an answer from which on it is read in a thread."""
_USER = re.compile("//.*@")
_HINTS = {
    FaultKind.WRONG: "; give its whole address, as /retrieve at the end",
    FaultKind.DOWN: "; start it, or give the address at which it is",
}


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A retrieval server, and how it is asked; two that are equal share one client. Raises InputError."""

    url: str
    """Of the POST, such as `http://127.0.0.1:8000/retrieve`; it may hold a `user:password@`."""
    timeout: float = 30.0
    """Seconds until a request has its whole answer."""
    concurrency: int = 8
    """Requests at a time."""
    batch: int = 64
    """Queries in a request; up to four times as many while all requests are open."""
    cache: int = 10_000
    """Queries whose hits are kept."""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InputError(
                f"retrieval url {_USER.sub('//', self.url)!r} is no address; give the server's, such as http://127.0.0.1:8000/retrieve"
            )
        if not (0 < self.timeout < math.inf):
            raise InputError(f"retrieval timeout {self.timeout!r}: give seconds, more than 0")
        for name, least in (("concurrency", 1), ("batch", 1), ("cache", 0)):
            if getattr(self, name) < least:
                raise InputError(f"retrieval {name} {getattr(self, name)!r}: give a number from {least}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a query has no hits."""

    text: str
    """For the model."""
    why: str = ""
    """For the user."""
    own: bool = False
    """It is the query's fault."""

    def error(self) -> ToolError:
        return ToolError(self.text) if self.own else ToolDownError(self.text, self.why)


def _failed(fault: Fault, query: str, *, own: bool) -> _Failed:
    if own:
        refused = f"the search service cannot answer the query {quoted(query)} ({fault.text})"
        return _Failed(f"{refused}; word it anew", own=True)
    why = f"the search service did not answer ({fault.text})"
    return _Failed(f"{why}; search again later, or go on with what you have", why)


_Outcome: TypeAlias = tuple[Hit, ...] | _Failed


class RetrievalClient:
    """One a run: `context.shared(RetrievalClient, options)`. It belongs to the loop in which `run` runs."""

    def __init__(self, options: Retrieval, *, clock: Clock | None = None, rng: random.Random | None = None) -> None:
        self.options = options
        self.posts = 0
        """Requests that were sent."""
        self.queries = 0
        """Queries that were asked for, empty ones aside."""
        self.hits_in_cache = 0
        """Of those, answered from what is kept."""
        self.failures = 0
        """Requests that brought no hits."""
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311  # jitter, no secret
        self._answers = Answers(options.cache)
        self._queue = Queue(options.batch)
        self._asked: dict[Key, asyncio.Future[_Outcome]] = {}
        """Queries that wait or are under way; whoever asks for the same waits for the same."""
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(options.concurrency)
        self._open = 0
        """Batches under way."""
        self._known: Key | None = None
        """A query that was answered."""
        self._lost = False
        """The server did not answer the latest batch: until it does, nothing is answered from what is kept, or those
        calls would pass for a server that is there."""
        self._ended = False

    async def search(self, queries: Sequence[str], topk: int) -> list[list[Hit]]:
        """At most `topk` hits a query, in the order of the queries; a blank query has none, and is not sent.

        Raises ToolDownError where the server does not answer, ToolError for a query that it refuses while it answers
        others.
        """
        asked = [self._ask_for((repaired(query), topk)) if query.strip() else () for query in queries]
        found: list[list[Hit]] = []
        for one in asked:
            # Others may wait for the same query: who is cancelled here leaves it under way.
            outcome = await asyncio.shield(one) if isinstance(one, asyncio.Future) else one
            if isinstance(outcome, _Failed):
                raise outcome.error()
            found.append(list(outcome))
        return found

    async def run(self) -> None:
        """Send what is asked for, until cancelled."""
        try:
            async with self._session() as session, asyncio.TaskGroup() as group:
                while True:
                    await self._slots.acquire()
                    group.create_task(self._carry(session, await self._next()))
        finally:
            self._ended = True
            for key in list(self._asked):
                self._settle(key, _Failed("the search service is not asked any more: the run is over"))

    async def probe(self, query: str, topk: int) -> list[Hit]:
        """One request, without `run`. Raises ToolDownError with a text for the user, which may have the server's."""
        async with self._session() as session:
            outcome = await self._post(session, [query], topk)
        if isinstance(outcome, Fault):
            raise ToolDownError(f"{outcome.full}{_HINTS.get(outcome.kind, '')}")
        return list(outcome[0])

    def _ask_for(self, key: Key) -> asyncio.Future[_Outcome] | _Outcome:
        self.queries += 1
        if not self._lost and (known := self._answers.get(key)) is not None:
            self.hits_in_cache += 1
            return known
        if self._ended:
            return _Failed("the search service is not asked any more: the run is over")
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = asyncio.get_running_loop().create_future()
            self._queue.add(*key, self._clock.monotonic())
            self._wake.set()
        return future

    def _settle(self, key: Key, outcome: _Outcome) -> None:
        future = self._asked.pop(key)
        if not future.done():
            future.set_result(outcome)

    async def _next(self) -> Batch:
        while (wait := self._queue.due_in(self._clock.monotonic())) is None or wait > 0:
            if wait is None:
                self._wake.clear()
                await self._wake.wait()
            else:
                await self._clock.sleep(wait)
        self._open += 1
        return self._queue.take(self._clock.monotonic(), free=1 + self.options.concurrency - self._open)

    async def _carry(self, session: aiohttp.ClientSession, batch: Batch) -> None:
        """Send a batch, in parts where the server refuses it, and settle each of its queries."""
        halves = Halves(batch.queries)
        while part := halves.next():
            outcome = await self._tried(session, part, batch.topk)
            if isinstance(outcome, Fault):
                lost = halves.refused(part) if outcome.halved else halves.lost(part)
                own = outcome.halved and len(lost) == 1 and (halves.any_passed or await self._takes_others(session))
                self._lost = bool(lost) and not own
                for query in lost:
                    self._settle((query, batch.topk), _failed(outcome, query, own=own))
                continue
            halves.passed()
            self._lost = False
            self._queue.passed(len(part))
            self._known = part[0], batch.topk
            for query, hits in zip(part, outcome, strict=True):
                self._answers.put((query, batch.topk), hits)
                self._settle((query, batch.topk), hits)
        self._open -= 1
        self._slots.release()

    async def _takes_others(self, session: aiohttp.ClientSession) -> bool:
        """Whether a query that was answered once is answered now: then one that is refused is itself at fault, and
        waiting for the server would not help it."""
        if self._known is None:
            return False
        query, topk = self._known
        return not isinstance(await self._post(session, [query], topk), Fault)

    async def _tried(
        self, session: aiohttp.ClientSession, queries: list[str], topk: int
    ) -> list[tuple[Hit, ...]] | Fault:
        """The hits of each query, or the last fault."""
        tries = stale = 0
        while True:
            outcome = await self._post(session, queries, topk)
            if not isinstance(outcome, Fault):
                return outcome
            if outcome.kind is FaultKind.STALE and stale < MAX_STALE:
                stale += 1
                continue
            tries += 1
            if outcome.kind is FaultKind.SLOW:
                self._queue.too_slow(len(queries))
            if tries == TRIES or not outcome.worth_another(len(queries)):
                return outcome
            asked = min(outcome.retry_after, self.options.timeout)
            await self._clock.sleep(max(asked, self._rng.uniform(0, BASE * 2 ** (tries - 1))))

    async def _post(
        self, session: aiohttp.ClientSession, queries: list[str], topk: int
    ) -> list[tuple[Hit, ...]] | Fault:
        import aiohttp

        self.posts += 1
        # without scores the reference server fails, or takes the second query's hits for the first one's scores
        body = orjson.dumps({"queries": queries, "topk": topk, "return_scores": True})
        try:
            async with session.post(self.options.url, data=body, allow_redirects=False) as response:
                if response.status != 200:
                    said = await response.content.read(SAID)
                    outcome: list[tuple[Hit, ...]] | Fault = fault_of_status(response.status, response.headers, said)
                else:
                    outcome = await _read(await _body(response), len(queries), topk)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome = fault_of(error, self.options.timeout)
        self.failures += isinstance(outcome, Fault)
        return outcome

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.options.concurrency, keepalive_timeout=KEEPALIVE),
            timeout=aiohttp.ClientTimeout(total=self.options.timeout, sock_connect=CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "asyncgen", "Accept": "application/json", "Content-Type": "application/json"},
            trust_env=False,
        )


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """None: it is over the cap, and the connection is closed."""
    chunks: list[bytes] = []
    size = response.content_length or 0
    if size <= BODY_CAP:
        size = 0
        async for chunk in response.content.iter_chunked(PACKET):
            chunks.append(chunk)
            size += len(chunk)
            if size > BODY_CAP:
                break
    if size > BODY_CAP:
        response.close()
        return None
    return b"".join(chunks)


async def _read(body: bytes | None, count: int, topk: int) -> list[tuple[Hit, ...]] | Fault:
    """In a thread where it takes more than a few milliseconds."""
    if body is None or len(body) <= LARGE:
        return _hits(body, count, topk)
    return await asyncio.to_thread(_hits, body, count, topk)


def _hits(body: bytes | None, count: int, topk: int) -> list[tuple[Hit, ...]] | Fault:
    if body is None:
        return Fault(FaultKind.ANSWER, f"an answer of more than {BODY_CAP // 2**20} MiB")
    try:
        return [tuple(hits[:topk]) for hits in read_hits(_json(body), count)]
    except ValueError as error:
        return Fault(FaultKind.ANSWER, "an answer that is no list of hits", f"{error}")


def _json(body: bytes) -> Json:
    """Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # it takes no NaN, no halves of a surrogate pair, no broken UTF-8
        try:
            return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
        except RecursionError:
            raise ValueError("nested too deeply") from None
