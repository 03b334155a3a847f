"""The encoded conversation of one episode: each message, and each picture's base64, is encoded once in its life.

Knows chunks of bytes. Does not know who sends them.
"""

from __future__ import annotations

from collections.abc import Iterable

from asyncgen.core.errors import EpisodeError, FailReason
from asyncgen.core.types import Message
from asyncgen.endpoint.wire import encode_message, encode_text

BETWEEN = "\n\n"
"""Between the texts of a raw prompt."""


class Conversation:
    """Grows by `extend`; `messages` goes into every request as it is."""

    def __init__(self, *, raw: bool = False) -> None:
        """`raw`: the texts alone, with a blank line between two of them."""
        self.messages: list[list[bytes]] = []
        self.bytes = 0
        self.raw = raw
        self._pictures: dict[str, bytes] = {}

    def extend(self, messages: Iterable[Message]) -> int:
        """Encode what is new; returns how many bytes that is."""
        before = self.bytes
        for message in messages:
            chunks = self._text(message) if self.raw else encode_message(message, self._pictures)
            self.messages.append(chunks)
            self.bytes += sum(map(len, chunks))
        return self.bytes - before

    def _text(self, message: Message) -> list[bytes]:
        """Raises EpisodeError for a picture, which has no place in a text."""
        if not all(isinstance(part, str) for part in message.parts):
            raise EpisodeError(
                FailReason.BAD_REQUEST, "prompt_style raw sends texts alone, and the prompt has a picture"
            )
        return [*([encode_text(BETWEEN)] if self.messages else []), encode_text(message.text)]
