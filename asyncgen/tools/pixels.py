"""From a stored file to an upright RGB picture, to a size within limits, to a JPEG.

Knows file formats and pixel modes. Knows nothing of zoom and rotate (`edits`), coordinates (`boxes`) or episodes.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from PIL import Image, UnidentifiedImageError

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.tools.boxes import Size

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""No EPS, PDF or WMF: those start other programs."""
MAX_SIDE: Final = 65_500
"""The longest side that libjpeg writes."""

WHITE: Final = (255, 255, 255)
"""What stands behind transparency and in the corners of a turned picture."""

_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the picture upright (EXIF 2.32, tag 0x0112)."""

# What Pillow raises on hostile bytes, one class or another by format and by where the file breaks. Warnings are here
# for programs that turn them into errors; TypeError and its like come from Pillow's parsers, not from a wrong call.
_PILLOW_RAISES: Final = (
    OSError, ValueError, SyntaxError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError,
    EOFError, MemoryError, RuntimeError, Warning, struct.error, zlib.error,
)  # fmt: skip

# Pillow's own limit only warns, at 89 megapixels, and is one number for the whole program. `read` checks every size
# before it decodes, against a limit of its caller's.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class Still:
    """A stored file, decoded."""

    image: Image.Image
    """RGB, upright, all its pixels, no metadata."""
    mime: str
    """`image/jpeg` or `image/png` if the file itself shows exactly this picture to any reader; `""` if not."""


def decode(data: bytes, *, max_image_pixels: int) -> Image.Image:
    """The picture in a stored file: RGB, upright, on white, the first frame. Raises as `read` does."""
    return read(data, max_image_pixels=max_image_pixels).image


def read(data: bytes, *, max_image_pixels: int) -> Still:
    """Decode a stored file.

    Raises EpisodeError: `image_too_large` before a pixel is decoded, `bad_image` for what is no readable picture.
    """
    if not data:
        raise EpisodeError(FailReason.BAD_IMAGE, "the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_size(image.size, max_image_pixels)
        return _still(image, data)
    except UnidentifiedImageError as error:
        found = f"{len(data)} bytes that begin with {data[:12]!r}"
        raise EpisodeError(FailReason.BAD_IMAGE, f"the file is none of {', '.join(FORMATS)}: {found}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EpisodeError(FailReason.IMAGE_TOO_LARGE, str(error)) from error
    except _PILLOW_RAISES as error:
        reason = f"{type(error).__name__}: {error}"
        raise EpisodeError(FailReason.BAD_IMAGE, f"the file cannot be decoded ({reason})") from error


def _check_size(size: Size, max_image_pixels: int) -> None:
    width, height = size
    if width * height > max_image_pixels:
        found = f"the picture has {width}x{height} = {width * height} pixels"
        text = f"{found}; episode.max_image_pixels is {max_image_pixels}: raise it, or leave such rows out"
        raise EpisodeError(FailReason.IMAGE_TOO_LARGE, text)


def _still(image: Image.Image, data: bytes) -> Still:
    image.load()
    turn = _TURNS.get(_orientation(image))
    mime = _mime_as_stored(image, data) if turn is None else ""
    # A loaded JPEG or PNG holds no file: a convert() to the mode it has would only copy it.
    rgb = image if mime and image.mode == "RGB" else _rgb(image)
    rgb.info = {}
    return Still(rgb if turn is None else rgb.transpose(turn), mime)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none or the EXIF block is broken: the pixels are good all the same."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _PILLOW_RAISES:
        return 1


def _mime_as_stored(image: Image.Image, data: bytes) -> str:
    if image.mode not in {"RGB", "L"} or image.has_transparency_data or getattr(image, "n_frames", 1) != 1:
        return ""
    if image.format == "JPEG":
        return "image/jpeg"
    # 16-bit PNGs open as RGB too: the depth is the byte after IHDR's name, width and height (PNG 3rd ed., 11.2.1).
    if image.format == "PNG" and data[12:16] == b"IHDR" and data[24] == 8:
        return "image/png"
    return ""


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (*WHITE, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey as 8 bits; a plain convert() clips them to white or to black. A PNG of this kind is
    16 bits deep; a TIFF may hold 8-bit values, and says so nowhere else.
    """
    deep = image.convert("F") if image.mode != "F" else image
    low, high = (float(value) for value in deep.getextrema())  # type: ignore[arg-type]  # one band: two numbers
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a float picture with values that are not finite")
    if image.mode != "F" and low >= 0 and high <= 255 and image.format != "PNG":
        scale, offset = 1.0, 0.0
    elif image.mode != "F" and low >= 0 and high <= 65_535:
        scale, offset = 1 / 256, 0.0
    else:
        scale = 255 / (high - low) if high > low else 0.0
        offset = -low * scale
    # Through I, which cuts fractions off as >> 8 does; L would round them.
    return deep.point(lambda value: value * scale + offset).convert("I").convert("L")


def fit(width: int, height: int, max_pixels: int) -> Size:
    """The largest size of this shape within `max_pixels` and JPEG's longest side; never larger than it was."""
    if width * height <= max_pixels and max(width, height) <= MAX_SIDE:
        return width, height
    scale = min(1.0, math.sqrt(max_pixels / (width * height)), MAX_SIDE / max(width, height))
    new_width = max(1, min(int(width * scale), max_pixels))
    return new_width, max(1, min(int(height * scale), max_pixels // new_width))


def resized(image: Image.Image, size: Size) -> Image.Image:
    """Bicubic; the image itself if it has that size."""
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def shrink(image: Image.Image, max_pixels: int) -> Image.Image:
    """Within `max_pixels`; the image itself if it is already."""
    return resized(image, fit(*image.size, max_pixels))


def encode_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """A JPEG file of an RGB image, without metadata."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, comment=b"")
    return file.getvalue()
