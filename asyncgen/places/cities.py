"""The nearest city and its first-level division: GeoNames, as `data/cities.npz` has it (made by `make_points`).

Knows the file's arrays. Knows nothing of borders: the caller says in which country the city must be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby
from math import cos, radians, sin
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parent / "data" / "cities.npz"
UNITS = 1000
"""A degree in the file's whole numbers: 110 m, as many a town is beside another division's."""

Located = tuple[str, int, int]
"""ISO 3166-2 code or `unknown(country)`, latitude and longitude in 1/1000°."""


def unknown(country: str) -> str:
    """Stands for the division of a city whose division has no code: no other city shall say it in its place."""
    return f"{country}-"


class Cities:
    """The cities' places `[n, 3]` on the unit sphere, those of a country together."""

    def __init__(self, divisions: list[str], sizes: npt.NDArray[np.int64], places: npt.NDArray[np.float64]) -> None:
        """`divisions`: sorted codes; `sizes`: how many of the `places`, in their order, each of them has."""
        self._divisions, self._places = divisions, places
        self._ends: list[int] = np.cumsum(sizes).tolist()
        self._countries = {
            country: slice(self._ends[first] - int(sizes[first]), self._ends[last])
            for country, first, last in _spans(divisions)
        }

    def nearest(self, country: str, lat: float, lon: float) -> str:
        """The ISO 3166-2 code of the city's division; `""` where it has none, or no city of the country is
        known."""
        span = self._countries.get(country)
        if span is None:
            return ""
        north, east = radians(lat), radians(lon)
        here = np.array((cos(north) * cos(east), cos(north) * sin(east), sin(north)))
        best = span.start + int((self._places[span] @ here).argmax())
        division = self._divisions[bisect_right(self._ends, best)]
        return "" if division == unknown(country) else division


def load_cities(path: Path = FILE) -> Cities:
    with np.load(path, allow_pickle=False) as file:
        lat, lon = np.radians(file["lat"] / UNITS), np.radians(file["lon"] / UNITS)
        places = np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), axis=1)
        return Cities(file["divisions"].tolist(), file["sizes"].astype(np.int64), places)


def save_cities(path: Path, cities: Iterable[Located]) -> int:
    """Write what `load_cities` reads; the number of places, each once a division.

    `lat` and `lon` [n] in 1/1000°, sorted by division; `divisions` (codes) and `sizes` (places of each).
    """
    found = set(cities)
    known = {city[1:] for city in found if city[0] != unknown(city[0][:2])}
    once = sorted(city for city in found if city[0] != unknown(city[0][:2]) or city[1:] not in known)
    groups = [(code, sum(1 for _ in group)) for code, group in groupby(once, key=lambda city: city[0])]
    np.savez_compressed(
        path,
        lat=np.array([lat for _, lat, _ in once], dtype=np.int32),
        lon=np.array([lon for _, _, lon in once], dtype=np.int32),
        divisions=np.array([code for code, _ in groups]),
        sizes=np.array([size for _, size in groups], dtype=np.int32),
    )
    return len(once)


def _spans(divisions: list[str]) -> list[tuple[str, int, int]]:
    """`(country, its first division's index, its last one's)`: a code begins with its country."""
    by_country = groupby(enumerate(divisions), key=lambda one: one[1][:2])
    return [
        (country, group[0][0], group[-1][0]) for country, group in ((code, list(all_)) for code, all_ in by_country)
    ]
