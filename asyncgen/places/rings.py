"""One polygon's rings as valid polygons within ±180°.

Knows what a ring means that jumps at ±180°, goes on beyond it, or runs around a pole. Knows no file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely

Points = npt.NDArray[np.float64]
"""Longitude and latitude `[n, 2]`, degrees; the last may repeat the first."""


def polygons_of(rings: Sequence[Points]) -> list[shapely.Polygon]:
    """`rings`: the outline, then the holes; longitudes up to ±360°. Rings without an area are left out, crossings are
    resolved, and what lies beyond ±180° is moved back: one polygon may become several, or none."""
    # To 0.1 mm: with differences of 1e-300 GEOS divides by zero.
    lines = [np.round(_unrolled(ring), 9) for ring in rings if len(ring) > 3]
    if not lines:
        return []
    whole = shapely.make_valid(shapely.Polygon(lines[0], lines[1:]))
    west, _, east, _ = shapely.bounds(whole)
    if west >= -180 and east <= 180:
        return _areas(whole)
    found: list[shapely.Polygon] = []
    for turn in (-360, 0, 360):
        piece = shapely.intersection(whole, shapely.box(turn - 180, -90, turn + 180, 90))
        found += _areas(shapely.transform(piece, lambda points, turn=turn: points - (turn, 0)))
    return found


def _areas(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    parts = shapely.get_parts(shapely.get_parts(geometry))  # a collection may hold a MultiPolygon
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 0]


def _unrolled(ring: Points) -> Points:
    """Without jumps at ±180°: it goes on beyond. A ring around the south pole is closed along -90°."""
    steps = np.diff(ring[:, 0])
    lon = ring[0, 0] + np.concatenate([[0.0], np.cumsum(steps - 360 * np.round(steps / 360))])
    points = np.stack((lon, ring[:, 1]), axis=1)
    if abs(lon[-1] - lon[0]) < 180:
        return points
    return np.concatenate([points, [(lon[-1], -90.0), (lon[0], -90.0), points[0]]])
