"""Several rollouts of one sample from one request (`n` choices), each an episode of its own from there on.

Knows which rollouts of a chain share their first request, and what it brought them. A choice is in its episode's
journal before the first of them goes on. Does not know servers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from asyncgen.engine.turn_log import TurnLog

ONE_EACH = 2
"""So often in a row one choice came where several were asked for: this server gives one."""


class Choices:
    """Those of one chain, whose rollouts are done one after the other."""

    def __init__(self, unused: Callable[[], Collection[int]], most: int) -> None:
        """`unused`: the rollouts of the chain that are still to come, in order; `most`: choices of one request."""
        self._unused = unused
        self._most = most
        self._logs: dict[int, TurnLog] = {}

    def log(self, rollout: int, make: Callable[[int], TurnLog]) -> TurnLog:
        """The rollout's own log, with the choice that it was given, if it was."""
        return self._logs.pop(rollout, None) or make(rollout)

    def sharers(self, fits: Callable[[int], bool], make: Callable[[int], TurnLog]) -> list[TurnLog]:
        """Logs of the other rollouts that a request may ask for as well: those that have nothing yet."""
        found: list[TurnLog] = []
        for rollout in self._unused():
            if len(found) >= self._most - 1:
                break
            if not fits(rollout):
                continue
            log = self._logs.get(rollout)
            if log is None:
                log = self._logs[rollout] = make(rollout)
            if not log.begun:
                found.append(log)
        return found

    @property
    def ready(self) -> bool:
        """A rollout that is still to come has its choice already: it is paid for."""
        return any(log.begun for log in self._logs.values())


class ChoiceCount:
    """Whether the servers of a run give several choices."""

    def __init__(self) -> None:
        self._single_in_a_row = 0
        self.refused = False
        """They do not."""

    def note(self, asked: int, given: int) -> None:
        """What a request brought."""
        if asked > 1:
            self._single_in_a_row = self._single_in_a_row + 1 if given == 1 else 0
            self.refused = self.refused or self._single_in_a_row >= ONE_EACH
