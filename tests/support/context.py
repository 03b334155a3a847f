"""A context for tools and rewards under test: a real gallery, everything in this process, no model."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from PIL import Image

from asyncgen.core.types import Completion, ImageRef, Json, Message, Picture, Sample
from asyncgen.tools.gallery import Gallery

T = TypeVar("T")


def photo(width: int, height: int) -> Image.Image:
    """A picture whose every pixel depends on its place, so that a crop of the wrong place shows."""
    image = Image.new("RGB", (width, height))
    image.putdata(
        [((x * 7 + y) % 256, (y * 5 + x * y) % 256, (x ^ y) % 256) for y in range(height) for x in range(width)]
    )
    return image


def file_of(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def ref(data: bytes, column: str = "image") -> ImageRef:
    """A dataset image that holds these bytes."""
    return ImageRef(column=column, load=lambda: data)


class FakeContext:
    """Core's Context for one episode whose sample has these files as images."""

    def __init__(
        self,
        files: Sequence[bytes] = (),
        *,
        coordinates: str = "pixels",
        frame: str = "original",
        max_pixels: int = 1_000_000,
        gallery: Gallery | None = None,
    ) -> None:
        self.task = None
        self.coordinates = coordinates
        self.frame = frame
        self.gallery = gallery or Gallery(max_pixels=max_pixels, max_image_pixels=100_000_000)
        self.sample = Sample(index=0, data={}, images=tuple(map(ref, files)))
        self.pictures: list[Picture] = []
        self.offloaded = 0
        """How many functions went through `offload`."""
        for image in self.sample.images:
            self.pictures.append(self.gallery.picture(image, len(self.pictures)))

    async def open(self, image: int) -> Image.Image:
        return self.gallery.open(self.pictures, image)

    async def edit(self, op: str, arguments: Mapping[str, Json]) -> Picture:
        picture = self.gallery.edit(self.pictures, op, arguments)
        self.pictures.append(picture)
        return picture

    async def offload(self, function: Callable[..., T], *args: Any) -> T:
        self.offloaded += 1
        return function(*args)

    async def in_process(self, function: Callable[..., T], *args: Any, seconds: float = 30.0) -> T:
        return function(*args)

    async def complete(self, messages: Sequence[Message], **sampling: Json) -> Completion:
        raise AssertionError("no tool here asks a model")
