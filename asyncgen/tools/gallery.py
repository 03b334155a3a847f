"""The pictures of a run's episodes: made once, kept within a byte limit, made again when they are gone.

Knows where a picture came from and how to make it again. Knows nothing of models, prompts or stores.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from PIL import Image

from asyncgen.core.errors import DataError, EpisodeError
from asyncgen.core.types import ImageRef, Json, Picture
from asyncgen.tools.cache import ByteCache
from asyncgen.tools.edits import apply, plan, result_size
from asyncgen.tools.pixels import Still, decode, encode_jpeg, fit, read, resized

QUALITY = 90
"""Of the JPEGs that are sent."""
_PIXEL_BYTES = 4
"""Of an RGB pixel in memory: Pillow pads it to a word."""


class Gallery:
    """All pictures of a run. Its methods block and may be called from several threads at once."""

    def __init__(
        self, *, max_pixels: int, max_image_pixels: int, cache_bytes: int = 256 << 20, quality: int = QUALITY
    ) -> None:
        self.max_pixels = max_pixels
        self.max_image_pixels = max_image_pixels
        self.quality = quality
        self.cache: ByteCache[Image.Image | Picture] = ByteCache(cache_bytes)

    def picture(self, ref: ImageRef, number: int) -> Picture:
        """A dataset image as picture `number` of an episode: the file as stored where that will do, else a JPEG.

        Raises EpisodeError with `bad_image` or `image_too_large`.
        """
        data = ref.load()
        key = _digest(data)
        with self.cache.alone(key):
            sent = self.cache.get(key)
            if not isinstance(sent, Picture):
                with _named(ref.column):
                    still = read(data, max_image_pixels=self.max_image_pixels)
                sent = self._sent(still, data, key)
                self.cache.put(key, sent, len(sent.data))
                self._keep(_key([sent], 0), still.image)
        return replace(sent, image=number, column=ref.column, ref=ref)

    def open(self, pictures: Sequence[Picture], number: int) -> Image.Image:
        """Picture `number`, RGB and upright, before shrinking and before any JPEG. Shared: not to be changed.

        `pictures` are all of its episode. Raises EpisodeError where the dataset's file cannot be read again.
        """
        picture = pictures[number]
        key = _key(pictures, number)
        kept = self.cache.get(key)
        if isinstance(kept, Image.Image):
            return kept
        if picture.op:
            arguments = json.loads(picture.arguments)
            base = self.open(pictures, arguments["image"])
            return self._made(key, lambda: apply(picture.op, base, arguments))
        return self._made(key, lambda: self._decoded(picture))

    def edit(self, pictures: Sequence[Picture], op: str, arguments: Mapping[str, Json]) -> Picture:
        """`zoom` (`{"image": N, "box": [x1, y1, x2, y2]}`) or `rotate` (`{"image": N, "angle": degrees}`) picture N.

        Box and angle are in picture N's full frame. The result is the episode's next picture; it is not added to
        `pictures`. Raises ValueError for arguments that make no sense.
        """
        number = arguments.get("image")
        if type(number) is not int or not 0 <= number < len(pictures):
            raise ValueError(f"image is {number!r}; the episode has {len(pictures)} pictures, numbered from 0")
        base = self.open(pictures, number)
        planned = plan(op, base.size, arguments, max_pixels=self.max_pixels)
        text = json.dumps(planned, separators=(",", ":"))
        image = self._made((_key(pictures, number), op, text), lambda: apply(op, base, planned))
        data = encode_jpeg(image, self.quality)
        width, height = image.size
        return Picture(
            image=len(pictures),
            source="tool",
            op=op,
            arguments=text,
            width=width,
            height=height,
            full_width=width,
            full_height=height,
            sha256=_digest(data),
            data=data,
        )

    def _sent(self, still: Still, data: bytes, digest: str) -> Picture:
        full = still.image.size
        size = fit(*full, self.max_pixels)
        mime = still.mime
        if not mime or size != full:
            data = encode_jpeg(resized(still.image, size), self.quality)
            digest, mime = _digest(data), "image/jpeg"
        return Picture(
            image=0,
            source="sample",
            width=size[0],
            height=size[1],
            full_width=full[0],
            full_height=full[1],
            sha256=digest,
            data=data,
            mime=mime,
        )

    def _decoded(self, picture: Picture) -> Image.Image:
        """A sample's picture from its file; a tool's own picture, which has none, from what was sent."""
        data = picture.ref.load() if picture.ref else picture.data
        with _named(picture.column):
            return decode(data, max_image_pixels=self.max_image_pixels)

    def _made(self, key: Hashable, make: Callable[[], Image.Image]) -> Image.Image:
        with self.cache.alone(key):
            kept = self.cache.get(key)
            if isinstance(kept, Image.Image):
                return kept
            image = make()
            self._keep(key, image)
            return image

    def _keep(self, key: Hashable, image: Image.Image) -> None:
        self.cache.put(key, image, image.width * image.height * _PIXEL_BYTES)


@dataclass(frozen=True, slots=True)
class Restored:
    """A picture of a trace."""

    full: Image.Image
    """Before shrinking: the frame of what was done with it."""
    seen: Image.Image
    """At the size sent."""


def restore(
    records: Sequence[Mapping[str, Json]],
    stored: Callable[[str], Sequence[ImageRef]],
    *,
    max_image_pixels: int,
    name: str = "trace",
) -> list[Image.Image]:
    """The pictures of a trace's `images`, pixel by pixel as the run had them before any JPEG encoding.

    `stored(column)` gives the row's images in that column, `name` is for texts. Raises DataError.
    """
    return [one.seen for one in restore_both(records, stored, max_image_pixels=max_image_pixels, name=name)]


def restore_both(
    records: Sequence[Mapping[str, Json]],
    stored: Callable[[str], Sequence[ImageRef]],
    *,
    max_image_pixels: int,
    name: str = "trace",
) -> list[Restored]:
    """The same, each also in full."""
    if [record.get("image") for record in records] != list(range(len(records))):
        raise DataError("the trace's pictures are not numbered in order, from 0")
    pictures: list[Restored] = []
    columns: Counter[str] = Counter()
    for number, record in enumerate(records):
        try:
            if record["source"] == "sample":
                column = record["column"]
                pictures.append(_found(record, stored(column), columns[column], max_image_pixels, name))
                columns[column] += 1
            else:
                made = _redone(pictures, record, max_image_pixels)
                pictures.append(Restored(made, made))
        except (EpisodeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{name}: picture {number} cannot be restored: {error}") from error
    return pictures


def _found(
    record: Mapping[str, Json], refs: Sequence[ImageRef], likely: int, max_image_pixels: int, name: str
) -> Restored:
    """A sample's picture. A trace does not say which of a column's images it saw: the one whose bytes match, and the
    `likely` one where none does. Raises ValueError for another file; where it was encoded anew, another release of
    Pillow may also be why the bytes differ, so that is only warned about.
    """
    if likely >= len(refs):
        raise ValueError(f"the row has {len(refs)} images in column {record['column']!r}")
    size = (record["width"], record["height"])
    wrong: EpisodeError | None = None
    expected: tuple[Still, str] | None = None
    for ref in (refs[likely], *refs[:likely], *refs[likely + 1 :]):
        try:
            data = ref.load()
            still = read(data, max_image_pixels=max_image_pixels)
        except EpisodeError as error:
            wrong = error if ref is refs[likely] else wrong
            continue
        difference = _difference(still, data, record)
        if not difference:
            return Restored(still.image, resized(still.image, size))
        expected = (still, difference) if ref is refs[likely] else expected
    if expected is None:
        assert wrong  # noqa: S101  # it was looked at, and could not be read
        raise wrong
    still, difference = expected
    if _as_stored(still, record) or not _fits(still, record):
        raise ValueError(difference)
    warnings.warn(f"{name}: picture {record['image']}: {difference}", stacklevel=4)
    return Restored(still.image, resized(still.image, size))


def _difference(still: Still, data: bytes, record: Mapping[str, Json]) -> str:
    """Why this file is not the one that the trace saw; `""` if it is."""
    size = (record["width"], record["height"])
    if not _fits(still, record):
        full = still.image.size
        return f"the trace has {size[0]}x{size[1]}, the dataset's file {full[0]}x{full[1]}: it is another"
    if _as_stored(still, record):
        same = _digest(data) == record["sha256"]
        return "" if same else "the dataset's file is another than the one that was sent: its SHA-256 differs"
    if _digest(encode_jpeg(resized(still.image, size), QUALITY)) == record["sha256"]:
        return ""
    return f"column {record['column']!r}: the dataset's file, or Pillow's JPEG, is not the one that the trace saw"


def _fits(still: Still, record: Mapping[str, Json]) -> bool:
    width, height = still.image.size
    return bool(1 <= record["width"] <= width and 1 <= record["height"] <= height)


def _as_stored(still: Still, record: Mapping[str, Json]) -> bool:
    """It was sent as it lies there."""
    return bool(still.mime) and still.image.size == (record["width"], record["height"])


def _redone(pictures: Sequence[Restored], record: Mapping[str, Json], max_image_pixels: int) -> Image.Image:
    """A tool's picture. Its size is known before a pixel is touched, so no stored number can ask for a huge one."""
    if not record["op"]:
        raise ValueError("a tool made it by itself, so there is nothing to make it from again")
    arguments = json.loads(record["arguments"])
    number = arguments["image"]
    if type(number) is not int or not 0 <= number < len(pictures):
        raise ValueError(f"arguments name image {number!r}; it must be an earlier picture")
    base = pictures[number].full
    width, height = result_size(record["op"], base.size, arguments)
    if (width, height) != (record["width"], record["height"]) or width * height > max_image_pixels:
        raise ValueError(
            f"{record['op']} gives {width}x{height}, the trace has {record['width']}x{record['height']}: another file"
        )
    return apply(record["op"], base, arguments)


def _key(pictures: Sequence[Picture], number: int) -> Hashable:
    """What a picture's pixels depend on: of a sample's, what was sent and its full size; of a tool's, how it was made.

    A tool's own hash will not do: two crops that differ by less than JPEG keeps have the same.
    """
    picture = pictures[number]
    if picture.op:
        base = json.loads(picture.arguments)["image"]
        return _key(pictures, base), picture.op, picture.arguments
    return picture.sha256, picture.full_width, picture.full_height


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _named(column: str) -> Iterator[None]:
    """Put the column's name before what is wrong with its image."""
    try:
        yield
    except EpisodeError as error:
        raise EpisodeError(error.reason, f"image column {column!r}: {error.text}") from error
