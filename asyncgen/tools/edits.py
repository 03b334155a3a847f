"""Zoom and rotate: planned from numbers alone, then applied to pixels.

Knows what an edit's resolved arguments mean, which is what a trace stores. Knows nothing of models, files or episodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from PIL import Image

from asyncgen.core.types import Json
from asyncgen.tools.boxes import Box, Size
from asyncgen.tools.pixels import MAX_SIDE, WHITE, fit, resized
from asyncgen.tools.text import quoted

MIN_SIDE: Final = 28
"""A crop with a shorter side is enlarged to it: one patch of the vision encoders in use (14 x merge 2)."""


def plan(op: str, size: Size, arguments: Mapping[str, Json], *, max_pixels: int) -> dict[str, Json]:
    """Check and complete the arguments of an operation on a picture of `size`, so that `apply` needs nothing else.

    `{"image", "box"}` or `{"image", "angle"}`; also `"size"`, only where the result would be over `max_pixels`: what a
    zoom's crop is resized to, or what a rotation's base is resized to before it turns. Raises ValueError: a bug of
    the tool that asked.
    """
    if op == "zoom":
        box = _checked_box(arguments, size)
        natural = _enlarged(box)
        target = fit(*natural, max_pixels)
        planned: dict[str, Json] = {"image": arguments["image"], "box": list(box)}
    elif op == "rotate":
        angle = _checked_angle(arguments)
        natural, target = size, _turnable(size, angle, max_pixels)
        planned = {"image": arguments["image"], "angle": angle}
    else:
        raise ValueError(f"op is {op!r}; known are zoom and rotate")
    return planned if target == natural else {**planned, "size": list(target)}


def result_size(op: str, size: Size, arguments: Mapping[str, Json]) -> Size:
    """The size that `apply` will give, without doing it. Raises ValueError for arguments that `plan` does not make."""
    if op == "zoom":
        return _checked_size(arguments, _enlarged(_checked_box(arguments, size)))
    if op == "rotate":
        return _turned(_checked_size(arguments, size), _checked_angle(arguments))
    raise ValueError(f"op is {op!r}; known are zoom and rotate")


def apply(op: str, image: Image.Image, arguments: Mapping[str, Json]) -> Image.Image:
    """Do what `plan` planned. The same image and arguments give the same pixels. Raises ValueError."""
    size = result_size(op, image.size, arguments)
    if op == "zoom":
        box = _checked_box(arguments, image.size)
        if size == (box[2] - box[0], box[3] - box[1]):
            return image.crop(box)
        return image.resize(size, Image.Resampling.BICUBIC, box=box)
    base = resized(image, _checked_size(arguments, image.size))
    # Pillow turns multiples of 90 degrees by moving pixels; 0 is a copy.
    return base.rotate(_checked_angle(arguments), Image.Resampling.BICUBIC, expand=True, fillcolor=WHITE)


def _checked_box(arguments: Mapping[str, Json], size: Size) -> Box:
    box = arguments.get("box")
    if isinstance(box, Sequence) and len(box) == 4 and all(type(value) is int for value in box):
        x1, y1, x2, y2 = box
        if 0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]:
            return x1, y1, x2, y2
    raise ValueError(f"box is {quoted(box)}; it must be [x1, y1, x2, y2], whole pixels inside {size[0]}x{size[1]}")


def _checked_angle(arguments: Mapping[str, Json]) -> float:
    """Degrees in [0, 360)."""
    angle = arguments.get("angle")
    if isinstance(angle, bool) or not (isinstance(angle, int) or (isinstance(angle, float) and math.isfinite(angle))):
        raise ValueError(f"angle is {quoted(angle)}; it must be a finite number of degrees")
    turned = float(angle % 360)
    return 0.0 if turned == 360.0 else turned  # -1e-20 % 360 is 360.0


def _checked_size(arguments: Mapping[str, Json], natural: Size) -> Size:
    size = arguments.get("size", natural)
    if isinstance(size, Sequence) and len(size) == 2 and all(type(value) is int for value in size):
        width, height = size
        if 1 <= width <= natural[0] and 1 <= height <= natural[1]:
            return width, height
    raise ValueError(f"size is {quoted(size)}; it must be [width, height] within {natural[0]}x{natural[1]}")


def _enlarged(box: Box) -> Size:
    """A crop's size: its own pixels, or as many as make the shorter side MIN_SIDE."""
    width, height = box[2] - box[0], box[3] - box[1]
    shorter = min(width, height)
    if shorter >= MIN_SIDE:
        return width, height
    return -(-width * MIN_SIDE // shorter), -(-height * MIN_SIDE // shorter)


def _turned(size: Size, angle: float) -> Size:
    """The canvas that `Image.rotate(angle, expand=True)` makes, with its very rounding."""
    width, height = size
    if angle in {0.0, 180.0}:
        return size
    if angle in {90.0, 270.0}:
        return height, width
    cos, sin = (round(f(-math.radians(angle)), 15) for f in (math.cos, math.sin))
    x0, y0 = (
        cos * -(width / 2) + sin * -(height / 2) + width / 2,
        -sin * -(width / 2) + cos * -(height / 2) + height / 2,
    )
    xs = [cos * x + sin * y + x0 for x, y in ((0, 0), (width, 0), (width, height), (0, height))]
    ys = [-sin * x + cos * y + y0 for x, y in ((0, 0), (width, 0), (width, height), (0, height))]
    return math.ceil(max(xs)) - math.floor(min(xs)), math.ceil(max(ys)) - math.floor(min(ys))


def _turnable(size: Size, angle: float, max_pixels: int) -> Size:
    """The largest size of the base whose turned canvas is within `max_pixels`."""
    width, height = size
    canvas_width, canvas_height = _turned(size, angle)
    if fit(canvas_width, canvas_height, max_pixels) == (canvas_width, canvas_height):
        return size
    if angle % 90 == 0:
        return fit(width, height, max_pixels)
    # (s·W + 4)(s·H + 4) = max_pixels for s; 4 covers the canvas's outward rounding and a side held up at 1 pixel.
    a, b, c = canvas_width * canvas_height, 4 * (canvas_width + canvas_height), 16 - max_pixels
    scale = (math.sqrt(max(b * b - 4 * a * c, 0)) - b) / (2 * a)
    scale = min(scale, (MAX_SIDE - 4) / max(canvas_width, canvas_height))
    return max(1, int(width * scale)), max(1, int(height * scale))
