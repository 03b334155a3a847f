"""Labelled polygons: which one a point is in, and which is the nearest outline of another label.

Knows longitudes, latitudes and kilometres. Knows nothing of countries, files or the network.

Outlines are straight in longitude and latitude (a border along a parallel follows the parallel), as the makers of such
files mean them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians

import numpy as np
import numpy.typing as npt
import shapely

KM_A_DEGREE = 111.195
"""Of latitude, on a sphere of 6371 km."""
RUN = 16
"""Segments of an outline that are looked up together: fewer means a larger index, more means more distances."""
_LAST_LATITUDE = 89.99
"""Files end their polar polygons a little before the pole."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Shapes:
    """Polygons in degrees, none of them across ±180°; several may have one label. They are not changed later."""

    def __init__(self, labels: Sequence[str], polygons: npt.NDArray[np.object_]) -> None:
        """`polygons`: shapely Polygons [n], a label for each. A smaller polygon lies on top of a larger one."""
        self._labels = sorted(set(labels))
        number = {label: index for index, label in enumerate(self._labels)}
        order = np.argsort(shapely.area(polygons), kind="stable")
        self._polygons = polygons[order]
        self._owners = np.array([number[label] for label in labels], dtype=np.int64)[order]
        self._numbers = number
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        self._runs, self._run_owners = _runs(self._polygons, self._owners)
        low, high = self._runs.min(axis=1), self._runs.max(axis=1)
        self._run_tree = shapely.STRtree(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))

    def inside(self, lat: float, lon: float) -> str | None:
        """The label of the polygon that the point is in, or on the edge of; the smallest one where they overlap."""
        lat = max(-_LAST_LATITUDE, min(_LAST_LATITUDE, lat))
        near = _touched(self._tree, lon, lat, lon, lat)
        hits = near[shapely.intersects_xy(self._polygons[near], lon, lat)].tolist()
        return self._labels[self._owners[min(hits)]] if hits else None

    def nearest(self, lat: float, lon: float, *, within: float, but: str = "") -> str | None:
        """The label of the nearest outline at most `within` km away, of those labelled otherwise than `but`.

        Distances are planar at the point: right to 1 % up to 30 km and 75° of latitude.
        """
        near = self._near(lat, lon, within / KM_A_DEGREE)
        near = near[self._run_owners[near] != self._numbers.get(but, -1)]
        if not near.size:
            return None
        distances = KM_A_DEGREE * _distances(self._runs[near], lat, lon)
        best = int(distances.argmin())
        return self._labels[self._run_owners[near[best]]] if distances[best] <= within else None

    def _near(self, lat: float, lon: float, reach: float) -> Indices:
        """The runs that a box of ±`reach` degrees of latitude around the point touches, beyond ±180° as well."""
        wide = min(180.0, reach / max(cos(radians(lat)), 1e-9))
        found = _touched(self._run_tree, lon - wide, lat - reach, lon + wide, lat + reach)
        if abs(lon) + wide <= 180:
            return found
        other = lon - 360 if lon > 0 else lon + 360
        beyond = _touched(self._run_tree, other - wide, lat - reach, other + wide, lat + reach)
        return np.union1d(found, beyond)


def _touched(tree: shapely.STRtree, west: float, south: float, east: float, north: float) -> Indices:
    """What may touch the box. A list of one box is looked up in half the time of a box, a box in that of a point."""
    found: Indices = tree.query([shapely.box(west, south, east, north)])[1]
    return found


def _runs(polygons: npt.NDArray[np.object_], owners: Indices) -> tuple[Floats, Indices]:
    """All outlines as runs of `RUN` segments `[k, RUN + 1, (lon, lat)]`, the last of a ring filled up with its last
    point; and the owner of each run."""
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    points = points[:, :2]
    segments = np.diff(ring_starts) - 1
    counts = -(-segments // RUN)
    ring = np.repeat(np.arange(len(segments)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    steps = ring_starts[ring, None] + place[:, None] * RUN + np.arange(RUN + 1)
    owner_of_ring = np.repeat(owners, np.diff(polygon_starts))
    return points[np.minimum(steps, ring_starts[ring + 1, None] - 1)], owner_of_ring[ring]


def _distances(runs: Floats, lat: float, lon: float) -> Floats:
    """From the point to each run, in degrees of latitude `[k]`."""
    x = runs[..., 0] - lon
    # A run on the other side of ±180° is brought to this one as a whole.
    x -= 360 * np.round(x[:, :1] / 360)
    x *= cos(radians(lat))
    y = runs[..., 1] - lat
    along_x, along_y = np.diff(x, axis=1), np.diff(y, axis=1)
    squared = along_x * along_x + along_y * along_y
    share = -(x[:, :-1] * along_x + y[:, :-1] * along_y) / np.maximum(squared, 1e-30)
    share = np.minimum(np.maximum(share, 0), 1)
    away_x, away_y = x[:, :-1] + share * along_x, y[:, :-1] + share * along_y
    distances: Floats = np.sqrt((away_x * away_x + away_y * away_y).min(axis=1))
    return distances
