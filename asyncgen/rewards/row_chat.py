"""A row's own chat as a prompt, with the sample's images in the places of its own.

Knows messages. How a row writes its chat is `core.chat`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asyncgen.core.chat import COLUMN, ChatPart, ImagePath, image_paths, message_of, message_parts
from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.types import ImageRef, Message, Part, Sample

__all__ = ["chat_prompt", "image_paths", "message_of", "message_parts"]


def chat_prompt(sample: Sample) -> list[Message]:
    """The row's chat as a prompt, with `sample.images` in the places of its images; `[]` where the row has none.

    Raises EpisodeError: bad_sample as `message_parts`, bad_image where the sample has another number of images.
    """
    chat = message_parts(sample.data)
    count = sum(isinstance(part, ImagePath) for _, parts in chat for part in parts)
    if chat and count > len(sample.images):
        text = f"the row's {COLUMN} names {count} images, and {len(sample.images)} are there"
        raise EpisodeError(FailReason.BAD_IMAGE, text)
    images = iter(sample.images)
    return [Message(role, _content(parts, images)) for role, parts in chat]


def _content(parts: Sequence[ChatPart], images: Iterator[ImageRef]) -> str | Sequence[Part]:
    """A text alone stays one."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return tuple(part if isinstance(part, str) else next(images) for part in parts)
