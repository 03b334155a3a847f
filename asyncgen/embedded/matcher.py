"""The map matcher: where on the world map is this picture?

Knows normalised cross-correlation (NCC) by FFT over a pyramid of the map, sub-pixel peaks, and a finer search near a
known place. Knows nothing of chat, of turned pictures or of what a score means.

NCC of a picture t and the window w of the map under it is sum((t - mean t) (w - mean w)) / (|t - mean t| |w - mean w|);
since t - mean t sums to zero, the numerator needs no mean of w. See J. P. Lewis, "Fast Normalized Cross-Correlation".
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from asyncgen.embedded.pictures import Grey, shrink
from asyncgen.embedded.worldmap import WorldMap, land_share

SIDE = 24
"""Pixels along the long side when the whole world is searched: 32 is no better and costs twice as much."""
NEAR_SIDE = 48
"""The same near a known place, where pixels are cheap."""
SPANS = tuple(6 * 1.15**step for step in range(18))
"""Degrees along the long side that are tried: 6° to 65°."""
NEAR_STEP = 1.03
"""A zoomed picture's span is known to some 6 %: five steps of this."""
FLAT = 4.0
"""Grey levels squared: the least variance a window is given, or flat sea would match everything."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Match:
    """The best place for a picture."""

    score: float
    """NCC, -1 to 1; 0 for a picture that shows nothing."""
    lat: float
    """Degrees north of the equator, of the picture's centre."""
    lon: float
    """Degrees east of Greenwich, -180 to 180, of the picture's centre."""
    span: float
    """Degrees along the picture's long side."""
    land: float = 0.0
    """Share of land around the place, 0-1."""


@dataclass(frozen=True)
class Near:
    """What is known of the place already."""

    lat: float
    lon: float
    span: float
    """Degrees along the picture's long side, to some 6 %."""
    radius: float
    """Degrees that the place may be off."""


class Bounded(Generic[K, V]):
    """The latest results of a function, at most `size`; threads may ask at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The kept value, else what `make` returns. Two threads may both make it: the same, so no harm."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value


@dataclass(frozen=True)
class Plane:
    """A picture to search in."""

    grey: Grey
    """[height, width], mean taken off."""
    spectrum: npt.NDArray[np.complex64]
    """Its real FFT, padded with zeros to `size`."""
    size: tuple[int, int]

    @classmethod
    def of(cls, pixels: Grey) -> Plane:
        grey = pixels - pixels.mean()
        size = fast_length(grey.shape[0]), fast_length(grey.shape[1])
        return cls(grey, np.fft.rfft2(grey, s=size).astype(np.complex64), size)

    def spreads(self, shape: tuple[int, int]) -> Grey:
        """|w - mean w| of every window of this shape, no less than a flat one's."""
        count = shape[0] * shape[1]
        total = box_sums(self.grey, shape)
        squares = box_sums(self.grey**2, shape)
        return np.sqrt(np.maximum(squares - total**2 / count, FLAT * count)).astype(np.float32)

    def scores(self, picture: Grey, spreads: Grey) -> Grey:
        """NCC of the picture with every window that lies wholly inside."""
        shape = picture - picture.mean()
        norm = float(np.sqrt((shape**2).sum()))
        if norm == 0:
            return np.zeros_like(spreads)
        product = self.spectrum * np.conj(np.fft.rfft2(shape, s=self.size))
        found = np.fft.irfft2(product, s=self.size)[: spreads.shape[0], : spreads.shape[1]]
        return np.asarray(found / (spreads * norm), dtype=np.float32)


