"""Truth and guess of geo traces, for a map: at most so many, drawn by lot, however many traces there are.

Knows where a trace has both. Does not know maps.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from asyncgen.core.errors import EpisodeError
from asyncgen.core.types import Json
from asyncgen.rewards.coordinates import first_pair, on_globe, parse_coordinates
from asyncgen.rewards.geo import GeoReward

MAX_PAIRS = 2000
_SEED = 0
_PLAIN = re.compile(r"(-?\d{1,3}(?:\.\d{1,20})?), (-?\d{1,3}(?:\.\d{1,20})?)", re.ASCII)
"""How the geo tasks write an answer: the parser of all forms takes 50 times as long."""


class Pair(NamedTuple):
    """Degrees, as (latitude, longitude)."""

    run: int
    truth: tuple[float, float]
    guess: tuple[float, float]


class Pairs:
    """Add traces one by one. Each has the same chance to be drawn (reservoir sampling, Vitter's algorithm R); the same
    traces in the same order give the same draw."""

    def __init__(self, limit: int = MAX_PAIRS) -> None:
        self.drawn: list[Pair] = []
        self.seen = Counter[int]()
        """By run: the traces that have both."""
        self._limit = limit
        self._random = random.Random(_SEED)  # noqa: S311  # a draw for a picture; nothing to guess
        self._place = GeoReward().place

    def add(self, trace: Mapping[str, Json], run: int = 0) -> None:
        """Leaves out a trace without a truth (`lat`, `lon`) or without an answer that can be read."""
        guess = _guess(trace)
        if guess is None:
            return
        try:
            truth = self._place(trace["sample_data"])
        except EpisodeError:
            return
        self.seen[run] += 1
        number = self.seen.total()
        if number <= self._limit:
            self.drawn.append(Pair(run, truth, guess))
        elif (place := self._random.randrange(number)) < self._limit:
            self.drawn[place] = Pair(run, truth, guess)


def _guess(trace: Mapping[str, Json]) -> tuple[float, float] | None:
    """Of the answer; files of other scripts have it only in the response."""
    if answer := trace["answer"]:
        plain = _PLAIN.fullmatch(answer)
        pair = (float(plain[1]), float(plain[2])) if plain else first_pair(answer)
        return None if pair is None else on_globe(pair)
    if trace["reward_score"].get("parse_success") is True:
        return parse_coordinates(trace["final_response"], lenient=True)
    return None
