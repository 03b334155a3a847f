"""What all starts of a run have cost together: sums over what is stored, the time that the starts took, and a price.

Sums over what is stored are exact after any death. The time is that from the beginning of each start to its end, by
events; of a start that was killed to its last event, and there is one a minute at least.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Protocol

from asyncgen.core.errors import DataError
from asyncgen.core.types import Json
from asyncgen.store.layout import EVENTS_FILE
from asyncgen.store.totals import Totals

MEMBERS = tuple(one.name for one in fields(Totals) if one.name != "requests")
"""Of Totals, that are told."""


class Tokens(Protocol):
    """What has a price."""

    @property
    def prompt_tokens(self) -> int:
        """Sent."""

    @property
    def completion_tokens(self) -> int:
        """Generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Of some starts."""

    totals: Totals
    seconds: float
    cost: float | None
    """US dollars; None where no price is set."""

    def json(self) -> dict[str, Json]:
        """Flat."""
        sums = {name: getattr(self.totals, name) for name in MEMBERS}
        return {**sums, "seconds": round(self.seconds, 3), "cost": self.cost}


def price(tokens: Tokens, a_million_in: float | None, a_million_out: float | None) -> float | None:
    """US dollars by the prices of a million tokens; one that is not set counts nothing, and None is returned without
    any. Servers may charge less for cached tokens, and charge for requests that failed: it is an estimate.
    """
    if a_million_in is None and a_million_out is None:
        return None
    return (tokens.prompt_tokens * (a_million_in or 0) + tokens.completion_tokens * (a_million_out or 0)) / 1e6


def spent_of(
    run: Mapping[str, Any], totals: Iterable[Totals], events: Iterable[Mapping[str, Any]], *, live: bool
) -> dict[str, Json]:
    """For `status`, of one directory: `run` is its run file, `totals` are those of its shards. Raises DataError."""
    whole = sum(totals, Totals())
    seconds, starts = time_of(events, live=live)
    endpoint = run.get("config", {}).get("endpoint")
    prices = [endpoint.get(key) if isinstance(endpoint, dict) else None for key in ("price_input", "price_output")]
    known = [one if isinstance(one, int | float) else None for one in prices]
    return {**Spent(totals=whole, seconds=seconds, cost=price(whole, *known)).json(), "starts": starts}


def added_up(parts: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """The members of `spent_of` over all partitions; `cost` where each has one."""
    sums = {key: sum(part[key] for part in parts) for key in (*MEMBERS, "seconds", "starts")}
    costs = [part["cost"] for part in parts]
    return {**sums, "cost": None if None in costs else sum(costs)}


def time_of(events: Iterable[Mapping[str, Any]], *, live: bool) -> tuple[float, int]:
    """Seconds of all starts, and how many there were; of a `live` run the latest goes on. Raises DataError."""
    seconds, starts = 0.0, 0
    begun: datetime | None = None
    last: datetime | None = None
    writer, over = None, True
    for event in events:
        if event.get("event") == "start" and "by" not in event:  # a copy is made, and not run
            seconds += _between(begun, last)
            begun = last = event_time(event)
            writer, over, starts = event.get("writer"), False, starts + 1
        elif not over and event.get("writer") == writer:  # a start may write something before it begins
            last = event_time(event)
            over = event.get("event") == "stop"
    return seconds + _between(begun, datetime.now(UTC) if live and not over else last), starts


def _between(begun: datetime | None, last: datetime | None) -> float:
    return max(0.0, (last - begun).total_seconds()) if begun and last else 0.0


def event_time(event: Mapping[str, Any]) -> datetime:
    """When it was written. Raises DataError."""
    try:
        return datetime.fromisoformat(event["time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{EVENTS_FILE} is damaged: an event has no time; put a copy in its place") from error
