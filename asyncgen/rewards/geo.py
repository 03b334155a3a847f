"""How far a guess is from the truth, and what GeoGuessr would give for it.

Knows the great-circle distance, the score's formula and the columns of the truth. Reading a text is
`asyncgen.rewards.coordinates`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.trace import Trace
from asyncgen.core.types import Context, Json, Sample, Scores
from asyncgen.rewards.coordinates import Pair, first_pair, on_globe, parse_coordinates

__all__ = [
    "GEOGUESSR_SCALE_KM",
    "GEO_FAILURE",
    "WORLD_MAP_SCALE_KM",
    "GeoReward",
    "geo_answer",
    "haversine_km",
    "parse_coordinates",
]

EARTH_RADIUS_KM = 6371.0
GEOGUESSR_SCALE_KM = 1492.7
"""Scale of exp(−d / scale) as in OSV-5M and its benchmarks: the default."""
WORLD_MAP_SCALE_KM = 1491.6862
"""14916.862 / 10: the scale of the world map in public copies of the game."""
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
MAX_POINTS = 5000.0

GEO_FAILURE: Final[Scores] = {
    "score": 0.0,
    "distance@km": 20000.0,
    "geoguessr@point": 0.0,
    "parse_success": False,
} | {f"acc@{km}km": 0.0 for km in THRESHOLDS_KM}
"""The scores of an answer that is missing or cannot be read: about half the way around the world."""


def haversine_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance in km between two places in degrees, on a sphere of 6371.0 km (haversine formula)."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    d_phi, d_lambda = phi2 - phi1, math.radians(lon2 - lon1)
    h = math.sin(d_phi / 2) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(d_lambda / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, h)))


def geo_answer(text: str, *, lenient: bool = False) -> str:
    """`"48.8584, 2.2945"` from a visible text, or `""`; see `parse_coordinates`."""
    pair = parse_coordinates(text, lenient=lenient)
    # The shortest digits that give the same float again; never an exponent, which no reader of answers takes.
    return "" if pair is None else ", ".join(f"{Decimal(repr(degrees)):f}" for degrees in pair)


@dataclass(frozen=True)
class GeoReward:
    """Scores a trace whose answer is `lat, lon` (as `geo_answer` gives it) against the row's coordinates.

    `score` = exp(−d / scale_km), points = 5000 · score, not rounded; thresholds are inclusive.
    """

    scale_km: float = GEOGUESSR_SCALE_KM
    lat: str = "lat"
    """Column with the latitude in degrees, a number or its text."""
    lon: str = "lon"
    """Column with the longitude."""
    truth: str = ""
    """One column with both instead: `"lat,lon"`, `[lat, lon]`, or a mapping with the keys `lat` and `lon`."""

    failure: ClassVar[Scores] = GEO_FAILURE
    """A task's `scores`."""

    def __post_init__(self) -> None:
        """Raises InputError for a scale that gives no score."""
        if not (math.isfinite(self.scale_km) and self.scale_km > 0):
            raise InputError(f"scale_km is {self.scale_km}: give kilometres above 0")

    def __call__(self, context: Context, sample: Sample, trace: Trace) -> Scores:  # noqa: ARG002  # a reward's signature
        """The scores in the contract's order. Raises EpisodeError(bad_sample) if the row has no truth."""
        truth = self.place(sample.data)
        guess = first_pair(trace.answer)
        if guess is None or (guess := on_globe(guess)) is None:
            return dict(GEO_FAILURE)
        distance = haversine_km(*guess, *truth)
        score = math.exp(-distance / self.scale_km)
        head = {"score": score, "distance@km": distance, "geoguessr@point": MAX_POINTS * score, "parse_success": True}
        return head | {f"acc@{km}km": float(distance <= km) for km in THRESHOLDS_KM}

    def place(self, data: Mapping[str, Json]) -> Pair:
        """The row's latitude and longitude in degrees. Raises EpisodeError(bad_sample)."""
        if not self.truth:
            pair = (_degrees(data.get(self.lat)), _degrees(data.get(self.lon)))
            shown = f"{self.lat}={data.get(self.lat)!r}, {self.lon}={data.get(self.lon)!r}"
        else:
            value = data.get(self.truth)
            pair = _pair(value)
            shown = f"{self.truth}={value!r}"
        place = on_globe(pair)
        if place is None:
            text = f"the truth is no place on the globe: {shown[:200]}; give the columns with numbers in degrees"
            raise EpisodeError(FailReason.BAD_SAMPLE, text)
        return place


def _pair(value: Json) -> Pair:
    """One column's value as latitude and longitude; NaN where it has none."""
    if isinstance(value, Mapping):
        return _degrees(value.get("lat")), _degrees(value.get("lon"))
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and len(parts) == 2:
        return _degrees(parts[0]), _degrees(parts[1])
    return math.nan, math.nan


def _degrees(value: Json) -> float:
    """A number or its text; NaN for anything else, so that a range check refuses it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
