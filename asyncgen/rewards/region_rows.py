"""The country and first-level division in which a row's photo was taken.

Knows the columns in which rows say so, as names, as codes or as coordinates. Does not know answers, nor scores.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from asyncgen.core.errors import EpisodeError, FailReason, InputError
from asyncgen.core.types import Json
from asyncgen.places.division_words import strip_word
from asyncgen.places.folding import folded
from asyncgen.places.iso import first_level, parent_of
from asyncgen.places.names import countries, country_name, division_name, divisions, load_names, same_divisions
from asyncgen.rewards.region_text import split_place

if TYPE_CHECKING:
    from asyncgen.places.points import Place, Points

ANSWER: Final = "answer"
"""The column with both: `$country,region/another name of it$`, with or without the dollars."""
COUNTRY: Final = "country"
REGIONS: Final = ("region", "admin1", "state", "province", "administrative_area_level_1")
"""Columns that say the region beside `country`; the first with a text counts."""
LATITUDES: Final = ("lat", "latitude")
LONGITUDES: Final = ("lon", "lng", "longitude")
LONGEST_PAIR: Final = 80
"""Characters of `lat, lon`."""
CITY_STATES: Final = frozenset({"MC", "SG", "VA"})
"""Whose divisions are quarters of a city, if they have any: nobody means them by a region."""

_PAIR: Final = re.compile(r"[\s$(\[]*([-+]?\d+(?:\.\d*)?)\s*[,，]\s*([-+]?\d+(?:\.\d*)?)[\s$)\]]*", re.ASCII)

_LOADING = threading.Lock()
"""Many episodes may find at once that the tables are not there."""
_LOADED: Final[set[str | None]] = set()
"""None: the tables of names; a text: those of points with these polygons."""

At: TypeAlias = "Callable[[float, float], Place | None]"
"""`Points.at`: latitude and longitude in degrees → the place, None for the open sea."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Where the photo was taken."""

    country: str
    """As the row has it; the English name where the row has coordinates alone."""
    country_codes: frozenset[str]
    """ISO 3166-1 alpha-2; empty: the name is not known."""
    regions: tuple[str, ...]
    """The region's names, as the row has them, each once."""
    division_codes: frozenset[str]
    """Of the region's names in that country, see `region_codes`; empty: none of them is known."""
    approximate: bool = False
    """The place is that of the nearest known city or coast."""
    near_border: bool = False
    """The point is so near to a border that the other side may be meant."""
    written: str = ""
    """The text of `answer`, where the truth comes from it: SeekWorld's rule parts it in its own way."""

    @property
    def label(self) -> str:
        """`$country,region/another name$`: the form of SeekWorld's answers."""
        return f"${self.country},{'/'.join(self.regions)}$"


def check_region_columns(columns: Sequence[str]) -> None:
    """Raises InputError where no row with these columns can say where it was."""
    if not (_is_named(columns) or _is_located(columns)):
        raise InputError(
            f"the dataset does not say where a photo was taken: give a column {ANSWER} ($country,region$), the columns "
            f"{COUNTRY} and {REGIONS[0]}, or lat and lon; the columns are {', '.join(columns)}"
        )


def only_located(columns: Sequence[str]) -> bool:
    """Whether rows with these columns have coordinates alone."""
    return _is_located(columns) and not _is_named(columns)


def _is_named(columns: Sequence[str]) -> bool:
    return ANSWER in columns or (COUNTRY in columns and not set(columns).isdisjoint(REGIONS))


def _is_located(columns: Sequence[str]) -> bool:
    return not (set(columns).isdisjoint(LATITUDES) or set(columns).isdisjoint(LONGITUDES))


def load_places(polygons: str = "", *, points: bool = True) -> None:
    """Read the tables now, which takes a second or two; `points`: those of borders and cities, too. Again it
    costs nothing. Raises InputError for a file without such polygons."""
    with _LOADING:
        load_names()
        if points:
            known_points(polygons).at(0.0, 0.0)
        _LOADED.update((None, polygons) if points else (None,))


def is_loaded(data: Mapping[str, Json], polygons: str = "") -> bool:
    """Whether all tables are there that this row's truth may need."""
    return (polygons if only_located(tuple(data)) or _pair(data.get(ANSWER)) else None) in _LOADED


