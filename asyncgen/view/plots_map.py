"""Truth and guess on a map of the world, with the shortest way between them.

Knows the outline of the land (`land_110m.json`: Natural Earth, public domain) and great circles on a sphere. The map is
equirectangular. Does not know how a place got its coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt
import orjson
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path as Outline

from asyncgen.export.pairs import Pairs
from asyncgen.view.plots_charts import COLOURS, Series, with_legend

Points = npt.NDArray[np.float64]
_STEP = 4.0
"""Degrees between two points of a line, at most."""
_GUESSES = ("x", "+", "1", "2", "3", "4")
"""Markers, one a run."""
_POLAR = 85.0
"""Degrees of latitude; beyond, a way over the pole would run along the frame of the map."""
_NUDGE = 1e-6
"""Degrees: of two places on opposite sides of the globe every way is the shortest; this picks one."""


def world_map(pairs: Pairs, runs: Sequence[Series]) -> Figure | str:
    """Several runs: a colour each, and the truths in grey."""
    if not pairs.drawn:
        return "no trace has both a truth (lat, lon) and an answer that is a place"
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    axes = figure.add_subplot(aspect="equal", xlim=(-180, 180), ylim=(-90, 90))
    axes.set_title(_title(pairs))
    axes.set_xticks(range(-180, 181, 60), labels=["180°", "120° W", "60° W", "0°", "60° E", "120° E", "180°"])
    axes.set_yticks(range(-60, 61, 30), labels=["60° S", "30° S", "0°", "30° N", "60° N"])
    axes.add_patch(PathPatch(land(), facecolor="0.92", edgecolor="0.7", linewidth=0.4, zorder=0))
    one = len(pairs.seen) == 1
    for place, number in enumerate(sorted({pair.run for pair in pairs.drawn})):
        run = runs[number]
        truth, guess = _places(pairs, number)
        colour = COLOURS[1] if one else run.colour
        lines = [line for start, end in zip(truth, guess, strict=True) for line in great_circle(start, end)]
        ways = LineCollection(lines, colors=colour, linewidths=0.5, alpha=0.35, zorder=1)
        axes.add_collection(ways)
        ways.set_clip_path(Rectangle((-180, -_POLAR), 360, 2 * _POLAR, transform=axes.transData))
        marker = _GUESSES[place % len(_GUESSES)]
        label = "guess" if one else f"guess of{run.name}"
        axes.scatter(guess[:, 1], guess[:, 0], s=16, marker=marker, color=colour, linewidths=0.8, label=label)
    _draw_truths(axes, pairs, COLOURS[0] if one else "0.25")
    return with_legend(figure)


def _places(pairs: Pairs, run: int) -> tuple[Points, Points]:
    """Truths and guesses, [pairs, (latitude, longitude)]."""
    mine = [pair for pair in pairs.drawn if pair.run == run]
    return np.array([pair.truth for pair in mine]), np.array([pair.guess for pair in mine])


def _draw_truths(axes: Axes, pairs: Pairs, colour: str) -> None:
    """Each place once."""
    places = np.unique(np.array([pair.truth for pair in pairs.drawn]), axis=0)
    axes.scatter(places[:, 1], places[:, 0], s=9, marker="o", color=colour, linewidths=0, label="truth", zorder=3)


def _title(pairs: Pairs) -> str:
    seen, drawn = pairs.seen.total(), len(pairs.drawn)
    lot = f"{drawn:,} of {seen:,} traces, drawn by lot" if drawn < seen else f"{seen:,} traces"
    return f"Truth and guess: {lot}"


def land() -> Outline:
    """The continents in degrees, (longitude, latitude); a hole is a ring that winds the other way."""
    rings = orjson.loads(files("asyncgen.view").joinpath("land_110m.json").read_bytes())["rings"]
    outlines = [np.array([*ring, *ring[:2]], dtype=np.float64).reshape(-1, 2) / 100 for ring in rings]
    return Outline.make_compound_path(*(Outline(outline, closed=True) for outline in outlines))


def great_circle(start: Sequence[float] | Points, end: Sequence[float] | Points) -> list[Points]:
    """The shortest way from (latitude, longitude) to another, in degrees, as lines of (longitude, latitude): one, or
    two where it crosses the meridian of 180°. Spherical linear interpolation."""
    one, other = _vector(*start), _vector(*end)
    angle = float(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other))
    if np.pi - angle < 1e-9:
        return great_circle((start[0] - np.copysign(_NUDGE, start[0]), start[1]), end)
    share = np.linspace(0, 1, 2 + int(np.degrees(angle) / _STEP))[:, None]
    if angle < 1e-9:
        between = np.stack([one, other])
    else:
        between = (np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle)
    lat = np.degrees(np.arcsin(np.clip(between[:, 2], -1, 1)))
    lon = np.degrees(np.arctan2(between[:, 1], between[:, 0]))
    return _split(lon, lat)


def _vector(lat: float, lon: float) -> Points:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.array([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)])


def _split(lon: Points, lat: Points) -> list[Points]:
    """Cut where the longitude jumps, with both ends drawn to the edge of the map."""
    jumps = np.flatnonzero(np.abs(np.diff(lon)) > 180)
    line = np.stack([lon, lat], axis=1)
    pieces, begin, first = [], 0, line[:0]
    for jump in jumps.tolist():
        edge = np.copysign(180.0, lon[jump])
        far = lon[jump + 1] + 2 * edge
        reach = far - lon[jump]
        share = (edge - lon[jump]) / reach if reach else 0.0
        crossing = lat[jump] + share * (lat[jump + 1] - lat[jump])
        pieces.append(np.concatenate([first, line[begin : jump + 1], [[edge, crossing]]]))
        begin, first = jump + 1, np.array([[-edge, crossing]])
    return [*pieces, np.concatenate([first, line[begin:]])]