class MapMatcher:
    """Finds pictures on a world map. Threads may share one: it only remembers window spreads."""

    def __init__(self, world: WorldMap) -> None:
        """Build the pyramid (0.6 s of CPU, some 100 MB)."""
        self._world = WorldMap(world.image.convert("L"))
        self._land = world.land()
        base = self._world.image.convert("F")
        self._planes = tuple(_level(base, span) for span in SPANS)
        self._spreads: Bounded[tuple[int, int], tuple[Grey, ...]] = Bounded(4)

    def match(self, picture: Image.Image, *, near: Near | None = None) -> Match:
        """The best place for a grey picture (mode L), north up: all over the world, or only near a place."""
        found = self._everywhere(picture) if near is None else self._nearby(picture, near)
        if found.score <= 0:
            return found
        height = found.span * picture.height / max(picture.size)
        width = found.span * picture.width / max(picture.size)
        land = land_share(self._land, found.lat, found.lon, width, height)
        return Match(found.score, found.lat, found.lon, found.span, land)

    def _everywhere(self, picture: Image.Image) -> Match:
        small = shrink(picture, SIDE)
        shape = (small.shape[0], small.shape[1])
        spreads = self._spreads.get(shape, lambda: tuple(plane.spreads(shape) for plane in self._planes))
        peaks = [_peak(plane.scores(small, spread)) for plane, spread in zip(self._planes, spreads, strict=True)]
        best = max(range(len(peaks)), key=lambda level: peaks[level][0])
        score, row, column = peaks[best]
        height, width = self._planes[best].grey.shape
        lat = 90 - (row + shape[0] / 2) * 180 / height
        lon = (column + shape[1] / 2) * 360 / (width - SIDE) - 180
        return Match(score, lat, wrap(lon), SPANS[best] * 1.15 ** _vertex([peak[0] for peak in peaks], best))

    def _nearby(self, picture: Image.Image, near: Near) -> Match:
        small = shrink(picture, NEAR_SIDE)
        found = [self._at_span(small, near, near.span * NEAR_STEP**step) for step in range(-2, 3)]
        best = max(range(len(found)), key=lambda level: found[level].score)
        return found[best]

    def _at_span(self, small: Grey, near: Near, span: float) -> Match:
        """The best place within the radius, at one span."""
        height, width = small.shape
        scale = span / NEAR_SIDE
        margin = max(1, math.ceil(near.radius / scale))
        rows, columns = height + 2 * margin, width + 2 * margin
        box = self._world.degrees_box(near.lat, near.lon, columns * scale, rows * scale)
        window = self._world.window(box, (columns, rows), Image.Resampling.BICUBIC)
        plane = Plane.of(np.asarray(window, dtype=np.float32))
        score, row, column = _peak(plane.scores(small, plane.spreads((height, width))))
        return Match(score, near.lat - (row - margin) * scale, wrap(near.lon + (column - margin) * scale), span)


def _level(base: Image.Image, span: float) -> Plane:
    """The world with SIDE pixels for `span` degrees, and SIDE columns more so that windows wrap over 180°."""
    width, height = round(360 * SIDE / span), round(180 * SIDE / span)
    grey = np.asarray(base.resize((width, height), Image.Resampling.BOX), dtype=np.float32)
    return Plane.of(np.hstack([grey, grey[:, :SIDE]]))


def _peak(scores: Grey) -> tuple[float, float, float]:
    """`(score, row, column)` of the best window's corner, between pixels by a parabola through the neighbours."""
    row, column = (int(place) for place in np.unravel_index(int(scores.argmax()), scores.shape))
    down = _vertex(scores[:, column], row)
    right = _vertex(scores[row], column)
    return float(scores[row, column]), row + down, column + right


def _vertex(values: Grey | list[float], peak: int) -> float:
    """Where the parabola through a peak and its neighbours has its vertex, -0.5 to 0.5 from the peak."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, top, after = (float(values[peak + step]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    return max(-0.5, min(0.5, (before - after) / (2 * bend))) if bend < 0 else 0.0


def box_sums(values: Grey, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The sum of every window of this shape that lies wholly inside."""
    rows, columns = shape
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:, 1:])
    np.cumsum(sums[1:, 1:], axis=1, out=sums[1:, 1:])
    return np.asarray(sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns])


def fast_length(least: int) -> int:
    """The next length that an FFT likes: no prime factor over 5."""
    return next(length for length in itertools.count(least) if _is_smooth(length))


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


def wrap(lon: float) -> float:
    """A longitude as -180 to 180."""
    return (lon + 180) % 360 - 180
