"""Makes asyncgen/view/land_110m.json, the outline of the continents that `stats --plots` draws under its world map.

    npm pack world-atlas@2 && tar xzf world-atlas-2.*.tgz
    python docs/data/land_110m.py package/land-110m.json asyncgen/view/land_110m.json

Natural Earth's 1:110 million land polygons are in the public domain; world-atlas, which packs them as TopoJSON, has the
ISC licence (Copyright 2013-2019 Michael Bostock). world-atlas joins what Natural Earth cuts at 180°; a flat map needs
the cut, so it is made again here. Knows TopoJSON's arcs; needs nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

Point = tuple[float, float]
ABOUT = (
    "Land, 1:110 million, from Natural Earth (public domain) by way of the npm package world-atlas 2.0.2 (ISC licence, "
    "Copyright 2013-2019 Michael Bostock). Made by docs/data/land_110m.py. A ring is longitude, latitude, longitude, "
    "latitude, ... in hundredths of a degree, cut at 180 degrees; a hole winds the other way round than its outline."
)


def arcs(topology: dict[str, Any]) -> list[list[Point]]:
    """In degrees: TopoJSON stores whole steps from point to point, and a scale."""
    (scale_x, scale_y), (x, y) = topology["transform"]["scale"], topology["transform"]["translate"]
    sums = [zip(*(accumulate(axis) for axis in zip(*arc, strict=True)), strict=True) for arc in topology["arcs"]]
    return [[(x + column * scale_x, y + row * scale_y) for column, row in points] for points in sums]


def rings(topology: dict[str, Any]) -> Iterator[list[Point]]:
    """Outlines and holes; the last point is the first. ~N is arc N backwards."""
    known = arcs(topology)
    for geometry in topology["objects"]["land"]["geometries"]:
        for polygon in geometry["arcs"]:
            for numbers in polygon:
                ring: list[Point] = []
                for number in numbers:
                    arc = known[number] if number >= 0 else known[~number][::-1]
                    ring += arc[bool(ring) :]
                yield ring


def unrolled(ring: Sequence[Point]) -> list[Point]:
    """Longitudes go on beyond 180°, no step is longer than half the globe; a ring around a pole is closed over it."""
    points = [ring[0]]
    for (before, _), (lon, lat) in pairwise(ring):
        points.append((points[-1][0] + (lon - before + 180) % 360 - 180, lat))
    if abs(points[-1][0] - points[0][0]) > 180:
        pole = 90.0 if points[0][1] > 0 else -90.0
        points += [(points[-1][0], pole), (points[0][0], pole)]
    return points


def cut(ring: Sequence[Point]) -> Iterator[list[Point]]:
    """The parts between -180° and 180°."""
    for turn in (-360.0, 0.0, 360.0):
        part = [(lon + turn, lat) for lon, lat in unrolled(ring)]
        for side in (-1, 1):
            part = list(_inside(part, side))
        if len(part) > 2:
            yield part


def _inside(ring: Sequence[Point], side: int) -> Iterator[Point]:
    """Sutherland and Hodgman's clipping of a polygon at the meridian 180 * side."""
    for before, point in pairwise([*ring[-1:], *ring]):
        if (before[0] * side <= 180) != (point[0] * side <= 180):
            share = (180 * side - before[0]) / (point[0] - before[0])
            yield 180.0 * side, before[1] + share * (point[1] - before[1])
        if point[0] * side <= 180:
            yield point


def whole(ring: Sequence[Point]) -> list[int]:
    """In hundredths of a degree, no point twice in a row."""
    points = [(round(lon * 100), round(lat * 100)) for lon, lat in ring]
    kept = points[:1] + [point for before, point in pairwise(points) if point != before]
    return [number for point in kept for number in point]


def main(source: str, out: str) -> None:
    topology = json.loads(Path(source).read_text("utf-8"))
    land = [whole(part) for ring in rings(topology) for part in cut(ring)]
    document = {"about": ABOUT, "rings": [ring for ring in land if len(set(ring[::2])) > 1]}
    Path(out).write_text(json.dumps(document, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
