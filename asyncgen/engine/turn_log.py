"""One episode's part of the turn journal: what an earlier start has written of it, and what this one adds.

Knows how a completion and the results of its calls become entries and come back. Does not know files, nor what the
machine makes of them: `live` asks here first, and then the server.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from asyncgen.core.types import CallResult, Completion, Json, Message, Picture, ToolCall, ToolMode, ToolResult, Usage
from asyncgen.engine.episode import Exchange, PlannedCall
from asyncgen.store.line import dump

COMPLETION, RESULTS, RESTART = "completion", "results", "restart"
"""Kinds of entries."""


class TurnJournal(Protocol):
    """What an episode asks of a store."""

    def past_turns(self, key: tuple[int, int]) -> list[dict[str, Any]]:
        """The entries of (index, rollout) by an earlier start, in order; given out once."""

    async def write_turn(
        self, trace_id: str, key: tuple[int, int], config_id: str, kind: str, fields: Mapping[str, Json]
    ) -> None:
        """Returns when the entry is written."""


class DivergedError(Exception):
    """What was journalled is not what the machine asks for, or is shown, now: the episode starts over."""


@contextmanager
def _fitting() -> Iterator[None]:
    """Around what reads an entry: one of another form, as another version may have written it, does not fit."""
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise DivergedError from error


@dataclass(frozen=True, slots=True)
class Spent:
    """What an episode has cost up to an entry."""

    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A completion, as it is journalled."""

    completion: Completion
    exchange: Exchange
    spent: Spent


@dataclass(frozen=True, slots=True)
class PastResult:
    """What one call gave, as it is journalled."""

    text: str
    error: str
    seconds: float
    pictures: Sequence[int]
    """Their numbers in the episode."""


@dataclass(frozen=True, slots=True)
class PastResults:
    """What the calls of a turn gave in an earlier start."""

    results: Sequence[PastResult]
    pictures: Sequence[Mapping[str, Json]]
    """`op`, `arguments` and `sha256` of those that came in that turn, in order."""
    spent: Spent

    @property
    def can_be_made(self) -> bool:
        """Whether every picture can be made again without its tool."""
        return all(picture["op"] for picture in self.pictures)

    def call_results(self, calls: Sequence[PlannedCall], pictures: Sequence[Picture]) -> list[CallResult]:
        """`pictures`: all of the episode, those of this turn among them. Raises DivergedError."""
        with _fitting():
            return [
                CallResult(
                    call=planned.call,
                    result=ToolResult(text=past.text, pictures=tuple(pictures[number] for number in past.pictures)),
                    error=past.error,
                    seconds=past.seconds,
                )
                for planned, past in zip(calls, self.results, strict=True)
            ]