def region_truth(data: Mapping[str, Json], at: At | None = None) -> Truth:
    """From `answer`, else from `country` and a column of REGIONS, else from the coordinates (columns, or `lat, lon` in
    `answer`), for which `at` is asked (default: `place_at()`).

    Raises EpisodeError(bad_sample) where none of them says a country and a region.
    """
    if truth := _labelled(data) or _in_columns(data):
        return truth
    lat, lon = _degrees(data, LATITUDES), _degrees(data, LONGITUDES)
    if (lat is None or lon is None) and (pair := _pair(data.get(ANSWER))):
        lat, lon = pair
    if lat is None or lon is None:
        places = f"{ANSWER} ($country,region$), {COUNTRY} with {' or '.join(REGIONS)}, and lat with lon"
        shown = f"; {ANSWER} is {data[ANSWER]!r:.100}" if ANSWER in data else ""
        raise _bad(f"the row has no country and region: looked in {places}{shown}")
    try:
        place = (at or place_at())(lat, lon)
    except ValueError as error:
        raise _bad(f"lat {lat}, lon {lon} is no place on the globe; give degrees") from error
    if place is None:
        raise _bad(f"lat {lat}, lon {lon} is in no country")
    return _located(place, f"lat {lat}, lon {lon}")


def region_codes(names: Iterable[str], country_codes: frozenset[str]) -> frozenset[str]:
    """ISO 3166-2 codes of the first-level divisions of these names in these countries. Without one the country's own
    code, where a name is the country's: `singapore, singapore`, `singapore, singapore city`."""
    names = tuple(names)
    found = frozenset[str]().union(*(divisions(name, code) for name in names for code in country_codes))
    if found:
        return found
    bases = [word.base for name in names if (word := strip_word(folded(name))) and word.city]
    cities = frozenset[str]().union(*map(countries, bases)) & CITY_STATES
    return (frozenset[str]().union(*map(countries, names)) | cities) & country_codes


def place_at(polygons: str = "") -> At:
    """Where points are, once the tables are needed. `polygons`: the path of a GeoJSON file with first-level divisions;
    `""`: the nearest known city says the division."""
    return lambda lat, lon: known_points(polygons).at(lat, lon)


@lru_cache(maxsize=4)
def known_points(polygons: str = "") -> Points:
    """The borders, loaded once. Raises InputError for a file that has no such polygons."""
    from asyncgen.places.points import Points

    return Points(Path(polygons).expanduser() if polygons else None)


def _labelled(data: Mapping[str, Json]) -> Truth | None:
    """From the column with both; None where it says something else."""
    value = data.get(ANSWER)
    if not isinstance(value, str) or _pair(value):
        return None
    pair = split_place(value.strip().strip("$"))
    names = _names(pair[1].split("/")) if pair else ()
    return replace(_truth(pair[0], names), written=value) if pair and names else None


def _pair(value: Json) -> tuple[float, float] | None:
    """Latitude and longitude as a text or a list has them; None for anything else."""
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value)) if len(value) == 2 else None
    found = _PAIR.fullmatch(value) if isinstance(value, str) and len(value) < LONGEST_PAIR else None
    return (float(found[1]), float(found[2])) if found else None


def _in_columns(data: Mapping[str, Json]) -> Truth | None:
    country = _text(data.get(COUNTRY))
    region = next(filter(None, (_text(data.get(name)) for name in REGIONS)), "")
    return _truth(country, _names(region.split("/"))) if country and region else None


def _truth(country: str, regions: tuple[str, ...]) -> Truth:
    codes = countries(country)
    return Truth(country=country, country_codes=codes, regions=regions, division_codes=region_codes(regions, codes))


def _located(place: Place, shown: str) -> Truth:
    """Of a point: its division, and the one that this lies in where either is right (`BOTH_LEVELS`). A country without
    divisions is the region itself, and the division of another one that it is."""
    country = country_name(place.country)
    if place.division:
        codes = frozenset(filter(None, (place.division, parent_of(place.division))))
        regions = _names(map(division_name, sorted(codes, key=place.division.__ne__)))
    elif place.country in CITY_STATES or not first_level().get(place.country):
        codes = same_divisions(place.country)
        regions = _names([country, *map(division_name, sorted(codes))])
        codes |= {place.country}
    else:
        raise _bad(f"{shown} is in {country}, and its first-level division is not known; give the option polygons")
    return Truth(
        country=country,
        country_codes=frozenset([place.country]),
        regions=regions,
        division_codes=codes,
        approximate=place.approximate,
        near_border=place.near_border,
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _text(value: Json) -> str:
    return value.strip() if isinstance(value, str) else ""


def _degrees(data: Mapping[str, Json], names: Sequence[str]) -> float | None:
    """The first of these columns that has a number or its text; None where none has."""
    for name in names:
        value = data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            degrees = float(value)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(degrees):
            return degrees
    return None


def _bad(text: str) -> EpisodeError:
    return EpisodeError(FailReason.BAD_SAMPLE, text)
