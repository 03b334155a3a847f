"""Which country and first-level division a point is in.

Knows the order in which polygons and cities are asked, and when the answer is not certain. Knows nothing of files: the
tables are read once for each `Points`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncgen.places.polygon_file import Divisions

BORDER_KM = 5.0
"""So near to another country (division), the polygons of 1:50 m may have the wrong one."""
COAST_KM = 30.0
"""So far off the coast a point belongs to the nearest land: islets, harbours and bridges that the polygons lack."""


@dataclass(frozen=True, slots=True)
class Place:
    country: str
    """ISO 3166-1 alpha-2, XK for Kosovo."""
    division: str
    """ISO 3166-2 of the first level; `""`: not known."""
    approximate: bool
    """The division is that of the nearest known city in the country, or the point is off the coast."""
    near_border: bool
    """Land of another country is at most `BORDER_KM` away, or another division of the user's polygons is."""


class Points:
    """Where points are. shapely and the tables load here (0.3 s), not on import."""

    def __init__(self, polygons: Path | None = None) -> None:
        """`polygons`: GeoJSON of first-level divisions, which then count before everything else in their area."""
        from asyncgen.places.borders import load_borders
        from asyncgen.places.cities import load_cities

        self._borders, self._cities = load_borders(), load_cities()
        self._divisions = _divisions(polygons) if polygons else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """The features of the user's file that are no first-level division of ISO 3166-2: they are left out."""
        return self._divisions.unknown if self._divisions else ()

    def at(self, lat: float, lon: float) -> Place | None:
        """The place at these degrees (WGS 84); None: open sea. ValueError: not finite, or beyond ±90° and ±180°."""
        if not (isfinite(lat) and isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180):
            raise ValueError(f"{lat}, {lon} is no place: latitude must be within ±90°, longitude within ±180°")
        division = self._divisions.shapes.inside(lat, lon) if self._divisions else None
        if division:
            return Place(division[:2], division, approximate=False, near_border=self._near(lat, lon, division))
        country = self._borders.inside(lat, lon)
        afloat = country is None
        country = country or self._borders.nearest(lat, lon, within=COAST_KM)
        if country is None:
            return None
        division = self._cities.nearest(country, lat, lon)
        near = self._near(lat, lon, division or country)
        return Place(country, division, approximate=afloat or bool(division), near_border=near)

    def _near(self, lat: float, lon: float, code: str) -> bool:
        """`code`: of the country or the division that the point is in."""
        if self._borders.nearest(lat, lon, within=BORDER_KM, but=code[:2]):
            return True
        divisions = self._divisions
        return bool(divisions and divisions.shapes.nearest(lat, lon, within=BORDER_KM, but=code))


def _divisions(path: Path) -> Divisions:
    from asyncgen.places.polygon_file import load_divisions

    return load_divisions(path)
