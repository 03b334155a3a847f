"""GeoJSON files of first-level divisions for tests."""

from __future__ import annotations

from pathlib import Path

import orjson

from asyncgen.core.types import Json


def square(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(rings: Json, kind: str = "Polygon", **properties: Json) -> Json:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": rings}}


def collection(path: Path, *features: Json) -> Path:
    path.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path
