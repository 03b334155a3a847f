"""First-level divisions out of the user's GeoJSON: Natural Earth admin-1, GADM level 1, geoBoundaries ADM1, or own.

Knows the properties that these files use and what must be right in a file. Knows nothing of points.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pycountry
import shapely

from asyncgen.core.errors import InputError
from asyncgen.core.types import Json
from asyncgen.places.names import countries, divisions
from asyncgen.places.rings import Points, polygons_of
from asyncgen.places.shapes import Shapes

MAX_BYTES = 256 << 20
"""Parsed, a file takes ten times as much memory."""
CODES = ("iso_3166_2", "iso3166_2", "shapeiso", "iso_1")
NAMES = ("name", "name_1", "shapename", "name_en")
COUNTRIES = ("iso_a2", "adm0_a3", "shapegroup", "gid_0", "admin", "country")
"""Properties in small letters; the first that says something counts. HASC codes (`code_hasc`) are not ISO's."""

_CODE = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")


@dataclass(frozen=True)
class Divisions:
    """What a file has."""

    shapes: Shapes
    """Labels are ISO 3166-2 codes of the first level."""
    unknown: tuple[str, ...]
    """The features that were left out, by what they call themselves: ISO has no such first-level division."""


def load_divisions(path: Path) -> Divisions:
    """Read a FeatureCollection of Polygons and MultiPolygons. A lower level (departments, districts) counts for the
    first-level division above it, as ISO 3166-2 has it. InputError names the file, the feature (from 0) and the fix."""
    labels: list[str] = []
    polygons: list[shapely.Polygon] = []
    unknown: list[str] = []
    for number, feature in enumerate(_features(path)):
        where = f"{path}: feature {number}"
        said = _properties(feature, where)
        code = _division(said, where)
        found = list(_polygons(feature["geometry"], where))
        if code:
            labels += [code] * len(found)
            polygons += found
        else:
            unknown.append(_first(said, NAMES) or _first(said, CODES))
    if not polygons:
        raise InputError(
            f"{path}: no feature is a first-level division of ISO 3166-2: give each its code as iso_3166_2"
        )
    return Divisions(Shapes(labels, np.array(polygons)), tuple(unknown))


def _features(path: Path) -> Sequence[Json]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(
                f"{path} has {size >> 20} MB, more than {MAX_BYTES >> 20}: simplify its outlines (mapshaper)"
            )
        whole: Json = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: region.polygons must be a GeoJSON file") from None
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}): region.polygons must be a GeoJSON file") from None
    features = whole.get("features") if isinstance(whole, dict) else None
    if not isinstance(features, list):
        raise InputError(f"{path} is no FeatureCollection: convert it to GeoJSON (ogr2ogr -f GeoJSON, mapshaper)")
    return features


def _properties(feature: Json, where: str) -> Mapping[str, str]:
    """Those that are texts, by their names in small letters."""
    if not isinstance(feature, dict) or not isinstance(feature.get("properties"), dict) or "geometry" not in feature:
        raise InputError(f"{where} is no GeoJSON Feature with properties and a geometry: remove it")
    said = feature["properties"].items()
    return {str(key).lower(): value.strip() for key, value in said if isinstance(value, str)}


def _division(said: Mapping[str, str], where: str) -> str:
    """The ISO 3166-2 code of the first level, `""` where there is none."""
    for key in CODES:
        if _CODE.fullmatch(said.get(key, "")):
            return _first_level(said[key])
    name, country = _first(said, NAMES), _first(said, COUNTRIES)
    if not name or not country:
        raise InputError(f"{where} says neither its code ({', '.join(CODES)}) nor its name and country: add iso_3166_2")
    found = {code for alpha_2 in countries(country) for code in divisions(name, alpha_2)}
    return found.pop() if len(found) == 1 else ""


def _first_level(code: str) -> str:
    """The code itself or the one above it that `divisions` knows."""
    above: str | None = code
    while above:
        if above in divisions(above, above[:2]):
            return above
        known = pycountry.subdivisions.get(code=above)  # type: ignore[no-untyped-call]  # pycountry types countries only
        above = known.parent_code if known else None
    return ""


def _first(said: Mapping[str, str], keys: Sequence[str]) -> str:
    return next((said[key] for key in keys if said.get(key)), "")


def _polygons(geometry: Json, where: str) -> Iterator[shapely.Polygon]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in {"Polygon", "MultiPolygon"}:
        raise InputError(f"{where} has the geometry {kind}: only Polygon and MultiPolygon are areas; remove it")
    coordinates = geometry.get("coordinates")
    for rings in [coordinates] if kind == "Polygon" else _listed(coordinates, where):
        yield from polygons_of([_ring(ring, where) for ring in _listed(rings, where)])


def _listed(value: Json, where: str) -> list[Json]:
    if not isinstance(value, list):
        raise InputError(f"{where} has coordinates that are no lists of rings: export it again")
    return value


def _ring(ring: Json, where: str) -> Points:
    try:
        points = np.array(ring, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] < 2 or not np.isfinite(points).all():
        raise InputError(f"{where} has a ring that is no list of [longitude, latitude] pairs: export it again")
    far = np.abs(points[:, :2]) > (360.0, 90.0)
    if far[:, 1].any():
        value = points[far[:, 1], 1][0]
        raise InputError(
            f"{where} has the latitude {value:g}: GeoJSON wants [longitude, latitude] in degrees (EPSG:4326)"
        )
    if far.any():
        raise InputError(
            f"{where} has a longitude beyond 360°: GeoJSON wants [longitude, latitude] in degrees (EPSG:4326)"
        )
    return points[:, :2]
