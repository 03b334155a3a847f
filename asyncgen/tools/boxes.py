"""A model's corners, in whatever coordinates it uses, as whole pixels of a picture.

Knows the three coordinate conventions and what to say about a bad box. Knows nothing of pixels' contents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from asyncgen.core.errors import ToolError
from asyncgen.tools.text import quoted

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels."""
Box: TypeAlias = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels: top-left inside, bottom-right outside."""

MAX_ASPECT: Final = 100
"""Longest side over shortest side of a zoom; the limit that DeepEyes and verl have."""

_SLACK: Final = 1e-6
"""Pixels; what rounding errors of a conversion may amount to."""


def zoom_box(bbox: object, *, coordinates: str, seen: Size, full: Size) -> Box:
    """A model's bbox_2d as a box of whole pixels inside the full picture; corners are clamped, fractions widened.

    `coordinates`: `pixels` of the picture of size `seen`, `relative_1000` or `relative_1`. Raises ToolError.
    """
    unit_x, unit_y = unit = _unit(coordinates, seen)
    x1, y1, x2, y2 = _corners(bbox, unit)
    if x1 >= x2 or y1 >= y2:
        raise _refusal(bbox, "is inverted or empty", "with x1 < x2 and y1 < y2", unit)
    width, height = full
    left, right = (min(max(x * width / unit_x, 0.0), width) for x in (x1, x2))
    top, bottom = (min(max(y * height / unit_y, 0.0), height) for y in (y1, y2))
    if left >= right or top >= bottom:
        raise _refusal(bbox, "lies outside the picture", "inside it", unit)
    box = (*_whole(left, right, width), *_whole(top, bottom, height))
    box = (box[0], box[2], box[1], box[3])
    sides = (box[2] - box[0], box[3] - box[1])
    if max(sides) > MAX_ASPECT * min(sides):
        raise _refusal(bbox, f"is over {MAX_ASPECT} times longer than wide", "nearer to a square", unit)
    return box


def _unit(coordinates: str, seen: Size) -> tuple[float, float]:
    """What the far corner of the picture is called."""
    units = {"pixels": seen, "relative_1000": (1000, 1000), "relative_1": (1, 1)}
    if coordinates not in units:
        raise ValueError(f"coordinates is {coordinates!r}; known are {', '.join(units)}")
    return units[coordinates]


def _corners(bbox: object, unit: tuple[float, float]) -> tuple[float, float, float, float]:
    values = list(bbox) if isinstance(bbox, Sequence) and not isinstance(bbox, str | bytes) else []
    if len(values) == 4 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        try:
            corners = (float(values[0]), float(values[1]), float(values[2]), float(values[3]))
        except OverflowError:  # an int beyond any float
            corners = (math.inf, math.inf, math.inf, math.inf)
        if all(map(math.isfinite, corners)):
            return corners
    raise _refusal(bbox, "is not four finite numbers", "as four numbers", unit)


def _whole(low: float, high: float, limit: int) -> tuple[int, int]:
    """The whole pixels that a span touches, at least one; a hair's breadth of rounding touches nothing."""
    first = min(math.floor(low + _SLACK), limit - 1)
    return first, max(math.ceil(high - _SLACK), first + 1)


def _refusal(bbox: object, what: str, how: str, unit: tuple[float, float]) -> ToolError:
    extent = f"x goes from 0 to {unit[0]:.10g}, y from 0 to {unit[1]:.10g}"
    return ToolError(f"bbox_2d {quoted(bbox)} {what}. Send [x1, y1, x2, y2] {how}; {extent}.")
