"""Polygons out of a TopoJSON file of countries, as the npm package world-atlas has them; only `make_points` needs it.

Knows arcs and quantisation. Knows no codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
import shapely

from asyncgen.core.types import Json
from asyncgen.places.rings import Points, polygons_of

_POLE = -89.9
"""A ring all below it is no outline: the file draws the pole as a line."""


def country_polygons(path: Path) -> Iterator[tuple[str, str, list[shapely.Polygon]]]:
    """`(ISO 3166-1 numeric code or "", name, polygons)`; no polygon is across ±180°."""
    topology: Json = orjson.loads(path.read_bytes())
    scale, move = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + move for arc in topology["arcs"]]
    for one in topology["objects"]["countries"]["geometries"]:
        several = [one["arcs"]] if one["type"] == "Polygon" else one["arcs"]
        outlines = [[_ring(arcs, ring) for ring in rings] for rings in several]
        drawn = [[ring for ring in rings if ring[:, 1].max() > _POLE] for rings in outlines]
        yield one.get("id", ""), one["properties"]["name"], [piece for rings in drawn for piece in polygons_of(rings)]


def _ring(arcs: Sequence[Points], numbers: Sequence[int]) -> Points:
    """The arcs one after the other, a common point once; `~n` is arc n backwards."""
    parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
    return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
