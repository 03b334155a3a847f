"""The encoded conversation of one episode: each message, and each picture's base64, is encoded once in its life.

Knows chunks of bytes. Does not know who sends them.
"""

from __future__ import annotations

from collections.abc import Iterable

from asyncgen.core.types import Message
from asyncgen.endpoint.wire import encode_message


class Conversation:
    """Grows by `extend`; `messages` goes into every request as it is."""

    def __init__(self) -> None:
        self.messages: list[list[bytes]] = []
        self.bytes = 0
        self._pictures: dict[str, bytes] = {}

    def extend(self, messages: Iterable[Message]) -> int:
        """Encode what is new; returns how many bytes that is."""
        before = self.bytes
        for message in messages:
            chunks = encode_message(message, self._pictures)
            self.messages.append(chunks)
            self.bytes += sum(map(len, chunks))
        return self.bytes - before
