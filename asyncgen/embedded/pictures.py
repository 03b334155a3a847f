"""Pictures as the embedded endpoint is sent them: bytes of a data: URI, read with distrust.

Knows how to decode them within limits, and how much detail they show.
Knows nothing of the map or of chat messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

Grey = npt.NDArray[np.float32]

MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
DETAIL_SIDE = 64
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are damaged, or made to do damage."""
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII)


class BadPicture(ValueError):
    """What was sent cannot be read as a picture; `str()` says why."""


@dataclass(frozen=True)
class Shot:
    """A picture as sent."""

    data: bytes = field(repr=False)
    sha256: str
    width: int
    height: int


def read_shot(url: str) -> Shot:
    """Read a `data:image/…;base64,` URI; its size comes from the header alone. BadPicture when it cannot be read."""
    head = _DATA_URI.match(url)
    if head is None:
        raise BadPicture(f"image_url {url[:40]!r} is not a data:image/...;base64 URI, and no URL is fetched")
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except binascii.Error as error:
        raise BadPicture(f"the base64 of an image_url is broken: {error}") from None
    image = _open(data)
    return Shot(data, hashlib.sha256(data).hexdigest(), *image.size)


def _open(data: bytes) -> Image.Image:
    """Header only. The limit comes before any pixel is decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except _BROKEN as error:
        raise BadPicture(f"a picture cannot be read: {error}; send one of {', '.join(FORMATS)}") from None
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise BadPicture(f"a picture of {image.width}x{image.height} has not 1 to {MAX_PIXELS} pixels")
    return image


def decode_grey(data: bytes) -> Image.Image:
    """The picture in grey (mode L). BadPicture for a truncated or damaged one."""
    image = _open(data)
    try:
        return image.convert("L")
    except _BROKEN as error:
        raise BadPicture(f"a picture is damaged: {error}") from None


def shrink(grey: Image.Image, side: int) -> Grey:
    """The picture as floats with `side` pixels along its long side, each the mean of what it covers."""
    scale = side / max(grey.size)
    width, height = (max(1, round(length * scale)) for length in grey.size)
    # In mode F the mean keeps its fraction: a flat sea has little more than that.
    small = grey.convert("F").resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def detail(grey: Image.Image) -> float:
    """Mean absolute step between neighbouring pixels, in grey levels, at 64 pixels along the long side: 0.1-10."""
    small = shrink(grey, DETAIL_SIDE)
    steps = [np.abs(np.diff(small, axis=axis)).ravel() for axis in (0, 1)]
    together = np.concatenate(steps)
    return float(together.mean()) if together.size else 0.0


def centre(grey: Image.Image, share: float) -> Image.Image:
    """The middle of a picture: `share` of its width and of its height."""
    left, top, right, bottom = centre_box(grey.width, grey.height, share)
    return grey.crop((round(left), round(top), round(right), round(bottom)))


def centre_box(width: float, height: float, share: float) -> tuple[float, float, float, float]:
    """`(left, top, right, bottom)` of the middle `share` of a width x height frame, in its own units."""
    return width * (1 - share) / 2, height * (1 - share) / 2, width * (1 + share) / 2, height * (1 + share) / 2
