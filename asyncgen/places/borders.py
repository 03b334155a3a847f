"""The countries' polygons: Natural Earth 1:50 m (small ones 1:10 m), as `data/countries-50m.npz` has them.

Knows the file's arrays (`make_points` makes it). Knows nothing of divisions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from asyncgen.places.shapes import Shapes

FILE = Path(__file__).parent / "data" / "countries-50m.npz"
UNITS = 1000
"""A degree in the file's whole numbers."""


def load_borders(path: Path = FILE) -> Shapes:
    """Labels are ISO 3166-1 alpha-2 codes, and XK for Kosovo."""
    with np.load(path, allow_pickle=False) as file:
        points = np.ascontiguousarray(np.cumsum(file["deltas"], axis=1, dtype=np.int64).T) / UNITS
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, points, (_starts(file["ring_sizes"]), _starts(file["polygon_sizes"]))
        )
        return Shapes(file["countries"].tolist(), polygons)


def save_borders(path: Path, countries: list[str], polygons: npt.NDArray[np.object_]) -> None:
    """Write what `load_borders` reads: each point as its difference from the one before, in 1/1000°.

    `deltas` [2, points], `ring_sizes` (points of each ring), `polygon_sizes` (rings of each), `countries`.
    """
    _, points, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons)
    whole = np.rint(points * UNITS).astype(np.int32)
    np.savez_compressed(
        path,
        deltas=np.ascontiguousarray(np.diff(whole, axis=0, prepend=0).T),
        ring_sizes=np.diff(ring_starts).astype(np.int32),
        polygon_sizes=np.diff(polygon_starts).astype(np.int32),
        countries=np.array(countries),
    )


def _starts(sizes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