class TurnLog:
    """The entries of one episode. Without a journal it has none, and writes none."""

    def __init__(
        self,
        journal: TurnJournal | None,
        trace_id: str,
        key: tuple[int, int],
        config_id: str,
        sampling: Mapping[str, Json],
    ) -> None:
        """`sampling`: of its requests. A rollout without a trace may get another temperature under one config."""
        self._journal = journal
        self._salt = zlib.crc32(dump(sampling)) if journal else 0  # most tasks have one turn, and no journal
        self._id = trace_id
        self._key = key
        self._config_id = config_id
        entries = journal.past_turns(key) if journal else []
        restarts = [number for number, entry in enumerate(entries) if entry["kind"] == RESTART]
        self._past = deque(entries[restarts[-1] + 1 :] if restarts else entries)
        self._pictures = 0
        """Of the episode, those whose hashes are written or compared."""
        self.resumed = bool(self._past)
        """An earlier start has begun this episode, and it goes on from there."""

    @property
    def keeps(self) -> bool:
        """Whether the episode may be stopped between two turns, and nothing is lost."""
        return self._journal is not None

    @property
    def begun(self) -> bool:
        """There is a turn that nobody need ask for."""
        return bool(self._past)

    @property
    def mode(self) -> ToolMode | None:
        """Of the turns so far; None where there are none."""
        with suppress(LookupError, ValueError):  # where there is one that does not fit, `next_turn` says so
            return ToolMode(self._past[0]["mode"])
        return None

    def next_turn(self, asked: Sequence[Message], pictures: Sequence[Picture]) -> PastTurn | None:
        """The completion that followed these messages; None: it is still to be asked for. Raises DivergedError where
        other messages, other sampling, or pictures with other bytes led to it."""
        entry = self._next(COMPLETION)
        if entry is None:
            return None
        with _fitting():
            ToolMode(entry["mode"])
            if entry["asked"] != self._digest(asked) or entry["pictures"] != self._new_hashes(pictures):
                raise DivergedError
            return _turn(entry["turn"])

    def next_results(self) -> PastResults | None:
        """What the turn's calls gave; None: they are still to be run. Raises DivergedError."""
        entry = self._next(RESULTS)
        if entry is None:
            return None
        with _fitting():
            results = [PastResult(**result) for result in entry["results"]]
            pictures = [{name: one[name] for name in ("op", "arguments", "sha256")} for one in entry["pictures"]]
            return PastResults(results, pictures, Spent(**entry["spent"]))

    def check_pictures(self, past: PastResults, pictures: Sequence[Picture]) -> None:
        """Whether the turn's pictures were made again as they were. Raises DivergedError."""
        if self._new_hashes(pictures) != [picture["sha256"] for picture in past.pictures]:
            raise DivergedError

    def _next(self, kind: str) -> dict[str, Any] | None:
        if not self._past:
            return None
        entry = self._past.popleft()
        if entry["kind"] != kind:
            raise DivergedError
        return entry

    def _new_hashes(self, pictures: Sequence[Picture]) -> list[str]:
        """Of those that came since the last entry."""
        new = [picture.sha256 for picture in pictures[self._pictures :]]
        self._pictures = len(pictures)
        return new

    async def add_turn(
        self,
        asked: Sequence[Message],
        pictures: Sequence[Picture],
        turn: PastTurn,
        mode: ToolMode,
    ) -> None:
        """A completion has come. Returns when that is written."""
        if self._journal is not None:
            await self._write(COMPLETION, self._entry(asked, self._new_hashes(pictures), turn, mode))

    async def deal(self, asked: Sequence[Message], pictures: Sequence[Picture], turn: PastTurn, mode: ToolMode) -> None:
        """Another rollout's request has brought this one's first completion: `next_turn` gives it, as it would give
        that of an earlier start. Returns when it is written."""
        entry = self._entry(asked, [picture.sha256 for picture in pictures], turn, mode)
        await self._write(COMPLETION, entry)
        self._past.append({"kind": COMPLETION, **entry})

    def _entry(
        self, asked: Sequence[Message], hashes: Sequence[str], turn: PastTurn, mode: ToolMode
    ) -> dict[str, Json]:
        return {"mode": mode, "asked": self._digest(asked), "pictures": list(hashes), "turn": _fields(turn)}

    async def add_results(self, results: Sequence[CallResult], pictures: Sequence[Picture], spent: Spent) -> None:
        """The turn's calls have been run. Returns when that is written."""
        if self._journal is None:
            return
        new = pictures[self._pictures :]
        self._pictures = len(pictures)
        past = [
            PastResult(one.result.text, one.error, one.seconds, [picture.image for picture in one.result.pictures])
            for one in results
        ]
        made = [{"op": one.op, "arguments": one.arguments, "sha256": one.sha256} for one in new]
        await self._write(RESULTS, {"results": past, "pictures": made, "spent": spent})

    async def start_over(self) -> None:
        """What was written so far does not count."""
        self.resumed = False
        self._past.clear()
        self._pictures = 0
        await self._write(RESTART, {})

    def _digest(self, messages: Sequence[Message]) -> int:
        """CRC-32 of the sampling and of the messages' texts. Pictures are no text: they have hashes of their own."""
        text = "\0".join([message.text for message in messages])
        try:
            data = text.encode()
        except UnicodeEncodeError:  # a lone surrogate: an entry brings it back as U+FFFD
            data = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
        return zlib.crc32(data, self._salt)

    async def _write(self, kind: str, fields: Mapping[str, Json]) -> None:
        if self._journal is not None:
            await self._journal.write_turn(self._id, self._key, self._config_id, kind, fields)


def _fields(turn: PastTurn) -> dict[str, Json]:
    """What `_turn` reads. By hand: orjson takes three times as long for dataclasses as for mappings."""
    completion, exchange, spent = turn.completion, turn.exchange, turn.spent
    usage = completion.usage
    return {
        "completion": {
            "content": completion.content,
            "reasoning": completion.reasoning,
            "tool_calls": [
                {"id": call.id, "name": call.name, "arguments": call.arguments} for call in completion.tool_calls
            ],
            "finish_reason": completion.finish_reason,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "model": completion.model,
            "request_id": completion.request_id,
        },
        "exchange": {"endpoint": exchange.endpoint, "seconds": exchange.seconds, "attempts": exchange.attempts},
        "spent": {"seconds": spent.seconds, "attempts": spent.attempts},
    }


def _turn(stored: Mapping[str, Any]) -> PastTurn:
    """As it was: its fields, by name."""
    given = stored["completion"]
    calls = tuple(ToolCall(**call) for call in given["tool_calls"])
    completion = Completion(**{**given, "tool_calls": calls, "usage": Usage(**given["usage"])})
    return PastTurn(completion, Exchange(**stored["exchange"]), Spent(**stored["spent"]))
