"""A row's own chat as a prompt, with the sample's images in the places of its own.

Knows messages. How a row writes its chat is `core.chat`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asyncgen.core.chat import COLUMN, ChatPart, ImagePath, image_paths, message_of, message_parts
from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.task import fill, fill_parts
from asyncgen.core.types import ImageRef, Message, Part, Sample

__all__ = ["chat_prompt", "image_paths", "message_of", "message_parts"]


def chat_prompt(sample: Sample, *, system: str = "", user: str = "") -> list[Message]:
    """The row's chat as a prompt, with `sample.images` in the places of its images; `[]` where the row has none.

    `system` and `user` are templates instead of its system text and of its last user message: that one's images stand
    at the `<image>` marks, those without one before the text. Raises EpisodeError: bad_sample as `message_parts`,
    bad_image where the sample has fewer images than the chat names or the template has marks.
    """
    chat = message_parts(sample.data)
    count = sum(isinstance(part, ImagePath) for _, parts in chat for part in parts)
    if chat and count > len(sample.images):
        text = f"the row's {COLUMN} names {count} images, and {len(sample.images)} are there"
        raise EpisodeError(FailReason.BAD_IMAGE, text)
    images = iter(sample.images)
    messages = [Message(role, _content(parts, images)) for role, parts in chat]
    if messages and user:
        messages = _with_user(messages, user, sample, list(images))
    if messages and system:
        rest = [one for one in messages if one.role != "system"]
        messages = [Message("system", fill(system, sample.data)), *rest]
    return messages


def _with_user(messages: list[Message], user: str, sample: Sample, more: list[ImageRef]) -> list[Message]:
    """`more`: images of the row that the chat does not name, for marks where that message has none of its own."""
    at = max((at for at, one in enumerate(messages) if one.role == "user"), default=len(messages))
    own = [part for one in messages[at : at + 1] for part in one.parts if isinstance(part, ImageRef)]
    images = iter(own or more)
    parts = fill_parts(user, sample, images)
    return [*messages[:at], Message("user", [*images, *parts] if own else parts), *messages[at + 1 :]]


def _content(parts: Sequence[ChatPart], images: Iterator[ImageRef]) -> str | Sequence[Part]:
    """A text alone stays one."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return tuple(part if isinstance(part, str) else next(images) for part in parts)
