"""What the scheduler is told, and what it says.

Knows the words. Does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from asyncgen.endpoint.faults import Fault

BEGUN = -1
"""In the place of an order: under way, before all that are not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode wants to send a request."""

    ticket: int
    order: int
    """The number of its Admit; BEGUN for what has a turn behind it."""
    sticky: int | None
    """The endpoint of its last turn."""
    suspect: bool = False
    """The turn has failed again and again: it may itself be at fault."""
    avoid: int | None = None
    """An endpoint that has refused it."""
    kept: bool = False
    """All turns of its episode are in the journal."""

    @property
    def may_stop(self) -> bool:
        """Whether its episode may stop here when the run drains: it has no turn yet, or none would be lost."""
        return self.kept or self.order != BEGUN


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A waiting ticket was given up."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A request succeeded."""

    endpoint: int
    seconds: float
    tokens: int = 0
    """That were generated."""


@dataclass(frozen=True, slots=True)
class Faulted:
    """A request failed."""

    endpoint: int
    fault: Fault
    suspect: bool = False
    """As in Wanted."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """This endpoint had refused what another one has served now."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Suspected:
    """So many turns more (or fewer) are suspect."""

    count: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request was cancelled: its slot is free, and it says nothing about the endpoint."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Holding:
    """A living episode holds so many bytes more (or fewer)."""

    bytes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An episode is over."""

    order: int
    """The number of its Admit."""
    held: int = 0
    """Bytes that it gives back."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """An episode goes on in its middle: it has no first turn to wait for."""

    order: int
    """The number of its Admit."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There was no sample left for an Admit."""

    order: int
    """Its number."""


@dataclass(frozen=True, slots=True)
class Draining:
    """Start nothing new: no episode, and no turn of an episode that may stop."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The store cannot write now (True), or can again (False): no new episodes meanwhile."""

    blocked: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """The user wants nothing sent for now (True), or wants it to go on (False). What is open is let be."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """An endpoint was asked whether it is back."""

    endpoint: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event: TypeAlias = (
    Wanted
    | Withdrawn
    | Passed
    | Faulted
    | Blamed
    | Suspected
    | Dropped
    | Holding
    | Ended
    | Resumed
    | Exhausted
    | Draining
    | Blocked
    | Paused
    | Probed
    | Tick
)


@dataclass(frozen=True, slots=True)
class Admit:
    """Start the next episode."""

    order: int
    """From 0. First turns are granted in this order."""


@dataclass(frozen=True, slots=True)
class Grant:
    """This ticket may send, to this endpoint."""

    ticket: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """This ticket gets no slot: the run is draining, and its episode may stop."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask this endpoint whether it is back."""

    endpoint: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing lives and nothing will start."""


Action: TypeAlias = Admit | Grant | Refuse | Probe | Finished
